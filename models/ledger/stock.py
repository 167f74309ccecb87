"""The stock ledger: units on hand, reserved and protected, of every SKU at every node.

Theory of operation. A cell is one SKU at one node. ``available = on_hand - reserved - safety``. A
reservation is refused unless it fits in what is available, so reserved units are never sold twice;
releasing gives them back, consuming takes them out of the stock for good. Counts and adjustments come
from outside and can make ``available`` negative: that is an oversell to report, never one to cause.

Freshness. A count is true at its event time. An adjustment or a count that happened before the newest
count of the cell is already in it and changes nothing.

What is read most, available and protected units and prices, has tables of its own: a decision reads
them for every candidate node, and a SKU's row of 4-byte numbers is in the cache when a row of cells is not.

The view. Decisions read the exact ledger; model features read ``free_seen``, a copy of ``free`` that is
refreshed only when the network's record counter crosses a tile, so that a feature does not depend on
where a slice was cut. A refresh copies the cells that changed. ``changed`` lists the cells to publish,
in the order of their first change, so that nothing visible depends on how names were numbered.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from models.heap import Addresses, Heap, Slot, fetch_ahead, opener
from models.jit import kernel

MAX_UNITS = 2_000_000_000
"""Bound of every cell, so that sums of two fit 32 bits unsigned and comparisons never wrap."""

_IN_VIEW_LIST = np.uint8(1)
_IN_PUBLISH_LIST = np.uint8(2)
NEVER = np.iinfo(np.int64).min


class Applied(IntEnum):
    """What came of a count or an adjustment."""

    DONE = 0
    STALE = 1  # older than the newest count
    DRIFT = 2  # would fall below zero; the cell is now zero
    OVERFLOW = 3  # beyond MAX_UNITS; nothing changed
    OVERSOLD = 4  # done, but more is reserved than there is


DONE, STALE, DRIFT, OVERFLOW, OVERSOLD = (int(a) for a in Applied)


CELL = np.dtype(
    [
        ("on_hand", np.int32),
        ("reserved", np.int32),
        ("listed", np.uint8),
        ("counted_at", np.int64),  # event time of the newest count, us
    ],
    align=True,
)
"""One SKU at one node; the ledger is a table (skus, nodes) of them."""

open_cells = opener(Slot.CELLS, CELL, 2)
open_free = opener(Slot.FREE, np.int32, 2)  # (skus, nodes) available units, MAX_UNITS either way
open_safety = opener(Slot.SAFETY, np.int32, 2)  # (skus, nodes) protected units
open_free_seen = opener(Slot.FREE_SEEN, np.int32, 2)  # (skus, nodes) the view of it
open_prices = opener(Slot.PRICES, np.int32, 2)  # (skus, nodes) shadow price of a unit, minor units
open_lists = opener(Slot.CELL_LISTS, np.int32, 2)  # (2, skus * nodes): stale view, changed
open_lengths = opener(Slot.CELL_LENGTHS, np.int64)  # (2,) used length of the two lists


_CELLS, _CELL_BYTES = int(Slot.CELLS), CELL.itemsize
_FREE, _FREE_SEEN = int(Slot.FREE), int(Slot.FREE_SEEN)
_SAFETY, _PRICES = int(Slot.SAFETY), int(Slot.PRICES)
_LINE_NUMBERS = 16  # of 4 bytes in a cache line
_NUMBERS = (Slot.FREE, Slot.FREE_SEEN, Slot.SAFETY, Slot.PRICES)


def new_stock(heap: Heap, skus: int, nodes: int) -> None:
    """Put empty books into the heap."""
    cells = np.zeros((skus, nodes), CELL)
    cells["counted_at"] = NEVER
    heap.put(Slot.CELLS, cells)
    for slot in _NUMBERS:
        heap.put(slot, np.zeros((skus, nodes), np.int32))
    heap.put(Slot.CELL_LISTS, np.empty((2, skus * nodes), np.int32))
    heap.put(Slot.CELL_LENGTHS, np.zeros(2, np.int64))


def resize_stock(heap: Heap, skus: int, nodes: int) -> None:
    """Make room for more SKUs or nodes."""
    lists, lengths = heap[Slot.CELL_LISTS], heap[Slot.CELL_LENGTHS]
    tables = [heap[slot] for slot in (Slot.CELLS, *_NUMBERS)]
    old_skus, old_nodes = tables[0].shape
    new_stock(heap, skus, nodes)
    for slot, table in zip((Slot.CELLS, *_NUMBERS), tables, strict=True):
        heap[slot][:old_skus, :old_nodes] = table
    for row, used in enumerate(lengths.tolist()):
        kept = lists[row, :used]
        heap[Slot.CELL_LISTS][row, :used] = kept // old_nodes * nodes + kept % old_nodes
    heap.put(Slot.CELL_LENGTHS, lengths)


def kept_stock(heap: Heap, skus: int, nodes: int) -> dict[str, npt.NDArray[Any]]:
    """What a checkpoint keeps: the cells of the named SKUs and nodes, and which of them changed."""
    kept = {slot.name: heap[slot][:skus, :nodes] for slot in (Slot.CELLS, *_NUMBERS)}
    width, lengths = heap[Slot.CELLS].shape[1], heap[Slot.CELL_LENGTHS]
    changed = np.concatenate(
        [heap[Slot.CELL_LISTS][row, :used] for row, used in enumerate(lengths.tolist())]
    )
    kept[Slot.CELL_LISTS.name] = changed // width * nodes + changed % width
    kept[Slot.CELL_LENGTHS.name] = lengths
    return kept


def restore_stock(heap: Heap, kept: Mapping[str, npt.NDArray[Any]]) -> None:
    """Put back what ``kept_stock`` gave."""
    skus, nodes = kept[Slot.CELLS.name].shape
    new_stock(heap, max(skus, 1), max(nodes, 1))
    for slot in (Slot.CELLS, *_NUMBERS):
        heap[slot][:skus, :nodes] = kept[slot.name]
    lengths = kept[Slot.CELL_LENGTHS.name].astype(np.int64)
    heap.put(Slot.CELL_LENGTHS, lengths)
    changed = np.split(kept[Slot.CELL_LISTS.name], [int(lengths[0])])
    for row, cells in enumerate(changed):
        heap[Slot.CELL_LISTS][row, : len(cells)] = cells


@kernel
def fetch_stock(heap: Addresses, sku: int) -> None:
    """Ask for what a decision reads of a SKU, some records ahead of it."""
    nodes = open_free(heap).shape[1]
    for node in range(0, nodes, _LINE_NUMBERS):
        fetch_ahead(heap, _FREE, (sku * nodes + node) * 4)
        fetch_ahead(heap, _SAFETY, (sku * nodes + node) * 4)
        fetch_ahead(heap, _PRICES, (sku * nodes + node) * 4)


@kernel
def fetch_cell(heap: Addresses, sku: int, node: int) -> None:
    """Ask for a cell that is about to be reserved from."""
    cell = sku * open_cells(heap).shape[1] + node
    fetch_ahead(heap, _CELLS, cell * _CELL_BYTES)


@kernel
def fetch_seen(heap: Addresses, sku: int) -> None:
    """Ask for what the model's inputs read of a SKU, some records ahead of them."""
    nodes = open_free_seen(heap).shape[1]
    for node in range(0, nodes, _LINE_NUMBERS):
        fetch_ahead(heap, _FREE_SEEN, (sku * nodes + node) * 4)


