"""Tables that kernels reach by address: one small argument in place of a hundred arrays.

A compiled function that took every table of a network as an argument would take minutes to compile and
copy hundreds of values at each call. So the kernels take one ``heap``: a row of numbers per table (the
address of its first element, and its shape), and each function opens the tables it touches. ``Heap``
keeps the tables alive; a table that grew is put in again before the next call.

With ``NUMBA_DISABLE_JIT=1`` the openers give the same memory as NumPy arrays, so kernels can be read by
a debugger and measured by a coverage tool.
"""

import ctypes
from collections.abc import Callable
from enum import IntEnum
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from numba import carray
from numba.core import cgutils, types
from numba.extending import intrinsic

Addresses = npt.NDArray[np.int64]
"""(tables, 4) int64: address, and up to three dimensions."""

Opener = Callable[[Addresses], Any]

_LAYOUTS: dict[int, tuple[np.dtype[Any], int]] = {}
"""Element type and dimensions of each slot, as its opener takes them."""


def layout_of(slot: int) -> np.dtype[Any]:
    """Element type of a slot."""
    return _LAYOUTS[slot][0]


class Heap:
    """The tables of one network by slot."""

    def __init__(self, slots: int) -> None:
        self.addresses: Addresses = np.zeros((slots, 4), np.int64)
        self._tables: dict[int, npt.NDArray[Any]] = {}

    def put(self, slot: int, table: npt.NDArray[Any]) -> None:
        """Set a table; it is kept alive until it is replaced.

        Raises:
            ValueError: its layout is not the one that kernels would read (a broken invariant).
        """
        layout = _LAYOUTS[slot]
        if not table.flags.c_contiguous or (table.dtype, table.ndim) != layout:
            raise ValueError(
                f"table {slot} is {table.dtype}, {table.ndim}-d; kernels read {layout}"
            )
        self._tables[slot] = table
        self.addresses[slot, 0] = table.ctypes.data
        self.addresses[slot, 1:] = 1
        self.addresses[slot, 1 : 1 + table.ndim] = table.shape

    def __getitem__(self, slot: int) -> npt.NDArray[Any]:
        return self._tables[slot]


@intrinsic
def _pointer(typing_context: Any, address: Any) -> Any:
    """An integer as a pointer."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(address), generate


def opener(slot: int, dtype: npt.DTypeLike, dimensions: int = 1) -> Opener:
    """The function that opens a table for a kernel.

    Args:
        slot: its place in the heap.
        dtype: of its elements; a structured one gives columns by name, ``table.column[row]``.
        dimensions: 1 to 3.
    """
    kind = np.dtype(dtype)
    _LAYOUTS[slot] = (kind, dimensions)
    if numba.config.DISABLE_JIT:
        return _python_opener(slot, kind, dimensions)
    if dimensions == 1:

        @numba.njit
        def open_table(heap: Addresses) -> Any:
            return carray(_pointer(heap[slot, 0]), (heap[slot, 1],), kind)

    elif dimensions == 2:

        @numba.njit
        def open_table(heap: Addresses) -> Any:
            return carray(_pointer(heap[slot, 0]), (heap[slot, 1], heap[slot, 2]), kind)

    else:

        @numba.njit
        def open_table(heap: Addresses) -> Any:
            shape = (heap[slot, 1], heap[slot, 2], heap[slot, 3])
            return carray(_pointer(heap[slot, 0]), shape, kind)

    return open_table


def _python_opener(slot: int, kind: np.dtype[Any], dimensions: int) -> Opener:
    def open_table(heap: Addresses) -> Any:
        shape = tuple(int(n) for n in heap[slot, 1 : 1 + dimensions])
        size = kind.itemsize * int(np.prod(shape))
        if size == 0:
            return np.zeros(shape, kind).view(np.recarray)
        memory = (ctypes.c_char * size).from_address(int(heap[slot, 0]))
        table: npt.NDArray[Any] = np.frombuffer(memoryview(memory), kind).reshape(shape)
        return table.view(np.recarray) if kind.names else table

    return open_table


@numba.njit(cache=True)
def fill(row: Any, value: Any) -> None:
    """Set every element of a row; a slice assignment would take a second longer to compile."""
    for i in range(len(row)):
        row[i] = value


@numba.njit(cache=True)
def copy(source: Any, into: Any) -> None:
    """Copy a row into another of at least its length."""
    for i in range(len(source)):
        into[i] = source[i]


class Slot(IntEnum):
    """Every table that kernels open, and where it lives in the heap."""

    CELLS = 0
    CELL_LISTS = 1
    CELL_LENGTHS = 2
    DAYS = 3
    WEEKDAYS = 4
    PLACES = 5
    FIRST_DAY = 6
    SEEN_KEYS = 7
    SEEN_STATE = 8
    ORDERS = 9
    BLOCKED = 10
    LINES = 11
    ALLOCATIONS = 12
    SUPPLIES = 13
    SKUS = 14
    QUEUES = 15
    NODES = 16
    LANES = 17
    BANDS = 18
    REGION_FIRST = 19
    REGION_LANES = 20
    REGION_SIGNAL = 21
    CUSTOMER_KEYS = 22
    CLOCKS = 23
    COUNTS = 24
    TERMS = 25
    WEIGHTS = 26
    CARBON_FACTORS = 27
    RECORDS = 28
    FIELDS = 29
    ITEMS = 30
    FIRST_ROW = 31
    ASKED = 32
    FEATURES = 33
    QUANTITIES = 34
    RANGES = 35
    WANTS = 36
    SEEN = 37
    CANDIDATES = 38
    USABLE = 39
    PICK = 40
    TOP = 41
    TOP_NODES = 42
    TOP_COST = 43
    COST = 44
    PACKAGE_COST = 45
    PACKAGE = 46
    GRAMS = 47
    PIECES = 48
    AGENDA = 49
    CURSOR = 50
    MADE_ROWS = 51
    PLAN_SIZES = 52
    PLAN_NODES = 53
    PLAN_LANES = 54
    SAID_ROWS = 55
    EXCLUSION_ROWS = 56
    MOVE_ROWS = 57
    RAISED_ROWS = 58
    DEAD_ROWS = 59
    OUT_LENGTHS = 60
    HOLDS = 61
