"""Between the offer and the hand-over: refusals, corrections, closures, silence, reviews and proposals."""

import pytest

from schemas.codes import CapacityMeasure, RerouteReason, Verdict
from schemas.envelope import Event
from tests.support.builders import (
    HOUR,
    Rows,
    accepted,
    at,
    capacity,
    counted,
    handed_over,
    lane,
    node,
    order,
    packed,
    payment,
    picked,
    policy,
    prices,
    proposed,
    rejected,
    reroute_wanted,
    reviewed,
    route,
    short_picked,
    tick,
)


def network(units: int = 10, **costs: float) -> list[Event]:
    """Nodes with a lane each, cheapest first unless said, and so many units everywhere."""
    chosen = costs or {"A": 500.0, "B": 600.0, "C": 700.0}
    log: list[Event] = []
    for name, cost in chosen.items():
        log += [node(name), lane(name, cost=cost), counted(name, {"S1": units, "S2": units})]
    return log


def last(rows: Rows, order_id: str = "o-1") -> tuple[str, str, list[str]]:
    row = rows.decision(order_id)
    return row["trigger"], row["outcome"], row["nodes"]


# Attempts and reviews -----------------------------------------------------------------------------


def test_the_third_refusal_goes_to_a_person() -> None:
    rows = route(
        *network(),
        order(),
        rejected("o-1", "A"),
        rejected("o-1", "B"),
        short_picked("o-1", "C"),
    )

    assert [d["attempts"] for d in rows.decisions] == [0, 1, 2, 3]
    assert last(rows) == ("R_SHORT_PICK", "HELD_FOR_REVIEW", [])
    assert rows.decision()["hold_reason"] == "REPEATED_REJECTION"
    assert rows.held() == {}


def test_a_policy_says_how_many_refusals_are_borne() -> None:
    strict = policy("version: strict\nlimits: {max_attempts: 1}\n")

    rows = route(*network(), strict, order(), rejected("o-1", "A"))

    assert last(rows) == ("R_REJECTED", "HELD_FOR_REVIEW", [])


def test_a_person_lets_a_held_order_be_routed_and_the_count_begins_anew() -> None:
    strict = policy("version: strict\nlimits: {max_attempts: 1}\n")

    rows = route(*network(), strict, order(), rejected("o-1", "A"), reviewed("o-1"))

    assert last(rows) == ("R_OPERATOR", "FULLY_ROUTED", ["B"])
    assert rows.decision()["attempts"] == 0


def test_a_person_may_choose_a_node_that_refused() -> None:
    rows = route(*network(), order(), rejected("o-1", "A"), reviewed("o-1", Verdict.ASSIGN, "A"))

    assert last(rows) == ("R_OPERATOR", "FULLY_ROUTED", ["A"])
    assert rows.decision()["selection"] == "S_HUMAN"
    assert rows.held() == {("o-1", 1, "A"): 1}


def test_a_person_may_cancel() -> None:
    rows = route(*network(), order(), reviewed("o-1", Verdict.CANCEL))

    assert last(rows) == ("R_OPERATOR", "CANCELLED", [])
    assert rows.held() == {}


def test_a_review_does_not_stand_in_for_the_money() -> None:
    unpaid = order("o-1", payment="pending")

    rows = route(*network(), unpaid, reviewed("o-1"), payment("o-1"))

    assert rows.outcomes() == ["HELD_FOR_REVIEW", "FULLY_ROUTED"]
    assert rows.codes() == ["STATE_REGRESSION"]


def test_money_does_not_release_what_a_person_is_to_decide() -> None:
    strict = policy("version: strict\nlimits: {max_attempts: 1}\n")

    rows = route(*network(), strict, order(), rejected("o-1", "A"), payment("o-1"))

    assert rows.outcomes() == ["FULLY_ROUTED", "HELD_FOR_REVIEW"]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (reviewed("o-9"), "UNKNOWN_ORDER"),
        (reviewed("o-1", Verdict.ASSIGN, "Z"), "UNKNOWN_NODE"),
        (reroute_wanted("o-9"), "UNKNOWN_ORDER"),
        (reroute_wanted("o-1", "Z"), "UNKNOWN_NODE"),
        (proposed("o-9"), "UNKNOWN_ORDER"),
        (accepted("o-9"), "UNKNOWN_ORDER"),
    ],
)
def test_a_wish_about_nothing_is_a_dead_letter(record: Event, reason: str) -> None:
    rows = route(*network(), order(), record)

    assert rows.reasons() == [reason]
    assert len(rows.decisions) == 1


