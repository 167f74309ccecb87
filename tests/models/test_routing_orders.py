"""The life of an order in the router: received, amended, cancelled, paid, worked on, forgotten."""

from random import Random
from typing import Any

import msgspec
import pytest

from models.routing.fold import TILE
from schemas.codes import Exclusion, PaymentState
from schemas.envelope import Event
from tests.support.builders import (
    HOUR,
    When,
    adjusted,
    amended,
    at,
    cancelled,
    counted,
    handed_over,
    instant,
    lane,
    node,
    order,
    payment,
    policy,
    rejected,
    route,
    short_picked,
    tick,
    timed_out,
)


def one_node(stock: int = 9) -> list[Event]:
    """A node whose stock was counted before anything else happened."""
    return [node("A"), lane("A"), counted("A", {"S1": stock, "S2": stock}, when=at(-HOUR))]


def two_nodes(stock: int = 9) -> list[Event]:
    """A is the cheaper one."""
    dear = [
        node("B"),
        lane("B", cost=900),
        counted("B", {"S1": stock, "S2": stock}, when=at(-HOUR)),
    ]
    return [*one_node(stock), *dear]


# Amendments ---------------------------------------------------------------------------------------


def test_an_amendment_releases_what_was_held_and_decides_anew() -> None:
    rows = route(*one_node(), order("o-1", ("S1", 5)), amended("o-1", ("S1", 2), ("S2", 1)))

    assert [(a["event"], a["sku"], a["qty"]) for a in rows.allocations] == [
        ("placed", "S1", 5),
        ("released", "S1", 5),
        ("placed", "S1", 2),
        ("placed", "S2", 1),
    ]
    assert rows.decision()["kind"] == "REROUTE"
    assert rows.decision()["trigger"] == "R_CUSTOMER_CHANGE"
    assert rows.decision()["revision"] == 2


def test_an_amendment_that_comes_first_is_the_order() -> None:
    rows = route(*one_node(), amended("o-1", ("S1", 2)), order("o-1", ("S1", 5)))

    assert rows.held() == {("o-1", 1, "A"): 2}
    assert rows.codes() == ["LATE_EVENT"]


def test_a_lower_revision_that_comes_late_is_ignored() -> None:
    rows = route(
        *one_node(),
        order("o-1", ("S1", 1)),
        amended("o-1", ("S1", 4), revision=4),
        amended("o-1", ("S1", 3), revision=3),
    )

    assert rows.held() == {("o-1", 1, "A"): 4}
    assert rows.codes() == ["LATE_EVENT"]


def test_the_same_revision_with_other_content_is_a_dead_letter_and_the_first_stands() -> None:
    rows = route(*one_node(), order("o-1", ("S1", 1)), order("o-1", ("S1", 2)))

    assert rows.reasons() == ["CONFLICTING_ORDER"]
    assert rows.dead_letters[0]["subject"] == "o-1"
    assert rows.held() == {("o-1", 1, "A"): 1}


@pytest.mark.parametrize(
    "change",
    [
        {"region": "R2"},
        {"priority": 6},
        {"no_split": True},
        {"carrier": "default"},
        {"service": "standard"},
        {"channel": "shop"},
        {"currency": "USD"},
        {"installation": True},
        {"acceptance": True},
        {"requested_by": instant(1)},
    ],
)
def test_any_other_field_makes_other_content(change: dict[str, Any]) -> None:
    rows = route(*one_node(), order("o-1"), order("o-1", **change))

    assert rows.reasons() == ["CONFLICTING_ORDER"]


@pytest.mark.parametrize("states", ["pending authorised", "authorised pending"])
def test_an_order_that_is_paid_for_in_the_moment_it_is_made_is_routed(states: str) -> None:
    said = [order("o-1", payment=PaymentState(state)) for state in states.split()]

    rows = route(*one_node(), *said)

    assert rows.held() == {("o-1", 1, "A"): 1}
    assert rows.reasons() == []


