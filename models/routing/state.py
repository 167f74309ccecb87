"""The rows of one network's state: orders, lines, allocations, supplies, lanes and nodes.

Each is a table of records in the heap; a row's number is internal. Growth, compaction and the form in
a checkpoint follow from the record types, so there is one list of columns per table.
"""

from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from models.heap import Slot, opener
from models.intake.columns import NO_TIME

PRIORITIES = 10


class OrderState(IntEnum):
    """Where an order stands in the router."""

    UNKNOWN = 0  # only its id was mentioned
    CANCELLED_EARLY = 1  # cancelled before it was received
    HELD = 2
    OPEN = 3
    CLOSED = 4
    FORGOTTEN = 5  # closed, and only its id is known any more


class Stage(IntEnum):
    """How far a node has come with units that it holds for an order; what is picked stays there."""

    OFFERED = 0
    ACCEPTED = 1
    PICKED = 2
    PACKED = 3


ORDER = np.dtype(
    [
        ("first_line", np.int64),
        ("requested_by", np.int64),
        ("content", np.uint64),  # hash of the revision's content
        ("touched_at", np.int64),  # last change; of a forgotten one: when it was last heard of
        ("requested_from", np.int64),
        ("first_promise", np.int64),  # what the customer was told at first
        ("latest_promise", np.int64),  # what stands; NO_TIME where a unit has no date
        ("shipped_promise", np.int64),  # for what has left
        ("value_minor", np.int64),  # of its goods
        ("decided_at", np.int64),  # position of the last decision that chose a plan
        ("lines", np.int32),
        ("first_allocation", np.int32),
        ("revision", np.int32),
        ("region", np.int32),
        ("channel", np.int32),
        ("carrier", np.int32),  # -1: any
        ("service", np.int32),
        ("customer", np.int32),  # -1: in no node's list of customers
        ("token", np.int32),  # of any customer; -1: none
        ("tier", np.int32),
        ("currency", np.int32),
        ("pinned", np.int32),  # the only node that may serve it; -1: any
        ("state", np.int8),
        ("outcome", np.int8),
        ("priority", np.int8),  # 9 is served first
        ("hold", np.int8),  # HoldReason
        ("attempts", np.int8),  # refusals by nodes since it was received or reviewed
        ("in_again", np.uint8),  # it is to be decided again
        ("shut_out", np.uint8),  # no node may serve it: for looking back at a decision (moments.py)
        ("no_split", np.uint8),
        ("wants", np.uint8),  # bits of ``models.intake.columns.Wants``
    ],
    align=True,
)
LINE = np.dtype(
    [
        ("number", np.int64),
        ("weight_g", np.int64),  # of one unit
        ("volume_cm3", np.int64),  # of one unit
        ("order", np.int32),
        ("sku", np.int32),
        ("qty", np.int32),  # wanted: ordered - cancelled
        ("reserved", np.int32),
        ("consumed", np.int32),  # handed over
        ("waiting", np.int32),  # backordered
        ("needs", np.int32),  # capability bits
        ("previous_waiting", np.int32),
        ("next_waiting", np.int32),
    ],
    align=True,
)
"""An order's lines are neighbours."""

ALLOCATION = np.dtype(
    [
        ("placed_at", np.int64),
        ("serial", np.int64),  # grows with every placement
        ("promised_at", np.int64),  # date told to the customer for these units
        ("line", np.int32),  # -1: the row is free
        ("node", np.int32),
        ("lane", np.int32),
        ("qty", np.int32),
        ("day", np.int32),  # node's day of shipping; -1: planned against a supply
        ("booked", np.int32),  # of the day's capacity
        ("supply", np.int32),  # -1: reserved stock
        ("next", np.int32),  # of the same order, or of the free rows
        ("stage", np.int8),  # Stage
    ],
    align=True,
)
SUPPLY = np.dtype(
    [
        ("qty", np.int64),
        ("promised", np.int64),
        ("due_at", np.int64),
        ("sku", np.int32),
        ("node", np.int32),
        ("name", np.int32),
        ("next", np.int32),  # of the same SKU, by due time
    ],
    align=True,
)
SKU = np.dtype(
    [
        ("first_supply", np.int32),
        ("kept", np.int32),  # units that each node keeps for privileged orders
        ("mark", np.int32),  # scratch, zero between uses
        ("in_agenda", np.uint8),
    ],
    align=True,
)
QUEUE = np.dtype([("first", np.int32), ("last", np.int32)])
"""Waiting lines of one SKU and priority, oldest first."""

