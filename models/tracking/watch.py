"""What an order's devices come to: excursions, shocks, open lids, silence, parcels that stray or stay.

A stretch counts as far as it lies between the binding of its device and its release or the parcel's delivery:
what a logger measures on the customer's desk is nobody's excursion. Of stretches that go on with each other
(stretches.py) it is the time from the first reading to the last. Goods that were too warm stay
suspect until the order is closed; a parcel that strayed is forgiven once it is back.
"""

import numpy as np

from models.intake.columns import NO_TIME
from models.jit import borrowing_kernel
from models.lifecycle.steps import Step
from models.lifecycle.transitions import PROGRESS, number
from models.tracking.arrays import ACTUAL, NEVER, NOBODY, Bound, Records, Sort, Tables, Term
from models.tracking.devices import (
    ATTACHED,
    BOUND,
    DEVIATED,
    NO_LIMITS,
    entry_of,
    is_start,
    released_at,
)
from models.tracking.stays import GOES_ON, last_seen, stayed_until
from models.tracking.stretches import USUAL, begins, goes_on, usual_us, with_slack
from models.tracking.verdict import expect, find_shown, hide, show
from schemas.codes import ExceptionCode, Phase

STAYED, ARRIVED, TOLD = int(Step.STAYED), int(Step.ARRIVED), int(Step.TOLD)
S_COLD, S_WARM = int(Sort.COLD), int(Sort.WARM)
S_WET, S_SHOCK, S_LIGHT = int(Sort.WET), int(Sort.SHOCK), int(Sort.LIGHT)
S_OFF_ROUTE, S_GOOD = int(Sort.OFF_ROUTE), int(Sort.IN_BAND)
S_DRY, S_ON_ROUTE = int(Sort.DRY), int(Sort.ON_ROUTE)
T_GAP, T_HUMIDITY, T_STALE, T_OFF_ROUTE, T_DWELL, T_LEFT = (
    int(t) for t in (Term.GAP, Term.HUMIDITY, Term.STALE, Term.OFF_ROUTE, Term.DWELL, Term.LEFT)
)
MINOR_US, MAJOR_US = int(Bound.MINOR_US), int(Bound.MAJOR_US)
E_MINOR, E_MAJOR = (
    int(ExceptionCode.TEMP_EXCURSION_MINOR),
    int(ExceptionCode.TEMP_EXCURSION_MAJOR),
)
E_HUMIDITY, E_SHOCK = int(ExceptionCode.HUMIDITY_EXCURSION), int(ExceptionCode.SHOCK)
E_OPEN, E_GAP = int(ExceptionCode.DOOR_OPEN), int(ExceptionCode.SENSOR_GAP)
E_STALE, E_OFF_ROUTE = int(ExceptionCode.GPS_STALE), int(ExceptionCode.GPS_OFF_ROUTE)
E_DWELL = int(ExceptionCode.DWELL_LONG)
P_HANDED_OVER, P_DELIVERED = number(Phase.HANDED_OVER), number(Phase.DELIVERED)
P_SIGNED = number(Phase.SIGNED)
P_CLOSED, P_CANCELLED = number(Phase.CLOSED), number(Phase.CANCELLED)
P_RETURNED = number(Phase.RETURNED)


@borrowing_kernel
def _parcel_of(tables: Tables, parcels: int, package: int) -> int:
    """The place of a device's parcel in the scratch; of the only one where none was named."""
    if package == NOBODY and parcels == 1:
        return 0
    for k in range(parcels):
        if tables.parcels[k].package == package:
            return k
    return NOBODY


@borrowing_kernel
def _until(tables: Tables, order: int, binding: Records, parcels: int) -> int:
    """Until when a device speaks of the parcel of a binding; ``NEVER``: it still does."""
    until = released_at(tables, order, binding)
    k = _parcel_of(tables, parcels, binding.package)
    if k != NOBODY and tables.parcels[k].phase in (P_DELIVERED, P_SIGNED):
        until = min(until, tables.parcels[k].there_at)
    return until


