"""What no stock serves: planned supply, waiting, and being served when stock arrives."""

import pytest

from schemas.codes import TempClass
from schemas.envelope import Event
from tests.support.builders import (
    DAY,
    HOUR,
    adjusted,
    amended,
    at,
    cancelled,
    counted,
    instant,
    lane,
    line,
    node,
    order,
    policy,
    received,
    returned,
    route,
    supply,
)


def test_a_node_that_cannot_keep_one_line_still_gets_supply_for_another() -> None:
    frozen = [TempClass.FROZEN]
    rows = route(
        node("A"),
        node("F", temp_classes=frozen),
        lane("A"),
        lane("F", temp_classes=frozen),
        counted("F", {"ICE": 1}),
        supply("p-1", "A", {"S1": 1}),
        order("o-1", line("S1"), line("ICE", temp_class=TempClass.FROZEN)),
    )

    decision = rows.decision()
    assert decision["outcome"] == "PARTIALLY_ROUTED"
    assert decision["units_backordered"] == 1
    assert decision["units_unserved"] == 0


def one_node(stock: int = 0) -> list[Event]:
    """A node whose stock was counted before anything else happened."""
    return [node("A"), lane("A"), counted("A", {"S1": stock, "S2": 0}, when=at(-HOUR))]


def test_what_is_not_there_is_backordered_against_planned_supply() -> None:
    rows = route(*one_node(), supply("p-1", "A", {"S1": 3}, due=DAY), order("o-1", ("S1", 2)))

    decision = rows.decision()
    assert decision["outcome"] == "BACKORDERED"
    assert decision["units_backordered"] == 2
    assert decision["backorder_due_at"] == instant(DAY)
    assert [(a["event"], a["qty"], a["node"]) for a in rows.allocations] == [("planned", 2, "A")]
    assert rows.codes() == []


def test_planned_supply_is_promised_once() -> None:
    rows = route(
        *one_node(),
        supply("p-1", "A", {"S1": 3}),
        order("o-1", ("S1", 2)),
        order("o-2", ("S1", 2)),
        order("o-3", ("S1", 1)),
    )

    assert rows.decision("o-2")["units_backordered"] == 1
    assert rows.decision("o-2")["units_unserved"] == 1
    assert rows.outcomes("o-3") == ["UNROUTABLE"]


def test_the_earliest_supply_is_promised_first() -> None:
    rows = route(
        *one_node(),
        supply("late", "A", {"S1": 5}, due=9 * DAY),
        supply("early", "A", {"S1": 1}, due=2 * DAY),
        order("o-1", ("S1", 1)),
        order("o-2", ("S1", 1)),
    )

    assert rows.decision("o-1")["backorder_due_at"] == instant(2 * DAY)
    assert rows.decision("o-2")["backorder_due_at"] == instant(9 * DAY)


def test_withdrawn_supply_is_promised_to_nobody() -> None:
    rows = route(*one_node(), supply("p-1", "A", {"S1": 5}), supply("p-1", "A", {"S1": 0}), order())

    assert rows.outcomes() == ["UNROUTABLE"]


def test_supply_at_a_node_that_cannot_reach_the_customer_is_not_promised() -> None:
    rows = route(*one_node(), node("B"), supply("p-1", "B", {"S1": 5}), order())

    assert rows.outcomes() == ["UNROUTABLE"]


def test_what_arrives_goes_to_the_higher_priority_then_to_the_older_order() -> None:
    rows = route(
        *one_node(),
        supply("p-1", "A", {"S1": 4}),
        order("old", priority=5),
        order("low", priority=1),
        order("young", priority=5),
        order("high", priority=9),
        received("p-1", "A", {"S1": 3}),
    )

    served = [d["order_id"] for d in rows.decisions if d["trigger"] == "STOCK_ARRIVED"]
    assert served == ["high", "old", "young"]
    assert rows.outcomes("low") == ["BACKORDERED"]


def test_an_older_order_that_cannot_be_served_yet_does_not_hold_up_a_younger_one() -> None:
    rows = route(
        *one_node(),
        supply("p-1", "A", {"S1": 9}),
        order("big", ("S1", 5)),
        order("small", ("S1", 2)),
        received("p-1", "A", {"S1": 3}),
    )

    assert rows.outcomes("big") == ["BACKORDERED"]
    assert rows.outcomes("small") == ["BACKORDERED", "FULLY_ROUTED"]


def test_a_served_backorder_gives_its_promise_back_and_reserves() -> None:
    rows = route(
        *one_node(),
        supply("p-1", "A", {"S1": 2}),
        order("o-1", ("S1", 2)),
        received("p-1", "A", {"S1": 2}),
    )

    assert [a["event"] for a in rows.allocations] == ["planned", "unplanned", "placed"]
    assert rows.decision()["trigger"] == "STOCK_ARRIVED"
    assert rows.decision()["kind"] == "ROUTE"
    assert rows.decision()["units_served"] == 2


def test_a_partial_order_ships_what_there_is_and_waits_for_the_rest() -> None:
    rows = route(
        *one_node(1),
        supply("p-1", "A", {"S1": 9}),
        order("o-1", ("S1", 3)),
        received("p-1", "A", {"S1": 2}),
    )

    assert rows.outcomes() == ["PARTIALLY_ROUTED", "FULLY_ROUTED"]
    first, second = rows.decisions
    assert (first["units_served"], first["units_backordered"]) == (1, 2)
    assert (second["units_served"], second["units_ordered"]) == (2, 3)


