"""Keeping a state and taking it up again: as if the job had never ended."""

import hashlib
from pathlib import Path
from typing import Any

import numba
import pytest

from flows.checkpoint_store import Directory
from flows.checkpoints import TRACK_FORM, Checkpoint, Checkpoints, Origin
from models.tracking.arrays import ENTRY, ORDER
from models.tracking.fold import advance
from models.tracking.state import TrackState
from schemas.envelope import Event
from schemas.ids import LogId
from schemas.tables import Effects, to_tables
from tests.support.devices import journey
from tests.support.journeys import disturbed, records, with_ticks
from tests.support.tracks import tracking_log


def checkpoints(folder: Path, log: str = "log") -> Checkpoints[TrackState]:
    return Checkpoints(Directory(folder), Origin(LogId(log), "", "here"), 0.0, TRACK_FORM)


def taken_up(folder: Path, state: TrackState) -> TrackState:
    """The state by way of a file."""
    store = checkpoints(folder)
    store.take(Checkpoint(state), -1)
    store.wait()
    return store.load(state.partition, state.position, None).state


def rows(effects: Effects) -> dict[Any, list[dict[str, Any]]]:
    return {table: found.to_pylist() for table, found in to_tables([effects]).items()}


def world(seed: int) -> list[Event]:
    sensed, placed = journey(seed)
    return with_ticks(disturbed([*records(seed), *sensed, *placed], seed), range(0, 260, 20))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_state_that_was_kept_goes_on_as_if_it_had_not_been(seed: int, tmp_path: Path) -> None:
    piece = tracking_log(world(seed))
    half = len(piece) // 2
    state = TrackState(0)
    advance(state, piece.cut(0, half))

    again = taken_up(tmp_path, state)

    rest = piece.cut(half, len(piece))
    assert rows(advance(again, rest)) == rows(advance(state, rest))


def test_kernels_need_not_be_compiled_again_for_what_was_kept(tmp_path: Path) -> None:
    state = TrackState(0)
    advance(state, tracking_log(world(1)))

    again = taken_up(tmp_path, state)

    assert numba.from_dtype(again.entries.dtype) == numba.from_dtype(ENTRY)
    assert numba.from_dtype(again.orders.dtype) == numba.from_dtype(ORDER)


def test_what_is_written_after_the_state_was_taken_is_not_in_it(tmp_path: Path) -> None:
    piece, state = tracking_log(world(2)), TrackState(0)
    advance(state, piece.cut(0, 20))
    store, position = checkpoints(tmp_path), state.position

    store.take(Checkpoint(state), -1)
    advance(state, piece.cut(20, len(piece)))
    store.wait()

    assert store.load(0, state.position, None).state.position == position


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04 a zip of an older version", b"[]\n", b"{}\n"]
)
def test_a_file_of_another_form_is_passed_over(content: bytes, tmp_path: Path) -> None:
    store = checkpoints(tmp_path)
    state = TrackState(0)
    advance(state, tracking_log(world(1)))
    store.save(Checkpoint(state), -1)
    (file,) = tmp_path.rglob("*.checkpoint")
    name = f"{state.position:020d}-{hashlib.sha256(content).hexdigest()[:16]}.checkpoint"
    file.with_name(name).write_bytes(content)
    file.unlink()

    assert store.load(0, state.position, None).state.position == -1
