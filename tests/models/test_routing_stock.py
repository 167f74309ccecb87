"""Stock as the router learns of it: counts, adjustments, returns, and what is published."""

from schemas.envelope import Event
from tests.support.builders import (
    HOUR,
    Rows,
    adjusted,
    at,
    cancelled,
    counted,
    lane,
    node,
    order,
    policy,
    returned,
    route,
    supply,
    tick,
)


def one_node(stock: int = 9) -> list[Event]:
    """A node whose stock was counted an hour before anything else happened."""
    return [node("A"), lane("A"), counted("A", {"S1": stock}, when=at(-HOUR))]


def published(rows: Rows, sku: str = "S1") -> list[tuple[int, int, int, int]]:
    """On hand, reserved, safety and available of the SKU, each time it was published."""
    names = ("on_hand", "reserved", "safety_stock", "available")
    return [tuple(s[n] for n in names) for s in rows.stock if s["sku"] == sku]


def test_a_count_below_what_is_reserved_is_reported_and_the_rest_taken_back() -> None:
    rows = route(
        *one_node(5),
        order("o-1", ("S1", 4)),
        counted("A", {"S1": 3}),
        order("o-2"),
        tick(HOUR),
    )

    (deviation,) = [e for e in rows.exceptions if e["code"] == "OVERSELL_DETECTED"]
    assert (deviation["node"], deviation["sku"], deviation["severity"]) == ("A", "S1", "high")
    assert rows.held() == {("o-1", 1, "A"): 3}
    assert rows.outcomes("o-1") == ["FULLY_ROUTED", "PARTIALLY_ROUTED"]
    assert rows.outcomes("o-2") == ["UNROUTABLE"]
    assert published(rows) == [(3, 3, 0, 0)]


def test_a_count_older_than_the_newest_is_ignored() -> None:
    rows = route(*one_node(5), counted("A", {"S1": 7}, when=at(-2 * HOUR, learnt=0)), tick(HOUR))

    assert rows.codes() == ["LATE_EVENT"]
    assert published(rows) == [(5, 0, 0, 5)]


def test_a_count_of_the_same_time_replaces_the_other() -> None:
    rows = route(*one_node(5), counted("A", {"S1": 7}, when=at(-HOUR)), tick(HOUR))

    assert published(rows) == [(7, 0, 0, 7)]


def test_an_adjustment_older_than_the_count_is_in_it_already() -> None:
    rows = route(
        *one_node(5),
        adjusted("A", {"S1": 3}, when=at(-2 * HOUR, learnt=0)),
        adjusted("A", {"S1": 1}, when=at(-HOUR, learnt=0)),
        tick(HOUR),
    )

    assert rows.codes() == ["LATE_EVENT", "LATE_EVENT"]
    assert published(rows) == [(5, 0, 0, 5)]


def test_an_adjustment_below_zero_leaves_zero_and_says_so() -> None:
    rows = route(*one_node(5), adjusted("A", {"S1": -8}), tick(HOUR))

    assert [(e["code"], e["qty"]) for e in rows.exceptions] == [("INVENTORY_DRIFT", -8)]
    assert published(rows) == [(0, 0, 0, 0)]


def test_more_units_than_a_cell_can_hold_are_a_dead_letter() -> None:
    rows = route(
        *one_node(1_000_000_000),
        adjusted("A", {"S1": 1_000_000_000}),
        adjusted("A", {"S1": 1}),
        tick(HOUR),
    )

    assert rows.reasons() == ["QUANTITY_OVERFLOW"]
    assert published(rows) == [(2_000_000_000, 0, 0, 2_000_000_000)]


def test_stock_at_an_unknown_node_is_a_dead_letter() -> None:
    log = [counted("B"), adjusted("B"), returned("B"), supply("p-1", "B")]

    rows = route(*one_node(), *log)

    assert rows.reasons() == ["UNKNOWN_NODE"] * 4
    assert [d["kind"] for d in rows.dead_letters] == [
        "inventory.counted",
        "inventory.adjusted",
        "return.received",
        "supply.planned",
    ]


def test_only_goods_that_can_be_sold_again_go_back_to_the_stock() -> None:
    rows = route(
        *one_node(5),
        returned("A", {"S1": 2}),
        returned("A", {"S1": 4}, restock=False),
        tick(HOUR),
    )

    assert published(rows) == [(7, 0, 0, 7)]


def test_stock_is_published_when_the_clock_crosses_the_policy_interval() -> None:
    rows = route(
        policy("version: p\nwindows: {stock_publish_minutes: 30}\n"),
        *one_node(5),
        tick(60),
        order("o-1"),
        tick(20 * 60),
        tick(31 * 60),
        tick(32 * 60),
        tick(65 * 60),
    )

    assert [(s["position"], s["reserved"]) for s in rows.stock] == [(4, 0), (7, 1)]


def test_a_cell_changed_often_is_published_once_as_it_is_last() -> None:
    rows = route(*one_node(5), order("o-1"), order("o-2"), cancelled("o-1"), tick(HOUR))

    assert published(rows) == [(5, 1, 0, 4)]


def test_safety_stock_is_that_of_the_newest_count() -> None:
    rows = route(*one_node(5), counted("A", {"S1": 5}, safety=5), order("o-1"))

    assert rows.outcomes() == ["UNROUTABLE"]


def test_the_last_unit_is_sold_once() -> None:
    rows = route(*one_node(1), *(order(f"o-{i}") for i in range(500)))

    assert [d["outcome"] for d in rows.decisions].count("FULLY_ROUTED") == 1
    assert rows.held() == {("o-0", 1, "A"): 1}


def test_a_cell_survives_more_skus_and_nodes_than_there_was_room_for() -> None:
    many = {f"X{i}": 1 for i in range(600)}
    nodes = [event for i in range(20) for event in (node(f"N{i}"), lane(f"N{i}", cost=900))]
    rows = route(
        *one_node(3), order("o-1", ("S1", 2)), counted("A", many), *nodes, order("o-2"), tick(HOUR)
    )

    assert rows.decision("o-2")["nodes"] == ["A"]
    assert published(rows) == [(3, 3, 0, 0)]
    assert published(rows, "X599") == [(1, 0, 0, 1)]
