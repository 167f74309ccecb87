"""``crossdock lake``, ``crossdock schemas`` and ``crossdock policy`` as typed."""

import json
from pathlib import Path

import pytest

from flows.lake.layout import Identity
from flows.lake.writer import create_or_open_writer
from schemas.ids import LogId
from tests.support.command_line import refused, run
from tests.support.effects import effects

POLICY = """\
version: winter
weights:
  carbon: 2
"""


def lake_at(path: Path, first: int, last: int, partition: int = 0) -> Path:
    with create_or_open_writer(
        path, Identity(LogId("log-1"), policy_override_sha256="ab" * 32), [partition]
    ) as writer:
        writer.put(effects(first, last, partition=partition))
    return path


def digests(*lakes: Path) -> dict[str, dict[str, object]]:
    options = [option for lake in lakes for option in ("--lake", lake)]
    result = run("lake", "digest", *options, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, dict[str, object]] = json.loads(result.stdout)
    return found


def test_equal_facts_have_equal_digests_however_they_are_spread(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    with create_or_open_writer(whole, Identity(LogId("log-1")), [0, 1]) as writer:
        writer.put(effects(0, 9, partition=0))
        writer.put(effects(0, 4, partition=1))
    parts = lake_at(tmp_path / "a", 0, 9), lake_at(tmp_path / "b", 0, 4, partition=1)

    assert digests(whole) == digests(*parts)
    assert digests(whole)["decisions"]["rows"] == 15
    assert digests(whole) != digests(parts[0])


def test_the_digest_is_printed_as_a_table(tmp_path: Path) -> None:
    lake = lake_at(tmp_path / "lake", 0, 9)

    result = run("lake", "digest", "--lake", lake)

    assert str(digests(lake)["decisions"]["digest"]) in result.stdout


def test_maintenance_changes_no_fact(tmp_path: Path) -> None:
    lake = lake_at(tmp_path / "lake", 0, 29)
    before = digests(lake)

    result = run("lake", "maintain", "--lake", lake, "--json")

    assert result.exit_code == 0
    assert json.loads(result.stdout)["rows_settled"] > 0
    assert digests(lake) == before
    assert run("lake", "maintain", "--lake", lake).exit_code == 0


def test_a_lake_that_is_being_written_is_not_maintained(tmp_path: Path) -> None:
    with create_or_open_writer(tmp_path / "lake", Identity(LogId("log-1")), [0]):
        line = refused(run("lake", "maintain", "--lake", tmp_path / "lake"))

    assert "is being written" in line


def test_the_status_tells_whose_rows_how_far_and_how_large(tmp_path: Path) -> None:
    lake = lake_at(tmp_path / "lake", 0, 29)

    found = json.loads(run("lake", "status", "--lake", lake, "--json").stdout)

    assert found["log_id"] == "log-1"
    assert found["policy_override_sha256"] == "ab" * 32
    assert found["positions"] == [{"partition": 0, "position": 29, "owner_epoch": 1}]
    assert {t["table"]: t["rows"] for t in found["tables"]}["decisions_recent_0"] == 30
    assert found["file_bytes"] == sum(t["bytes"] for t in found["tables"]) > 0
    assert "log-1" in run("lake", "status", "--lake", lake).stdout


@pytest.mark.parametrize("command", ["digest", "maintain", "status"])
def test_what_is_no_lake_is_refused_in_one_line(tmp_path: Path, command: str) -> None:
    assert "is no lake" in refused(run("lake", command, "--lake", tmp_path / "nothing"))


def test_the_effective_values_of_a_policy_are_shown(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY)

    result = run("policy", "check", file)

    assert result.exit_code == 0
    (carbon,) = [line for line in result.stdout.splitlines() if "weights.carbon" in line]
    assert "│ 2 " in carbon
    assert "set here" in carbon
    assert "weights.freight" in result.stdout
    assert json.loads(run("policy", "check", file, "--json").stdout)["weights"]["carbon"] == 2.0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (POLICY.replace("carbon: 2", "carbon: -2"), "policy.yaml:3: weights.carbon"),
        (POLICY.replace("carbon", "carbn"), "policy.yaml:3: weights.carbn"),
        ("version: [", "policy.yaml:"),
        ("- a", "policy.yaml:1: a policy is a mapping"),
    ],
)
def test_faults_of_a_policy_are_named_with_their_line(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(text)

    assert said in refused(run("policy", "check", file))


@pytest.mark.parametrize("content", [None, b"version: \xff"])
def test_a_policy_that_cannot_be_read_is_refused(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "policy.yaml"
    if content is not None:
        file.write_bytes(content)

    assert "policy.yaml" in refused(run("policy", "check", file))


def test_schemas_are_written_for_every_kind(tmp_path: Path) -> None:
    result = run("schemas", "--out", tmp_path / "schemas")

    assert result.exit_code == 0
    assert (tmp_path / "schemas" / "order.received.json").is_file()
    assert (tmp_path / "schemas" / "codes.json").is_file()
