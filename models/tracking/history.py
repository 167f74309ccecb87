"""The history of an order: a list sorted by when things happened, each once.

Of things at the same instant the router's come last, in the order of their causes; then the lower step comes
first, then the lower key. Nothing depends on when they were learnt. What is taken back stays in the list
as ``RETRACTED``; its ``classifier`` is 1 as long as it has not come.

A history that is full makes room for news by what moves nothing: first the oldest plan or estimate that was
said anew, then the oldest of a parcel's scans that follows another one and is not its last. So what an order
comes to does not depend on what was dropped. Only the gaps between scans that a lane learns do, and when a
parcel went on, if something is learnt to have happened between two scans of which one was dropped. What was
dropped, and what found no room, is told from its repeats by the window that telemetry has.
"""

import numpy as np
import numpy.typing as npt

from models.intake.columns import NO_TIME
from models.jit import borrowing_kernel, kernel
from models.ledger.window import is_repeated
from models.lifecycle.steps import MILESTONES, Step
from models.tracking.arrays import (
    ACTUAL,
    MAX_ENTRIES,
    NOBODY,
    Cursor,
    Flag,
    Ints,
    Records,
    Tables,
    Term,
)
from models.tracking.goods import parcel_named_by

FREE, USED = int(Cursor.FREE), int(Cursor.USED)
TAKEN, LATE, REPEATED, BEYOND = (int(f) for f in Flag)
RETRACTED = int(Step.RETRACTED)
SCANNED, DEPARTED, ARRIVED = int(Step.SCANNED), int(Step.DEPARTED), int(Step.ARRIVED)
T_DEDUPE, T_DEDUPE_RECORDS = int(Term.DEDUPE), int(Term.DEDUPE_RECORDS)
OF_HISTORY = np.uint64(1)
"""Second half of keys in the window that are none of telemetry."""
MOST_DROPPED = 6
"""Keys that one record can put into the window: what it drops to make room, and itself."""
VOID = np.iinfo(np.uint8).max
"""Step of an entry that is about to go."""
TOGETHER = 256
"""Entries whose new places are kept as one and a byte each: whole numbers were 56 MiB of a million orders."""
Places = tuple[Ints, npt.NDArray[np.uint8]]
"""Of so many entries together the first place, and of each how many places on."""


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
def take_place(tables: Tables) -> int:
    """A free place among the entries."""
    cursor = tables.cursor
    new = cursor[FREE]
    if new != NOBODY:
        cursor[FREE] = tables.entries[new].next
    else:
        new = cursor[USED]
        cursor[USED] += 1
    return new


@borrowing_kernel
def free_place(tables: Tables, place: int) -> None:
    """Nothing is in a place any more."""
    tables.entries[place].next = tables.cursor[FREE]
    tables.cursor[FREE] = place


@borrowing_kernel
def enter(tables: Tables, order: int, wanted: Records) -> int:
    """Copy an entry to a free place, not in the list yet; returns the place."""
    new = take_place(tables)
    tables.entries[new] = wanted
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
    free_place(tables, gone)
    tables.orders[order].entries -= 1


@borrowing_kernel
def is_full(tables: Tables, order: int) -> bool:
    """Whether an order's history takes no more."""
    return tables.orders[order].entries + 2 > MAX_ENTRIES


@borrowing_kernel
def has_room(tables: Tables, order: int, clock: int) -> bool:
    """Whether an order's history takes more; if it is full, what moves nothing is dropped first."""
    while is_full(tables, order):
        spare = _spare(tables, order)
        if spare == NOBODY:
            return False
        _was_seen(tables, order, tables.entries[spare].key, clock)
        drop(tables, order, spare)
    return True


@borrowing_kernel
def _was_seen(tables: Tables, order: int, key: np.uint64, clock: int) -> bool:
    """Whether a record was dropped, or found no room; it is remembered from now on."""
    terms = tables.terms[tables.orders[order].network]
    span, most = terms[T_DEDUPE], terms[T_DEDUPE_RECORDS]
    return is_repeated(tables.seen, key, OF_HISTORY, clock, span, most)


