"""A full disk: one clear error, nothing half written, and all is there once there is room."""

from pathlib import Path

import pytest

from flows.checkpoint_store import Directory
from flows.checkpoints import ROUTE_FORM, Checkpoint, Checkpoints, Origin
from flows.logs.parquet import LogWriter, ParquetLog
from models.routing.fold import RouteState
from schemas.errors import CheckpointError, LogError
from schemas.ids import LogId
from tests.support.builders import counted, effects_of, journal, lane, named, node, order
from tests.support.command_line import order_line, refused, run, write_lines
from tests.support.disk import room_for

LITTLE = 2_000
LOG = [node("A"), counted("A"), lane("A"), *(order(f"o-{i}") for i in range(40))]


def orders(log: Path) -> int:
    return sum(len(piece) for piece in ParquetLog(log).read(0))


def partials(folder: Path) -> list[Path]:
    return list(folder.rglob("*.partial"))


def test_a_log_keeps_what_it_could_not_write(tmp_path: Path) -> None:
    with LogWriter.create(tmp_path / "log") as writer:
        for event in named(*LOG):
            writer.append(event)
        with pytest.raises(LogError, match="cannot be written"), room_for(LITTLE):
            writer.flush()
        assert orders(tmp_path / "log") == 0

    assert orders(tmp_path / "log") == len(LOG)
    assert not partials(tmp_path)


def test_an_import_says_so_in_one_line_and_leaves_no_log(tmp_path: Path) -> None:
    file = write_lines(tmp_path / "in.ndjson", [order_line(f"o-{i}") for i in range(50)])

    with room_for(LITTLE):
        result = run("import", file, "--out", tmp_path / "log")

    assert "cannot be written: File too large; make room" in refused(result)
    assert not (tmp_path / "log").exists()


def test_a_checkpoint_that_does_not_fit_leaves_the_one_before(tmp_path: Path) -> None:
    checkpoints = Checkpoints(
        Directory(tmp_path), Origin(LogId("log"), "", "here"), 0.0, ROUTE_FORM
    )
    state = RouteState(0)
    effects_of(journal(*LOG[:20]), state=state)
    checkpoints.save(Checkpoint(state), -1)
    before = state.position

    effects_of(journal(*LOG[20:], first=20), state=state)
    with pytest.raises(CheckpointError, match="no checkpoint could be written"), room_for(LITTLE):
        checkpoints.save(Checkpoint(state), -1)

    assert checkpoints.load(0, 1_000, None).state.position == before
    assert not partials(tmp_path)
