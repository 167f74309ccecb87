"""Files become a log: what is a record, what a dead letter, and what is left after a kill."""

import gzip
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from flows.imports import Imported, import_log
from flows.logs.parquet import LogWriter, ParquetLog, read_dead_letters
from schemas.codec import to_lines
from schemas.errors import InputError, LogError
from schemas.kinds import Kind
from tests.support.command_line import cancel_line, order_line, write_lines


def recorded(
    files: list[Path], out: Path, *, append: bool = False, partitions: int = 1
) -> Imported:
    return import_log(
        files, out, lambda _: None, append=append, partitions=None if append else partitions
    )


def subjects(log: Path, partition: int = 0) -> list[str]:
    found = []
    for piece in ParquetLog(log).read(partition):
        rows = zip(piece.envelope["subject"].to_pylist(), piece.kinds.tolist(), strict=True)
        found += [subject for subject, kind in rows if kind != Kind.CLOCK_TICKED]
    return found


def kinds(log: Path, partition: int = 0) -> list[Kind]:
    return [Kind(k) for piece in ParquetLog(log).read(partition) for k in piece.kinds.tolist()]


def letters(log: Path) -> list[tuple[str, int, str]]:
    table = read_dead_letters(log)
    rows = table.to_pylist() if table is not None else []
    return sorted((r["source"], r["line_no"], r["reason"]) for r in rows)


def test_every_line_is_a_record_or_a_dead_letter(tmp_path: Path) -> None:
    lines = [order_line("a"), b"", b"{not json", order_line("b"), b'{"type":"no.such"}', b"", b" "]
    file = write_lines(tmp_path / "in.ndjson", lines)

    imported = recorded([file], tmp_path / "log")

    assert subjects(tmp_path / "log") == ["a", "b"]
    assert letters(tmp_path / "log") == [
        (str(file), 2, "SCHEMA_INVALID"),
        (str(file), 3, "SCHEMA_INVALID"),
        (str(file), 5, "UNKNOWN_KIND"),
    ]
    assert imported.dead_letters == {"SCHEMA_INVALID": 2, "UNKNOWN_KIND": 1}
    assert imported.records == {"order.received": 2}


def test_a_last_line_without_an_end_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    file = tmp_path / "in.ndjson"
    file.write_bytes(b"\xef\xbb\xbf" + order_line("a") + b"\r\n" + order_line("b"))

    imported = recorded([file], tmp_path / "log")

    assert subjects(tmp_path / "log") == ["a", "b"]
    assert not imported.dead_letters


def test_a_line_beyond_the_limit_is_one_dead_letter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.import_lines.MAX_LINE_BYTES", 1000)
    monkeypatch.setattr("schemas.codec.MAX_LINE_BYTES", 1000)
    lines = [order_line("a"), b"x" * 5000, order_line("b")]

    recorded([write_lines(tmp_path / "in", lines)], tmp_path / "log")

    assert subjects(tmp_path / "log") == ["a", "b"]
    assert letters(tmp_path / "log") == [(str(tmp_path / "in"), 2, "SCHEMA_INVALID")]


def test_gzip_is_read(tmp_path: Path) -> None:
    file = tmp_path / "in.ndjson.gz"
    file.write_bytes(gzip.compress(order_line("a") + b"\n"))

    recorded([file], tmp_path / "log")

    assert subjects(tmp_path / "log") == ["a"]


@pytest.mark.parametrize("damage", ["cut", "not gzip", "missing", "directory", "zstandard"])
def test_a_file_that_cannot_be_read_leaves_nothing(tmp_path: Path, damage: str) -> None:
    good = write_lines(tmp_path / "good", [order_line("a")])
    bad = tmp_path / ("bad.zst" if damage == "zstandard" else "bad.gz")
    lines = b"\n".join(order_line(os.urandom(20).hex()) for _ in range(2000))
    if damage == "directory":
        bad.mkdir()
    elif damage != "missing":
        bad.write_bytes(gzip.compress(lines)[:-3000] if damage == "cut" else lines)

    with pytest.raises(InputError, match=r"bad\.(gz|zst)"):
        recorded([good, bad], tmp_path / "log")

    assert sorted(p.name for p in tmp_path.iterdir() if p != bad) == ["good"]