@borrowing_kernel
def _spare(tables: Tables, order: int) -> int:
    """The oldest entry that was said anew, else the oldest idle scan; ``NOBODY`` without."""
    entries, idle = tables.entries, NOBODY
    at = tables.orders[order].first
    while at != NOBODY:
        entry = entries[at]
        if entry.at != NO_TIME and entry.step < MILESTONES:
            if entry.classifier != ACTUAL:
                if _is_said_anew(entries, at):
                    return at
            elif idle == NOBODY and _is_scan(entry):
                idle = _idle_after(entries, at)
        at = entry.next
    return idle


@borrowing_kernel
def _is_said_anew(entries: Records, first: int) -> bool:
    """Whether a later plan or estimate is of the same milestone."""
    said, at = entries[first], entries[first].next
    while at != NOBODY:
        entry = entries[at]
        if entry.step == said.step and entry.classifier == said.classifier:
            same = entry.package == said.package and entry.node == said.node
            if same and entry.also == said.also:
                return True
        at = entry.next
    return False


@borrowing_kernel
def _is_scan(entry: Records) -> bool:
    """Whether a report of a carrier says no more than that a parcel is on its way."""
    is_on_its_way = entry.step == SCANNED or entry.step == DEPARTED or entry.step == ARRIVED
    is_plain = entry.classifier == ACTUAL and entry.reason == 0 and entry.key != 0
    return is_on_its_way and is_plain and entry.also == NO_TIME


@borrowing_kernel
def _idle_after(entries: Records, first: int) -> int:
    """The report that follows a scan, if it is another one and not the parcel's last; else ``NOBODY``."""
    scan, idle, at = entries[first], NOBODY, entries[first].next
    while at != NOBODY:
        entry = entries[at]
        is_actual = entry.step < MILESTONES and entry.classifier == ACTUAL
        if is_actual and entry.package == scan.package:
            if idle != NOBODY:
                return idle
            if not _is_scan(entry) or entry.node != scan.node or entry.said != scan.said:
                return NOBODY
            idle = at
        at = entry.next
    return NOBODY


@borrowing_kernel
def take(tables: Tables, record: Records) -> int:
    """Enter a record into its order's history; says what it was, see ``Flag``."""
    order, entries = record.order, tables.entries
    known = _find(tables, order, record.entry.key)
    if known != NOBODY and not (entries[known].step == RETRACTED and entries[known].classifier):
        return REPEATED
    if is_full(tables, order):
        if _was_seen(tables, order, record.entry.key, record.clock):
            return REPEATED
        if not has_room(tables, order, record.clock):
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
def parcel_wronged(tables: Tables, record: Records) -> int:
    """The parcel of what a record is about to take back, if it names another; ``NOBODY``: none is wronged."""
    wrong = NOBODY if record.retracts == 0 else _find(tables, record.order, record.retracts)
    if wrong == NOBODY or tables.entries[wrong].step == RETRACTED:
        return NOBODY
    package = parcel_named_by(tables.entries[wrong])
    return NOBODY if package == record.entry.package else package


@borrowing_kernel
def _retract(tables: Tables, record: Records) -> None:
    """Mark what a record takes back; where that has not come yet, keep a mark for it."""
    order, entries = record.order, tables.entries
    found = _find(tables, order, record.retracts)
    if found != NOBODY:
        if entries[found].step != RETRACTED:
            unlink(tables, order, found)
            entries[found].step, entries[found].classifier = RETRACTED, 0
            link(tables, order, found)  # where its new step belongs, so that the list stays sorted
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
            _void(entries, orders[order].standing)
    _void(entries, cursor[FREE])
    used, stay = cursor[USED], 0
    places = np.empty(used // TOGETHER + 1, np.int64), np.empty(used, np.uint8)
    for i in range(used):
        if i % TOGETHER == 0:
            places[0][i // TOGETHER] = stay
        places[1][i] = stay - places[0][i // TOGETHER]
        stay += entries[i].step != VOID
    for i in range(used):
        if entries[i].step != VOID:
            to = _place_of(places, i)
            entries[to] = entries[i]
            entries[to].next = _place_of(places, entries[i].next)
    cursor[FREE], cursor[USED], stay = NOBODY, stay, 0
    for order in range(len(gone)):
        if not gone[order]:
            orders[stay] = orders[order]
            orders[stay].first = _place_of(places, orders[stay].first)
            orders[stay].standing = _place_of(places, orders[stay].standing)
            stay += 1


@kernel
def _place_of(places: Places, entry: int) -> int:
    """Where an entry moves to."""
    return NOBODY if entry == NOBODY else places[0][entry // TOGETHER] + places[1][entry]
