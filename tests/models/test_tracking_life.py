"""The life of an order as the tracking fold tells it: phases, lateness, corrections, deadlines."""

import json
import random

import pytest

from schemas.codes import Classifier, Trouble
from schemas.envelope import Event
from schemas.shipments import ServiceAccepted, ServiceInstalled, ServiceVisited
from schemas.tables import Table
from schemas.work import WorkAccepted, WorkHandedOver, WorkPacked, WorkPicked
from tests.support.tracks import (
    answered,
    decided,
    feedback,
    moment,
    offered,
    ordered,
    served,
    step,
    tick,
    track,
)

ROUTED = [ordered(0), decided(0, promise=48), offered(0, "A")]


def test_an_order_is_followed_from_its_receipt_to_the_customers_satisfaction() -> None:
    events = [
        *ROUTED,
        answered(WorkAccepted, 1, "A"),
        answered(WorkPicked, 2, "A"),
        answered(WorkPacked, 3, "A"),
        answered(WorkHandedOver, 4, "A"),
        step("scanned", 6, node="A"),
        step("out_for_delivery", 8, node="A"),
        step("delivered", 10, node="A"),
        step("signed", 10.1, node="A"),
        feedback(12, nps=9),
    ]

    phases = [row["phase"] for row in track(events).rows(Table.TIMELINE)]

    assert phases == [
        "RECEIVED", "ROUTED", "ROUTED", "RELEASED", "PICKED", "PACKED", "HANDED_OVER", "IN_TRANSIT",
        "OUT_FOR_DELIVERY", "DELIVERED", "SIGNED", "CLOSED",
    ]  # fmt: skip


def test_a_late_report_is_kept_and_moves_nothing_back() -> None:
    events = [step("handed_over", 1), step("delivered", 9), step("scanned", 5)]

    late = track(events).rows(Table.TIMELINE)[-1]

    assert (late["step"], late["phase"], late["is_late"]) == ("SCANNED", "DELIVERED", True)


def test_a_scan_after_the_delivery_moves_nothing_back() -> None:
    assert track([step("delivered", 9), step("arrived", 11)]).phase() == "DELIVERED"


def test_an_order_is_as_far_as_the_parcel_that_is_furthest_behind() -> None:
    events = [step("delivered", 9, package="a"), step("handed_over", 3, package="b")]

    assert track(events).phase() == "HANDED_OVER"


def test_a_lane_that_is_called_like_a_parcel_is_none() -> None:
    events = [
        *ROUTED,
        step("delivered", 3, package="1", node="A"),
        offered(4, "A", lane="1", cause=2),
    ]

    row = track(events).rows(Table.TIMELINE)[-1]

    assert (row["step"], row["package"], row["package_phase"]) == ("OFFERED", None, None)


def test_a_node_that_has_not_shipped_holds_the_order_back() -> None:
    events = [
        ordered(0),
        decided(0),
        offered(0, "A", cause=1),
        offered(0, "B", cause=2),
        step("delivered", 9, node="A"),
    ]

    assert track(events).phase() == "ROUTED"


@pytest.mark.parametrize("by_node", [[], [WorkPacked], [WorkPacked, WorkHandedOver]])
def test_a_carrier_need_not_know_the_node_of_the_only_work(by_node: list[type[Event]]) -> None:
    events = [
        *ROUTED,
        *(answered(kind, 1 + n, "A") for n, kind in enumerate(by_node)),
        step("handed_over", 5),
        step("delivered", 30),
        *(tick(hour) for hour in (31, 60, 31 + 72)),
    ]

    tracked = track(events)

    assert tracked.phase() == "SIGNED"
    assert tracked.exceptions() == []
    told = {row["template"] for row in tracked.rows(Table.OUTBOX)}
    assert told == {"CONFIRMED", "SHIPPED", "DELIVERED", "FEEDBACK_REQUESTED"}


def test_parcels_of_no_known_node_count_for_one_node_each() -> None:
    events = [
        *(ordered(0), decided(0), offered(0, "A", cause=1), offered(0, "B", cause=2)),
        *(answered(WorkHandedOver, 3, node) for node in "BA"),
        step("delivered", 9, package="x"),
    ]

    one, both = track(events), track([*events, step("delivered", 10, package="y")])

    assert (one.phase(), both.phase()) == ("HANDED_OVER", "DELIVERED")
    told = [json.loads(row["details"]) for row in both.rows(Table.OUTBOX) if row["package"]]
    assert told
    assert not any("node" in details for details in told), "which node it was is a guess"


