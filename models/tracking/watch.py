"""What an order's devices come to: excursions, shocks, open lids, silence, parcels that stray or stay.

A stretch counts as far as it lies between the binding of its device and its release or the parcel's delivery:
what a logger measures on the customer's desk is nobody's excursion. Goods that were too warm stay
suspect until the order is closed; a parcel that strayed is forgiven once it is back.
"""

import numpy as np

from models.intake.columns import NO_TIME
from models.jit import borrowing_kernel
from models.lifecycle.steps import Step
from models.lifecycle.transitions import PROGRESS, number
from models.tracking.arrays import ACTUAL, NEVER, NOBODY, Bound, Records, Sort, Tables, Term
from models.tracking.devices import NO_LIMITS, entry_of
from models.tracking.road import last_seen
from models.tracking.verdict import expect, find_shown, hide, show
from schemas.codes import ExceptionCode, Phase

BOUND, RELEASED, DEVIATED, STAYED, ARRIVED = (
    int(s) for s in (Step.BOUND, Step.RELEASED, Step.DEVIATED, Step.STAYED, Step.ARRIVED)
)
TOLD = int(Step.TOLD)
S_COLD, S_WARM = int(Sort.COLD), int(Sort.WARM)
S_WET, S_SHOCK, S_LIGHT = int(Sort.WET), int(Sort.SHOCK), int(Sort.LIGHT)
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
def _until(tables: Tables, order: int, device: Records, parcels: int) -> int:
    """Until when a device speaks of its parcel; ``NEVER``: it still does."""
    until = NEVER
    release = entry_of(tables, order, RELEASED, device.node)
    if release != NOBODY and tables.entries[release].said >= device.cause:
        until = tables.entries[release].said
    k = _parcel_of(tables, parcels, device.package)
    if k != NOBODY and tables.parcels[k].phase in (P_DELIVERED, P_SIGNED):
        until = min(until, tables.parcels[k].at)
    return until


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
        entry = entries[at]
        at = entry.next
        is_known = verdict.is_known and not verdict.is_over
        if entry.step == BOUND and is_under_way and (is_known or entry.cause != NO_TIME):
            if _until(tables, order, entry, parcels) == NEVER:
                _look_for_silence(tables, order, entry, clock, verdict)
        elif entry.step == DEVIATED:
            found = entry_of(tables, order, BOUND, entry.node)
            if found != NOBODY:
                device = entries[found]
                if not verdict.is_known and device.cause == NO_TIME:
                    continue
                until = _until(tables, order, device, parcels)
                _look_at_stretch(tables, order, device, entry, until, verdict)
    if is_under_way:
        _look_at_stays(tables, order, parcels, clock, verdict)


@borrowing_kernel
def _look_for_silence(
    tables: Tables, order: int, device: Records, clock: int, verdict: Records
) -> None:
    terms = tables.terms[tables.orders[order].network]
    is_bound = device.cause != NO_TIME and (device.classifier > 0 or device.also != NO_LIMITS)
    if is_bound or device.said != NO_TIME:
        since = max(device.said, device.cause)
        if expect(verdict, since + terms[T_GAP], clock):
            show(tables, verdict, E_GAP, NOBODY, device.package)
    if device.position != NO_TIME and expect(verdict, device.position + terms[T_STALE], clock):
        show(tables, verdict, E_STALE, NOBODY, device.package)


@borrowing_kernel
def _look_at_stretch(
    tables: Tables, order: int, device: Records, stretch: Records, until: int, verdict: Records
) -> None:
    network = tables.orders[order].network
    terms = tables.terms[network]
    first, last = max(stretch.cause, device.cause), min(stretch.said, until - 1)
    if last < first:
        return
    sort, lasted, code = stretch.classifier, last - first, 0
    if sort in (S_COLD, S_WARM):
        band = tables.bands[network, device.classifier]
        if first <= stretch.also <= last or lasted >= band[MAJOR_US]:
            code = E_MAJOR
        elif lasted >= band[MINOR_US]:
            code = E_MINOR
    elif sort == S_WET:
        code = E_HUMIDITY if lasted >= terms[T_HUMIDITY] else 0
    elif sort == S_SHOCK:
        code = E_SHOCK
    elif sort == S_LIGHT:
        code = E_OPEN
    elif PROGRESS[verdict.phase] < PROGRESS[P_DELIVERED] and stretch.said >= device.position:
        code = E_OFF_ROUTE if lasted >= terms[T_OFF_ROUTE] else 0
    if code == 0:
        return
    if code == E_MAJOR:  # the worse one counts
        hide(tables, verdict, E_MINOR, device.package)
    elif code == E_MINOR:
        major = find_shown(tables, verdict, E_MAJOR, device.package, np.int64(NOBODY))
        if major != NOBODY:
            return
    show(tables, verdict, code, stretch.position, device.package)


@borrowing_kernel
def _look_at_stays(tables: Tables, order: int, parcels: int, clock: int, verdict: Records) -> None:
    entries, at = tables.entries, tables.orders[order].first
    terms = tables.terms[tables.orders[order].network]
    while at != NOBODY:
        entry = entries[at]
        at = entry.next
        if entry.at == NO_TIME or entry.also == NO_TIME or entry.classifier != ACTUAL:
            continue
        if entry.step != ARRIVED and entry.step != STAYED:
            continue
        k = _parcel_of(tables, parcels, entry.package)
        if k == NOBODY or PROGRESS[tables.parcels[k].phase] < PROGRESS[P_HANDED_OVER]:
            continue
        if PROGRESS[tables.parcels[k].phase] >= PROGRESS[P_DELIVERED]:
            continue
        if last_seen(tables, order, entry.package) > entry.said + terms[T_LEFT]:
            continue
        if expect(verdict, entry.at + terms[T_DWELL], clock):
            show(tables, verdict, E_DWELL, entry.position, entry.package)