def test_progress_with_units_that_are_elsewhere_is_shown_and_changes_nothing() -> None:
    rows = route(
        *network(), order(), picked("o-1", "B"), handed_over("o-1", "A"), packed("o-1", "A")
    )

    assert rows.codes() == ["STATE_REGRESSION", "STATE_REGRESSION"]
    assert rows.reasons() == []


# Stock that is not there --------------------------------------------------------------------------


def test_a_correction_takes_from_the_lowest_priority_and_of_those_from_the_youngest() -> None:
    rows = route(
        *network(A=500.0),
        order("o-1", ("S1", 2), priority=5),
        order("o-2", ("S1", 3), priority=1),
        order("o-3", ("S1", 2), priority=5),
        order("o-4", ("S1", 3), priority=5),
        counted("A", {"S1": 5}, when=at(60)),
    )

    held = {name: units for (name, _, _), units in rows.held().items()}
    assert held == {"o-1": 2, "o-3": 2, "o-4": 1}
    assert last(rows, "o-2") == ("R_STOCK_CORRECTION", "UNROUTABLE", [])
    assert last(rows, "o-4") == ("R_STOCK_CORRECTION", "PARTIALLY_ROUTED", [])
    (oversold,) = [e for e in rows.exceptions if e["code"] == "OVERSELL_DETECTED"]
    assert (oversold["node"], oversold["sku"]) == ("A", "S1")


def test_what_a_correction_takes_back_is_routed_elsewhere_at_once() -> None:
    rows = route(*network(), order("o-1", ("S1", 4)), counted("A", {"S1": 1}, when=at(60)))

    assert rows.held() == {("o-1", 1, "A"): 1, ("o-1", 1, "B"): 3}


def test_picked_units_stay_where_they_are() -> None:
    rows = route(
        *network(A=500.0),
        order("o-1", ("S1", 2)),
        picked("o-1", "A"),
        order("o-2", ("S1", 2), priority=9),
        counted("A", {"S1": 2}, when=at(60)),
    )

    assert rows.held() == {("o-1", 1, "A"): 2}


def test_a_hand_over_of_units_that_the_books_lack_takes_back_the_others() -> None:
    rows = route(
        *network(A=500.0, B=900.0),
        order("o-1", ("S1", 4)),
        order("o-2", ("S1", 6)),
        counted("A", {"S1": 3}, when=at(60)),
        handed_over("o-1", "A", when=at(120)),
    )

    held = {(name, place): units for (name, _, place), units in rows.held().items()}
    assert held == {("o-2", "B"): 6, ("o-1", "B"): 1}


# Closures -----------------------------------------------------------------------------------------


def test_a_closed_node_gives_back_what_it_has_not_picked() -> None:
    rows = route(
        *network(),
        order("o-1"),
        order("o-2"),
        picked("o-2", "A"),
        node("A", open=False, when=at(60)),
    )

    assert last(rows, "o-1") == ("NODE_CLOSED", "FULLY_ROUTED", ["B"])
    assert last(rows, "o-2")[0] == "NEW_ORDER"
    assert rows.held() == {("o-1", 1, "B"): 1, ("o-2", 1, "A"): 1}


def test_a_carrier_that_fails_has_its_packages_sent_another_way() -> None:
    other = lane("A", cost=550.0, lane_id="A>R1/fast", carrier="fast")

    rows = route(*network(), other, order(), lane("A", cost=500.0, open=False, when=at(60)))

    assert last(rows) == ("R_CARRIER_FAIL", "FULLY_ROUTED", ["A"])
    assert rows.decision()["lane_ids"] == ["A>R1/fast"]


def test_capacity_that_is_cut_takes_back_the_youngest() -> None:
    rows = route(
        *network(),
        capacity("A", 6, CapacityMeasure.UNITS),
        *(order(f"o-{i}", ("S1", 2)) for i in range(1, 4)),
        capacity("A", 4, CapacityMeasure.UNITS, when=at(60)),
    )

    held = {name: place for name, _, place in rows.held()}
    assert held == {"o-1": "A", "o-2": "A", "o-3": "A"}
    assert last(rows, "o-3")[0] == "CAPACITY_CUT"
    ships = {r["order_id"]: r["ship_date"] for r in rows.allocations if r["event"] == "placed"}
    assert ships["o-3"] > ships["o-1"]


def test_a_node_that_turns_to_counting_orders_keeps_what_is_booked() -> None:
    rows = route(
        *network(A=500.0),
        capacity("A", 10, CapacityMeasure.UNITS),
        order("o-1", ("S1", 5)),
        capacity("A", 2, CapacityMeasure.ORDERS, when=at(60)),
        order("o-2"),
        order("o-3"),
    )

    first, second, third = (r["ship_date"] for r in rows.allocations if r["event"] == "placed")
    assert first == second < third


