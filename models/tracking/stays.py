"""Stays: when a parcel was at its planned places, by the positions of its devices.

Positions within a place that are close enough in time are one stay, as readings are one stretch
(stretches.py). A stay goes on with the one before if no position elsewhere lies between, however long that was.
The first position of a stay that does not is an arrival, like one that a carrier reports; once a position
elsewhere is late enough after the last one of those that go on with it, that one is the departure. Both move in
time if something earlier or later comes in, so what arrives late or twice comes to the same.
"""

import numpy as np

from models.intake.columns import NO_TIME
from models.jit import borrowing_kernel
from models.lifecycle.steps import Step
from models.tracking.arrays import ACTUAL, NOBODY, Cursor, Moved, Records, Tables
from models.tracking.devices import BOUND, DEVIATED, entry_of, parcel_of_device
from models.tracking.history import drop, enter, is_full, link, unlink
from models.tracking.stretches import ELSEWHERE

ARRIVED, DEPARTED, STAYED = int(Step.ARRIVED), int(Step.DEPARTED), int(Step.STAYED)
MOVED, INDEX, RECORD = int(Cursor.MOVED), int(Cursor.INDEX), int(Cursor.RECORD)
M_RECORD, M_INDEX, M_ORDER, _, M_AT, M_STEP, M_PACKAGE, M_PLACE, M_HOLDS, _ = (
    int(m) for m in Moved
)
GOES_ON = np.uint64(1)
"""Key of a stay that goes on with the one before."""


@borrowing_kernel
def _say(tables: Tables, order: int, step: int, at: int, stop: Records, holds: bool) -> None:
    """An arrival or a departure, or that there was none after all."""
    cursor = tables.cursor
    row = tables.moved[cursor[MOVED]]
    row[M_RECORD], row[M_INDEX], row[M_ORDER] = cursor[RECORD], cursor[INDEX], order
    row[M_AT], row[M_STEP], row[M_HOLDS] = at, step, holds
    row[M_PACKAGE], row[M_PLACE] = stop.package, stop.place
    cursor[MOVED] += 1
    cursor[INDEX] += 1


@borrowing_kernel
def _enter_stay(tables: Tables, record: Records, stop: Records, step: int, at: int) -> int:
    """A new entry at a stop, in the order of time."""
    new = enter(tables, record.order, record.entry)
    entry = tables.entries[new]
    entry.at = entry.said = at
    entry.key, entry.also, entry.cause, entry.node = np.uint64(0), stop.place, NOBODY, NOBODY
    entry.position, entry.package = record.position, stop.package
    entry.step, entry.classifier, entry.reason = step, ACTUAL, 0
    link(tables, record.order, new)
    return new


@borrowing_kernel
def stay(tables: Tables, record: Records, stop: Records, at: int, joined_us: int) -> bool:
    """A position within a stop; says whether the stay is new or began earlier than known."""
    entries, order, mine, is_new = tables.entries, record.order, NOBODY, False
    place, before = tables.orders[order].first, NOBODY
    while place != NOBODY:
        entry, following = entries[place], entries[place].next
        same = _is_stay(entry, stop)
        if same and entry.at - joined_us <= at <= entry.said + joined_us:
            if mine == NOBODY:
                mine = place
            else:  # the position closes the gap between two stays
                entries[mine].said = max(entries[mine].said, entry.said)
                if stop.is_arrival and entry.key != GOES_ON:
                    _say(tables, order, ARRIVED, entry.at, stop, False)
                drop(tables, order, place)
                is_new = True
        elif same and entry.said < at:
            before = place
        place = following
    if mine == NOBODY:
        if is_full(tables, order):
            return False
        mine, is_new = _enter_stay(tables, record, stop, _step_at(stop), at), True
        if before != NOBODY and not _was_elsewhere(tables, order, stop, entries[before].said, at):
            _mark(tables, order, stop, mine, True)
        elif stop.is_arrival:
            _say(tables, order, ARRIVED, at, stop, True)
    entry = entries[mine]
    entry.said = max(entry.said, at)
    if at < entry.at:
        if stop.is_arrival and entry.key != GOES_ON:
            _say(tables, order, ARRIVED, entry.at, stop, False)
            _say(tables, order, ARRIVED, at, stop, True)
        unlink(tables, order, mine)
        entry.at, is_new = at, True
        link(tables, order, mine)
    return is_new


@borrowing_kernel
def _step_at(stop: Records) -> int:
    """What a stay at a stop is that goes on with no other."""
    return ARRIVED if stop.is_arrival else STAYED


@borrowing_kernel
def _mark(tables: Tables, order: int, stop: Records, stay: int, goes_on: bool) -> None:
    """Let a stay go on with the one before, or not; as it does, it is no arrival."""
    entry = tables.entries[stay]
    unlink(tables, order, stay)
    entry.key = GOES_ON if goes_on else np.uint64(0)
    entry.step = STAYED if goes_on else _step_at(stop)
    link(tables, order, stay)


