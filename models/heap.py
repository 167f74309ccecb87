"""Tables that kernels reach by address: one small argument in place of a hundred arrays.

A compiled function that took every table of a network as an argument would take minutes to compile and
copy hundreds of values at each call. So the kernels take one number, ``heap``: the address of a row that
holds each table's address and shape, and each function opens the tables it touches. ``Heap`` keeps the
tables alive; a table that grew is put in again before the next call, never while a kernel runs.

With ``NUMBA_DISABLE_JIT=1`` the openers give the same memory as NumPy arrays, so kernels can be read by
a debugger and measured by a coverage tool.
"""

import ctypes
import math
from collections.abc import Callable
from enum import IntEnum
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir  # type: ignore[import-untyped]
from numba import carray
from numba.core import cgutils, types
from numba.extending import intrinsic

from models.jit import kernel

Addresses = int
"""Where the row of a heap begins: per table its address and three dimensions, 8 bytes each."""

_ROW_BYTES = 32

Opener = Callable[[Addresses], Any]

_LAYOUTS: dict[int, tuple[np.dtype[Any], int]] = {}
"""Element type and dimensions of each slot, as its opener takes them."""


def layout_of(slot: int) -> np.dtype[Any]:
    """Element type of a slot."""
    return _LAYOUTS[slot][0]


class Heap:
    """The tables of one network by slot."""

    def __init__(self, slots: int) -> None:
        self._row = np.zeros((slots, 4), np.int64)
        self.addresses: Addresses = self._row.ctypes.data
        self._tables: dict[int, npt.NDArray[Any]] = {}

    def put(self, slot: int, table: npt.NDArray[Any]) -> None:
        """Set a table; it is kept alive until it is replaced.

        Raises:
            ValueError: its layout is not the one that kernels would read (a broken invariant).
        """
        kind, dimensions = _LAYOUTS[slot]
        is_kind = table.dtype is kind or table.dtype == kind  # comparing fields takes a while
        if not (is_kind and table.ndim == dimensions and table.flags.c_contiguous):
            raise ValueError(
                f"table {slot} is {table.dtype}, {table.ndim}-d; kernels read {kind}, {dimensions}-d"
            )
        self._tables[slot] = table
        self._row[slot] = (table.ctypes.data, *table.shape, 1, 1)[:4]

    def __getitem__(self, slot: int) -> npt.NDArray[Any]:
        return self._tables[slot]


@intrinsic
def _pointer(typing_context: Any, address: Any) -> Any:
    """An integer as a pointer."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(address), generate


@intrinsic
def _number(typing_context: Any, address: Any) -> Any:
    """The number at an address in a heap's row; it stays the same while a kernel runs."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        number = builder.load(builder.inttoptr(arguments[0], ir.IntType(64).as_pointer()))
        number.set_metadata("invariant.load", builder.module.add_metadata([]))
        return number

    return types.int64(address), generate


@intrinsic
def _fetch(typing_context: Any, address: Any) -> Any:
    """Bring the cache line at an address nearer; it need not be a valid one."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        pointer = builder.inttoptr(arguments[0], cgutils.voidptr_t)
        builder.call(function, [pointer, *(number(n) for n in (0, 3, 1))])  # read, keep, data
        return context.get_dummy_value()

    return types.void(address), generate


def _fetch_nothing(*_: int) -> None:
    pass


@numba.njit
def _fetch_at(address: int) -> None:
    _fetch(address)


@numba.njit
def _fetch_ahead(heap: Addresses, slot: int, offset: int) -> None:
    _fetch(_number(heap + _ROW_BYTES * slot) + offset)


fetch_at = _fetch_nothing if numba.config.DISABLE_JIT else _fetch_at
"""Ask for the memory at an address, to be there when it is read some rows later."""
fetch_ahead = _fetch_nothing if numba.config.DISABLE_JIT else _fetch_ahead
"""Ask for the memory at a table's byte, as ``fetch_at`` does."""


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
    row = _ROW_BYTES * slot
    first, second, third = row + 8, row + 16, row + 24
    if dimensions == 1:

        @numba.njit
        def open_table(heap: Addresses) -> Any:
            return carray(_pointer(_number(heap + row)), (_number(heap + first),), kind)

    elif dimensions == 2:

        @numba.njit
        def open_table(heap: Addresses) -> Any:
            shape = (_number(heap + first), _number(heap + second))
            return carray(_pointer(_number(heap + row)), shape, kind)

    else:

        @numba.njit
        def open_table(heap: Addresses) -> Any:
            shape = (_number(heap + first), _number(heap + second), _number(heap + third))
            return carray(_pointer(_number(heap + row)), shape, kind)

    return open_table


