"""Positions: how far along its planned way a parcel is, where it stays, and whether it strays.

The way of a parcel is the straight line through the places of its plans, by planned time; a place that was
planned twice goes by the later word. Whoever is within a place's radius stays there, and positions in it that
are close enough in time are one stay, as deviations are one stretch (devices.py). The first position of a
stay is an arrival, like one that a carrier reports; once a position elsewhere is late enough after the
last one, that one is the departure. Both move in time if something earlier or later comes in, so what arrives
late or twice comes to the same.

Distances are great circles (haversine); beside a leg, the plane that touches the earth there. Good to 1 % for
legs below 1,000 km.
"""

import math

import numpy as np

from models.intake.columns import NO_TIME
from models.jit import borrowing_kernel
from models.lifecycle.steps import MILESTONES, Step
from models.tracking.arrays import (
    ACTUAL,
    MAX_ENTRIES,
    MAX_STOPS,
    NOBODY,
    PARTS,
    PLANNED,
    Cursor,
    Limit,
    Moved,
    Records,
    Sort,
    Tables,
    Term,
)
from models.tracking.devices import BOUND, deviate, device_of, lower, upper
from models.tracking.history import drop, enter, is_full, link, unlink
from models.tracking.places import GRID
from schemas.codes import ExceptionCode

ARRIVED, DEPARTED, STAYED = int(Step.ARRIVED), int(Step.DEPARTED), int(Step.STAYED)
LAST_AT_ORIGIN = int(Step.HANDED_OVER)
MOVED, INDEX, RECORD = int(Cursor.MOVED), int(Cursor.INDEX), int(Cursor.RECORD)
M_RECORD, M_INDEX, M_ORDER, _, M_AT, M_STEP, M_PACKAGE, M_PLACE, M_HOLDS, _ = (
    int(m) for m in Moved
)
OFF_ROUTE = int(Sort.OFF_ROUTE)
CORRIDOR_KM, CORRIDOR_SHARE = int(Limit.CORRIDOR_KM), int(Limit.CORRIDOR_SHARE)
T_LEFT, T_STAY, T_JOINED = int(Term.LEFT), int(Term.STAY), int(Term.OFF_ROUTE)
EASED = np.uint64(1 << int(ExceptionCode.GPS_STALE) | 1 << int(ExceptionCode.GPS_OFF_ROUTE))
"""Exceptions that the next position may end."""
NOTICED = PARTS // 20
"""Parts of the way after which an arrival is estimated anew."""
MOST_SAID = 2 * MAX_ENTRIES + 4 * MAX_STOPS
"""Arrivals and departures that one position can change: after a change of policy, all that there are."""
EARTH_KM = 6_371.0088


@borrowing_kernel
def distance_km(a_lat: float, a_lon: float, b_lat: float, b_lon: float) -> float:
    """Great circle between two points in degrees (haversine)."""
    p, q = math.radians(a_lat), math.radians(b_lat)
    u, v = math.sin((q - p) / 2), math.sin(math.radians(b_lon - a_lon) / 2)
    return 2 * EARTH_KM * math.asin(min(1.0, math.sqrt(u * u + math.cos(p) * math.cos(q) * v * v)))


@borrowing_kernel
def _beside(a: Records, b: Records, latitude: float, longitude: float) -> tuple[float, float]:
    """Of a point and a leg: how far away, km, and at which share of the leg, 0 to 1."""
    scale = math.radians(EARTH_KM)
    shrink = math.cos(math.radians((a.latitude + b.latitude) / 2))
    bx, by = _turn(b.longitude - a.longitude) * shrink * scale, (b.latitude - a.latitude) * scale
    px, py = _turn(longitude - a.longitude) * shrink * scale, (latitude - a.latitude) * scale
    length = bx * bx + by * by
    share = 0.0 if length == 0 else min(1.0, max(0.0, (px * bx + py * by) / length))
    return math.hypot(px - share * bx, py - share * by), share


@borrowing_kernel
def _turn(degrees: float) -> float:
    """The shorter way round."""
    if degrees > 180:
        return degrees - 360
    return degrees + 360 if degrees < -180 else degrees


@borrowing_kernel
def _gather(tables: Tables, order: int, package: int) -> int:
    """The planned places of a parcel (of all, for ``NOBODY``) by planned time; says how many."""
    stops, entries, count = tables.stops, tables.entries, 0
    at = tables.orders[order].first
    while at != NOBODY:
        entry = entries[at]
        at = entry.next
        if entry.at == NO_TIME or entry.step >= MILESTONES or entry.classifier != PLANNED:
            continue
        if entry.also == NO_TIME or (package != NOBODY and entry.package != package):
            continue
        k = 0
        while k < count and (stops[k].place != entry.also or stops[k].package != entry.package):
            k += 1
        if k == MAX_STOPS or (k < count and stops[k].told_at > entry.at):
            continue
        if k < count:  # said anew: it may be at another time
            for j in range(k, count - 1):
                stops[j] = stops[j + 1]
            count -= 1
        k = count
        while k > 0 and stops[k - 1].planned_at > entry.said:
            stops[k] = stops[k - 1]
            k -= 1
        stop = stops[k]
        stop.place, stop.package, stop.radius_m = entry.also, entry.package, entry.cause
        stop.latitude, stop.longitude = upper(entry.also) / GRID, lower(entry.also) / GRID
        stop.planned_at, stop.told_at = entry.said, entry.at
        stop.is_arrival = entry.step > LAST_AT_ORIGIN and entry.step != DEPARTED
        count += 1
    return count