@borrowing_kernel
def _next_binding(tables: Tables, order: int, device: Records, after: int) -> int:
    """The next binding with which a device begins to speak of a parcel, in the list; ``NOBODY``: no more.

    ``after``: the one before, or ``NOBODY``. A device that was never bound has its own entry in place of one.
    """
    entries = tables.entries
    place = tables.orders[order].first if after == NOBODY else entries[after].next
    while place != NOBODY and entries[place].at == NO_TIME:
        entry = entries[place]
        if entry.node == device.node:
            if entry.step == BOUND and device.cause == NO_TIME:
                return place
            if entry.step == ATTACHED:
                if is_start(tables, order, entry, released_at(tables, order, entry)):
                    return place
        place = entry.next
    return NOBODY


@borrowing_kernel
def look_at_devices(tables: Tables, order: int, parcels: int, clock: int, verdict: Records) -> None:
    """Judge what an order's devices found, and whether they still speak; see ``judge``.

    What a device reports alone is no order yet: somebody has to know of one, or have bound the device to it.
    """
    entries, at = tables.entries, tables.orders[order].first
    while at != NOBODY and entries[at].step == TOLD:
        at = entries[at].next
    if at == NOBODY or entries[at].at != NO_TIME:
        return
    if verdict.phase in (P_CLOSED, P_CANCELLED, P_RETURNED):
        return
    is_under_way = PROGRESS[verdict.phase] < PROGRESS[P_DELIVERED]
    while at != NOBODY and entries[at].at == NO_TIME:
        entry, this = entries[at], at
        at = entry.next
        is_known = verdict.is_known and not verdict.is_over
        if entry.step == BOUND and is_under_way and (is_known or entry.cause != NO_TIME):
            _look_for_silence(tables, order, entry, parcels, clock, verdict)
        elif entry.step == DEVIATED and entry.classifier < S_GOOD:
            found = entry_of(tables, order, BOUND, entry.node)
            if found != NOBODY:
                device = entries[found]
                if not verdict.is_known and device.cause == NO_TIME:
                    continue
                _look_at_stretch(tables, order, device, this, parcels, verdict)
    if is_under_way:
        _look_at_stays(tables, order, parcels, clock, verdict)


@borrowing_kernel
def _look_for_silence(
    tables: Tables, order: int, device: Records, parcels: int, clock: int, verdict: Records
) -> None:
    entries, terms = tables.entries, tables.terms[tables.orders[order].network]
    at = _next_binding(tables, order, device, NOBODY)
    while at != NOBODY and _until(tables, order, entries[at], parcels) != NEVER:
        at = _next_binding(tables, order, device, at)
    if at == NOBODY:
        return
    package = entries[at].package
    is_bound = device.cause != NO_TIME and (device.classifier > 0 or device.also != NO_LIMITS)
    if is_bound or device.said != NO_TIME:
        usual = usual_us(tables, order, device.node, S_GOOD)
        if usual == 0:
            usual = usual_us(tables, order, device.node, S_DRY)
        since = max(device.said, device.cause)
        if expect(verdict, since + max(with_slack(terms[T_GAP]), USUAL * usual), clock):
            show(tables, verdict, E_GAP, NOBODY, package)
    if device.position != NO_TIME:
        usual = usual_us(tables, order, device.node, S_ON_ROUTE)
        stale = device.position + max(with_slack(terms[T_STALE]), USUAL * usual)
        if expect(verdict, stale, clock):
            show(tables, verdict, E_STALE, NOBODY, package)


@borrowing_kernel
def _look_at_stretch(
    tables: Tables, order: int, device: Records, stretch: int, parcels: int, verdict: Records
) -> None:
    """Judge a stretch with those that go on with it, for each parcel that its device spoke of."""
    sort = tables.entries[stretch].classifier
    terms = tables.terms[tables.orders[order].network]
    gap_us = terms[T_STALE] if sort == S_OFF_ROUTE else terms[T_GAP]
    if not begins(tables, order, stretch, gap_us):
        return
    at = _next_binding(tables, order, device, NOBODY)
    while at != NOBODY:
        binding = tables.entries[at]
        until = _until(tables, order, binding, parcels)
        _look_while_bound(tables, order, stretch, (np.int64(gap_us), until), binding, verdict)
        at = _next_binding(tables, order, device, at)