@pytest.mark.parametrize("states", ["pending failed", "failed pending"])
def test_an_order_whose_payment_fails_in_the_moment_it_is_made_is_closed(states: str) -> None:
    said = [order("o-1", payment=PaymentState(state)) for state in states.split()]

    rows = route(*one_node(), *said)

    assert rows.decision()["outcome"] == "CANCELLED"
    assert rows.reasons() == []


@pytest.mark.parametrize("states", ["authorised failed", "failed authorised"])
def test_of_payments_that_contradict_each_other_the_first_stands(states: str) -> None:
    said = [order("o-1", payment=PaymentState(state)) for state in states.split()]

    rows = route(*one_node(), *said)

    assert len(rows.decisions) == 1
    assert rows.reasons() == ["CONFLICTING_ORDER"]


def test_a_payment_of_a_known_revision_is_not_taken_for_another_content() -> None:
    rows = route(
        *one_node(),
        order("o-1", ("S1", 2), payment=PaymentState.PENDING),
        order("o-1", ("S1", 3)),
        order("o-1", ("S1", 2)),
        amended("o-1", ("S1", 2)),
    )

    assert rows.held() == {("o-1", 1, "A"): 2}
    assert rows.reasons() == ["CONFLICTING_ORDER"]
    assert rows.outcomes() == ["HELD_FOR_REVIEW", "FULLY_ROUTED"], "an amendment that says the same"


def test_the_same_content_under_another_event_id_changes_nothing() -> None:
    rows = route(*one_node(), order("o-1"), order("o-1"))

    assert rows.codes() == ["DUPLICATE_EVENT"]
    assert len(rows.decisions) == 1


def test_a_repeated_event_is_ignored_without_a_word() -> None:
    when = When(event_id="once")
    rows = route(*one_node(), order("o-1", when=when), order("o-2", when=when))

    assert [d["order_id"] for d in rows.decisions] == ["o-1"]
    assert rows.codes() == rows.reasons() == []


def test_the_same_id_of_another_source_is_another_event() -> None:
    rows = route(
        *one_node(),
        order("o-1", when=When(event_id="1", source="shop")),
        order("o-2", when=When(event_id="1", source="market")),
    )

    assert [d["order_id"] for d in rows.decisions] == ["o-1", "o-2"]


def test_a_repeated_control_record_is_ignored() -> None:
    once = When(event_id="once")
    rows = route(node("A", once), node("B", once), lane("B"))

    assert rows.reasons() == ["UNKNOWN_NODE"]


def test_more_units_handed_over_than_the_order_has_are_reported() -> None:
    rows = route(*one_node(), order("o-1", ("S1", 3)), handed_over(lines={1: 9, 7: 2}))

    raised = [r for r in rows.exceptions if r["code"] == "STATE_REGRESSION"]
    assert [(r["order_id"], r["node"], r["qty"]) for r in raised] == [("o-1", "A", 8)]


def test_cancelled_lines_that_the_order_lacks_are_reported() -> None:
    rows = route(*one_node(), order("o-1", ("S1", 3)), cancelled(lines={1: 1, 7: 2}))

    raised = [r for r in rows.exceptions if r["code"] == "STATE_REGRESSION"]
    assert [(r["order_id"], r["qty"]) for r in raised] == [("o-1", 2)]


def test_a_revision_that_says_nothing_new_moves_nothing_and_is_known() -> None:
    rows = route(
        *one_node(),
        order("o-1", ("S1", 2)),
        amended("o-1", ("S1", 2), revision=7),
        amended("o-1", ("S1", 3), revision=6),
        amended("o-1", ("S1", 2), revision=7),
    )

    assert [(a["event"], a["qty"]) for a in rows.allocations] == [("placed", 2)]
    assert len(rows.decisions) == 1
    assert rows.codes() == ["LATE_EVENT", "DUPLICATE_EVENT"], "of revision 6, then of 7"


