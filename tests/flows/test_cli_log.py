"""``crossdock import`` and ``crossdock log`` as typed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from flows.logs.parquet import ParquetLog
from tests.support.command_line import cancel_line, order_line, refused, run, write_lines


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Two orders, one cancelled an hour later, and a line that is no record."""
    lines = [order_line("a"), order_line("b", 60), b"bad", cancel_line("a", 61)]
    file = write_lines(tmp_path / "in", lines)
    assert run("import", file, "--out", tmp_path / "log").exit_code == 0
    return tmp_path / "log"


def shown(*arguments: str | Path) -> list[str]:
    result = run("log", "show", *arguments)
    assert result.exit_code == 0, result.output
    return [json.loads(line)["id"] for line in result.stdout.splitlines()]


def test_an_import_tells_what_it_did(tmp_path: Path) -> None:
    result = run("import", "-", "--out", tmp_path / "log", stdin=order_line("a") + b"\nbad\n")

    assert result.exit_code == 0
    assert result.stderr == ""
    for word in ("order.received", "SCHEMA_INVALID", "acme/eu", "2026-03-01 00:00:00Z"):
        assert word in result.stdout


def test_an_import_summary_as_json(tmp_path: Path) -> None:
    result = run(
        "import", "-", "--out", tmp_path / "log", "--json", stdin=order_line("a") + b"\nbad\n"
    )

    summary = json.loads(result.stdout)
    assert summary["records"] == {"order.received": 1}
    assert summary["dead_letters"] == {"SCHEMA_INVALID": 1}
    assert summary["first_at"] == "2026-03-01T00:00:00Z"
    assert summary["log_id"] == ParquetLog(tmp_path / "log").id


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("import", "nowhere.ndjson", "--out", "x"), "nowhere.ndjson cannot be read: No such file"),
        (("import", "-", "-", "--out", "x"), "given twice"),
        (("import", "--out", "x"), "Missing argument"),
        (("import", "-"), "Missing option '--out'"),
        (("import", "-", "--out", "x", "--partitions", "0"), "--partitions"),
        (("import", "-", "--out", "x", "--bogus"), "No such option: --bogus"),
        (("log", "show", "nowhere"), "is no recorded log"),
        (("log", "verify", "nowhere"), "is no recorded log"),
        (("log", "bogus"), "No such command 'bogus'"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)

    assert said in refused(run(*arguments))
    assert not list(tmp_path.iterdir())


def test_records_are_filtered_by_kind_subject_and_time(log: Path) -> None:
    assert shown(log, "--kind", "order.received") == ["a", "b"]
    assert shown(log, "--subject", "a") == ["a", "cancel a"]
    assert shown(log, "--kind", "order.received", "--kind", "order.cancelled", "--limit", "2") == [
        "a",
        "b",
    ]
    assert shown(log, "--subject", "a", "--since", "2026-03-01T01:00:00Z") == ["cancel a"]
    assert shown(log, "--subject", "a", "--until", "2026-03-01T02:01:00+01:00") == ["a"]
    assert shown(log, "--since", "2026-03-02") == []
    assert len(shown(log, "--partition", "0", "--until", "2026-03-02")) == len(ParquetLog(log))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--kind", "order.recieved"), "order.received"),
        (("--since", "yesterday"), "--since yesterday: not a time"),
        (("--since", "2026-03-01T10:00:00"), "has no zone"),
        (("--partition", "1"), "has 0 to 0"),
        (("--dead-letters", "--kind", "order.received"), "no other filter"),
    ],
)
def test_a_wrong_filter_is_refused(log: Path, arguments: tuple[str, ...], said: str) -> None:
    assert said in refused(run("log", "show", log, *arguments))


def test_dead_letters_are_shown_with_their_bytes(log: Path) -> None:
    (line,) = run("log", "show", log, "--dead-letters").stdout.splitlines()

    letter = json.loads(line)
    assert (letter["line_no"], letter["reason"], letter["raw"]) == (3, "SCHEMA_INVALID", "bad")


def test_dead_letters_that_are_no_text_are_shown_as_base64(tmp_path: Path) -> None:
    run("import", "-", "--out", tmp_path / "log", stdin=b"\xff\xfe\n")

    (line,) = run("log", "show", tmp_path / "log", "--dead-letters").stdout.splitlines()
    assert json.loads(line)["raw_base64"] == "//4="


def test_a_whole_log_verifies(log: Path) -> None:
    result = run("log", "verify", log, "--json")

    assert result.exit_code == 0
    checked = json.loads(result.stdout)
    assert checked["faults"] == []
    assert checked["partitions"][0]["kinds"]["order.received"] == 2
    assert "order.received 2" in run("log", "verify", log).stdout


def test_a_damaged_segment_is_named(log: Path) -> None:
    (segment,) = ParquetLog(log).segments(0)
    content = bytearray(segment.path.read_bytes())
    content[100] ^= 1
    segment.path.write_bytes(content)

    line = refused(run("log", "verify", log))

    assert str(segment.path) in line
    assert "is damaged" in line


def test_a_missing_segment_is_told(log: Path, tmp_path: Path) -> None:
    run("import", write_lines(tmp_path / "more", [order_line("c", 99)]), "--out", log, "--append")
    ParquetLog(log).segments(0)[0].path.unlink()

    assert "are missing" in refused(run("log", "verify", log))


def test_a_reader_that_goes_away_ends_it_quietly(tmp_path: Path) -> None:
    lines = [order_line(str(i)) for i in range(5000)]
    log = tmp_path / "log"
    run("import", write_lines(tmp_path / "in", lines), "--out", log)

    with subprocess.Popen(
        [sys.executable, "-m", "flows.cli", "log", "show", str(log)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        complaints = process.stderr.read()

    assert complaints == b""
    assert process.returncode == 141


def test_the_exit_code_and_the_line_reach_the_shell() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", "log", "show", "nowhere"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert done.stderr == ("crossdock: nowhere is no recorded log: nowhere/log.json is missing\n")


@pytest.mark.parametrize(
    "command",
    [
        ("import",),
        ("replay",),
        ("explain",),
        ("sql",),
        ("schemas",),
        ("log", "show"),
        ("log", "verify"),
        ("lake", "digest"),
        ("lake", "maintain"),
        ("lake", "status"),
        ("policy", "check"),
    ],
)
def test_every_command_teaches_with_an_example(command: tuple[str, ...]) -> None:
    result = run(*command, "--help")

    assert result.exit_code == 0
    assert f"Example: crossdock {' '.join(command)}" in result.stdout


@pytest.mark.parametrize("group", [(), ("log",), ("lake",), ("policy",)])
def test_a_group_alone_prints_its_help(group: tuple[str, ...]) -> None:
    result = run(*group)

    assert result.exit_code == 0
    assert "Usage: crossdock" in result.stdout
