"""The history of an order: a list sorted by when things happened, each once.

Of things at the same instant the router's come last, in the order of their causes; then the lower step comes
first, then the lower key. Nothing depends on when they were learnt. What is taken back stays in the list
as ``RETRACTED``; its ``classifier`` is 1 as long as it has not come.
"""

import numpy as np
import numpy.typing as npt

from models.jit import borrowing_kernel, kernel
from models.lifecycle.steps import Step
from models.tracking.arrays import MAX_ENTRIES, NOBODY, Cursor, Flag, Ints, Records, Tables

FREE, USED = int(Cursor.FREE), int(Cursor.USED)
TAKEN, LATE, REPEATED, BEYOND = (int(f) for f in Flag)
RETRACTED = int(Step.RETRACTED)
VOID = np.iinfo(np.uint8).max
"""Step of an entry that is about to go."""


@borrowing_kernel
def _is_before(a: Records, b: Records) -> bool:
    if a.at != b.at:
        return a.at < b.at
    if a.cause != b.cause:
        return a.cause < b.cause
    if a.step != b.step:
        return a.step < b.step
    return a.key < b.key


@borrowing_kernel
def _find(tables: Tables, order: int, key: np.uint64) -> int:
    """The entry of a key in an order's history; ``NOBODY`` without."""
    at = tables.orders[order].first
    while at != NOBODY and tables.entries[at].key != key:
        at = tables.entries[at].next
    return at


@borrowing_kernel
def enter(tables: Tables, order: int, wanted: Records) -> int:
    """Copy an entry to a free place, not in the list yet; returns the place."""
    entries, cursor = tables.entries, tables.cursor
    new = cursor[FREE]
    if new != NOBODY:
        cursor[FREE] = entries[new].next
    else:
        new = cursor[USED]
        cursor[USED] += 1
    entries[new] = wanted
    tables.orders[order].entries += 1
    return new


@borrowing_kernel
def link(tables: Tables, order: int, new: int) -> bool:
    """Put a new entry in its place in the list; returns whether nothing later is known."""
    entries = tables.entries
    before, after = NOBODY, tables.orders[order].first
    while after != NOBODY and _is_before(entries[after], entries[new]):
        before, after = after, entries[after].next
    entries[new].next = after
    if before == NOBODY:
        tables.orders[order].first = new
    else:
        entries[before].next = new
    while after != NOBODY and entries[after].at == entries[new].at:
        after = entries[after].next
    return after == NOBODY


@borrowing_kernel
def unlink(tables: Tables, order: int, gone: int) -> None:
    """Take an entry out of the list; its place stays its own."""
    entries, at = tables.entries, tables.orders[order].first
    if at == gone:
        tables.orders[order].first = entries[gone].next
        return
    while entries[at].next != gone:
        at = entries[at].next
    entries[at].next = entries[gone].next


@borrowing_kernel
def drop(tables: Tables, order: int, gone: int) -> None:
    """Take an entry out of the list, for good."""
    unlink(tables, order, gone)
    tables.entries[gone].next = tables.cursor[FREE]
    tables.cursor[FREE] = gone
    tables.orders[order].entries -= 1


@borrowing_kernel
def is_full(tables: Tables, order: int) -> bool:
    """Whether an order's history takes no more."""
    return tables.orders[order].entries + 2 > MAX_ENTRIES


@borrowing_kernel
def take(tables: Tables, record: Records) -> int:
    """Enter a record into its order's history; says what it was, see ``Flag``."""
    order, entries = record.order, tables.entries
    known = _find(tables, order, record.entry.key)
    if known != NOBODY and not (entries[known].step == RETRACTED and entries[known].classifier):
        return REPEATED
    if is_full(tables, order):
        return BEYOND
    if known != NOBODY:  # what takes it back came first
        entries[known].classifier = 0
        if record.retracts != 0:
            _retract(tables, record)
        return LATE
    is_last = link(tables, order, enter(tables, order, record.entry))
    if record.retracts != 0:
        _retract(tables, record)
    return TAKEN if is_last else LATE


@borrowing_kernel
def _retract(tables: Tables, record: Records) -> None:
    """Mark what a record takes back; where that has not come yet, keep a mark for it."""
    order, entries = record.order, tables.entries
    found = _find(tables, order, record.retracts)
    if found != NOBODY:
        if entries[found].step != RETRACTED:
            entries[found].step, entries[found].classifier = RETRACTED, 0
        return
    mark = enter(tables, order, record.entry)
    entries[mark].key, entries[mark].step, entries[mark].classifier = record.retracts, RETRACTED, 1
    link(tables, order, mark)


@borrowing_kernel
def _void(entries: Records, first: int) -> None:
    """Mark the entries of a list."""
    at = first
    while at != NOBODY:
        entries[at].step = VOID
        at = entries[at].next


@kernel
def forget(orders: Records, entries: Records, cursor: Ints, gone: npt.NDArray[np.bool_]) -> None:
    """Let the rest move up where orders are gone, and their entries; in place, each keeps its turn.

    Args:
        orders: rows of the orders that there are, and perhaps more.
        entries: their histories.
        cursor: says how many entries are used, and which are free.
        gone: (orders,) which are not to be there any more.
    """
    for order in range(len(gone)):
        if gone[order]:
            _void(entries, orders[order].first)
    _void(entries, cursor[FREE])
    places, stay = np.empty(cursor[USED], np.int32), 0
    for i in range(len(places)):
        places[i] = stay
        stay += entries[i].step != VOID
    for i in range(len(places)):
        if entries[i].step != VOID:
            entries[places[i]] = entries[i]
            if entries[i].next != NOBODY:
                entries[places[i]].next = places[entries[i].next]
    cursor[FREE], cursor[USED], stay = NOBODY, stay, 0
    for order in range(len(gone)):
        if not gone[order]:
            orders[stay] = orders[order]
            if orders[stay].first != NOBODY:
                orders[stay].first = places[orders[stay].first]
            stay += 1