def _python_opener(slot: int, kind: np.dtype[Any], dimensions: int) -> Opener:
    def open_table(heap: Addresses) -> Any:
        address, *shape = (ctypes.c_int64 * 4).from_address(heap + _ROW_BYTES * slot)
        shape = shape[:dimensions]
        size = kind.itemsize * math.prod(shape)
        if size == 0:
            return np.zeros(shape, kind).view(np.recarray)
        memory = (ctypes.c_char * size).from_address(address)
        table: npt.NDArray[Any] = np.frombuffer(memoryview(memory), kind).reshape(shape)
        return table.view(np.recarray) if kind.names else table

    return open_table


@kernel
def fill(row: Any, value: Any) -> None:
    """Set every element of a row; a slice assignment would take a second longer to compile."""
    for i in range(len(row)):
        row[i] = value


@kernel
def copy(source: Any, into: Any) -> None:
    """Copy a row into another of at least its length."""
    for i in range(len(source)):
        into[i] = source[i]


class Slot(IntEnum):
    """Every table that kernels open, and where it lives in the heap."""

    CELLS = 0
    FREE = 1
    FREE_SEEN = 2
    PRICES = 3
    CELL_LISTS = 4
    CELL_LENGTHS = 5
    DAYS = 6
    WEEKDAYS = 7
    PLACES = 8
    FIRST_DAY = 9
    SEEN_KEYS = 10
    SEEN_STATE = 11
    ORDERS = 12
    BLOCKED = 13
    LINES = 14
    ALLOCATIONS = 15
    SUPPLIES = 16
    SKUS = 17
    QUEUES = 18
    NODES = 19
    LANES = 20
    BANDS = 21
    REGION_FIRST = 22
    REGION_LANES = 23
    REGION_SIGNAL = 24
    CUSTOMER_KEYS = 25
    COUNTS = 26
    TERMS = 27
    WEIGHTS = 28
    CARBON_FACTORS = 29
    RECORDS = 30
    FIELDS = 31
    ITEMS = 32
    FIRST_ROW = 33
    ASKED = 34
    FEATURES = 35
    QUANTITIES = 36
    RANGES = 37
    WANTS = 38
    SEEN = 39
    CANDIDATES = 40
    USABLE = 41
    PICK = 42
    TOP = 43
    TOP_NODES = 44
    TOP_COST = 45
    COST = 46
    PRICED = 47
    PACKAGE = 48
    GRAMS = 49
    PIECES = 50
    AGENDA = 51
    CURSOR = 52
    MADE_ROWS = 53
    PLAN_SIZES = 54
    PLAN_NODES = 55
    PLAN_LANES = 56
    SAID_ROWS = 57
    EXCLUSION_ROWS = 58
    MOVE_ROWS = 59
    RAISED_ROWS = 60
    DEAD_ROWS = 61
    OUT_LENGTHS = 62
    HOLDS = 63
    SAFETY = 64
    REGION_FLOOR = 65
    GROUP_COST = 66
    GROUP_NODES = 67
    TIER_POINTS = 68
    CHANNEL_POINTS = 69
    GREEN = 70
    RECALLS = 71
    AGAIN = 72