def test_files_are_merged_by_record_time(tmp_path: Path) -> None:
    first = write_lines(tmp_path / "1", [order_line("a", 0), order_line("d", 3)])
    second = write_lines(tmp_path / "2", [order_line("b", 0), order_line("c", 2)])

    recorded([first, second], tmp_path / "log")

    assert subjects(tmp_path / "log") == ["a", "b", "c", "d"]


def test_every_partition_hears_the_importer_and_its_farewell(tmp_path: Path) -> None:
    lines = [order_line(f"{net}-{m}", m, net) for m in range(3) for net in ("br", "de", "eu", "za")]

    imported = recorded([write_lines(tmp_path / "in", lines)], tmp_path / "log", partitions=2)

    ticks = []
    for partition in range(2):
        assert subjects(tmp_path / "log", partition)
        ticks.append(kinds(tmp_path / "log", partition).count(Kind.CLOCK_TICKED))
        last = list(ParquetLog(tmp_path / "log").read(partition))[-1]
        assert last.of_kind(Kind.CLOCK_TICKED)[1]["retired"].to_pylist()[-1] is True
    assert imported.ticks_added == sum(ticks)
    assert imported.networks == ["acme/br", "acme/de", "acme/eu", "acme/za"]


def test_a_tick_speaks_to_a_network_of_its_partition(tmp_path: Path) -> None:
    recorded([write_lines(tmp_path / "in", [order_line("a", 0, "us")])], tmp_path / "log")

    (piece,) = ParquetLog(tmp_path / "log").read(0)
    assert piece.envelope["network"].to_pylist() == ["us"] * 3


def test_an_exported_log_comes_back_as_it_was(tmp_path: Path) -> None:
    lines = [order_line("a", 0), order_line("b", 90), cancel_line("a", 95)]
    recorded([write_lines(tmp_path / "in", lines)], tmp_path / "log")
    exported = [line for p in ParquetLog(tmp_path / "log").read(0) for line in to_lines(p)]

    imported = recorded([write_lines(tmp_path / "out", exported)], tmp_path / "again")

    again = [line for p in ParquetLog(tmp_path / "again").read(0) for line in to_lines(p)]
    assert again == exported
    assert imported.ticks_added == 0


def test_ticks_of_the_input_must_reach_every_partition(tmp_path: Path) -> None:
    lines = [order_line(net, 0, net) for net in ("br", "de", "eu", "za")]
    recorded([write_lines(tmp_path / "in", lines)], tmp_path / "log")
    exported = [line for p in ParquetLog(tmp_path / "log").read(0) for line in to_lines(p)]
    file = write_lines(tmp_path / "out", exported)

    with pytest.raises(InputError, match="without a clock"):
        recorded([file], tmp_path / "again", partitions=2)

    assert not (tmp_path / "again").exists()


def test_adding_continues_the_positions_and_ticks_anew(tmp_path: Path) -> None:
    log = tmp_path / "log"
    recorded([write_lines(tmp_path / "1", [order_line("a"), b"bad"])], log)
    before = ParquetLog(log)

    added = recorded(
        [write_lines(tmp_path / "2", [order_line("b", 5), b"bad 2"])], log, append=True
    )

    after = ParquetLog(log)
    assert added.log_id == after.id == before.id
    assert subjects(log) == ["a", "b"]
    assert kinds(log)[-2:] == [Kind.CLOCK_TICKED] * 2
    assert len(letters(log)) == 2
    pieces = list(after.read(0))
    sources = {str(s) for p in pieces for s in p.envelope["source"].to_pylist()}
    assert sources == {"shop", "crossdock-import/0", "crossdock-import/3"}