def test_a_revision_is_compared_with_the_one_before_not_with_the_first() -> None:
    rows = route(
        *one_node(),
        order("o-1", ("S1", 2)),
        amended("o-1", ("S1", 3), revision=2),
        amended("o-1", ("S1", 3), revision=3),
        amended("o-1", ("S1", 2), revision=4),
    )

    assert [d["revision"] for d in rows.decisions] == [1, 2, 4]
    assert rows.held() == {("o-1", 1, "A"): 2}


def test_a_revision_that_says_nothing_new_brings_back_nothing_that_was_cancelled() -> None:
    touched = amended("o-1", ("S1", 3), ("S2", 1))
    rows = route(*one_node(), order("o-1", ("S1", 3), ("S2", 1)), cancelled("o-1", {1: 2}), touched)
    closed = route(*one_node(), order("o-1"), cancelled("o-1"), amended("o-1"))

    assert rows.held() == {("o-1", 1, "A"): 1, ("o-1", 2, "A"): 1}
    assert closed.outcomes() == ["FULLY_ROUTED", "CANCELLED"]
    assert rows.codes() == closed.codes() == []


def test_a_revision_of_an_order_that_waits_for_its_payment_still_waits() -> None:
    rows = route(
        *one_node(),
        order("o-1", payment=PaymentState.PENDING),
        amended("o-1", payment=PaymentState.PENDING),
        payment("o-1"),
    )

    assert rows.outcomes() == ["HELD_FOR_REVIEW", "FULLY_ROUTED"]


def test_a_revision_of_another_customer_is_a_change() -> None:
    rows = route(*one_node(), order("o-1", customer="c-1"), amended("o-1", customer="c-2"))

    assert [d["customer"] for d in rows.decisions] == ["c-1", "c-2"]


@pytest.mark.parametrize("seed", range(10))
def test_revisions_that_say_nothing_new_change_nothing_wherever_they_come(seed: int) -> None:
    """Shuffled, some of them late, in slices of one and of many."""
    chance = Random(seed)
    first = [order("o-1", ("S1", 5)), amended("o-1", ("S1", 2), revision=4), cancelled("o-2")]
    plain = [*one_node(), order("o-2"), *first]
    touches = [
        *(amended("o-1", ("S1", 2), revision=n) for n in (5, 6, 7)),
        *(amended("o-2", revision=n) for n in (2, 3)),
    ]
    chance.shuffle(touches)
    touched = [*plain, *touches]

    whole, single = route(*touched), route(*touched, cut=1)

    assert whole.tables == single.tables
    assert whole.allocations == route(*plain).allocations
    assert whole.decisions == route(*plain).decisions


def test_units_that_left_stay_gone_when_an_order_is_amended() -> None:
    rows = route(
        *one_node(),
        order("o-1", ("S1", 3)),
        handed_over("o-1", "A", {1: 2}),
        amended("o-1", ("S1", 5)),
    )

    assert rows.held() == {("o-1", 1, "A"): 3}
    assert rows.decision()["units_served"] == 3
    assert rows.decision()["outcome"] == "FULLY_ROUTED"


def test_an_amendment_below_what_left_keeps_what_left() -> None:
    rows = route(
        *one_node(),
        order("o-1", ("S1", 3)),
        handed_over("o-1", "A", {1: 2}),
        amended("o-1", ("S1", 1)),
    )

    assert rows.held() == {}
    assert rows.decision()["units_ordered"] == 2


# Cancellations ------------------------------------------------------------------------------------


def test_a_cancelled_order_releases_everything() -> None:
    rows = route(*one_node(), order("o-1", ("S1", 3)), cancelled("o-1"))

    assert rows.held() == {}
    assert rows.outcomes() == ["FULLY_ROUTED", "CANCELLED"]
    assert rows.decision()["kind"] == "CANCEL"


def test_an_order_cancelled_before_it_is_received_is_not_routed() -> None:
    rows = route(*one_node(), cancelled("o-1"), order("o-1", ("S1", 3)))

    assert rows.allocations == []
    assert rows.outcomes() == ["CANCELLED"]