NODE = np.dtype(
    [
        ("per_unit", np.float64),
        ("per_package", np.float64),
        ("offers", np.int32),  # capability bits
        ("wait_log", np.float32),  # feature, of the view
        ("load", np.float32),  # feature, of the view
        ("location_type", np.int8),
        ("is_open", np.uint8),
        ("restricted", np.uint8),  # serves listed customers only
    ],
    align=True,
)
LANE = np.dtype(
    [
        ("distance_km", np.float64),
        ("transit_hours", np.float64),
        ("node", np.int32),
        ("region", np.int32),
        ("carrier", np.int32),
        ("service", np.int32),
        ("offers", np.int32),
        ("first_band", np.int32),
        ("bands", np.int32),
        ("parcel_g", np.int64),  # most grams of a parcel
        ("parcel_cm3", np.int64),  # and most cubic centimetres
        ("volumetric", np.float64),  # grams that a cubic centimetre is charged for
        ("distance_log", np.float32),
        ("transit_log", np.float32),
        ("mode", np.int8),
        ("is_open", np.uint8),
    ],
    align=True,
)

FILL = {
    "first_allocation": -1,
    "line": -1,
    "supply": -1,
    "next": -1,
    "previous_waiting": -1,
    "next_waiting": -1,
    "first": -1,
    "last": -1,
    "first_supply": -1,
    "touched_at": NO_TIME,
    "requested_by": NO_TIME,
    "requested_from": NO_TIME,
    "first_promise": NO_TIME,
    "latest_promise": NO_TIME,
    "shipped_promise": NO_TIME,
    "pinned": -1,
    "token": -1,
}
"""Columns whose fresh rows are not zero."""

open_orders = opener(Slot.ORDERS, ORDER)
open_blocked = opener(Slot.BLOCKED, np.uint64, 2)  # (orders, words) a bit per node that rejected
open_lines = opener(Slot.LINES, LINE)
open_allocations = opener(Slot.ALLOCATIONS, ALLOCATION)
open_supplies = opener(Slot.SUPPLIES, SUPPLY)
open_skus = opener(Slot.SKUS, SKU)
open_queues = opener(Slot.QUEUES, QUEUE, 2)  # (skus, PRIORITIES)
open_nodes = opener(Slot.NODES, NODE)
open_lanes = opener(Slot.LANES, LANE)

Rows = npt.NDArray[Any]


def new_rows(dtype: np.dtype[Any], *shape: int) -> Rows:
    """Fresh rows of a table."""
    rows = np.empty(shape, dtype)
    refresh_rows(rows)
    return rows


def refresh_rows(rows: Rows) -> None:
    """Make rows as if nothing had ever been written to them."""
    fresh = np.zeros(1, rows.dtype)
    for name in rows.dtype.names or ():
        if name in FILL:
            fresh[name] = FILL[name]
    _words(rows)[:] = _words(fresh)


def stretched(rows: Rows, needed: int) -> Rows:
    """The rows with much more room; the new rows hold anything.

    Room costs nothing before it is used: memory is the operating system's until it is first touched.
    """
    have = len(rows)
    if needed <= have:
        return rows
    wide = np.empty((max(needed, 4 * have), *rows.shape[1:]), rows.dtype)
    _words(wide)[:have] = _words(rows)
    return wide


def grown(rows: Rows, needed: int) -> Rows:
    """The rows with room for ``needed``; the new rows are fresh."""
    wide = stretched(rows, needed)
    refresh_rows(wide[len(rows) :])
    return wide


def taken(rows: Rows, kept: npt.NDArray[Any], spare: int) -> Rows:
    """Only the given rows, in that order, with room for ``spare`` more."""
    fresh = new_rows(rows.dtype, len(kept) + spare, *rows.shape[1:])
    _words(fresh)[: len(kept)] = _words(rows)[kept]
    return fresh


def _words(rows: Rows) -> npt.NDArray[np.int32]:
    """The memory of some rows, (..., words of a row): copied at once, where records go by field."""
    return rows.view(np.int32).reshape(*rows.shape, rows.itemsize // 4)
