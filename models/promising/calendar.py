"""The calendar of every node: which days it ships, until what minute, and how much.

Days are whole local days since 1970 at the node. A standing rule per weekday is overridden by rules for
single days. Bookings are kept for a ring of ``RING_DAYS`` days from yesterday on, so memory is bounded;
capacity that is unknown is unbounded. A booking is made on the first day that is open, whose cut-off has
not passed and that has room for it whole.
"""

import numpy as np

from models.heap import Addresses, Heap, Slot, fill, opener
from models.jit import kernel

RING_DAYS = 400
"""Days that can be booked or ruled ahead: a little over a year."""

DAY_US = 86_400_000_000
MINUTE_US = 60_000_000
UNBOUNDED = -1
NOT_SET = -2
NO_DAY = -1
EVERY_DAY_CLOSED = -2


RULE = np.dtype(
    [
        ("capacity", np.int64),  # UNBOUNDED, or for a single day NOT_SET: the weekday's
        ("booked", np.int64),
        ("cut_off", np.int32),  # local minute of the day, 0..1440
        ("open", np.uint8),
    ],
    align=True,
)
PLACE = np.dtype(
    [
        ("offset_us", np.int64),  # local time - UTC
        ("midnight", np.int64),  # local time at which the day last asked for began
        ("today", np.int64),  # that day
        ("counts_orders", np.uint8),  # capacity counts orders instead of units
    ],
    align=True,
)
"""A node."""

open_days = opener(Slot.DAYS, RULE, 2)  # (nodes, RING_DAYS), day modulo the ring
open_weekdays = opener(Slot.WEEKDAYS, RULE, 2)  # (nodes, 7), Monday first
open_places = opener(Slot.PLACES, PLACE)
open_first_day = opener(Slot.FIRST_DAY, np.int64)  # (1,) oldest day in the ring; -1 at first


def new_calendar(heap: Heap, nodes: int) -> None:
    """Put calendars into the heap in which every day is open and unbounded."""
    weekdays = np.zeros((nodes, 7), RULE)
    weekdays["capacity"], weekdays["cut_off"], weekdays["open"] = UNBOUNDED, 1440, 1
    days = np.zeros((nodes, RING_DAYS), RULE)
    days["capacity"] = NOT_SET
    heap.put(Slot.WEEKDAYS, weekdays)
    heap.put(Slot.DAYS, days)
    heap.put(Slot.PLACES, np.zeros(nodes, PLACE))
    heap.put(Slot.FIRST_DAY, np.full(1, -1, np.int64))


def resize_calendar(heap: Heap, nodes: int) -> None:
    """Make room for more nodes."""
    slots = (Slot.WEEKDAYS, Slot.DAYS, Slot.PLACES, Slot.FIRST_DAY)
    old = [heap[slot] for slot in slots]
    new_calendar(heap, max(nodes, len(heap[Slot.PLACES])))
    for slot, table in zip(slots, old, strict=True):
        heap[slot][: len(table)] = table


@kernel
def local_day(heap: Addresses, node: int, at: int) -> int:
    """The node's day at an instant (us since 1970, UTC)."""
    places = open_places(heap)
    local = at + places.offset_us[node]
    if not 0 <= local - places.midnight[node] < DAY_US:  # one division a day
        places.today[node] = local // DAY_US
        places.midnight[node] = places.today[node] * DAY_US
    return places.today[node]


@kernel
def roll(heap: Addresses, now: int) -> None:
    """Forget the days before yesterday, so that their places can serve later days."""
    days = open_days(heap)
    first_day = open_first_day(heap)
    first = now // DAY_US - 1
    known = first_day[0]
    if known < 0:
        first_day[0] = first
        return
    for day in range(known, min(first, known + RING_DAYS)):
        place = day % RING_DAYS
        fill(days.capacity[:, place], NOT_SET)
        fill(days.booked[:, place], 0)
    first_day[0] = max(first, known)


@kernel
def rule(heap: Addresses, node: int, day: int) -> tuple[int, int, int]:
    """(open, cut-off minute, capacity) of a node's day."""
    days = open_days(heap)
    weekdays = open_weekdays(heap)
    place, weekday = day % RING_DAYS, (day + 3) % 7  # 1970-01-01 was a Thursday
    if days.capacity[node, place] != NOT_SET:
        return (
            np.int64(days.open[node, place]),
            np.int64(days.cut_off[node, place]),
            days.capacity[node, place],
        )
    return (
        np.int64(weekdays.open[node, weekday]),
        np.int64(weekdays.cut_off[node, weekday]),
        weekdays.capacity[node, weekday],
    )


@kernel
def wanted(heap: Addresses, node: int, units: int) -> int:
    """How much of the node's capacity a package of so many units takes."""
    places = open_places(heap)
    return 1 if places.counts_orders[node] else units


@kernel
def find_day(heap: Addresses, node: int, now: int, units: int, horizon: int) -> int:
    """First day within ``horizon`` days on which the node can ship the units.

    Returns:
        The day; ``NO_DAY`` if every open day is full, ``EVERY_DAY_CLOSED`` if none is open.
    """
    days = open_days(heap)
    places = open_places(heap)
    today = local_day(heap, node, now)
    passed = now + places.offset_us[node] - places.midnight[node]
    need = wanted(heap, node, units)
    answer = EVERY_DAY_CLOSED
    for day in range(today, today + horizon):
        is_open, cut_off, capacity = rule(heap, node, day)
        if not is_open or (day == today and passed >= cut_off * MINUTE_US):
            continue
        if capacity == UNBOUNDED or days.booked[node, day % RING_DAYS] + need <= capacity:
            return day
        answer = NO_DAY
    return answer


@kernel
def book(heap: Addresses, node: int, day: int, amount: int) -> None:
    """Take capacity of a day that ``find_day`` returned."""
    days = open_days(heap)
    days.booked[node, day % RING_DAYS] += amount


@kernel
def unbook(heap: Addresses, node: int, day: int, amount: int) -> None:
    """Give capacity back; days that are past are forgotten already."""
    days = open_days(heap)
    first_day = open_first_day(heap)
    if day >= first_day[0]:
        days.booked[node, day % RING_DAYS] -= amount


@kernel
def starts_at(heap: Addresses, node: int, day: int) -> int:
    """The instant (us, UTC) at which the node's day begins."""
    places = open_places(heap)
    return day * DAY_US - places.offset_us[node]


@kernel
def load(heap: Addresses, node: int, now: int) -> float:
    """Booked share of the node's capacity for today; 0 where it is unbounded or zero."""
    days = open_days(heap)
    day = local_day(heap, node, now)
    _, _, capacity = rule(heap, node, day)
    if capacity <= 0:
        return 0.0
    return min(1.0, days.booked[node, day % RING_DAYS] / capacity)