def test_a_part_cannot_be_cancelled_before_the_order_is_received() -> None:
    rows = route(*one_node(), cancelled("o-1", {1: 1}), order("o-1", ("S1", 3)))

    assert rows.reasons() == ["UNKNOWN_ORDER"]
    assert rows.outcomes() == ["FULLY_ROUTED"]


def test_cancelling_part_of_a_line_releases_as_much() -> None:
    rows = route(*one_node(), order("o-1", ("S1", 3), ("S2", 1)), cancelled("o-1", {1: 2}))

    assert rows.held() == {("o-1", 1, "A"): 1, ("o-1", 2, "A"): 1}
    assert rows.decision()["units_ordered"] == 2
    assert rows.decision()["outcome"] == "FULLY_ROUTED"


def test_cancelling_the_last_unit_closes_the_order() -> None:
    rows = route(
        *one_node(),
        order("o-1", ("S1", 3)),
        cancelled("o-1", {1: 3}),
        amended("o-1", ("S1", 1)),
    )

    assert rows.outcomes() == ["FULLY_ROUTED", "CANCELLED"]
    assert rows.codes() == ["STATE_REGRESSION"]


def test_cancelling_more_than_there_is_cancels_what_there_is_and_says_so() -> None:
    rows = route(*one_node(), order("o-1", ("S1", 3)), cancelled("o-1", {1: 5}))

    assert rows.held() == {}
    assert [(e["code"], e["qty"]) for e in rows.exceptions] == [("STATE_REGRESSION", 2)]


def test_cancelling_a_line_that_the_order_does_not_have_is_a_dead_letter() -> None:
    rows = route(*one_node(), order("o-1"), cancelled("o-1", {7: 1}))

    assert rows.reasons() == ["UNKNOWN_LINE"]
    assert len(rows.decisions) == 1


def test_cancelling_a_cancelled_order_is_a_regression() -> None:
    rows = route(*one_node(), order("o-1"), cancelled("o-1"), cancelled("o-1"))

    assert rows.codes() == ["STATE_REGRESSION"]
    assert rows.outcomes() == ["FULLY_ROUTED", "CANCELLED"]


def test_units_that_left_cannot_be_cancelled() -> None:
    rows = route(
        *one_node(),
        order("o-1", ("S1", 3)),
        handed_over("o-1", "A", {1: 2}),
        cancelled("o-1"),
    )

    events = [(a["event"], a["qty"]) for a in rows.allocations]
    assert events == [("placed", 3), ("consumed", 2), ("released", 1)]


# Payment ------------------------------------------------------------------------------------------


def test_an_order_waits_for_its_payment_and_is_routed_when_it_comes() -> None:
    rows = route(
        *one_node(),
        order("o-1", payment=PaymentState.PENDING),
        payment("o-1", PaymentState.AUTHORISED),
    )

    first, second = rows.decisions
    assert (first["outcome"], first["hold_reason"]) == ("HELD_FOR_REVIEW", "AWAITING_PAYMENT")
    assert first["units_served"] == 0
    assert (second["outcome"], second["trigger"]) == ("FULLY_ROUTED", "PAYMENT")
    assert second["kind"] == "ROUTE"


def test_a_held_order_holds_no_stock() -> None:
    rows = route(*one_node(1), order("o-1", payment=PaymentState.PENDING), order("o-2"))

    assert rows.outcomes("o-2") == ["FULLY_ROUTED"]


@pytest.mark.parametrize("before", [PaymentState.PENDING, PaymentState.AUTHORISED])
def test_a_failed_payment_cancels_the_order(before: PaymentState) -> None:
    rows = route(*one_node(), order("o-1", payment=before), payment("o-1", PaymentState.FAILED))

    assert rows.outcomes()[-1] == "CANCELLED"
    assert rows.held() == {}
    assert rows.codes() == ["PAYMENT_HOLD"]


