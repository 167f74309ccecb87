"""The clock of a log partition: the least that any ingest process in service has said.

It belongs to the partition and not to a network, so that a network which the log names late goes by the
same clock as the others. It never goes back. A tick that is older than what its process said before
changes nothing, so a repeated tick neither retires a process that came back nor revives a retired one.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.intake.columns import NO_TIME, instants
from schemas.kinds import Kind
from schemas.slices import Slice

Ints = npt.NDArray[np.int64]


class Passed(NamedTuple):
    """The clock over a slice: ``times[i]`` from the record at ``positions[i]`` on."""

    positions: Ints
    times: Ints

    def at(self, positions: Ints) -> Ints:
        """(n,) the clock at records of the slice, in us; ``NO_TIME`` before the first tick."""
        return self.times[np.searchsorted(self.positions, positions, side="right") - 1]


@dataclass
class Clock:
    """What the ingest processes said.

    Attributes:
        time: us; ``NO_TIME`` before the first tick.
        said: newest tick of every process, us.
        retired: processes that are out of service.
    """

    time: int = NO_TIME
    said: dict[str, int] = field(default_factory=dict)
    retired: set[str] = field(default_factory=set)

    def hear(self, piece: Slice) -> Passed:
        """Take the ticks of a slice."""
        positions, times = [-1], [self.time]
        rows, ticks = piece.of_kind(Kind.CLOCK_TICKED)
        if len(rows):
            subjects = piece.envelope["subject"]
            retired = ticks["retired"].to_pylist()
            for row, at, leaves in zip(rows, instants(ticks["at"]), retired, strict=True):
                self._hear_one(subjects[int(row)].as_py(), int(at), leaves)
                positions.append(int(piece.positions[row]))
                times.append(self.time)
        return Passed(np.array(positions, np.int64), np.array(times, np.int64))

    def _hear_one(self, process: str, at: int, leaves: bool) -> None:
        before = self.said.get(process)
        if before is not None and at < before:
            return
        self.said[process] = at
        if leaves:
            self.retired.add(process)
        elif before is None or at > before:
            self.retired.discard(process)
        in_service = [said for name, said in self.said.items() if name not in self.retired]
        self.time = max(self.time, min(in_service, default=NO_TIME))