def test_work_that_was_withdrawn_asks_no_parcel_for_a_node() -> None:
    events = [
        *ROUTED,
        offered(1, "A", cause=1, withdrawn=True),
        offered(1, "B", cause=2),
        decided(1, cause=2),
        step("delivered", 9),
    ]

    assert track(events).phase() == "DELIVERED"


def crowd() -> list[Event]:
    """An order whose carrier says more than its history takes."""
    scans = [step("scanned", 6 + n / 100, event_id=f"s{n}") for n in range(400)]
    plans = [step("delivered", 5 + n / 100, planned=30, event_id=f"p{n}") for n in range(400)]
    return [*ROUTED, step("handed_over", 5), *scans, *plans, step("delivered", 30)]


@pytest.mark.parametrize("seed", range(4))
def test_a_full_history_makes_room_for_the_delivery(seed: int) -> None:
    first, *rest = crowd()
    others = [step("delivered", 31, package="2"), tick(60)]
    if seed:
        random.Random(seed).shuffle(rest)

    tracked = track([first, *rest, *others])

    assert tracked.phase() == "DELIVERED"
    assert tracked.exceptions() == []
    told = [row["package"] for row in tracked.rows(Table.OUTBOX) if row["template"] == "DELIVERED"]
    assert told == ["1", "2"]


def test_repeats_have_no_second_row_though_the_history_is_full() -> None:
    marks = [step("attempt_failed", n / 100, event_id=f"a{n}") for n in range(600)]
    for events in (crowd(), marks):
        tracked = track([*events, *events, *reversed(events)])

        rows = [row["event_id"] for row in tracked.rows(Table.TIMELINE)]
        assert sorted(rows) == sorted(event.id for event in events)


def test_a_second_tracking_number_does_not_replace_the_first() -> None:
    events = [
        step("handed_over", 1, package="a"),
        step("handed_over", 2, package="b"),
        step("delivered", 5, package="b"),
        step("delivered", 6, package="a"),
    ]

    tracked = track(events)

    assert tracked.phase() == "DELIVERED"
    assert {row["package"] for row in tracked.rows(Table.TIMELINE)} == {"a", "b"}


def test_a_repeated_record_has_no_second_row() -> None:
    event = step("handed_over", 1)

    assert len(track([event, event, event]).rows(Table.TIMELINE)) == 1


def test_a_correction_takes_the_wrong_statement_back() -> None:
    wrong = step("delivered", 5, event_id="e1")
    right = step("attempt_failed", 5, retracts="e1", event_id="e2")

    assert track([step("out_for_delivery", 4), wrong, right]).phase() == "ATTEMPT_FAILED"


def test_what_did_not_happen_is_taken_back_though_the_news_of_it_came_first() -> None:
    wrong = step("delivered", 5, event_id="e1")
    taken_back = step("delivered", 6, classifier=Classifier.RETRACTED, retracts="e1", event_id="e2")

    tracked = track([step("out_for_delivery", 4), taken_back, wrong, wrong])

    assert tracked.phase() == "OUT_FOR_DELIVERY"
    assert [row["event_id"] for row in tracked.rows(Table.TIMELINE)][1:] == ["e2", "e1"]


def test_a_planned_milestone_is_no_actual_one() -> None:
    events = [step("handed_over", 1), step("delivered", 1, planned=30)]

    assert track(events).phase() == "HANDED_OVER"


def test_an_order_that_is_withdrawn_from_one_node_waits_for_the_other() -> None:
    events = [
        *ROUTED,
        answered(WorkPicked, 1, "A"),
        offered(2, "A", cause=5, withdrawn=True),
        offered(2, "B", cause=6),
    ]

    assert track(events).phase() == "ROUTED"


HALF = [
    ordered(0),
    decided(0, outcome="PARTIALLY_ROUTED", promise=90),
    offered(0, "A", qty=1),
    step("handed_over", 5, node="A"),
    step("delivered", 20, node="A"),
    step("signed", 21, node="A"),
]


def test_an_order_of_which_units_wait_is_not_closed() -> None:
    tracked = track([*HALF, tick(22), tick(24 * 15), tick(24 * 40)])

    assert tracked.phase() == "BACKORDERED"
    assert tracked.exceptions() == [("DELAY_BREACHED", "raised")]
    told = [row["template"] for row in tracked.rows(Table.OUTBOX)]
    assert "FEEDBACK_REQUESTED" not in told


def test_an_order_goes_on_when_what_waited_is_shipped() -> None:
    rest = [offered(100, "B", qty=1, cause=9), decided(100, promise=200, cause=9)]
    came = step("signed", 120, node="B", package="2")

    tracked = track([*HALF, *rest, came, feedback(130, nps=9)])

    phases = [row["phase"] for row in tracked.rows(Table.TIMELINE)]
    assert phases == ["RECEIVED", *["BACKORDERED"] * 6, "ROUTED", "SIGNED", "CLOSED"]