def test_an_order_whose_payment_failed_at_once_is_not_routed() -> None:
    rows = route(*one_node(), order("o-1", payment=PaymentState.FAILED))

    assert rows.outcomes() == ["CANCELLED"]
    assert rows.allocations == []


def test_a_payment_for_nobody_is_a_dead_letter() -> None:
    assert route(*one_node(), payment("o-9")).reasons() == ["UNKNOWN_ORDER"]


def test_a_payment_said_twice_routes_once() -> None:
    rows = route(
        *one_node(), order("o-1", payment=PaymentState.PENDING), payment("o-1"), payment("o-1")
    )

    assert rows.outcomes() == ["HELD_FOR_REVIEW", "FULLY_ROUTED"]


def test_a_held_order_may_be_cancelled_in_part_and_stays_held() -> None:
    rows = route(
        *one_node(),
        order("o-1", ("S1", 3), payment=PaymentState.PENDING),
        cancelled("o-1", {1: 1}),
        payment("o-1"),
    )

    assert rows.outcomes() == ["HELD_FOR_REVIEW", "HELD_FOR_REVIEW", "FULLY_ROUTED"]
    assert rows.held() == {("o-1", 1, "A"): 2}


# Work ---------------------------------------------------------------------------------------------


def test_a_rejection_blocks_the_node_and_routes_the_order_elsewhere() -> None:
    rows = route(*two_nodes(), order("o-1", ("S1", 2)), rejected("o-1", "A"))

    assert [d["nodes"] for d in rows.decisions] == [["A"], ["B"]]
    assert rows.decision()["trigger"] == "R_REJECTED"
    assert rows.decision()["kind"] == "REROUTE"
    assert rows.excluded(0) == Exclusion.X_BLOCKED_REJECTER
    assert [(e["code"], e["node"], e["qty"]) for e in rows.exceptions] == [
        ("NODE_REJECTED", "A", 2)
    ]


def test_a_rejection_that_does_not_block_may_come_back_to_the_node() -> None:
    rows = route(*two_nodes(), order("o-1"), rejected("o-1", "A", blocking=False))

    assert [d["nodes"] for d in rows.decisions] == [["A"], ["A"]]


def test_a_node_that_rejected_one_order_still_ships_others() -> None:
    rows = route(*two_nodes(), order("o-1"), rejected("o-1", "A"), order("o-2"))

    assert rows.decision("o-2")["nodes"] == ["A"]


def test_an_order_that_every_node_rejected_is_unroutable() -> None:
    rows = route(*two_nodes(), order("o-1"), rejected("o-1", "A"), rejected("o-1", "B"))

    assert rows.outcomes() == ["FULLY_ROUTED", "FULLY_ROUTED", "UNROUTABLE"]
    assert rows.held() == {}


def test_a_blocked_node_stays_blocked_over_an_amendment() -> None:
    rows = route(*two_nodes(), order("o-1"), rejected("o-1", "A"), amended("o-1", ("S1", 2)))

    assert rows.decision()["nodes"] == ["B"]


def test_rejecting_some_lines_moves_those_only() -> None:
    rows = route(*two_nodes(), order("o-1", ("S1", 2), ("S2", 2)), rejected("o-1", "A", {2: 2}))

    assert rows.held() == {("o-1", 1, "A"): 2, ("o-1", 2, "B"): 2}


@pytest.mark.parametrize(
    "answer",
    [short_picked("o-1", "A", {1: 1}), rejected("o-1", "A", {2: 1}, blocking=False)],
)
def test_an_order_that_must_not_be_split_moves_as_a_whole(answer: Event) -> None:
    rows = route(
        *two_nodes(stock=3),
        order("o-1", ("S1", 3), ("S2", 1), no_split=True),
        order("o-2", ("S2", 2)),
        adjusted("A", {"S2": -3}),
        answer,
    )

    assert {node for (name, _, node) in rows.held() if name == "o-1"} == {"B"}
    assert rows.outcomes("o-1") == ["FULLY_ROUTED", "FULLY_ROUTED"]


