"""Is a recorded log whole? Every segment is read and counted; faults are collected, not raised."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flows.logs.parquet import ParquetLog, Segment, read_segment
from schemas.errors import LogError
from schemas.kinds import Kind
from schemas.slices import Slice


@dataclass
class CheckedPartition:
    """What a partition holds, damaged segments left out."""

    partition: int
    segments: int = 0
    records: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None
    kinds: Counter[str] = field(default_factory=Counter)

    @property
    def kinds_in_words(self) -> str:
        """Kinds with their counts, the most frequent first."""
        return ", ".join(f"{kind} {count:,}" for kind, count in self.kinds.most_common())

    def add(self, piece: Slice) -> None:
        """Take a segment into account."""
        self.segments += 1
        self.records += len(piece)
        for code, count in zip(*np.unique(piece.kinds, return_counts=True), strict=True):
            self.kinds[Kind(int(code)).tag] += int(count)
        first, last = pc.min_max(piece.envelope["recordedtime"]).as_py().values()
        self.first_at = first if self.first_at is None else min(self.first_at, first)
        self.last_at = last if self.last_at is None else max(self.last_at, last)


@dataclass
class CheckedLog:
    """A log after its check; ``faults`` has a line for each."""

    log_id: str
    partitions: list[CheckedPartition] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def check_log(log: ParquetLog) -> CheckedLog:
    """Read every segment of a log."""
    checked = CheckedLog(log.id)
    for number in range(log.partitions):
        partition = CheckedPartition(number)
        checked.partitions.append(partition)
        try:
            segments = log.segments(number)
        except LogError as error:
            checked.faults.append(str(error))
            continue
        for segment in segments:
            piece = _read(segment, number, checked.faults)
            if piece is not None:
                partition.add(piece)
    return checked


def _read(segment: Segment, partition: int, faults: list[str]) -> Slice | None:
    """The segment's records; None, and a fault, if they are not those that were published."""
    try:
        piece = read_segment(segment, partition)
    except LogError as error:
        faults.append(str(error))
        return None
    except pa.ArrowException as error:
        faults.append(f"{segment.path} is no segment of a log: {str(error).splitlines()[0]}")
        return None
    if len(piece) != segment.records:
        faults.append(f"{segment.path} has {len(piece)} records, its name says {segment.records}")
        return None
    return piece