def test_nobody_is_asked_how_it_was_while_the_router_moves_what_is_left() -> None:
    one = [
        ordered(0),
        *(offered(0, node, cause=n) for n, node in enumerate("AB")),
        decided(0, cause=2),
    ]
    withdrawn = offered(30, "B", cause=9, withdrawn=True)

    tracked = track([*one, step("signed", 20, node="A"), withdrawn, offered(30, "C", cause=9)])

    assert {row["phase"] for row in tracked.rows(Table.TIMELINE)} == {"RECEIVED", "ROUTED"}
    assert tracked.rows(Table.OUTBOX) == []


@pytest.mark.parametrize("outcome", ["UNROUTABLE", "HELD_FOR_REVIEW"])
def test_an_order_of_which_a_person_has_to_decide_the_rest_is_not_closed(outcome: str) -> None:
    said = decided(1, outcome=outcome, cause=9)

    assert track([*HALF, said, tick(24 * 40)]).phase() == "HELD"


def test_goods_on_their_way_are_watched_though_others_wait() -> None:
    tracked = track([*HALF[:4], tick(76), tick(77)])

    assert tracked.phase() == "BACKORDERED"
    assert tracked.exceptions() == [("SILENCE", "raised")]


LOST = [
    *(ordered(0), decided(0), offered(0, "A", cause=1), offered(0, "B", cause=2)),
    step("handed_over", 4, node="A", package="a"),
    step("lost", 5, node="A", package="a"),
    step("signed", 20, node="B", package="b"),
]


@pytest.mark.parametrize("what", ["lost", "damaged"])
def test_an_order_of_which_a_parcel_is_lost_is_not_closed_as_if_all_were_well(what: str) -> None:
    lost = step(what, 6, node="A", package="a")

    tracked = track([*LOST[:5], lost, LOST[-1], feedback(30, nps=3), tick(24 * 60)])

    assert tracked.phase() == what.upper()
    assert [row["phase"] for row in tracked.rows(Table.TIMELINE)][4:6] == ["ROUTED", "ROUTED"]


def test_a_customer_who_is_content_all_the_same_settles_a_loss() -> None:
    assert track([*LOST, feedback(30, nps=9)]).phase() == "CLOSED"
    assert track([*LOST, served(ServiceAccepted, 30)]).phase() == "SIGNED"


def test_a_loss_is_settled_when_another_node_ships_in_its_place() -> None:
    moved = [offered(24, "A", cause=9, withdrawn=True), offered(24, "C", cause=9)]
    events = [*LOST, *moved, decided(24, cause=9)]

    assert track(events).phase() == "ROUTED"
    events += [step("signed", 60, node="C", package="c"), tick(61), tick(24 * 30)]
    assert track(events).phase() == "CLOSED"


def test_a_cancelled_order_is_watched_while_a_parcel_of_it_is_on_the_road() -> None:
    gone, stays = step("handed_over", 1, package="1"), step("packed", 1, package="2")
    cancelled = decided(2, outcome="CANCELLED", cause=9)

    tracked = track([*ROUTED, gone, stays, cancelled, tick(73), tick(74)])
    arrived = track([*ROUTED, gone, stays, cancelled, step("delivered", 60)])

    assert tracked.phase() == "HANDED_OVER"
    assert tracked.exceptions() == [("SILENCE", "raised")]
    assert arrived.phase() == "DELIVERED"
    assert track([*ROUTED, stays, cancelled]).phase() == "CANCELLED"


def test_a_parcel_that_stays_where_it_was_packed_holds_nothing_back() -> None:
    events = [
        *(ordered(0), offered(0, "A", cause=0), offered(0, "B", cause=1), decided(0, cause=1)),
        *(answered(WorkPacked, 2, "B"), step("signed", 20, node="A")),
        *(offered(30, "B", cause=9, withdrawn=True), decided(30, cause=9)),
    ]

    assert track(events[:-2]).phase() == "PACKED"
    assert track(events).phase() == "SIGNED"


def test_what_a_node_packs_counts_though_nobody_knows_of_an_offer() -> None:
    events = [ordered(0), answered(WorkAccepted, 1, "A"), answered(WorkPacked, 2, "A")]

    assert track(events).phase() == "PACKED"