@borrowing_kernel
def _look_while_bound(
    tables: Tables, order: int, stretch: int, times: tuple[int, int], binding: Records,
    verdict: Records,
) -> None:  # fmt: skip
    """Judge as much of a stretch as lies within the time of a binding.

    ``times``: how long the device is waited for, and until when it speaks of the parcel.
    """
    gap_us, until = times
    since = binding.said if binding.step == ATTACHED else NO_TIME
    begun, lasted, ended, position, is_beyond = NEVER, NOBODY, NO_TIME, NOBODY, False
    sort, at = tables.entries[stretch].classifier, stretch
    while at != NOBODY:
        entry = tables.entries[at]
        first, last = max(entry.cause, since), min(entry.said, until - 1)
        if first <= last:
            begun = min(begun, first)
            lasted, position = last - begun, max(position, entry.position)
            is_beyond |= first <= entry.also <= last
        ended = entry.said
        at = goes_on(tables, order, entry, gap_us)
    code = _code_of(tables, order, binding, sort, lasted, is_beyond, verdict)
    if sort == S_OFF_ROUTE and ended < _last_position(tables, order, binding.node):
        code = 0
    if lasted == NOBODY or code == 0:
        return
    package = np.int64(binding.package)
    if code == E_MAJOR:  # the worse one counts
        hide(tables, verdict, E_MINOR, package)
    elif code == E_MINOR:
        major = find_shown(tables, verdict, E_MAJOR, package, np.int64(NOBODY))
        if major != NOBODY:
            return
    show(tables, verdict, code, position, package)


@borrowing_kernel
def _last_position(tables: Tables, order: int, device: int) -> int:
    """When a device last knew where it was."""
    return tables.entries[entry_of(tables, order, BOUND, device)].position


@borrowing_kernel
def _code_of(
    tables: Tables, order: int, binding: Records, sort: int, lasted: int, is_beyond: bool,
    verdict: Records,
) -> int:  # fmt: skip
    """The exception that a stretch of so many us is; 0: none."""
    network = tables.orders[order].network
    terms, band = tables.terms[network], tables.bands[network, binding.classifier]
    if sort in (S_COLD, S_WARM):
        if is_beyond or lasted >= band[MAJOR_US]:
            return E_MAJOR
        return E_MINOR if lasted >= band[MINOR_US] else 0
    if sort == S_WET:
        return E_HUMIDITY if lasted >= terms[T_HUMIDITY] else 0
    if sort == S_SHOCK:
        return E_SHOCK
    if sort == S_LIGHT:
        return E_OPEN
    is_under_way = PROGRESS[verdict.phase] < PROGRESS[P_DELIVERED]
    return E_OFF_ROUTE if is_under_way and lasted >= terms[T_OFF_ROUTE] else 0


@borrowing_kernel
def _look_at_stays(tables: Tables, order: int, parcels: int, clock: int, verdict: Records) -> None:
    entries, at = tables.entries, tables.orders[order].first
    terms = tables.terms[tables.orders[order].network]
    while at != NOBODY:
        entry = entries[at]
        at = entry.next
        if entry.at == NO_TIME or entry.also == NO_TIME or entry.classifier != ACTUAL:
            continue
        if (entry.step != ARRIVED and entry.step != STAYED) or entry.key == GOES_ON:
            continue
        k = _parcel_of(tables, parcels, entry.package)
        if k == NOBODY or PROGRESS[tables.parcels[k].phase] < PROGRESS[P_HANDED_OVER]:
            continue
        if PROGRESS[tables.parcels[k].phase] >= PROGRESS[P_DELIVERED]:
            continue
        until = stayed_until(tables, entry)
        if last_seen(tables, order, entry.package) > until + terms[T_LEFT]:
            continue
        if expect(verdict, entry.at + terms[T_DWELL], clock):
            show(tables, verdict, E_DWELL, entry.position, entry.package)
