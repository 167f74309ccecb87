"""The slice: a stretch of one log partition as columns. The item of every dataflow.

It is laid out like an Arrow dense union. Row ``i`` of the slice is the record at ``positions[i]``; its
kind is ``kinds[i]`` and its data is row ``offsets[i]`` of ``data[kinds[i]]``. Within one kind the
offsets grow with the position, so cutting a slice copies nothing: the children are shared.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.kinds import ENVELOPE_SCHEMA, Kind, data_type


@dataclass(frozen=True, slots=True)
class Slice:
    """A stretch of one log partition.

    Attributes:
        partition: number of the log partition.
        positions: (n,) int64, strictly increasing; there may be gaps.
        kinds: (n,) int8, see ``Kind``.
        offsets: (n,) int32, row of the record within ``data[kind]``.
        envelope: n rows of ``ENVELOPE_SCHEMA``.
        data: a table per kind that may occur, columns as in ``data_type(kind)``.
    """

    partition: int
    positions: npt.NDArray[np.int64]
    kinds: npt.NDArray[np.int8]
    offsets: npt.NDArray[np.int32]
    envelope: pa.RecordBatch
    data: Mapping[Kind, pa.RecordBatch]

    def __len__(self) -> int:
        return len(self.positions)

    def cut(self, start: int, stop: int) -> "Slice":
        """Rows ``start`` to ``stop`` (exclusive), without copying."""
        return Slice(
            self.partition,
            self.positions[start:stop],
            self.kinds[start:stop],
            self.offsets[start:stop],
            self.envelope.slice(start, max(0, min(stop, len(self)) - start)),
            self.data,
        )

    def of_kind(self, kind: Kind) -> tuple[npt.NDArray[np.intp], pa.RecordBatch]:
        """Rows of this kind: their indexes in the slice, and their data in the same order."""
        rows = np.flatnonzero(self.kinds == kind)
        if not len(rows):
            return rows, empty_data(kind)
        first, last = int(self.offsets[rows[0]]), int(self.offsets[rows[-1]])
        return rows, self.data[kind].slice(first, last - first + 1)

    def take(self, rows: npt.NDArray[np.intp]) -> "Slice":
        """The given rows (increasing) as a slice of its own; only the children used are copied."""
        kinds, indexes = self.kinds[rows], pa.array(rows)
        offsets = np.zeros(len(rows), np.int32)
        data: dict[Kind, pa.RecordBatch] = {}
        for code in np.unique(kinds):
            kind, mine = Kind(int(code)), kinds == code
            data[kind] = self.data[kind].take(pa.array(self.offsets[rows][mine]))
            offsets[mine] = np.arange(int(mine.sum()), dtype=np.int32)
        return Slice(
            self.partition, self.positions[rows], kinds, offsets, self.envelope.take(indexes), data
        )


@cache
def empty_data(kind: Kind) -> pa.RecordBatch:
    """No rows of the kind's data."""
    return pa.RecordBatch.from_struct_array(pa.array([], data_type(kind)))


def concat(slices: Iterable[Slice]) -> Slice:
    """Neighbouring slices of one partition as one; there must be at least one."""
    parts = [s for s in slices if len(s)]
    if len(parts) == 1:
        return parts[0]
    data: dict[Kind, list[pa.RecordBatch]] = {}
    offsets: list[npt.NDArray[np.int32]] = []
    for part in parts:
        shifted = np.empty(len(part), np.int32)
        for code in np.unique(part.kinds):
            kind = Kind(int(code))
            rows, table = part.of_kind(kind)
            chunks = data.setdefault(kind, [])
            start = sum(c.num_rows for c in chunks)
            shifted[rows] = np.arange(start, start + len(rows), dtype=np.int32)
            chunks.append(table)
        offsets.append(shifted)
    return Slice(
        parts[0].partition,
        np.concatenate([p.positions for p in parts]),
        np.concatenate([p.kinds for p in parts]),
        np.concatenate(offsets),
        _one_batch([p.envelope for p in parts], ENVELOPE_SCHEMA),
        {kind: _one_batch(chunks, chunks[0].schema) for kind, chunks in data.items()},
    )


def _one_batch(batches: list[pa.RecordBatch], schema: pa.Schema) -> pa.RecordBatch:
    return pa.concat_batches([b.cast(schema) if b.schema != schema else b for b in batches])