def test_two_decisions_of_one_instant_count_in_the_order_of_their_causes() -> None:
    routed, cancelled = decided(1, cause=5), decided(1, outcome="CANCELLED", cause=9)

    assert track([routed, cancelled]).phase() == "CANCELLED"
    assert track([cancelled, routed]).phase() == "CANCELLED"


def test_a_parcel_that_comes_back_ends_the_order_as_returned() -> None:
    events = [
        step("handed_over", 1),
        step("attempt_failed", 5, reason=Trouble.CUSTOMER_REFUSED),
        step("returning", 6),
        step("returned", 9),
    ]

    tracked = track(events)

    assert tracked.phase() == "RETURNED"
    assert tracked.exceptions() == [
        ("CUSTOMER_REFUSED", "raised"),
        ("ATTEMPT_FAILED", "raised"),
        ("CUSTOMER_REFUSED", "resolved"),
        ("RETURNING", "raised"),
        ("ATTEMPT_FAILED", "resolved"),
        ("RETURNING", "resolved"),
    ]


def test_the_third_failed_attempt_is_escalated() -> None:
    events = [step("out_for_delivery", 1)]
    events += [step("attempt_failed", 2 + day) for day in range(4)]

    assert track(events).exceptions() == [
        ("ATTEMPT_FAILED", "raised"),
        ("ATTEMPT_FAILED", "escalated"),
    ]


def test_a_promise_that_passes_is_one_exception_until_the_delivery() -> None:
    events = [*ROUTED, step("handed_over", 5, node="A"), tick(47), tick(49), tick(50)]

    assert track(events).exceptions() == [("DELAY_BREACHED", "raised")]
    assert track([*events, step("delivered", 51, node="A")]).exceptions() == [
        ("DELAY_BREACHED", "raised"),
        ("DELAY_BREACHED", "resolved"),
    ]


def test_a_carrier_that_is_silent_is_noticed_on_the_clock_of_the_log() -> None:
    events = [step("handed_over", 5), tick(5 + 71), tick(5 + 72)]

    tracked = track(events)

    (row,) = tracked.rows(Table.EXCEPTIONS)
    assert (row["code"], row["position"], row["evidence"]) == ("SILENCE", 2, None)


def test_a_node_that_does_not_hand_over_in_time_is_noticed() -> None:
    packed = answered(WorkPacked, 1, "A")
    begun = [ordered(0), decided(0), offered(0, "A", ship_date="2026-01-05"), packed]

    assert track([*begun, tick(20)]).exceptions() == []
    assert track([*begun, tick(22)]).exceptions() == [("MILESTONE_MISSED_HANDOVER", "raised")]


def test_what_a_node_is_behind_with_is_counted_back_from_the_day_on_which_it_ships() -> None:
    begun = [ordered(0), decided(0), offered(0, "A", ship_date="2026-01-05")]
    picked, packed = answered(WorkPicked, 12, "A"), answered(WorkPacked, 14, "A")

    told = track([*begun, tick(11), picked, tick(12.9), tick(13), packed, tick(20), tick(21)])

    assert told.exceptions() == [
        ("MILESTONE_MISSED_PICK", "raised"),
        ("MILESTONE_MISSED_PICK", "resolved"),
        ("MILESTONE_MISSED_PACK", "raised"),
        ("MILESTONE_MISSED_PACK", "resolved"),
        ("MILESTONE_MISSED_HANDOVER", "raised"),
    ]


@pytest.mark.parametrize("hours_east", [-8, 0, 8])
def test_a_nodes_day_ends_when_it_ends_there(hours_east: int) -> None:
    over = 15.0 - hours_east  # the day of ``START``, 2026-01-05, ends at that many hours
    work = offered(-12, "A", ship_date="2026-01-05", ship_by=over)
    picked, packed = answered(WorkPicked, over - 4, "A"), answered(WorkPacked, over - 2, "A")
    begun = [ordered(-12), decided(-12), work]
    slow = track([*begun, tick(over - 4.1), tick(over - 4), tick(over + 5.9), tick(over + 6)])

    good = track([*begun, tick(over - 4.1), picked, tick(over - 2.1), packed, tick(over + 5.9)])

    assert good.exceptions() == []
    missed = [
        (r["code"], r["raised_at"]) for r in slow.rows(Table.EXCEPTIONS) if r["change"] == "raised"
    ]
    assert missed == [
        ("MILESTONE_MISSED_PICK", moment(over - 4)),
        ("MILESTONE_MISSED_HANDOVER", moment(over + 6)),
    ]


def test_an_order_that_nobody_decides_on_is_noticed() -> None:
    waiting = [ordered(0), tick(23), tick(24)]

    assert track(waiting).exceptions() == [("MILESTONE_MISSED_ROUTE", "raised")]
    assert track([*waiting, decided(25)]).exceptions()[1:] == [
        ("MILESTONE_MISSED_ROUTE", "resolved")
    ]


