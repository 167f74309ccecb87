"""Days, cut-offs and daily capacity of nodes, as decisions meet them."""

from datetime import date, timedelta

import pytest

from schemas.codes import CapacityMeasure, Exclusion
from schemas.envelope import Event
from tests.support.builders import (
    HOUR,
    START,
    Rows,
    at,
    cancelled,
    capacity,
    counted,
    handed_over,
    lane,
    node,
    order,
    policy,
    route,
)


def test_a_package_that_left_in_part_keeps_its_place_in_the_day() -> None:
    rows = route(
        node("A"),
        lane("A"),
        capacity("A", 1, CapacityMeasure.ORDERS),
        counted("A", {"S1": 9, "S2": 9}),
        order("o-1", ("S1", 1), ("S2", 1)),
        handed_over("o-1", "A", {2: 1}),
        cancelled("o-1", {1: 1}),
        order("o-2", ("S1", 1)),
    )

    assert [a["ship_date"] for a in rows.allocations if a["order_id"] == "o-2"] == [TOMORROW]


def test_units_beyond_the_capacity_of_a_day_ship_the_next_day() -> None:
    rows = route(*one_node(), capacity("A", 3), order("o-1", ("S1", 2)), order("o-2", ("S1", 2)))

    assert ship_dates(rows) == {"o-1": [TODAY], "o-2": [TOMORROW]}
    assert rows.decision("o-2")["time_minor"] == 24 + 8 + 15  # 15 hours until tomorrow begins


def test_capacity_in_orders_counts_packages_of_any_size() -> None:
    rows = route(
        *one_node(),
        capacity("A", 2, CapacityMeasure.ORDERS),
        *(order(f"o-{i}", ("S1", 9)) for i in range(3)),
    )

    assert ship_dates(rows) == {"o-0": [TODAY], "o-1": [TODAY], "o-2": [TOMORROW]}


def test_two_lines_of_a_package_take_one_place() -> None:
    rows = route(
        *one_node(),
        capacity("A", 2, CapacityMeasure.ORDERS),
        order("o-1", ("S1", 1), ("S2", 1)),
        order("o-2", ("S1", 1), ("S2", 1)),
        order("o-3"),
    )

    assert ship_dates(rows)["o-2"] == [TODAY, TODAY]
    assert ship_dates(rows)["o-3"] == [TOMORROW]


def test_a_package_is_never_spread_over_two_days() -> None:
    rows = route(*one_node(), capacity("A", 5), order("o-1", ("S1", 3)), order("o-2", ("S1", 3)))

    assert ship_dates(rows) == {"o-1": [TODAY], "o-2": [TOMORROW]}


def test_a_full_horizon_is_capacity_exhausted() -> None:
    rows = route(
        policy("version: p\nlimits: {booking_horizon_days: 2}\n"),
        *one_node(),
        capacity("A", 1),
        order("o-1"),
        order("o-2"),
        order("o-3"),
    )

    assert rows.outcomes("o-3") == ["UNROUTABLE"]
    assert rows.codes() == ["CAPACITY_EXHAUSTED"]
    assert rows.excluded(0, "o-3") == Exclusion.X_CAPACITY


def test_a_node_that_is_full_leaves_the_order_to_a_dearer_one() -> None:
    rows = route(
        *one_node(),
        node("B"),
        lane("B", cost=900),
        counted("B"),
        capacity("A", 0),
        order(),
    )

    assert rows.decision()["nodes"] == ["B"]
    assert rows.excluded(0) == Exclusion.X_CAPACITY


def test_after_the_cut_off_an_order_ships_the_next_day() -> None:
    log = [*one_node(), capacity("A", cut_off_minute=10 * 60)]
    early, late = at(59 * 60), at(60 * 60)  # the day of the test begins at nine

    rows = route(*log, order("o-1", when=early), order("o-2", when=late))

    assert ship_dates(rows) == {"o-1": [TODAY], "o-2": [TOMORROW]}


