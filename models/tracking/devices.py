"""What is known of the devices that go with an order's parcels, and while which of them they do.

Theory of operation. Readings are not kept in the state, the lake has them. Kept is, of each device, when it was
last heard, its stretches of readings (stretches.py), and each binding and release with its time.

A device speaks of a parcel from a binding to the next release from that parcel; of another parcel it may speak
at the same time. To bind it again changes nothing; with another band, what was measured before counts no
longer, as the band was wrong. By which band a reading is judged is what is known of its device when it is
learnt, by the newest binding; how long a stretch may last, and whether it was within the time of a binding, is
judged each time anew (judge.py).
"""

import numpy as np

from models.intake.columns import NO_TIME
from models.jit import borrowing_kernel
from models.lifecycle.steps import Step
from models.tracking.arrays import NEVER, NO_PART, NOBODY, Records, Tables
from models.tracking.history import drop, enter, is_full

BOUND, RELEASED = int(Step.BOUND), int(Step.RELEASED)
DEVIATED, ATTACHED = int(Step.DEVIATED), int(Step.ATTACHED)
MOST_BOUND = 32
"""Bindings and releases of a device that are kept of an order: the two oldest become one then."""
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
    """The entry of a device, or of what was told of a parcel; ``NOBODY`` without."""
    entries, at = tables.entries, tables.orders[order].first
    while at != NOBODY and entries[at].at == NO_TIME:
        if entries[at].step == step and entries[at].node == device:
            return at
        at = entries[at].next
    return NOBODY


@borrowing_kernel
def add_first(tables: Tables, record: Records, step: int) -> int:
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
    return add_first(tables, record, BOUND)


@borrowing_kernel
def bind(tables: Tables, record: Records) -> None:
    """A device goes with a parcel, or no longer; its newest band counts, by when that was true."""
    wanted = record.entry
    device = device_of(tables, record)
    if device == NOBODY:
        return
    entry = tables.entries[device]
    if wanted.step == BOUND:
        newest = (entry.cause, entry.also, entry.classifier)
        if (wanted.at, wanted.also, wanted.classifier) >= newest:
            entry.cause, entry.also = wanted.at, wanted.also
            entry.classifier, entry.package = wanted.classifier, wanted.package
    _keep_binding(tables, record, ATTACHED if wanted.step == BOUND else RELEASED)


@borrowing_kernel
def _is_binding(entry: Records, device: int) -> bool:
    """Whether an entry is a binding of a device, or a release."""
    return (entry.step == ATTACHED or entry.step == RELEASED) and entry.node == device


@borrowing_kernel
def _keep_binding(tables: Tables, record: Records, step: int) -> None:
    """Remember a binding or a release, once."""
    entries, wanted, known = tables.entries, record.entry, 0
    place = tables.orders[record.order].first
    while place != NOBODY and entries[place].at == NO_TIME:
        entry = entries[place]
        if _is_binding(entry, wanted.node):
            same = entry.step == step and entry.package == wanted.package
            if same and entry.said == wanted.at and _has_band_of(entry, wanted):
                return
            known += 1
        place = entry.next
    if known == MOST_BOUND:
        _join_oldest(tables, record.order, wanted.node)
    if is_full(tables, record.order):
        return
    new = entries[add_first(tables, record, step)]
    new.said, new.package = wanted.at, wanted.package
    new.also, new.classifier = wanted.also, wanted.classifier


@borrowing_kernel
def _join_oldest(tables: Tables, order: int, device: int) -> None:
    """Let a device's oldest binding be forgotten; if the next one confirms it, that is as old."""
    entries, oldest, second = tables.entries, NOBODY, NOBODY
    place = tables.orders[order].first
    while place != NOBODY and entries[place].at == NO_TIME:
        if _is_binding(entries[place], device):
            if oldest == NOBODY or entries[place].said < entries[oldest].said:
                oldest = place
        place = entries[place].next
    gone = entries[oldest]
    place = tables.orders[order].first
    while place != NOBODY and entries[place].at == NO_TIME:
        entry = entries[place]
        if place != oldest and _is_binding(entry, device) and entry.package == gone.package:
            if second == NOBODY or entry.said < entries[second].said:
                second = place
        place = entry.next
    if second != NOBODY and gone.step == ATTACHED and entries[second].step == ATTACHED:
        if _has_band_of(entries[second], gone):
            entries[second].said = gone.said
    drop(tables, order, oldest)


@borrowing_kernel
def _has_band_of(binding: Records, other: Records) -> bool:
    return binding.also == other.also and binding.classifier == other.classifier


@borrowing_kernel
def _is_later(binding: Records, other: Records) -> bool:
    """Whether one binding follows another; of two at once the one whose band counts."""
    if binding.said != other.said:
        return binding.said > other.said
    if binding.also != other.also:
        return binding.also > other.also
    return binding.classifier > other.classifier


@borrowing_kernel
def released_at(tables: Tables, order: int, binding: Records) -> int:
    """When a binding ended; ``NEVER``: it has not. Of a device that was never bound: of any parcel."""
    entries, until = tables.entries, NEVER
    place = tables.orders[order].first
    while place != NOBODY and entries[place].at == NO_TIME:
        entry = entries[place]
        if entry.step == RELEASED and entry.node == binding.node:
            is_its = entry.package == binding.package and entry.said >= binding.said
            if is_its or binding.step != ATTACHED:
                until = min(until, entry.said)
        place = entry.next
    return until


@borrowing_kernel
def is_start(tables: Tables, order: int, binding: Records, until: int) -> bool:
    """Whether a device speaks of a parcel from this binding on, until it is released.

    A binding that confirms the one before is none; nor is one that another with a different band corrects.
    """
    entries, last = tables.entries, NOBODY
    place = tables.orders[order].first
    while place != NOBODY and entries[place].at == NO_TIME:
        other = entries[place]
        same = other.step == ATTACHED and other.node == binding.node
        if same and other.package == binding.package:
            if _is_later(other, binding):
                if other.said <= until and not _has_band_of(other, binding):
                    return False
            elif _is_later(binding, other):
                if last == NOBODY or _is_later(other, entries[last]):
                    last = place
        place = other.next
    if last == NOBODY or not _has_band_of(entries[last], binding):
        return True
    return released_at(tables, order, entries[last]) < binding.said


@borrowing_kernel
def parcel_of_device(tables: Tables, order: int, device: Records) -> int:
    """The parcel that a device goes with; ``NOBODY``: none is known, or it goes with several."""
    entries, place = tables.entries, tables.orders[order].first
    while place != NOBODY and entries[place].at == NO_TIME:
        entry = entries[place]
        if entry.step == ATTACHED and entry.node == device.node:
            if entry.package != device.package and released_at(tables, order, entry) == NEVER:
                return NOBODY
        place = entry.next
    return device.package
