"""``crossdock notify``: running, looking, sending again, texts; and settings that will not do."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.command_line import refused, run
from tests.support.notices import MARK, SECRET, Receiver, Reply, fill, outbox_row, receiving

START = 'lake = "{lake}"\n[notify]\n'
HOOK = '[notify.ways.hook]\nkind = "webhook"\nurl = "{url}"\nsecret = "{secret}"\n'
RULE = '[[notify.rules]]\naudience = "customer"\nways = ["hook"]\n'


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    now = datetime.now(UTC)
    rows = [outbox_row(1, at=now), outbox_row(2, at=now), outbox_row(3, audience="partner", at=now)]
    return fill(tmp_path_factory.mktemp("cli") / "lake", rows)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


def configured(folder: Path, lake: Path, url: str, more: str = "", rules: str = RULE) -> Path:
    file = folder / "crossdock.toml"
    start = START.format(lake=lake) + f'store = "{folder / "notify.sqlite"}"\n' + more
    file.write_text(start + HOOK.format(url=url, secret=SECRET) + rules)
    return file


def test_what_a_run_could_not_deliver_is_seen_and_sent_again(
    tmp_path: Path, lake: Path, receiver: Receiver
) -> None:
    receiver.answer = lambda request: Reply(404 if request.json["subject"] == "o-2" else 200)
    config = configured(tmp_path, lake, receiver.url)

    first = run("notify", "run", "--once", "--config", config)
    dead = run("notify", "list", "--config", config, "--state", "dead", "--json")
    shown = run("notify", "list", "--config", config, "--key", f"{MARK}-10000-2-0")
    would = run("notify", "retry", "--config", config, "--way", "hook", "--dry-run")
    receiver.answer = lambda _request: Reply()
    again = run("notify", "retry", "--config", config, "--key", f"{MARK}-10000-2-0")
    second = run("notify", "run", "--once", "--config", config)
    status = run("notify", "status", "--config", config, "--json")

    assert (first.exit_code, second.exit_code) == (0, 0), first.output
    (letter,) = map(json.loads, dead.stdout.splitlines())
    assert (letter["order_id"], letter["detail"]) == ("o-2", "answered 404 Not Found")
    assert "Attempts" in shown.stdout
    assert "404" in shown.stdout
    assert would.stderr == "1 deliveries would be sent again\n"
    assert again.stderr == "1 deliveries are sent again\n"
    told = json.loads(status.stdout)
    (way,) = told["ways"]
    assert (way["way"], way["sent"], way["dead"]) == ("hook", 2, 0)
    assert told["passed_over"] == [
        {"audience": "partner", "template": "SHIPPED", "notifications": 1}
    ]
    assert told["partitions"] == [{"partition": 10_000, "position": 3}]
    assert "Taken by no rule" in run("notify", "status", "--config", config).stdout


def test_wrong_uses_are_one_clear_line(tmp_path: Path, lake: Path) -> None:
    config = configured(tmp_path, lake, "http://127.0.0.1:1/in")
    (tmp_path / "bare.toml").write_text(f'lake = "{lake}"\n')

    bare = refused(run("notify", "run", "--config", tmp_path / "bare.toml"))
    early = refused(run("notify", "list", "--config", config))
    vague = refused(run("notify", "retry", "--config", config))
    unknown = refused(run("notify", "texts", "--language", "fr"))

    assert "nothing says what is sent to whom: add [notify]" in bare
    assert "nothing was delivered yet" in early
    assert "say which: --key, --way" in vague
    assert "there are texts in en, zh" in unknown


@pytest.mark.parametrize(
    ("more", "rules", "words"),
    [
        ("", RULE.replace("hook", "hok"), "rule 1 names the way 'hok', which is not there"),
        ("", RULE.replace("customer", "everybody"), "rules.0.audience"),
        ("", RULE + 'unknown = "a"\n', "rules.0.unknown"),
        ('time_zone = "Mars/Base"\n', RULE, "there is no time zone 'Mars/Base'"),
        ('time_zones = { eu = "UTC" }\n', RULE, "'eu' is no network: say tenant/network"),
        ('quiet_hours = { begin = "08:00", end = "08:00" }\n', RULE, "leave quiet_hours out"),
        ('language = "fr"\n', RULE, "language 'fr': there are texts in en, zh"),
        ('addresses = "/nowhere.csv"\n', RULE, "cannot be read as an address book"),
        ("", '[notify.ways.x]\nkind = "fax"\n' + RULE, "notify.ways.x"),
        ("", '[notify.ways.x]\nkind = "sms"\nurl = "ftp://a"\n' + RULE, "notify.ways.x.sms.url"),
        (
            "",
            '[notify.ways.x]\nkind = "sms"\nurl = "http://a"\nbody = { t = "{{ fone }}" }\n' + RULE,
            "way x: body: 'fone' is undefined; it may name phone, text",
        ),
        (
            "",
            '[notify.ways.x]\nkind = "webhook"\nurl = "http://a"\n' + RULE,
            "way x: there is no secret, or it is not whsec_ and Base64",
        ),
        (
            "",
            '[notify.ways.x]\nkind = "email"\nhost = "a"\nsender = "a@b"\nuser = "a"\n' + RULE,
            "way x: user is given and no password",
        ),
        (
            "",
            '[notify.ways.x]\nkind = "sms"\nurl = "http://a"\n'
            '[[notify.rules]]\naudience = "operator"\nways = ["x"]\n',
            "rule 1 sends to an operator by 'x', which has no 'to'",
        ),
    ],
)
def test_settings_that_will_not_do_are_told_before_anything_is_sent(
    tmp_path: Path, lake: Path, more: str, rules: str, words: str
) -> None:
    config = configured(tmp_path, lake, "http://127.0.0.1:1/in", more, rules)

    line = refused(run("notify", "run", "--once", "--config", config))

    assert words in line
    assert SECRET not in line


def test_a_secret_by_the_environment_counts_and_is_never_shown(
    tmp_path: Path, lake: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configured(tmp_path, lake, receiver.url)
    config.write_text(config.read_text().replace(f'secret = "{SECRET}"\n', ""))
    monkeypatch.setenv("CROSSDOCK_NOTIFY__WAYS__HOOK__SECRET", SECRET)

    done = run("notify", "run", "--once", "--config", config)
    status = run("notify", "status", "--config", config, "--json")

    assert done.exit_code == 0, done.output
    assert len(receiver.shown) == 2
    assert SECRET not in done.output + status.output


def test_texts_are_shown_and_those_of_the_house_are_tried(tmp_path: Path) -> None:
    (tmp_path / "en.toml").write_text('[SHIPPED]\nsms = "Off it goes: {{ order }}"\n')

    shown = run("notify", "texts", "--template", "SHIPPED", "--folder", tmp_path)
    chinese = run("notify", "texts", "--template", "SHIPPED", "--language", "zh", "--json")
    (tmp_path / "en.toml").write_text('[SHIPPED]\nsms = "{{ ordr }}"\n')
    bad = refused(run("notify", "texts", "--folder", tmp_path))

    assert "Off it goes: SO-20261125-0042 https://example.com/orders" in shown.stdout
    assert json.loads(chinese.stdout)["email"]["subject"].endswith("已发货")
    assert "SHIPPED.sms names 'ordr'" in bad


def test_help_teaches(tmp_path: Path) -> None:
    pages = {name: run("notify", name, "--help") for name in ("run", "list", "retry", "texts")}

    assert all("Example: crossdock notify" in page.stdout for page in pages.values())
    assert "crossdock notify list --state dead" in pages["retry"].stdout