def test_an_answer_that_never_came_is_like_a_rejection() -> None:
    rows = route(*two_nodes(), order("o-1"), timed_out("o-1", "A"))

    assert rows.decision()["nodes"] == ["B"]
    assert rows.decision()["trigger"] == "R_TIMEOUT"
    assert rows.codes() == ["NODE_TIMEOUT"]


def test_a_short_pick_lowers_the_stock_and_routes_the_rest_elsewhere() -> None:
    rows = route(
        *two_nodes(stock=3),
        order("o-1", ("S1", 3)),
        short_picked("o-1", "A", {1: 1}),
        order("o-2", ("S1", 3)),
        tick(HOUR),
    )

    assert rows.held() == {("o-1", 1, "A"): 2, ("o-1", 1, "B"): 1, ("o-2", 1, "B"): 2}
    assert rows.codes() == ["SHORT_PICK", "UNROUTABLE"]
    assert {(s["node"], s["on_hand"]) for s in rows.stock if s["sku"] == "S1"} == {
        ("A", 2),
        ("B", 3),
    }


def test_a_short_pick_does_not_block_the_node() -> None:
    rows = route(*one_node(5), order("o-1", ("S1", 2)), short_picked("o-1", "A", {1: 1}))

    assert rows.held() == {("o-1", 1, "A"): 2}
    assert [a["event"] for a in rows.allocations] == ["placed", "released", "placed"]


def test_a_hand_over_takes_the_units_out_of_the_stock() -> None:
    rows = route(*one_node(5), order("o-1", ("S1", 2)), handed_over("o-1"), tick(HOUR))

    assert [a["event"] for a in rows.allocations] == ["placed", "consumed"]
    (stock,) = [s for s in rows.stock if s["sku"] == "S1"]
    assert (stock["on_hand"], stock["reserved"], stock["available"]) == (3, 0, 3)


def test_a_hand_over_of_part_leaves_the_rest_reserved() -> None:
    rows = route(*one_node(), order("o-1", ("S1", 5)), handed_over("o-1", "A", {1: 2}))

    assert rows.held() == {("o-1", 1, "A"): 3}


def test_handing_over_twice_takes_the_stock_once() -> None:
    rows = route(
        *one_node(5), order("o-1", ("S1", 2)), handed_over("o-1"), handed_over("o-1"), tick(HOUR)
    )

    assert rows.reasons() == ["MORE_THAN_RESERVED"]
    assert [s["on_hand"] for s in rows.stock if s["sku"] == "S1"] == [3]


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (handed_over("o-9"), "UNKNOWN_ORDER"),
        (rejected("o-9"), "UNKNOWN_ORDER"),
        (handed_over("o-1", "nowhere"), "UNKNOWN_NODE"),
        (handed_over("o-1", "B"), "MORE_THAN_RESERVED"),
        (handed_over("o-1", "A", {8: 1}), "MORE_THAN_RESERVED"),
    ],
)
def test_work_that_fits_nothing_is_a_dead_letter(event: Event, reason: str) -> None:
    rows = route(*two_nodes(), order("o-1"), event)

    assert rows.reasons() == [reason]
    assert rows.held() == {("o-1", 1, "A"): 1}


def test_hand_overs_that_nobody_reports_are_assumed_after_a_while() -> None:
    rows = route(
        policy("version: p\nwindows: {assume_handed_over_after_hours: 6}\n"),
        *one_node(),
        order("o-1", ("S1", 2), when=at(0)),
        order("o-2", ("S1", 1), when=at(3 * HOUR)),
        tick(5 * HOUR),
        tick(7 * HOUR),
        tick(12 * HOUR),
    )

    taken = [(a["order_id"], a["position"]) for a in rows.allocations if a["event"] == "consumed"]
    assert taken == [("o-1", 7), ("o-2", 8)]


