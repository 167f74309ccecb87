"""What is known of the devices that go with an order's parcels, and of what they found.

Theory of operation. Readings are not kept in the state, the lake has them. Kept is, of each device, when it was
last heard, and of each stretch of bad readings its first and its last. Readings outside a band belong to
one stretch if no two neighbours are further apart than the policy says: that is single-linkage clustering on a
line, so stretches grow and join in any order of arrival and come to the same, and a repeated reading adds
nothing. Good readings in between are not needed, so a device that never deviates costs one entry.

By which band a reading is judged is what is known of its device when it is learnt; how long a stretch may
last, and whether it was within the time of the binding, is judged each time anew (judge.py).
"""

import numpy as np

from models.intake.columns import NO_TIME
from models.jit import borrowing_kernel
from models.lifecycle.steps import Step
from models.tracking.arrays import NEVER, NO_PART, NOBODY, Records, Tables
from models.tracking.history import drop, enter, is_full

BOUND, RELEASED, DEVIATED = int(Step.BOUND), int(Step.RELEASED), int(Step.DEVIATED)
_HALF = 32


@borrowing_kernel
def pack(high: int, low: int) -> int:
    """Two numbers of 32 bits as one of 64."""
    return (np.int64(high) << _HALF) | (np.int64(low) & np.int64(0xFFFFFFFF))


@borrowing_kernel
def upper(packed: int) -> int:
    """The first of them."""
    return packed >> _HALF


@borrowing_kernel
def lower(packed: int) -> int:
    """The second."""
    return np.int64(np.int32(packed & np.int64(0xFFFFFFFF)))


NO_LIMIT = np.iinfo(np.int32).min
NO_LIMITS = int(pack(NO_LIMIT, NO_LIMIT))


@borrowing_kernel
def entry_of(tables: Tables, order: int, step: int, device: int) -> int:
    """The entry of a device, or of its release; ``NOBODY`` without."""
    entries, at = tables.entries, tables.orders[order].first
    while at != NOBODY and entries[at].at == NO_TIME:
        if entries[at].step == step and entries[at].node == device:
            return at
        at = entries[at].next
    return NOBODY


@borrowing_kernel
def _add(tables: Tables, record: Records, step: int) -> int:
    """A new entry about the record's device, before all that is in the order of time."""
    entries, order = tables.entries, record.order
    new = enter(tables, order, record.entry)
    entry = entries[new]
    entry.at, entry.key, entry.said, entry.also = NO_TIME, np.uint64(0), NO_TIME, NO_LIMITS
    entry.cause, entry.position, entry.package = NO_TIME, NO_TIME, NOBODY
    entry.step, entry.classifier, entry.reason = step, 0, NO_PART
    entry.next = tables.orders[order].first
    tables.orders[order].first = new
    return new


@borrowing_kernel
def device_of(tables: Tables, record: Records) -> int:
    """The entry of the record's device, made if there is none; ``NOBODY`` if the history is full."""
    found = entry_of(tables, record.order, BOUND, record.entry.node)
    if found != NOBODY or is_full(tables, record.order):
        return found
    return _add(tables, record, BOUND)


@borrowing_kernel
def bind(tables: Tables, record: Records) -> None:
    """A device goes with a parcel, or no longer; the newest word counts, by when it was true."""
    wanted, order = record.entry, record.order
    device = device_of(tables, record)
    if device == NOBODY:
        return
    if wanted.step == RELEASED:
        found = entry_of(tables, order, RELEASED, wanted.node)
        if found == NOBODY and not is_full(tables, order):
            found = _add(tables, record, RELEASED)
        if found != NOBODY:
            tables.entries[found].said = max(tables.entries[found].said, wanted.at)
        return
    entry = tables.entries[device]
    if (wanted.at, wanted.also, wanted.classifier) >= (entry.cause, entry.also, entry.classifier):
        entry.cause, entry.also = wanted.at, wanted.also
        entry.classifier, entry.package = wanted.classifier, wanted.package


@borrowing_kernel
def deviate(
    tables: Tables, record: Records, sort: int, at: int, beyond: bool, joined_us: int
) -> bool:
    """A reading that must not be.

    Args:
        tables: the order's stretches are changed.
        record: its.
        sort: of deviation.
        at: when.
        beyond: it is beyond all measure.
        joined_us: readings so close are one stretch.

    Returns:
        Whether anything is new.
    """
    entries, order, device = tables.entries, record.order, record.entry.node
    mine, is_new = NOBODY, False
    place = tables.orders[order].first
    while place != NOBODY and entries[place].at == NO_TIME:
        entry, following = entries[place], entries[place].next
        same = entry.step == DEVIATED and entry.node == device and entry.classifier == sort
        if same and entry.cause - joined_us <= at <= entry.said + joined_us:
            if mine == NOBODY:
                mine = place
                is_new = at < entry.cause or at > entry.said
                entry.cause, entry.said = min(entry.cause, at), max(entry.said, at)
            else:
                kept, is_new = entries[mine], True
                kept.cause, kept.said = min(kept.cause, entry.cause), max(kept.said, entry.said)
                kept.also = min(kept.also, entry.also)
                drop(tables, order, place)
        place = following
    if mine == NOBODY:
        if is_full(tables, order):
            return False
        mine, is_new = _add(tables, record, DEVIATED), True
        entries[mine].classifier, entries[mine].also = sort, NEVER
        entries[mine].cause = entries[mine].said = at
    if beyond and at < entries[mine].also:
        entries[mine].also, is_new = at, True
    if is_new:
        entries[mine].position = record.position
    return is_new