def test_what_no_supply_covers_stays_unserved_and_is_said_once() -> None:
    rows = route(*one_node(1), supply("p-1", "A", {"S1": 1}), order("o-1", ("S1", 5)))

    decision = rows.decision()
    parts = ("units_served", "units_backordered", "units_unserved")
    assert [decision[p] for p in parts] == [1, 1, 3]
    assert [(e["code"], e["qty"]) for e in rows.exceptions] == [("UNROUTABLE", 3)]


def test_an_order_that_must_not_be_split_waits_for_one_node_to_have_it_all() -> None:
    rows = route(
        *one_node(1),
        node("B"),
        lane("B"),
        counted("B", {"S2": 1}),
        supply("p-1", "A", {"S2": 1}),
        order("o-1", ("S1", 1), ("S2", 1), no_split=True),
        received("p-1", "A", {"S2": 1}),
    )

    assert rows.outcomes() == ["BACKORDERED", "FULLY_ROUTED"]
    assert rows.decisions[0]["units_backordered"] == 2
    assert [a["qty"] for a in rows.allocations if a["event"] == "planned"] == [1]
    assert rows.decision()["nodes"] == ["A"]


def test_an_order_that_no_node_will_ever_have_all_of_is_unroutable_unsplit() -> None:
    rows = route(
        *one_node(1),
        node("B"),
        lane("B"),
        counted("B", {"S2": 1}),
        order("o-1", ("S1", 1), ("S2", 1), no_split=True),
    )

    assert rows.outcomes() == ["UNROUTABLE"]
    assert rows.held() == {}


def test_without_partial_shipments_an_order_waits_for_its_last_unit() -> None:
    rows = route(
        policy("version: p\nlimits: {allow_partial: false}\n"),
        *one_node(1),
        supply("p-1", "A", {"S1": 1}),
        order("o-1", ("S1", 2)),
        received("p-1", "A", {"S1": 1}),
    )

    assert rows.outcomes() == ["BACKORDERED", "FULLY_ROUTED"]
    assert rows.decisions[0]["units_served"] == 0


@pytest.mark.parametrize("event", ["count", "adjustment", "return", "cancellation", "amendment"])
def test_whatever_frees_stock_serves_who_waits(event: str) -> None:
    frees = {
        "count": counted("A", {"S1": 3}),
        "adjustment": adjusted("A", {"S1": 2}),
        "return": returned("A", {"S1": 2}),
        "cancellation": cancelled("holder"),
        "amendment": amended("holder", ("S2", 1)),
    }
    rows = route(
        *one_node(2),
        order("holder", ("S1", 2)),
        supply("p-1", "A", {"S1": 2}),
        order("waiter", ("S1", 1)),
        frees[event],
    )

    assert rows.outcomes("waiter") == ["BACKORDERED", "FULLY_ROUTED"]


def test_goods_that_cannot_be_sold_again_serve_nobody() -> None:
    rows = route(
        *one_node(),
        supply(),
        order(),
        returned("A", {"S1": 2}, restock=False),
    )

    assert rows.outcomes() == ["BACKORDERED"]


def test_a_cancelled_backorder_is_not_served() -> None:
    rows = route(*one_node(), supply(), order(), cancelled(), adjusted("A", {"S1": 5}))

    assert rows.outcomes() == ["BACKORDERED", "CANCELLED"]
    assert [a["event"] for a in rows.allocations] == ["planned", "unplanned"]


def test_cancelled_units_are_the_waiting_ones_first() -> None:
    rows = route(
        *one_node(2),
        supply("p-1", "A", {"S1": 2}),
        order("o-1", ("S1", 4)),
        cancelled("o-1", {1: 1}),
        adjusted("A", {"S1": 9}),
    )

    assert rows.held() == {("o-1", 1, "A"): 2 + 1}
    assert rows.outcomes() == ["PARTIALLY_ROUTED", "PARTIALLY_ROUTED", "FULLY_ROUTED"]


def test_two_waiting_lines_of_one_sku_are_served_together() -> None:
    rows = route(
        *one_node(),
        supply("p-1", "A", {"S1": 4}),
        order("o-1", ("S1", 2), ("S1", 2)),
        order("o-2", ("S1", 1)),
        adjusted("A", {"S1": 3}),
        adjusted("A", {"S1": 1}),
        adjusted("A", {"S1": 1}),
    )

    assert rows.held()[("o-1", 1, "A")] == rows.held()[("o-1", 2, "A")] == 2
    assert [d["position"] for d in rows.decisions if d["order_id"] == "o-1"] == [4, 7]


def test_a_receipt_uses_up_the_supply_it_names() -> None:
    rows = route(
        *one_node(),
        supply("p-1", "A", {"S1": 5}),
        received("p-1", "A", {"S1": 4}),
        order("o-1", ("S1", 4)),
        order("o-2", ("S1", 2)),
    )

    assert rows.outcomes("o-1") == ["FULLY_ROUTED"]
    assert rows.decision("o-2")["units_backordered"] == 1


def test_an_order_that_waits_for_less_is_tried_again() -> None:
    rows = route(
        *one_node(3),
        supply("p-1", "A", {"S1": 2}),
        order("o-1", ("S1", 5), no_split=True),
        cancelled("o-1", {1: 2}),
    )

    assert rows.outcomes() == ["BACKORDERED", "BACKORDERED", "FULLY_ROUTED"]
    assert rows.held() == {("o-1", 1, "A"): 3}