@kernel
def touch(heap: Addresses, sku: int, node: int) -> None:
    """Note that a cell changed, and work out anew what of it is available."""
    cells = open_cells(heap)
    free = np.int64(cells.on_hand[sku, node]) - np.int64(cells.reserved[sku, node])
    free -= np.int64(open_safety(heap)[sku, node])
    open_free(heap)[sku, node] = max(-MAX_UNITS, free)
    lists = open_lists(heap)
    lengths = open_lengths(heap)
    flags = cells.listed[sku, node]
    cell = sku * cells.shape[1] + node
    if not flags & _IN_VIEW_LIST:
        lists[0, lengths[0]] = cell
        lengths[0] += 1
    if not flags & _IN_PUBLISH_LIST:
        lists[1, lengths[1]] = cell
        lengths[1] += 1
    cells.listed[sku, node] = _IN_VIEW_LIST | _IN_PUBLISH_LIST


@kernel
def available(heap: Addresses, sku: int, node: int) -> int:
    """Units that may be promised; negative if oversold."""
    return np.int64(open_free(heap)[sku, node])


@kernel
def is_oversold(heap: Addresses, sku: int, node: int) -> bool:
    """Whether more is reserved than there is."""
    cells = open_cells(heap)
    return cells.reserved[sku, node] > cells.on_hand[sku, node]