@borrowing_kernel
def _was_elsewhere(tables: Tables, order: int, stop: Records, after: int, before: int) -> bool:
    """Whether a position between two times shows a parcel elsewhere than at a stop."""
    entries, place = tables.entries, tables.orders[order].first
    while place != NOBODY:
        entry = entries[place]
        place = entry.next
        if entry.said <= after:
            continue
        if entry.at == NO_TIME:
            if entry.step == DEVIATED and entry.classifier == ELSEWHERE and entry.cause < before:
                device = entries[entry_of(tables, order, BOUND, entry.node)]
                if _is_about(tables, order, device, stop.package):
                    return True
        elif entry.at < before and entry.classifier == ACTUAL and entry.also != NO_TIME:
            is_stay = entry.step == ARRIVED or entry.step == STAYED
            if is_stay and entry.package == stop.package and entry.also != stop.place:
                return True
    return False


@borrowing_kernel
def _is_about(tables: Tables, order: int, device: Records, package: int) -> bool:
    """Whether a device may go with a parcel."""
    own = parcel_of_device(tables, order, device)
    return package == NOBODY or own in (NOBODY, package)


@borrowing_kernel
def follow(tables: Tables, order: int, stop: Records, settled: int) -> bool:
    """Let stays at a stop go on with each other as they do by now; says whether any does so anew, or no longer.

    ``settled``: such that were over by then become one, as nothing is to come between them any more.
    """
    entries, last, is_new = tables.entries, NOBODY, False
    place = tables.orders[order].first
    while place != NOBODY:
        stay, following = place, entries[place].next
        place = following
        if not _is_stay(entries[stay], stop):
            continue
        entry = entries[stay]
        goes_on = last != NOBODY and not _was_elsewhere(
            tables, order, stop, entries[last].said, entry.at
        )
        if goes_on != (entry.key == GOES_ON):
            if stop.is_arrival:
                _say(tables, order, ARRIVED, entry.at, stop, not goes_on)
            _mark(tables, order, stop, stay, goes_on)
            is_new = True
        if goes_on and entry.said < settled:
            entries[last].said = entry.said
            drop(tables, order, stay)
        else:
            last = stay
    return is_new


@borrowing_kernel
def stayed_until(tables: Tables, stay: Records) -> int:
    """The last position of a stay and of those that go on with it."""
    entries, until, place = tables.entries, stay.said, stay.next
    while place != NOBODY:
        entry = entries[place]
        same = entry.also == stay.also and entry.package == stay.package
        if (
            same
            and (entry.step == stay.step or entry.step == STAYED)
            and entry.classifier == ACTUAL
        ):
            if entry.key != GOES_ON:
                return until
            until = entry.said
        place = entry.next
    return until


@borrowing_kernel
def leave(tables: Tables, record: Records, stop: Records, heard: int, left_us: int) -> bool:
    """Let every stay at a stop that is over have its departure, and no other; says whether any is new."""
    entries, order, is_new = tables.entries, record.order, False
    place = tables.orders[order].first
    while place != NOBODY:  # departures that are none any more
        entry, following = entries[place], entries[place].next
        if _is_at(entry, DEPARTED, stop) and not _ends_stay(
            tables, order, stop, entry.at, heard - left_us
        ):
            _say(tables, order, DEPARTED, entry.at, stop, False)
            drop(tables, order, place)
            is_new = True
        place = following
    place = tables.orders[order].first
    while place != NOBODY:
        entry = entries[place]
        if _is_stay(entry, stop) and entry.key != GOES_ON and not is_full(tables, order):
            until = stayed_until(tables, entry)
            if heard - left_us > until and not _has_left(tables, order, stop, until):
                _enter_stay(tables, record, stop, DEPARTED, until)
                _say(tables, order, DEPARTED, until, stop, True)
                is_new = True
        place = entry.next
    return is_new


@borrowing_kernel
def _is_at(entry: Records, step: int, stop: Records) -> bool:
    """Whether an entry was worked out of positions at a stop."""
    if entry.step != step or entry.classifier != ACTUAL or entry.at == NO_TIME:
        return False
    return entry.also == stop.place and entry.package == stop.package


@borrowing_kernel
def _is_stay(entry: Records, stop: Records) -> bool:
    """Whether an entry is a stay at a stop."""
    if entry.key == GOES_ON:
        return _is_at(entry, STAYED, stop)
    return _is_at(entry, _step_at(stop), stop)


@borrowing_kernel
def _ends_stay(tables: Tables, order: int, stop: Records, at: int, before: int) -> bool:
    place = tables.orders[order].first
    while place != NOBODY and at < before:
        entry = tables.entries[place]
        if _is_stay(entry, stop) and entry.key != GOES_ON and entry.at <= at:
            if stayed_until(tables, entry) == at:
                return True
        place = entry.next
    return False


@borrowing_kernel
def _has_left(tables: Tables, order: int, stop: Records, at: int) -> bool:
    place = tables.orders[order].first
    while place != NOBODY:
        entry = tables.entries[place]
        if _is_at(entry, DEPARTED, stop) and entry.at == at:
            return True
        place = entry.next
    return False


@borrowing_kernel
def last_seen(tables: Tables, order: int, package: int) -> int:
    """When any device of a parcel (of any, for ``NOBODY``) last knew where it was; ``NO_TIME``: never."""
    entries, at, last = tables.entries, tables.orders[order].first, NO_TIME
    while at != NOBODY and entries[at].at == NO_TIME:
        entry = entries[at]
        if entry.step == BOUND and _is_about(tables, order, entry, package):
            last = max(last, entry.position)
        at = entry.next
    return last