def test_a_closed_order_is_forgotten_after_its_retention() -> None:
    log = [
        policy("version: p\nwindows: {closed_order_retention_hours: 1}\n"),
        *one_node(300),
        order("o-1"),
        handed_over("o-1"),
        tick(5 * HOUR),
        *(order(f"x-{i}", region="nowhere", when=at(5 * HOUR)) for i in range(TILE)),
    ]
    rows = route(*log, cancelled("o-1", when=at(5 * HOUR)), handed_over("o-1", when=at(5 * HOUR)))

    assert rows.reasons() == ["UNKNOWN_ORDER"]


DAY = 24 * HOUR
FORGET = policy(
    "version: p\nwindows: {dedupe_hours: 1, closed_order_retention_hours: 24, forgotten_order_hours: 240}\n"
)


def day(number: int) -> list[Event]:
    """A day on which so much happens that what is over is forgotten."""
    now = number * DAY
    return [tick(now), *(adjusted("A", {"S9": 1}, when=at(now)) for _ in range(TILE))]


def days(until: int) -> list[Event]:
    """The days up to one."""
    return [event for number in range(1, until + 1) for event in day(number)]


def said_again(number: int, event: Event) -> Event:
    """The very same record, learnt once more on that day."""
    return msgspec.structs.replace(event, recordedtime=instant(number * DAY))


ORDERED = order("o-1", ("S1", 2), when=at(0, event_id="o-1@1"))


@pytest.mark.parametrize("end", [handed_over("o-1", "A"), cancelled("o-1")])
@pytest.mark.parametrize(
    "late",
    [
        ORDERED,
        amended("o-1", ("S1", 3), when=at(0, event_id="o-1@2")),
        payment("o-1", PaymentState.AUTHORISED, at(0, event_id="o-1@3")),
        cancelled("o-1", when=at(0, event_id="o-1@4")),
    ],
)
def test_a_forgotten_order_is_not_routed_again(end: Event, late: Event) -> None:
    log = [FORGET, *one_node(300), ORDERED, end, *days(5)]

    rows = route(*log, said_again(5, late))

    assert rows.held() == {}
    assert len(rows.outcomes()) == len(route(*log).outcomes())
    assert rows.codes() == ["LATE_EVENT"]
    assert rows.reasons() == []


def test_an_order_that_was_cancelled_long_before_it_came_is_not_routed() -> None:
    rows = route(FORGET, *one_node(), cancelled("o-1"), *days(5), said_again(5, ORDERED))

    assert rows.held() == {}
    assert rows.codes() == ["LATE_EVENT"]


def test_an_order_that_a_channel_delivers_late_is_routed() -> None:
    rows = route(FORGET, *one_node(), *days(5), said_again(5, ORDERED))

    assert rows.held() == {("o-1", 1, "A"): 2}


def test_the_id_of_a_forgotten_order_is_known_for_as_long_as_the_policy_says() -> None:
    log = [FORGET, *one_node(300), ORDERED, cancelled("o-1"), *days(13)]

    assert route(*log, said_again(13, ORDERED)).held() == {("o-1", 1, "A"): 2}


def test_a_forgotten_order_that_is_heard_of_again_and_again_stays_known() -> None:
    log = [FORGET, *one_node(), ORDERED, cancelled("o-1")]
    for number in range(1, 16):
        log += [*day(number), said_again(number, ORDERED)]

    rows = route(*log)

    assert rows.outcomes() == ["FULLY_ROUTED", "CANCELLED"]


def test_an_open_order_is_never_forgotten() -> None:
    log = [
        policy("version: p\nwindows: {closed_order_retention_hours: 0}\n"),
        *one_node(300),
        order("o-1", ("S1", 2)),
        order("o-2", ("S1", 2)),
        cancelled("o-2"),
        tick(500 * HOUR),
        *(order(f"x-{i}", region="nowhere", when=at(500 * HOUR)) for i in range(TILE)),
    ]
    rows = route(*log, handed_over("o-1", when=at(500 * HOUR)))

    assert rows.reasons() == []
    assert rows.held() == {}
