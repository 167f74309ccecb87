"""When a node can ship: open days, cut-offs, capacity, and a bounded ring of days."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.heap import Heap, Slot
from models.promising.calendar import (
    DAY_US,
    EVERY_DAY_CLOSED,
    MINUTE_US,
    NO_DAY,
    RING_DAYS,
    UNBOUNDED,
    book,
    find_day,
    load,
    local_day,
    new_calendar,
    resize_calendar,
    roll,
    starts_at,
    unbook,
)

MONDAY = 20_458  # 2026-01-05
NOON = MONDAY * DAY_US + 720 * MINUTE_US
HORIZON = 7


def calendar(**monday: int) -> Heap:
    """One node; what is given holds for its Mondays."""
    heap = Heap(len(Slot))
    new_calendar(heap, 1)
    rule(heap, 0, **monday)
    roll(heap.addresses, NOON)
    return heap


def rule(heap: Heap, weekday: int, **columns: int) -> None:
    for name, value in columns.items():
        heap[Slot.WEEKDAYS][0, weekday][name] = value


def day_for(heap: Heap, units: int = 1, now: int = NOON, horizon: int = HORIZON) -> int:
    return int(find_day(heap.addresses, 0, now, units, horizon))


def test_a_node_without_rules_ships_today_whatever_the_size() -> None:
    assert day_for(calendar(), 10**9) == MONDAY


def test_1970_began_on_a_thursday() -> None:
    heap = calendar(open=0)

    assert day_for(heap) == MONDAY + 1
    assert day_for(heap, now=NOON + 7 * DAY_US) == MONDAY + 8


@pytest.mark.parametrize(("minute", "day"), [(0, 1), (720, 1), (721, 0), (1440, 0)])
def test_after_the_cut_off_it_is_the_next_day(minute: int, day: int) -> None:
    assert day_for(calendar(cut_off=minute)) == MONDAY + day


def test_the_cut_off_counts_in_local_minutes() -> None:
    heap = calendar(cut_off=780)
    heap[Slot.PLACES]["offset_us"][0] = 120 * MINUTE_US

    assert day_for(heap) == MONDAY + 1


def test_the_local_day_may_be_tomorrow_or_yesterday() -> None:
    heap = calendar()

    for offset, day in ((840, 1), (0, 0), (-840, -1)):
        heap[Slot.PLACES]["offset_us"][0] = offset * MINUTE_US
        assert local_day(heap.addresses, 0, NOON) == MONDAY + day
        assert starts_at(heap.addresses, 0, MONDAY) == MONDAY * DAY_US - offset * MINUTE_US


def test_units_that_do_not_fit_today_ship_tomorrow() -> None:
    heap = calendar(capacity=5)
    book(heap.addresses, 0, MONDAY, 3)

    assert day_for(heap, 2) == MONDAY
    assert day_for(heap, 3) == MONDAY + 1


def test_an_order_takes_one_place_where_orders_are_counted() -> None:
    heap = calendar(capacity=1)
    heap[Slot.PLACES]["counts_orders"][0] = 1

    assert day_for(heap, 99) == MONDAY
    book(heap.addresses, 0, MONDAY, 1)
    assert day_for(heap, 99) == MONDAY + 1


def test_giving_back_makes_room_again() -> None:
    heap = calendar(capacity=2)
    book(heap.addresses, 0, MONDAY, 2)
    unbook(heap.addresses, 0, MONDAY, 1)

    assert day_for(heap, 1) == MONDAY


def test_full_days_and_closed_days_are_told_apart() -> None:
    heap = calendar()
    for weekday in range(7):
        rule(heap, weekday, open=0)
    assert day_for(heap) == EVERY_DAY_CLOSED

    for weekday in range(7):
        rule(heap, weekday, open=1, capacity=0)
    assert day_for(heap) == NO_DAY


def test_nothing_is_found_beyond_the_horizon() -> None:
    heap = calendar(capacity=0)

    assert day_for(heap, horizon=1) == NO_DAY
    assert day_for(heap, horizon=2) == MONDAY + 1


def test_a_rule_for_one_day_comes_before_the_weekday() -> None:
    heap = calendar(capacity=0)
    single = heap[Slot.DAYS][0, MONDAY % RING_DAYS]
    single["capacity"], single["cut_off"], single["open"] = UNBOUNDED, 1440, 1

    assert day_for(heap) == MONDAY


def test_days_that_are_past_make_way_for_days_to_come() -> None:
    heap = calendar(capacity=5)
    book(heap.addresses, 0, MONDAY, 5)
    heap[Slot.DAYS][0, MONDAY % RING_DAYS]["capacity"] = 5

    roll(heap.addresses, NOON + 2 * DAY_US)

    assert heap[Slot.DAYS][0, MONDAY % RING_DAYS]["booked"] == 0
    assert day_for(heap, 5, now=NOON + 7 * DAY_US) == MONDAY + 7


def test_yesterday_is_kept_for_nodes_behind_utc() -> None:
    heap = calendar(capacity=5)
    book(heap.addresses, 0, MONDAY, 4)

    roll(heap.addresses, NOON + DAY_US)

    assert day_for(heap, 2, now=NOON) == MONDAY + 1


def test_giving_back_a_day_that_is_past_changes_nothing() -> None:
    heap = calendar(capacity=5)
    book(heap.addresses, 0, MONDAY, 5)
    roll(heap.addresses, NOON + 3 * DAY_US)

    unbook(heap.addresses, 0, MONDAY, 5)

    assert not heap[Slot.DAYS]["booked"].any()


def test_time_that_goes_back_forgets_nothing() -> None:
    heap = calendar(capacity=5)
    roll(heap.addresses, NOON + 5 * DAY_US)
    book(heap.addresses, 0, MONDAY + 7, 5)

    roll(heap.addresses, NOON)

    assert day_for(heap, 1, now=NOON + 7 * DAY_US) == MONDAY + 8


def test_a_leap_over_the_whole_ring_forgets_everything() -> None:
    heap = calendar()
    for day in range(MONDAY, MONDAY + 60):
        book(heap.addresses, 0, day, 1)

    roll(heap.addresses, NOON + 3 * RING_DAYS * DAY_US)

    assert not heap[Slot.DAYS]["booked"].any()


def test_more_nodes_leave_the_bookings_of_the_others() -> None:
    heap = calendar(capacity=5)
    book(heap.addresses, 0, MONDAY, 5)

    resize_calendar(heap, 3)

    assert day_for(heap) == MONDAY + 1
    assert find_day(heap.addresses, 2, NOON, 10**6, HORIZON) == MONDAY


def test_load_is_the_booked_share_of_today() -> None:
    heap = calendar(capacity=8)
    book(heap.addresses, 0, MONDAY, 2)

    assert load(heap.addresses, 0, NOON) == 0.25
    assert load(heap.addresses, 0, NOON + DAY_US) == 0.0


def test_load_is_never_above_one() -> None:
    heap = calendar(capacity=1)
    book(heap.addresses, 0, MONDAY, 2)

    assert load(heap.addresses, 0, NOON) == 1.0


@given(sizes=st.lists(st.integers(1, 6), max_size=40), capacity=st.integers(1, 6))
def test_no_day_is_ever_booked_above_its_capacity(sizes: list[int], capacity: int) -> None:
    heap = calendar()
    for weekday in range(7):
        rule(heap, weekday, capacity=capacity)

    for size in sizes:
        day = day_for(heap, size, horizon=60)
        if day >= 0:
            book(heap.addresses, 0, day, size)

    assert heap[Slot.DAYS]["booked"].max() <= capacity