def test_customs_that_take_too_long_hold_the_parcel() -> None:
    events = [
        step("handed_over", 0),
        step("customs_presented", 10),
        tick(57),
        step("scanned", 57.5),
    ]

    assert track(events).exceptions() == []
    late = [*events[:2], tick(58), step("customs_cleared", 59)]
    assert track(late).exceptions() == [("CUSTOMS_HOLD", "raised"), ("CUSTOMS_HOLD", "resolved")]


def test_a_delivery_that_nobody_signs_for_counts_as_signed_and_is_closed() -> None:
    events = [step("delivered", 0), tick(71), tick(72), tick(72 + 14 * 24)]

    rows = track(events).rows(Table.TIMELINE)

    assert [(row["step"], row["phase"]) for row in rows] == [
        ("DELIVERED", "DELIVERED"),
        ("DEADLINE", "SIGNED"),
        ("DEADLINE", "CLOSED"),
    ]


def test_installation_and_acceptance_are_waited_for_where_they_are_wanted() -> None:
    begun = [ordered(0, installation=True, acceptance=True), step("signed", 1), tick(1 + 14 * 24)]
    rest = [served(ServiceInstalled, 400), served(ServiceAccepted, 401), feedback(402, csat=5)]

    tracked = track([*begun, *rest])

    phases = [row["phase"] for row in tracked.rows(Table.TIMELINE)]
    assert phases == ["RECEIVED", "SIGNED", "INSTALLED", "ACCEPTED", "CLOSED"]
    assert tracked.exceptions() == [("INSTALL_OVERDUE", "raised"), ("INSTALL_OVERDUE", "resolved")]


def test_a_dissatisfied_customer_is_a_case_for_a_person() -> None:
    tracked = track([step("signed", 1), feedback(2, nps=3)])

    (row,) = tracked.rows(Table.EXCEPTIONS)
    assert (row["code"], row["severity"], row["evidence"]) == ("FEEDBACK_NEGATIVE", "high", 1)
    assert tracked.phase() == "SIGNED"


def test_a_visit_that_leaves_something_to_do_installs_nothing() -> None:
    events = [
        *(ordered(0, installation=True), step("signed", 5)),
        *(served(ServiceInstalled, 30, fixed=False), tick(40), tick(5 + 24 * 14)),
    ]
    again = served(ServiceVisited, 24 * 16)

    tracked = track([*events, again])

    assert track(events).exceptions() == [("INSTALL_OVERDUE", "raised")]
    assert [row["phase"] for row in tracked.rows(Table.TIMELINE)][-2:] == ["SIGNED", "INSTALLED"]


def test_a_visit_before_the_installation_is_none() -> None:
    events = [ordered(0, installation=True), step("signed", 5), served(ServiceVisited, 30)]

    assert track(events).phase() == "SIGNED"


def test_an_answer_from_before_the_delivery_closes_nothing() -> None:
    begun = [*ROUTED, step("handed_over", 1), feedback(2, nps=9), step("delivered", 20), tick(21)]

    tracked = track(begun)

    assert tracked.phase() == "DELIVERED"
    after = track([*begun, step("signed", 30), tick(31), tick(32)])
    assert [row["template"] for row in after.rows(Table.OUTBOX)][-1] == "FEEDBACK_REQUESTED"


def test_an_answer_between_the_delivery_and_a_late_signature_counts() -> None:
    events = [*ROUTED, step("delivered", 20), feedback(24, nps=9), step("signed", 30)]

    assert track(events).phase() == "CLOSED"


def test_installation_is_waited_for_where_only_the_decision_says_so() -> None:
    said = decided(0, revision=2, currency="EUR", installation=True)
    events = [ordered(0), said, step("signed", 1), tick(2)]

    assert track(events).phase() == "SIGNED"
    assert track([*events, served(ServiceInstalled, 3)]).phase() == "INSTALLED"


def test_a_row_of_a_decision_says_whose_order_it_is() -> None:
    event = decided(0, customer="c-7", tier="vip", channel="app", currency="EUR")

    (row,) = track([event]).rows(Table.TIMELINE)

    assert (row["customer"], row["tier"], row["channel"]) == ("c-7", "vip", "app")


def test_a_decision_from_before_it_said_whose_order_it_is_says_nothing_of_it() -> None:
    (row,) = track([ordered(0, customer="c-1"), decided(1, revision=2)]).state.orders[:1]

    assert row["revision"] == 1