# Silence ------------------------------------------------------------------------------------------


def test_work_that_nobody_accepts_in_time_goes_elsewhere() -> None:
    patient = policy("version: p\nwindows: {accept_within_hours: 2}\n")

    rows = route(
        *network(),
        patient,
        tick(0),
        order("o-1"),
        order("o-2"),
        accepted("o-2", "A"),
        tick(2 * HOUR - 1),
        tick(2 * HOUR + 61),
    )

    assert last(rows, "o-1") == ("R_TIMEOUT", "FULLY_ROUTED", ["B"])
    assert rows.decision("o-1")["attempts"] == 1
    assert last(rows, "o-2")[0] == "NEW_ORDER"
    assert rows.codes() == ["NODE_TIMEOUT"]


# Wishes to decide again ---------------------------------------------------------------------------


def test_an_operator_has_an_order_leave_a_node() -> None:
    rows = route(*network(), order(), reroute_wanted("o-1", "A", blocking=True))

    assert last(rows) == ("R_OPERATOR", "FULLY_ROUTED", ["B"])


def test_the_tracker_says_why_an_order_is_to_be_decided_again() -> None:
    risk = RerouteReason.R_PROMISE_AT_RISK

    rows = route(*network(), order(), reroute_wanted("o-1", reason=risk))

    assert last(rows) == ("R_PROMISE_AT_RISK", "FULLY_ROUTED", ["A"])


# Proposals ----------------------------------------------------------------------------------------


def at_a_price(price: int) -> list[Event]:
    """An order that was given to A; then the stock there got a price."""
    return [*network(), order("o-1", ("S1", 2)), prices({("A", "S1"): price})]


def test_a_better_plan_replaces_the_one_that_stands() -> None:
    log = at_a_price(200)

    rows = route(*log, proposed("o-1", {"B": []}, decision=len(log) - 2))

    assert last(rows) == ("R_BETTER_PLAN", "FULLY_ROUTED", ["B"])
    assert rows.decision()["runner_up_nodes"] == ["A"]
    assert rows.decision()["margin_minor"] == 300
    assert rows.held() == {("o-1", 1, "B"): 2}


def test_a_plan_that_saves_too_little_is_void() -> None:
    log = at_a_price(70)  # saves 140 - 100

    rows = route(*log, proposed("o-1", {"B": []}, decision=len(log) - 2))

    assert len(rows.decisions) == 1
    assert rows.codes() == ["PLAN_VOID"]
    assert rows.held() == {("o-1", 1, "A"): 2}


@pytest.mark.parametrize("progress", [accepted, picked])
def test_a_plan_for_released_work_is_void(progress: object) -> None:
    log = [*at_a_price(200), progress("o-1", "A")]  # type: ignore[operator]

    rows = route(*log, proposed("o-1", {"B": []}, decision=len(log) - 3))

    assert rows.codes() == ["PLAN_VOID"]


def test_a_plan_made_for_an_older_decision_is_void() -> None:
    log = [*at_a_price(200), reroute_wanted("o-1"), prices({("B", "S1"): 300}, epoch=2)]

    rows = route(*log, proposed("o-1", {"A": []}, decision=len(log) - 4))

    assert rows.codes() == ["PLAN_VOID"]


def test_a_plan_that_comes_later_than_what_was_told_is_void() -> None:
    slow = lane("B", cost=1.0, transit_hours=90.0, when=at(60))
    log = [*network(), order("o-1", ("S1", 2)), slow]

    rows = route(*log, proposed("o-1", {"B": []}, decision=len(log) - 2))

    assert rows.codes() == ["PLAN_VOID"]


def test_a_plan_whose_stock_is_gone_is_void() -> None:
    log = [*at_a_price(200), counted("B", {"S1": 1}, when=at(60))]

    rows = route(*log, proposed("o-1", {"B": []}, decision=len(log) - 3))

    assert rows.codes() == ["PLAN_VOID"]


def test_a_plan_may_give_each_node_its_lines() -> None:
    log = [
        *network(A=500.0, B=200.0, C=200.0),
        counted("B", {"S1": 0}, when=at(10)),
        counted("C", {"S2": 0}, when=at(10)),
        order("o-1", ("S1", 1), ("S2", 1)),
        prices({("A", "S1"): 100, ("A", "S2"): 100}),
    ]

    rows = route(*log, proposed("o-1", {"B": [2], "C": [1]}, decision=len(log) - 2))

    assert last(rows) == ("R_BETTER_PLAN", "FULLY_ROUTED", ["B", "C"])
    assert rows.held() == {("o-1", 1, "C"): 1, ("o-1", 2, "B"): 1}
