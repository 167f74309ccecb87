"""The files of ``deploy/`` as far as they can be held to the code without a container engine."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from flows.channels.settings import Scheme
from flows.commands.config import with_channels
from flows.hooks.signatures import Verifier
from flows.lake.layout import Flow
from flows.metrics import Metrics
from flows.notices.settings import EmailWay, WebhookWay
from flows.settings import load_settings
from schemas.tables import Effects
from tests.support.command_line import run

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
WATCHED = {
    "open_orders",
    "networks_decided_by_rules",
    "notify_waiting_deliveries",
    "hooks_waiting",
}


def documents(file: Path) -> list[Any]:
    return list(YAML(typ="safe", pure=True).load_all(file.read_text()))


def served() -> set[str]:
    """Names of all metrics of a job, as Prometheus sees them."""
    families = [family.name for family in Metrics().registry.collect()]
    names = {f"{name}{suffix}" for name in families for suffix in ("", "_total", "_bucket")}
    return names | {f"crossdock_{name}" for name in WATCHED}


def samples(metrics: Metrics) -> list[Any]:
    return [sample for family in metrics.registry.collect() for sample in family.samples]


def named(text: str) -> set[str]:
    return set(re.findall(r"\bcrossdock_\w+", text))


def rules() -> dict[str, Any]:
    """The alerts by name."""
    (alerts,) = documents(DEPLOY / "alerts.yml")
    return {rule["alert"]: rule for group in alerts["groups"] for rule in group["rules"]}


@pytest.mark.parametrize("file", sorted(DEPLOY.rglob("*.y*ml")), ids=lambda f: f.name)
def test_every_yaml_file_can_be_read(file: Path) -> None:
    assert all(documents(file))


def test_the_job_takes_the_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (manifest,) = [
        d for d in documents(DEPLOY / "kubernetes/crossdock.yaml") if d["kind"] == "ConfigMap"
    ]
    mounted = tmp_path / "crossdock.toml"
    mounted.write_text(manifest["data"]["crossdock.toml"])

    for file in (DEPLOY / "crossdock.toml", mounted):
        settings = load_settings(file)
        assert settings.kafka is not None
        assert settings.lake == Path("/var/lib/crossdock/lake")


def test_the_image_copies_what_there_is_and_needs() -> None:
    said = (DEPLOY / "Dockerfile").read_text()
    copied = [w for line in re.findall(r"^COPY (?!--from)(.*)$", said, re.M) for w in line.split()]
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]

    assert all((ROOT / name).exists() for name in copied if name not in {"./", *_targets(said)})
    assert set(packages["targets"]["wheel"]["packages"]) <= set(copied)
    assert "USER crossdock" in said


def test_alerts_and_dashboard_name_only_what_is_served() -> None:
    board = json.loads((DEPLOY / "grafana/crossdock.json").read_text())
    asked = [t["expr"] for panel in board["panels"] for t in panel["targets"]]

    for text in [*(rule["expr"] for rule in rules().values()), *asked]:
        assert named(text) <= served(), text
    assert all(rule["annotations"]["runbook"] for rule in rules().values())


@pytest.mark.parametrize("flow", list(Flow))
def test_a_fold_whose_effects_do_not_reach_the_lake_raises_an_alert(flow: Flow) -> None:
    metrics = Metrics()
    metrics.watch_uncommitted(flow, lambda: 1_000_000)
    expression = rules()["CrossdockLakeFallsBehind"]["expr"]

    name, limit = expression.split(" > ")

    loud = [s.labels for s in samples(metrics) if s.name == name and s.value > float(limit)]
    assert loud == [{"flow": flow.value}]


def test_alerts_name_the_flow_by_a_label_that_there_is() -> None:
    metrics = Metrics()
    for flow in Flow:
        metrics.watch_uncommitted(flow, lambda: 0)
        metrics.advanced(flow, Effects(0, 0), records=1, refused=1, seconds=0.1)
    labels = {sample.name: set(sample.labels) for sample in samples(metrics)}

    asking = [r for r in rules().values() if "$labels.flow" in r["annotations"]["summary"]]

    assert asking
    for rule in asking:
        assert all("flow" in labels[name] for name in named(rule["expr"])), rule["alert"]


def test_the_planner_is_started_with_options_that_there_are() -> None:
    (manifest,) = documents(DEPLOY / "kubernetes/prices.yaml")
    pod = manifest["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    unit = re.sub(r"\\\n\s*", "", (DEPLOY / "crossdock-prices.service").read_text())
    (started,) = re.findall(r"^ExecStart=\S+/crossdock (.*)$", unit, re.M)

    assert ["prices", *pod["containers"][0]["args"]] == started.split()
    shown = run("prices", "--help").stdout
    assert all(word in shown for word in started.split() if word.startswith("--"))


def test_what_delivers_takes_its_settings_and_is_started_alike(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("ERP__SECRET", "SMS__AUTH__SECRET", "MAIL__PASSWORD__SECRET"):
        monkeypatch.setenv(f"CROSSDOCK_NOTIFY__WAYS__{name}", "whsec_c2VjcmV0")
    notify = load_settings(DEPLOY / "notify.toml").notify
    (manifest,) = documents(DEPLOY / "kubernetes/notify.yaml")
    (container,) = manifest["spec"]["template"]["spec"]["containers"]
    (compose,) = documents(DEPLOY / "compose.yaml")
    unit = (DEPLOY / "crossdock-notify.service").read_text()

    assert notify is not None
    erp, mail = notify.ways["erp"], notify.ways["mail"]
    assert isinstance(erp, WebhookWay)
    assert isinstance(mail, EmailWay)
    assert erp.reveal() == mail.password.reveal() == "whsec_c2VjcmV0"
    assert "c2VjcmV0" not in repr(notify)
    assert manifest["spec"]["replicas"] == 1, "two would mix up the order of messages"
    assert container["args"] == compose["services"]["notify"]["command"]
    assert f"crossdock {' '.join(container['args'])}" in unit


def test_what_receives_takes_its_settings_and_is_started_alike(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SHOPIFY_SECRET", "hush")
    monkeypatch.setenv("PARTNER_SECRET", "whsec_c2VjcmV0")
    settings = load_settings(DEPLOY / "hooks.toml")
    _, manifest = documents(DEPLOY / "kubernetes/hooks.yaml")
    (container,) = manifest["spec"]["template"]["spec"]["containers"]
    (compose,) = documents(DEPLOY / "compose.yaml")
    unit = (DEPLOY / "crossdock-hooks.service").read_text()

    for channel in settings.channels.values():
        assert channel.signature is not None
        assert Verifier(channel.signature).scheme is not Scheme.NONE
    assert {c.topic for c in settings.channels.values()} <= set(with_channels(settings).raw)
    assert {"containerPort": settings.hooks.port, "name": "hooks"} in container["ports"]
    assert container["args"] == compose["services"]["hooks"]["command"]
    assert f"crossdock {' '.join(container['args'])}" in unit
    assert "hush" not in repr(settings)


def test_what_fetches_takes_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ERP_TOKEN", "hush")
    monkeypatch.setenv("MQTT_PASSWORD", "hush")
    settings = load_settings(DEPLOY / "inlets.toml")
    unit = (DEPLOY / "crossdock-inlet.service").read_text()

    stock, erp, shelves = settings.channels.values()
    assert stock.folder is not None
    assert erp.poll is not None
    assert shelves.mqtt is not None
    assert erp.poll.token() == shelves.mqtt.password() == "hush"
    assert settings.inlets.state is not None
    assert "StateDirectory=crossdock" in unit
    (words,) = re.findall(
        r"^ExecStart=\S+/crossdock (inlet run) --config /etc/\S+/inlets.toml$", unit, re.M
    )
    assert "Fetch until" in run(*words.split(), "--help").stdout
    assert "hush" not in repr(settings)


def test_seals_are_made_with_options_that_there_are() -> None:
    unit = re.sub(r"\\\n\s*", "", (DEPLOY / "crossdock-seal.service").read_text())
    (started,) = re.findall(r"^ExecStart=\S+/crossdock (.*)$", unit, re.M)

    shown = run("audit", "seal", "--help").stdout
    assert started.startswith("audit seal --lake ")
    assert all(word in shown for word in started.split() if word.startswith("--"))


def _targets(said: str) -> set[str]:
    return {line.split()[-1] for line in re.findall(r"^COPY (.*)$", said, re.M)}