def test_days_on_which_every_node_is_closed_are_said_to_be_past_the_cut_off() -> None:
    rows = route(*one_node(), capacity("A", open=False), order())

    assert rows.outcomes() == ["UNROUTABLE"]
    assert rows.excluded(0) == Exclusion.X_CUTOFF


def test_closed_weekdays_are_skipped() -> None:
    rows = route(*one_node(), capacity("A", open=False, weekdays=[1, 2]), order())

    assert ship_dates(rows) == {"o-1": [TODAY + timedelta(days=2)]}


def test_a_rule_for_one_day_comes_before_the_weekdays() -> None:
    rows = route(
        *one_node(),
        capacity("A", open=False),
        capacity("A", 1, day=TOMORROW),
        order("o-1"),
        order("o-2"),
    )

    assert ship_dates(rows) == {"o-1": [TOMORROW]}
    assert rows.outcomes("o-2") == ["UNROUTABLE"]


def test_the_day_is_the_local_one() -> None:
    rows = route(
        node("A", utc_offset_minutes=840),
        lane("A"),
        counted("A"),
        order("o-1", when=at(HOUR)),
    )

    assert ship_dates(rows) == {"o-1": [TOMORROW]}


def test_a_cancelled_order_gives_its_place_back() -> None:
    rows = route(*one_node(), capacity("A", 1), order("o-1"), cancelled("o-1"), order("o-2"))

    assert ship_dates(rows)["o-2"] == [TODAY]


def test_a_package_cancelled_in_part_keeps_its_place() -> None:
    rows = route(
        *one_node(),
        capacity("A", 1, CapacityMeasure.ORDERS),
        order("o-1", ("S1", 1), ("S2", 1)),
        cancelled("o-1", {1: 1}),
        order("o-2"),
        cancelled("o-1", {2: 1}),
        order("o-3"),
    )

    assert ship_dates(rows)["o-2"] == [TOMORROW]
    assert ship_dates(rows)["o-3"] == [TODAY]


def test_units_handed_over_have_used_their_place() -> None:
    rows = route(*one_node(), capacity("A", 1), order("o-1"), handed_over("o-1"), order("o-2"))

    assert ship_dates(rows)["o-2"] == [TOMORROW]


@pytest.mark.parametrize("hours_east", [-8, 0, 8])
def test_a_day_is_over_when_it_is_over_at_the_node(hours_east: int) -> None:
    place = node("A", utc_offset_minutes=60 * hours_east)

    rows = route(place, lane("A"), counted("A", {"S1": 9}), order("o-1", ("S1", 1)))

    (placed,) = rows.allocations
    there = placed["ship_by_at"] + timedelta(hours=hours_east)
    assert there.date() == placed["ship_date"] + timedelta(days=1)
    assert (there.hour, there.minute) == (0, 0)


def test_capacity_of_an_unknown_node_is_a_dead_letter() -> None:
    rows = route(*one_node(), capacity("B", 1))

    assert rows.reasons() == ["UNKNOWN_NODE"]
    assert "node B" in rows.dead_letters[0]["detail"]


@pytest.mark.parametrize("days", [-2, 399])
def test_a_day_outside_the_calendar_is_a_dead_letter(days: int) -> None:
    rows = route(*one_node(), capacity("A", 1, day=TODAY + timedelta(days=days)))

    assert rows.reasons() == ["QUANTITY_OVERFLOW"]


def one_node() -> list[Event]:
    return [node("A"), lane("A"), counted("A", {"S1": 99, "S2": 99})]


def ship_dates(rows: Rows) -> dict[str, list[date]]:
    """Days of the reserved units, by order."""
    days: dict[str, list[date]] = {}
    for row in rows.allocations:
        if row["event"] == "placed":
            days.setdefault(row["order_id"], []).append(row["ship_date"])
    return days


TODAY = START.date()
TOMORROW = TODAY + timedelta(days=1)
