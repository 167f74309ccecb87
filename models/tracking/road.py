"""Positions: how far along its planned way a parcel is, where it stays, and whether it strays.

The way of a parcel is the straight line through the places of its plans, by planned time; a place that was
planned twice goes by the later word. When it was within the radius of a place is in stays.py.

Distances are great circles (haversine); beside a leg, the plane that touches the earth there. Good to 1 % for
legs below 1,000 km.
"""

import math

import numpy as np

from models.intake.columns import NO_TIME
from models.jit import borrowing_kernel
from models.lifecycle.steps import MILESTONES, Step
from models.tracking.arrays import (
    MAX_ENTRIES,
    MAX_STOPS,
    NOBODY,
    PARTS,
    PLANNED,
    Limit,
    Records,
    Tables,
    Term,
)
from models.tracking.devices import device_of, lower, parcel_of_device, upper
from models.tracking.places import GRID
from models.tracking.stays import follow, last_seen, leave, stay
from models.tracking.stretches import (
    ELSEWHERE,
    OFF_ROUTE,
    ON_ROUTE,
    SETTLED_US,
    extend,
    part,
)
from schemas.codes import ExceptionCode

DEPARTED = int(Step.DEPARTED)
LAST_AT_ORIGIN = int(Step.HANDED_OVER)
CORRIDOR_KM, CORRIDOR_SHARE = int(Limit.CORRIDOR_KM), int(Limit.CORRIDOR_SHARE)
T_LEFT, T_STAY, T_JOINED = int(Term.LEFT), int(Term.STAY), int(Term.OFF_ROUTE)
T_STALE = int(Term.STALE)
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
    count = _gather(tables, order, parcel_of_device(tables, order, entry))
    strays = _measure(tables, count, fix, limits)
    if is_newest and fix.progress == fix.progress:  # not NaN
        share = np.uint8(PARTS * min(1.0, fix.progress))
        is_new |= entry.reason // NOTICED != share // NOTICED
        entry.reason = share
    joined, stale = terms[T_JOINED], terms[T_STALE]
    if strays:
        is_new |= extend(tables, record, OFF_ROUTE, at, False, joined, stale)
    elif count > 0:
        is_new |= part(tables, record, ON_ROUTE, at, joined, stale)
    is_new |= _visit(tables, record, count, fix)
    return is_new


@borrowing_kernel
def _visit(tables: Tables, record: Records, count: int, fix: Records) -> bool:
    """See which stops a position is in, and which were reached and left by now."""
    order, at, terms = record.order, record.entry.at, tables.terms[record.network]
    is_new = is_somewhere = False
    for k in range(count):
        stop = tables.stops[k]
        metres = 1000 * distance_km(fix.latitude, fix.longitude, stop.latitude, stop.longitude)
        if metres <= stop.radius_m:
            is_new |= stay(tables, record, stop, at, terms[T_STAY])
            is_somewhere = True
    if count > 0 and not is_somewhere:
        extend(tables, record, ELSEWHERE, at, False, terms[T_STAY], 0)
    for k in range(count):
        stop = tables.stops[k]
        heard = last_seen(tables, order, stop.package)
        if is_somewhere or at < heard:  # else no stay is later, and what went on still does
            is_new |= follow(tables, order, stop, heard - SETTLED_US)
        is_new |= leave(tables, record, stop, heard, terms[T_LEFT])
    return is_new