@borrowing_kernel
def _measure(tables: Tables, count: int, fix: Records, limits: Records) -> bool:
    """Where on the way a position is; says whether it is outside the corridor."""
    stops, km = tables.stops, 0.0
    if count == 0:
        return False
    stops[0].km = 0.0
    for k in range(1, count):
        a, b = stops[k - 1], stops[k]
        km += distance_km(a.latitude, a.longitude, b.latitude, b.longitude)
        b.km = km
    if count == 1 or km == 0:
        only = stops[count - 1]
        away = distance_km(fix.latitude, fix.longitude, only.latitude, only.longitude)
        fix.remaining_km = away
        return False
    least, done, corridor = np.inf, 0.0, 0.0
    for k in range(1, count):
        away, share = _beside(stops[k - 1], stops[k], fix.latitude, fix.longitude)
        leg = stops[k].km - stops[k - 1].km
        if away < least:
            least, done = away, stops[k - 1].km + share * leg
            corridor = max(limits[CORRIDOR_KM], limits[CORRIDOR_SHARE] * leg)
    fix.progress, fix.remaining_km, fix.off_route_km = done / km, km - done + least, least
    return least > corridor


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
def _stay(tables: Tables, record: Records, stop: Records, at: int, joined_us: int) -> bool:
    """A position within a stop; says whether the stay is new or began earlier than known."""
    entries, order, mine, is_new = tables.entries, record.order, NOBODY, False
    step = ARRIVED if stop.is_arrival else STAYED
    place = tables.orders[order].first
    while place != NOBODY:
        entry, following = entries[place], entries[place].next
        same = entry.step == step and entry.also == stop.place and entry.package == stop.package
        if (
            same
            and entry.classifier == ACTUAL
            and entry.at - joined_us <= at <= entry.said + joined_us
        ):
            if mine == NOBODY:
                mine = place
            else:  # the position closes the gap between two stays
                entries[mine].said = max(entries[mine].said, entry.said)
                if stop.is_arrival:
                    _say(tables, order, ARRIVED, entry.at, stop, False)
                drop(tables, order, place)
                is_new = True
        place = following
    if mine == NOBODY:
        if is_full(tables, order):
            return False
        mine, is_new = _enter_stay(tables, record, stop, step, at), True
        if stop.is_arrival:
            _say(tables, order, ARRIVED, at, stop, True)
    entry = entries[mine]
    entry.said = max(entry.said, at)
    if at < entry.at:
        if stop.is_arrival:
            _say(tables, order, ARRIVED, entry.at, stop, False)
            _say(tables, order, ARRIVED, at, stop, True)
        unlink(tables, order, mine)
        entry.at, is_new = at, True
        link(tables, order, mine)
    return is_new


@borrowing_kernel
def _leave(tables: Tables, record: Records, stop: Records, heard: int, left_us: int) -> bool:
    """Let every stay at a stop that is over have its departure, and no other; says whether any is new."""
    entries, order, is_new = tables.entries, record.order, False
    step = ARRIVED if stop.is_arrival else STAYED
    place = tables.orders[order].first
    while place != NOBODY:  # departures that are none any more
        entry, following = entries[place], entries[place].next
        if _is_at(entry, DEPARTED, stop) and not _ends_stay(
            tables, order, step, stop, entry.at, heard - left_us
        ):
            _say(tables, order, DEPARTED, entry.at, stop, False)
            drop(tables, order, place)
            is_new = True
        place = following
    place = tables.orders[order].first
    while place != NOBODY:
        entry = entries[place]
        if (
            _is_at(entry, step, stop)
            and heard - left_us > entry.said
            and not _has_left(tables, order, stop, entry.said)
            and not is_full(tables, order)
        ):
            _enter_stay(tables, record, stop, DEPARTED, entry.said)
            _say(tables, order, DEPARTED, entry.said, stop, True)
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
def _ends_stay(tables: Tables, order: int, step: int, stop: Records, at: int, before: int) -> bool:
    place = tables.orders[order].first
    while place != NOBODY:
        entry = tables.entries[place]
        if _is_at(entry, step, stop) and entry.said == at and entry.said < before:
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
        mine = package == NOBODY or entry.package == NOBODY or entry.package == package
        if entry.step == BOUND and mine:
            last = max(last, entry.position)
        at = entry.next
    return last


@borrowing_kernel
def locate(tables: Tables, record: Records) -> bool:
    """Take a position; returns whether its order is to be judged anew."""
    order, at = record.order, record.entry.at
    device = device_of(tables, record)
    if device == NOBODY:
        return False
    entry, fix = tables.entries[device], tables.fixes[record.detail]
    is_new = tables.orders[order].raised & EASED != 0 and at > entry.position
    is_new |= entry.position == NO_TIME
    is_newest = at >= entry.position
    entry.position = max(entry.position, at)
    terms, limits = tables.terms[record.network], tables.limits[record.network]
    count = _gather(tables, order, entry.package)
    strays = _measure(tables, count, fix, limits)
    if is_newest and fix.progress == fix.progress:  # not NaN
        share = np.uint8(PARTS * min(1.0, fix.progress))
        is_new |= entry.reason // NOTICED != share // NOTICED
        entry.reason = share
    if strays:
        is_new |= deviate(tables, record, OFF_ROUTE, at, False, terms[T_JOINED])
    for k in range(count):
        stop = tables.stops[k]
        metres = 1000 * distance_km(fix.latitude, fix.longitude, stop.latitude, stop.longitude)
        if metres <= stop.radius_m:
            is_new |= _stay(tables, record, stop, at, terms[T_STAY])
        heard = last_seen(tables, order, stop.package)
        is_new |= _leave(tables, record, stop, heard, terms[T_LEFT])
    return is_new