@kernel
def count(heap: Addresses, sku: int, node: int, on_hand: int, safety: int, at: int) -> int:
    """Set a cell to what was counted at event time ``at``."""
    cells = open_cells(heap)
    if at < cells.counted_at[sku, node]:
        return STALE
    cells.on_hand[sku, node] = on_hand
    open_safety(heap)[sku, node] = safety
    cells.counted_at[sku, node] = at
    touch(heap, sku, node)
    return OVERSOLD if cells.reserved[sku, node] > on_hand else DONE


@kernel
def adjust(heap: Addresses, sku: int, node: int, delta: int, at: int) -> int:
    """Change a cell by what happened at event time ``at``."""
    cells = open_cells(heap)
    if at <= cells.counted_at[sku, node]:
        return STALE
    after = np.int64(cells.on_hand[sku, node]) + delta
    if after > MAX_UNITS:
        return OVERFLOW
    cells.on_hand[sku, node] = max(after, 0)
    touch(heap, sku, node)
    if after < 0:
        return DRIFT
    return OVERSOLD if cells.reserved[sku, node] > after else DONE


@kernel
def reserve(heap: Addresses, sku: int, node: int, qty: int) -> None:
    """Hold units for an order.

    Raises:
        ValueError: more than is available; the caller must have looked (a broken invariant).
    """
    cells = open_cells(heap)
    if qty <= 0 or available(heap, sku, node) < qty:
        raise ValueError("reservation of more units than are available")
    cells.reserved[sku, node] += qty
    touch(heap, sku, node)


@kernel
def release(heap: Addresses, sku: int, node: int, qty: int) -> None:
    """Give held units back.

    Raises:
        ValueError: more than is reserved (a broken invariant).
    """
    cells = open_cells(heap)
    if qty <= 0 or cells.reserved[sku, node] < qty:
        raise ValueError("release of more units than are reserved")
    cells.reserved[sku, node] -= qty
    touch(heap, sku, node)


@kernel
def reinstate(heap: Addresses, sku: int, node: int, qty: int) -> None:
    """Hold units again that were released a moment ago, also where that was more than is available."""
    open_cells(heap).reserved[sku, node] += qty
    touch(heap, sku, node)


@kernel
def consume(heap: Addresses, sku: int, node: int, qty: int) -> int:
    """Held units leave the node; DRIFT if the books had fewer on hand.

    Raises:
        ValueError: more than is reserved (a broken invariant).
    """
    cells = open_cells(heap)
    if qty <= 0 or cells.reserved[sku, node] < qty:
        raise ValueError("consumption of more units than are reserved")
    cells.reserved[sku, node] -= qty
    short = cells.on_hand[sku, node] < qty
    cells.on_hand[sku, node] = 0 if short else cells.on_hand[sku, node] - qty
    touch(heap, sku, node)
    return DRIFT if short else DONE


@kernel
def refresh_view(heap: Addresses) -> None:
    """Copy the changed cells into the view."""
    cells = open_cells(heap)
    free = open_free(heap)
    free_seen = open_free_seen(heap)
    lists = open_lists(heap)
    lengths = open_lengths(heap)
    nodes = cells.shape[1]
    for i in range(lengths[0]):
        cell = lists[0, i]
        sku, node = cell // nodes, cell % nodes
        free_seen[sku, node] = free[sku, node]
        cells.listed[sku, node] &= ~_IN_VIEW_LIST
    lengths[0] = 0


@kernel
def take_changed(heap: Addresses, into: npt.NDArray[np.int32]) -> None:
    """Move the list of changed cells into ``into`` (of its length) and empty it."""
    cells = open_cells(heap)
    lists = open_lists(heap)
    lengths = open_lengths(heap)
    nodes = cells.shape[1]
    for i in range(lengths[1]):
        cell = lists[1, i]
        into[i] = cell
        cells.listed[cell // nodes, cell % nodes] &= ~_IN_PUBLISH_LIST
    lengths[1] = 0