def test_a_partition_without_new_records_still_hears_the_time(tmp_path: Path) -> None:
    log = tmp_path / "log"
    lines = [order_line(net, 0, net) for net in ("br", "de", "eu", "za")]
    recorded([write_lines(tmp_path / "1", lines)], log, partitions=2)

    recorded([write_lines(tmp_path / "2", [order_line("late", 60, "eu")])], log, append=True)

    for partition in range(2):
        at = list(ParquetLog(log).read(partition))[-1].of_kind(Kind.CLOCK_TICKED)[1]["at"]
        assert at.to_pylist()[-1].hour == 1


def test_a_log_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    file = write_lines(tmp_path / "in", [order_line("a")])
    recorded([file], tmp_path / "log")

    with pytest.raises(InputError, match="--append"):
        recorded([file], tmp_path / "log")

    assert subjects(tmp_path / "log") == ["a"]


def test_what_is_no_log_cannot_be_added_to(tmp_path: Path) -> None:
    file = write_lines(tmp_path / "in", [order_line("a")])

    with pytest.raises(LogError, match="is no recorded log"):
        recorded([file], tmp_path / "log", append=True)


def test_a_log_that_is_being_written_cannot_be_added_to(tmp_path: Path) -> None:
    file = write_lines(tmp_path / "in", [order_line("a")])
    recorded([file], tmp_path / "log")

    with LogWriter(tmp_path / "log"), pytest.raises(LogError, match="another process"):
        recorded([file], tmp_path / "log", append=True)


def test_two_imports_into_one_place_do_not_disturb_each_other(tmp_path: Path) -> None:
    file = write_lines(tmp_path / "in", [order_line("a")])
    with (
        LogWriter.create(tmp_path / ".log.partial"),
        pytest.raises(LogError, match="another import"),
    ):
        recorded([file], tmp_path / "log")

    assert (tmp_path / ".log.partial" / "log.json").exists()


def test_a_killed_import_leaves_no_log_and_the_next_one_cleans_up(tmp_path: Path) -> None:
    file = write_lines(tmp_path / "in", [order_line("a")])
    log = tmp_path / "log"
    with subprocess.Popen(
        [sys.executable, "-m", "flows.cli", "import", "-", "--out", str(log)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(order_line("killed") + b"\n")
        process.stdin.flush()
        while not (tmp_path / ".log.partial" / "log.json").exists():
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
    assert not log.exists()

    recorded([file], log)

    assert subjects(log) == ["a"]
    assert not (tmp_path / ".log.partial").exists()


@pytest.mark.parametrize("moved", [0, 1])
def test_an_addition_killed_between_two_moves_is_completed_and_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: int
) -> None:
    first = write_lines(tmp_path / "first", [order_line("a")])
    second = write_lines(tmp_path / "second", [b"no record", order_line("b", 1)])
    log = tmp_path / "log"
    recorded([first], log)
    renamed: list[Path] = []
    rename = Path.rename

    def killed_later(source: Path, target: Path) -> Path:
        if ".log.partial" in str(source) and ".log.partial" not in str(target):
            if len(renamed) == moved:
                raise SystemExit
            renamed.append(source)
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", killed_later)
    with pytest.raises(SystemExit):
        recorded([second], log, append=True)
    monkeypatch.undo()
    with pytest.raises(InputError, match="has just been completed"):
        recorded([second], log, append=True)

    assert subjects(log) == ["a", "b"]
    letters = read_dead_letters(log)
    assert letters is not None
    assert letters.num_rows == 1


def test_the_same_files_make_the_same_segments(tmp_path: Path) -> None:
    file = write_lines(tmp_path / "in", [order_line(str(i), i) for i in range(20)])

    for name in ("one", "two"):
        recorded([file], tmp_path / name)

    one, two = (ParquetLog(tmp_path / name).segments(0) for name in ("one", "two"))
    assert [s.path.name for s in one] == [s.path.name for s in two]


def test_an_empty_file_makes_an_empty_log(tmp_path: Path) -> None:
    imported = recorded([write_lines(tmp_path / "in", [])], tmp_path / "log")

    assert len(ParquetLog(tmp_path / "log")) == 0
    assert imported.first_at is None
