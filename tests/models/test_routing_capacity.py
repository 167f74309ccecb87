"""Days, cut-offs and daily capacity of nodes, as decisions meet them."""

from datetime import timedelta

from schemas.codes import CapacityMeasure
from tests.support.builders import (
    START,
    cancelled,
    capacity,
    counted,
    handed_over,
    lane,
    node,
    order,
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


TODAY = START.date()
TOMORROW = TODAY + timedelta(days=1)
