"""Rows of numbers become columns: of Arrow for the lake, or of plain values for public records.

All rows are copied once and every column is a part of the copy. A quiet slice has a handful of rows of
some sixty columns, so that what a column costs is what counts.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from models.intake.columns import NO_TIME
from models.ledger.names import Names
from schemas.kinds import INSTANT

Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]
CODED = pa.dictionary(pa.int32(), pa.string())


class Words(Protocol):
    """Words by their number; ``Names`` are some, too."""

    def all(self) -> pa.StringArray:
        """As a column."""

    def listed(self) -> Sequence[str]:
        """As a list."""


class FixedWords:
    """Words that stay the same."""

    def __init__(self, words: Sequence[str]) -> None:
        self._list, self._column = list(words), pa.array(words)

    def all(self) -> pa.StringArray:
        """See ``Words``."""
        return self._column

    def listed(self) -> Sequence[str]:
        """See ``Words``."""
        return self._list


class Rows:
    """(n, fields) int64, turned: a field after the other."""

    def __init__(self, rows: Ints) -> None:
        self._length = len(rows)
        self._fields = rows.T.copy()

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, field: int) -> Ints:
        values: Ints = self._fields[field]
        return values


class ArrowRows(Rows):
    """Columns as Arrow arrays."""

    def __init__(self, rows: Ints) -> None:
        super().__init__(rows)
        narrow = self._fields.astype(np.int32)
        self._wide, self._narrow = pa.py_buffer(self._fields), pa.py_buffer(narrow)
        self._negative: list[bool] = np.any(rows < 0, axis=0).tolist()

    def int64(self, field: int) -> pa.Array:
        """A field as it is."""
        return self._column(pa.int64(), field)

    def int32(self, field: int) -> pa.Array:
        """A field that is small enough."""
        return self._column(pa.int32(), field)

    def dates(self, field: int) -> pa.Array:
        """Days since 1970; null for a negative one."""
        return self._column(pa.date32(), field, self._given(field))

    def instants(self, field: int) -> pa.Array:
        """Microseconds since 1970; null for ``NO_TIME``."""
        given = _validity(self[field] != NO_TIME) if self._negative[field] else None
        return self._column(INSTANT, field, given)

    def optional(self, field: int, given: npt.NDArray[np.bool_]) -> pa.Array:
        """A field as it is; null where it is not given."""
        return self._column(pa.int64(), field, _validity(given))

    def words(self, field: int, words: Words) -> pa.Array:
        """Words by their number; null for a negative one."""
        buffers = [self._given(field), self._part(field, pa.int32())]
        return pa.DictionaryArray.from_buffers(CODED, len(self), buffers, words.all())

    def once(self, field: int, names: Names) -> pa.Array:
        """Words that hardly repeat, by their number; null for a negative one."""
        codes = self[field].astype(np.int32)
        if not self._negative[field]:
            return names.take(codes)
        given = codes >= 0
        words = names.take(codes[given])
        return words.take(pa.array(np.where(given, np.cumsum(given) - 1, 0), mask=~given))

    def lists(self, codes: Codes, sizes: Codes, words: Words) -> pa.Array:
        """A list of words in each row, from a padded (n, most) matrix and its row lengths."""
        offsets = np.zeros(len(self) + 1, np.int32)
        sizes.cumsum(out=offsets[1:])
        inside = codes[np.arange(codes.shape[1]) < sizes[:, None]]
        items = pa.DictionaryArray.from_buffers(
            CODED, len(inside), [None, pa.py_buffer(inside)], words.all()
        )
        return pa.ListArray.from_arrays(pa.array(offsets), items)

    def same(self, value: str | int, kind: pa.DataType = CODED) -> pa.Array:
        """One value in all rows."""
        if kind != CODED:
            return pa.array(np.full(len(self), value), kind)
        codes = pa.array(np.zeros(len(self), np.int32))
        return pa.DictionaryArray.from_arrays(codes, pa.array([value]))

    def bytes_each(self, values: npt.NDArray[np.uint8]) -> pa.Array:
        """A row of a (n, width) matrix in each row."""
        offsets = np.arange(len(self) + 1, dtype=np.int32) * np.int32(values.shape[1])
        return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values.reshape(-1)))

    def given(self, values: npt.NDArray[Any], kind: pa.DataType | None = None) -> pa.Array:
        """Values from elsewhere."""
        return pa.array(values, kind)

    def _column(self, kind: pa.DataType, field: int, given: pa.Buffer | None = None) -> pa.Array:
        return pa.Array.from_buffers(kind, len(self), [given, self._part(field, kind)])

    def _part(self, field: int, kind: pa.DataType) -> pa.Buffer:
        size = kind.byte_width * len(self)
        buffer = self._wide if kind.byte_width == 8 else self._narrow
        return buffer.slice(field * size, size)

    def _given(self, field: int) -> pa.Buffer | None:
        return _validity(self[field] >= 0) if self._negative[field] else None


class PlainRows(Rows):
    """Columns as lists of values that JSON can take: times in ISO 8601, null as None."""

    def int64(self, field: int) -> list[Any]:
        """See ``ArrowRows``."""
        values: list[Any] = self[field].tolist()
        return values

    int32 = int64

    def dates(self, field: int) -> list[Any]:
        """See ``ArrowRows``."""
        return self._times(field, "D", "", self[field] >= 0)

    def instants(self, field: int) -> list[Any]:
        """See ``ArrowRows``."""
        return self._times(field, "us", "Z", self[field] != NO_TIME)

    def optional(self, field: int, given: npt.NDArray[np.bool_]) -> list[Any]:
        """See ``ArrowRows``."""
        return [
            value if known else None
            for value, known in zip(self.int64(field), given.tolist(), strict=True)
        ]

    def words(self, field: int, words: Words) -> list[Any]:
        """See ``ArrowRows``."""
        known = words.listed()
        return [known[code] if code >= 0 else None for code in self.int64(field)]

    def once(self, field: int, names: Names) -> list[Any]:
        """See ``ArrowRows``."""
        codes = self[field].astype(np.int32)
        found = iter(names.take(codes[codes >= 0]).to_pylist())
        return [next(found) if code >= 0 else None for code in codes.tolist()]

    def lists(self, codes: Codes, sizes: Codes, words: Words) -> list[Any]:
        """See ``ArrowRows``."""
        known = words.listed()
        return [
            [known[code] for code in row[:size]]
            for row, size in zip(codes.tolist(), sizes.tolist(), strict=True)
        ]

    def same(self, value: str | int, kind: pa.DataType = CODED) -> list[Any]:
        """See ``ArrowRows``."""
        return [value] * len(self)

    def bytes_each(self, values: npt.NDArray[np.uint8]) -> list[Any]:
        """See ``ArrowRows``."""
        rows: list[Any] = values.tolist()
        return rows

    def given(self, values: npt.NDArray[Any], kind: pa.DataType | None = None) -> list[Any]:
        """See ``ArrowRows``."""
        plain: list[Any] = values.tolist()
        return plain

    def _times(self, field: int, unit: str, suffix: str, given: npt.NDArray[np.bool_]) -> list[Any]:
        times = np.where(given, self[field], 0).view(f"datetime64[{unit}]")
        texts = np.datetime_as_string(times).tolist()
        return [
            text + suffix if known else None
            for text, known in zip(texts, given.tolist(), strict=True)
        ]


Medium = ArrowRows | PlainRows


def _validity(given: npt.NDArray[np.bool_]) -> pa.Buffer | None:
    """Arrow's bitmap of what is not null; none if everything is given."""
    return None if given.all() else pa.py_buffer(np.packbits(given, bitorder="little"))
