"""Records of a log as JSON lines, filtered as columns: what is left out is never rendered."""

import base64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from flows.commands.output import to_json
from flows.logs.parquet import ParquetLog, read_dead_letters
from schemas.codec import to_lines
from schemas.kinds import Kind
from schemas.slices import Slice

_RENDERED = 1_000
"""Records rendered at once, so that the first lines come at once and memory stays small."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which records; None and an empty set leave nothing out. Times are record times."""

    kinds: frozenset[Kind] = frozenset()
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def rows(self, piece: Slice) -> npt.NDArray[np.intp]:
        """Rows of the slice that are meant."""
        keep = np.ones(len(piece), bool)
        if self.kinds:
            keep &= np.isin(piece.kinds, list(self.kinds))
        if self.subject is not None:
            keep &= _mask(pc.equal(piece.envelope["subject"], self.subject))
        recorded = piece.envelope["recordedtime"]
        if self.since is not None:
            keep &= _mask(pc.greater_equal(recorded, pa.scalar(self.since, recorded.type)))
        if self.until is not None:
            keep &= _mask(pc.less(recorded, pa.scalar(self.until, recorded.type)))
        return np.flatnonzero(keep)


def record_lines(log: ParquetLog, partitions: Iterable[int], chosen: Selection) -> Iterator[bytes]:
    """The chosen records of these partitions, one after the other."""
    for partition in partitions:
        for piece in log.read(partition):
            rows = chosen.rows(piece)
            for start in range(0, len(rows), _RENDERED):
                yield from to_lines(piece.take(rows[start : start + _RENDERED]))


def dead_letter_lines(log: Path) -> Iterator[bytes]:
    """Dead letters of a log; raw bytes that are no text as base64."""
    letters = read_dead_letters(log)
    if letters is None:
        return
    for row in letters.sort_by([("source", "ascending"), ("line_no", "ascending")]).to_pylist():
        yield to_json({**row, **_raw(row.pop("raw"))})


def _raw(raw: bytes) -> dict[str, Any]:
    try:
        return {"raw": raw.decode()}
    except UnicodeDecodeError:
        return {"raw_base64": base64.b64encode(raw).decode()}


def _mask(column: pa.Array) -> npt.NDArray[np.bool_]:
    mask: npt.NDArray[np.bool_] = column.to_numpy(zero_copy_only=False)
    return mask
