"""A recorded log as a Bytewax source: one Bytewax partition per log partition, a slice per item.

A slice is what there is to take when the source is asked: at full speed the rest of the segment, up to
``slice_records``; paced by event time, what has become due.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition

from flows.guard import Guard
from flows.logs.log import SLICE_RECORDS, ReadSlice
from flows.logs.parquet import ParquetLog
from schemas.slices import Slice

LOOK_AGAIN = timedelta(milliseconds=20)
"""Pause before more of a log is looked for."""
LONGEST_NAP = 0.1
"""Seconds after which a paced source sees whether it was asked to stop."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Event time per wall time: record ``first_us`` is due at ``began`` (both clocks' zero)."""

    speed: float
    first_us: int
    began: float

    def due_us(self) -> float:
        """Event time (us) that has been reached now."""
        return self.first_us + (time.monotonic() - self.began) * self.speed * 1e6

    def seconds_until(self, at_us: int) -> float:
        """Wall time until an event time is reached; negative if it was."""
        return (at_us - self.due_us()) / self.speed / 1e6


class _LogPartition(StatefulSourcePartition[tuple[str, ReadSlice], None]):
    def __init__(
        self,
        key: str,
        pieces: Iterator[Slice],
        slice_records: int,
        pace: Pace | None,
        guard: Guard,
        follow: Callable[[int | None], Iterator[Slice]] | None,
    ) -> None:
        self.key = key
        self.follow = follow
        self.position: int | None = None
        self.guard = guard
        self.pieces = pieces
        self.slice_records = slice_records
        self.pace = pace
        self.piece: Slice | None = None
        self.times: np.ndarray[tuple[int], np.dtype[np.int64]] | None = None
        self.at = 0
        self.is_at_end = False

    def next_batch(self) -> list[tuple[str, ReadSlice]]:
        if self.guard.is_over or self.is_at_end:
            raise StopIteration
        with self.guard:
            return self._read()
        return []

    def _read(self) -> list[tuple[str, ReadSlice]]:
        if self.piece is None or self.at >= len(self.piece):
            self.piece = next(self.pieces, None)
            if self.piece is None:
                return self._wait()
            self.position = int(self.piece.positions[-1])
            self.at = 0
            if self.pace is not None:
                self.times = event_times(self.piece)
        stop = min(len(self.piece), self.at + self.slice_records)
        if self.pace is not None and self.times is not None:
            late = self.times[self.at : stop] > self.pace.due_us()
            stop = self.at + (int(np.argmax(late)) if late.any() else stop - self.at)
        if stop == self.at:
            return []
        taken = self.piece.cut(self.at, stop)
        self.at = stop
        return [(self.key, ReadSlice(taken, time.monotonic()))]

    def _wait(self) -> list[tuple[str, ReadSlice]]:
        """At the end of what is there: that was all, or more is looked for a little later."""
        if self.follow is None:
            self.is_at_end = True
        else:
            self.pieces = self.follow(self.position)
        return []

    def next_awake(self) -> datetime | None:
        if self.follow is not None and self.piece is None:
            return datetime.now(UTC) + LOOK_AGAIN
        if self.pace is None or self.piece is None or self.times is None:
            return None
        if self.at >= len(self.piece):
            return None
        wait = self.pace.seconds_until(int(self.times[self.at]))
        return datetime.now(UTC) + timedelta(seconds=min(wait, LONGEST_NAP)) if wait > 0 else None

    def snapshot(self) -> None:
        """Nothing: Bytewax's recovery is off; positions come from our checkpoints."""


class LogSource(FixedPartitionedSource[tuple[str, ReadSlice], None]):
    """The partitions of a recorded log from given positions on."""

    def __init__(
        self,
        log: ParquetLog,
        starts: Mapping[int, int],
        slice_records: int = SLICE_RECORDS,
        speed: float | None = None,
        *,
        guard: Guard | None = None,
        follow: bool = False,
    ) -> None:
        """Read a log.

        Args:
            log: recorded.
            starts: first position by partition.
            slice_records: most records of a slice.
            speed: event time over wall time; as fast as may be without.
            guard: of the flow.
            follow: at the end wait for more, which another step or process may write.
        """
        self.log = log
        self.starts = starts
        self.slice_records = slice_records
        self.speed = speed
        self.guard = guard or Guard()
        self.follow = follow
        self._pace: Pace | None = None

    def list_parts(self) -> list[str]:
        """Names of the log partitions to read."""
        return [f"{partition:04d}" for partition in self.starts]

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> _LogPartition:
        """Open one of them where it is to be taken up."""
        partition = int(for_part)
        pieces = self.log.read(partition, self.starts[partition])
        if self.speed is not None and self._pace is None:
            self._pace = Pace(self.speed, self._first_time(), time.monotonic())
        begin = self.starts[partition]

        def rest(position: int | None) -> Iterator[Slice]:
            return self.log.read(partition, begin if position is None else position + 1)

        follow = rest if self.follow else None
        return _LogPartition(for_part, pieces, self.slice_records, self._pace, self.guard, follow)

    def _first_time(self) -> int:
        """Earliest event time that is still to be read."""
        firsts = []
        for partition, start in self.starts.items():
            piece = next(self.log.read(partition, start), None)
            if piece is not None:
                firsts.append(int(event_times(piece)[0]))
        return min(firsts, default=0)


def event_times(piece: Slice) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """Event times in us, made monotone: a late record is due at once."""
    column = piece.envelope["time"]
    raw = np.frombuffer(column.buffers()[1], np.int64)[column.offset : column.offset + len(column)]
    return np.maximum.accumulate(raw)
