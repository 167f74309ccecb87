"""Names to small numbers, exactly: ids of orders, SKUs, nodes and so on become array indexes.

A kernel can only index arrays, so each name gets the next free number when it is first seen. This is an
open-addressing hash table over the bytes of the names themselves: no two names ever share a number,
whatever their hashes. Numbers are internal. Nothing that is visible outside may depend on them, because
they depend on how the log was cut into slices.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from models.heap import fetch_at
from models.jit import kernel

_FNV_OFFSET = np.uint64(14695981039346656037)
_FNV_PRIME = np.uint64(1099511628211)
_AHEAD = 8  # rows
_NO_CODES = np.empty(0, np.int32)


class NameArrays(NamedTuple):
    """The table as the kernels see it.

    ``slots``: (2**k,) int32, code + 1 or 0. ``offsets``: (capacity + 1,) int64 into ``arena``.
    ``count``: (1,) int64, names held.
    """

    slots: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    arena: npt.NDArray[np.uint8]
    count: npt.NDArray[np.int64]


@kernel
def hash_bytes(data: npt.NDArray[np.uint8], start: int, stop: int, seed: np.uint64) -> np.uint64:
    """FNV-1a with a final avalanche (the one of MurmurHash3), 64 bits."""
    h = _FNV_OFFSET ^ seed
    for i in range(start, stop):
        h = (h ^ np.uint64(data[i])) * _FNV_PRIME
    h ^= h >> np.uint64(33)
    h *= np.uint64(0xFF51AFD7ED558CCD)
    h ^= h >> np.uint64(33)
    h *= np.uint64(0xC4CEB9FE1A85EC53)
    return h ^ (h >> np.uint64(33))


@kernel
def _same(names: NameArrays, code: int, data: npt.NDArray[np.uint8], start: int, stop: int) -> bool:
    first = names.offsets[code]
    if names.offsets[code + 1] - first != stop - start:
        return False
    for i in range(stop - start):
        if names.arena[first + i] != data[start + i]:
            return False
    return True


@kernel
def look_up(
    names: NameArrays,
    offsets: npt.NDArray[np.int32],
    data: npt.NDArray[np.uint8],
    insert: bool,
    codes: npt.NDArray[np.int32],
) -> None:
    """Codes of a column of strings; unknown ones are added, or -1 if not ``insert``."""
    mask = np.uint64(len(names.slots) - 1)
    places = np.empty(len(codes), np.uint64)
    for row in range(len(codes)):
        places[row] = hash_bytes(data, offsets[row], offsets[row + 1], np.uint64(0)) & mask
    table: int = names.slots.ctypes.data
    for row in range(len(codes)):
        if row + _AHEAD < len(codes):
            place: int = np.int64(places[row + _AHEAD])
            fetch_at(table + place * names.slots.itemsize)
        start, stop, at = offsets[row], offsets[row + 1], places[row]
        codes[row] = -1
        while names.slots[at] != 0:
            code = names.slots[at] - 1
            if _same(names, code, data, start, stop):
                codes[row] = code
                break
            at = (at + np.uint64(1)) & mask
        if codes[row] < 0 and insert:
            code = np.int32(names.count[0])
            first = names.offsets[code]
            for i in range(stop - start):
                names.arena[first + i] = data[start + i]
            names.offsets[code + 1] = first + stop - start
            names.slots[at] = code + 1
            names.count[0] += 1
            codes[row] = code


@kernel
def _rehash(names: NameArrays) -> None:
    mask = np.uint64(len(names.slots) - 1)
    for code in range(names.count[0]):
        at = (
            hash_bytes(names.arena, names.offsets[code], names.offsets[code + 1], np.uint64(0))
            & mask
        )
        while names.slots[at] != 0:
            at = (at + np.uint64(1)) & mask
        names.slots[at] = code + 1


@kernel
def _gather(
    names: NameArrays,
    codes: npt.NDArray[np.int32],
    offsets: npt.NDArray[np.int32],
    data: npt.NDArray[np.uint8],
) -> None:
    at = 0
    for row in range(len(codes)):
        first = names.offsets[codes[row]]
        for i in range(names.offsets[codes[row] + 1] - first):
            data[at] = names.arena[first + i]
            at += 1
        offsets[row + 1] = at


class Names:
    """A growing set of names with their numbers."""

    def __init__(self, capacity: int = 64) -> None:
        self.arrays = NameArrays(
            np.zeros(_slots_for(capacity), np.int32),
            np.zeros(capacity + 1, np.int64),
            np.zeros(16 * capacity, np.uint8),
            np.zeros(1, np.int64),
        )
        self._all = pa.array([], pa.string())
        self._listed: list[str] = []
        self._asked: dict[str, int] = {}  # one by one: nodes, regions, lanes; they hardly change

    def __len__(self) -> int:
        return int(self.arrays.count[0])

    def intern(self, column: pa.StringArray) -> npt.NDArray[np.int32]:
        """Codes of the names, adding those not known yet. Nulls are not allowed."""
        return self._codes(column, insert=True)

    def find(self, column: pa.StringArray) -> npt.NDArray[np.int32]:
        """Codes of the names, -1 where unknown."""
        return self._codes(column, insert=False)

    def intern_one(self, name: str) -> int:
        """Code of one name, added if need be."""
        return self._code(name, insert=True)

    def find_one(self, name: str) -> int:
        """Code of one name, or -1."""
        return self._code(name, insert=False)

    def _code(self, name: str, *, insert: bool) -> int:
        code = self._asked.get(name)
        if code is not None:
            return code
        content = name.encode()
        data = np.frombuffer(content or b"\0", np.uint8)
        offsets = np.array([0, len(content)], np.int32)
        offsets.setflags(write=False)  # as Arrow's are: one compiled function serves both
        code = int(self._look_up(offsets, data, insert)[0])
        if code >= 0:
            self._asked[name] = code
        return code

    def _codes(self, column: pa.StringArray, *, insert: bool) -> npt.NDArray[np.int32]:
        if not len(column):
            return _NO_CODES
        if not insert and not len(self):
            return np.full(len(column), -1, np.int32)
        return self._look_up(*string_buffers(column), insert)

    def _look_up(
        self, offsets: npt.NDArray[np.int32], data: npt.NDArray[np.uint8], insert: bool
    ) -> npt.NDArray[np.int32]:
        if insert:
            self._reserve(len(offsets) - 1, int(offsets[-1] - offsets[0]))
        codes = np.empty(len(offsets) - 1, np.int32)
        look_up(self.arrays, offsets, data, insert, codes)
        return codes

    def _reserve(self, names: int, size: int) -> None:
        slots, offsets, arena, count = self.arrays
        used = int(count[0])
        if used + names + 1 > len(offsets):
            offsets = _grown(offsets, used + names + 1)
        if int(offsets[used]) + size > len(arena):
            arena = _grown(arena, int(offsets[used]) + size)
        grow_table = 2 * (used + names) > len(slots)
        if grow_table:
            slots = np.zeros(_slots_for(used + names), np.int32)
        self.arrays = NameArrays(slots, offsets, arena, count)
        if grow_table:
            _rehash(self.arrays)

    def take(self, codes: npt.NDArray[np.int32]) -> pa.StringArray:
        """The names of the codes, as a column."""
        lengths = self.arrays.offsets[codes + 1] - self.arrays.offsets[codes]
        offsets = np.zeros(len(codes) + 1, np.int32)
        data = np.empty(int(lengths.sum()), np.uint8)
        _gather(self.arrays, codes, offsets, data)
        return pa.StringArray.from_buffers(len(codes), pa.py_buffer(offsets), pa.py_buffer(data))

    def all(self) -> pa.StringArray:
        """Every name, by its code; the same array until a name is added."""
        if len(self._all) != len(self):
            self._all = self.take(np.arange(len(self), dtype=np.int32))
        return self._all

    def listed(self) -> Sequence[str]:
        """Every name, by its code, as a list; the same one, which grows."""
        if len(self._listed) != len(self):
            fresh = np.arange(len(self._listed), len(self), dtype=np.int32)
            self._listed += self.take(fresh).to_pylist()
        return self._listed

    def __iter__(self) -> Iterator[str]:
        return iter(self.all().to_pylist())

    def kept(self, codes: npt.NDArray[np.int32]) -> "Names":
        """A new set with only these names, renumbered in the given order."""
        fresh = Names(max(64, len(codes)))
        fresh.intern(self.take(codes))
        return fresh

    def to_arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """What a checkpoint keeps; the table is rebuilt from it."""
        used = len(self)
        size = int(self.arrays.offsets[used])
        return {
            "offsets": self.arrays.offsets[: used + 1],
            "arena": self.arrays.arena[:size],
        }

    @classmethod
    def from_arrays(cls, kept: dict[str, npt.NDArray[np.generic]]) -> Self:
        """The set that ``to_arrays`` was called on."""
        names = cls()
        used = len(kept["offsets"]) - 1
        names._reserve(used, len(kept["arena"]))
        names.arrays.offsets[: used + 1] = kept["offsets"]
        names.arrays.arena[: len(kept["arena"])] = kept["arena"]
        names.arrays.count[0] = used
        names.arrays.slots[:] = 0
        _rehash(names.arrays)
        return names


def _slots_for(names: int) -> int:
    """A power of two, as probing needs, at least four times the names."""
    return 1 << int(4 * max(1, names) - 1).bit_length()


def string_buffers(
    column: pa.StringArray,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """Offsets (n + 1,) and bytes of a string column, without copying."""
    _, offsets, data = column.buffers()
    bounds = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1]
    content = (
        np.frombuffer(data, np.uint8) if data is not None and data.size else np.zeros(1, np.uint8)
    )
    return bounds, content


def _grown(array: npt.NDArray[np.generic], needed: int) -> npt.NDArray[np.generic]:
    grown = np.zeros(max(needed, 2 * len(array)), array.dtype)
    grown[: len(array)] = array
    return grown
