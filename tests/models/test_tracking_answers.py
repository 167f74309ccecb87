"""What is told and done about an order: to whom, once for each cause, and by which policy."""

import json
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest

from models.policy.document import parse_policy
from schemas.codes import Classifier
from schemas.envelope import Event
from schemas.shipments import ServiceInstalled
from schemas.tables import Table
from schemas.work import WorkHandedOver
from tests.support.devices import bound, series
from tests.support.tracks import (
    Tracked,
    answered,
    decided,
    feedback,
    moment,
    offered,
    ordered,
    policy,
    served,
    step,
    tick,
    track,
)

ROUTED = [ordered(0, price=10_000), decided(0, promise=48), offered(0, "A")]


def told(tracked: Tracked, audience: str = "customer") -> list[tuple[str, str | None]]:
    """Template and parcel of what somebody is told."""
    rows = [row for row in tracked.rows(Table.OUTBOX) if row["audience"] == audience]
    return [(row["template"], row["package"]) for row in rows]


def templates(events: Iterable[Event], audience: str = "customer") -> list[str]:
    return [template for template, _ in told(track(events), audience)]


def actions(events: Iterable[Event]) -> list[tuple[str, str]]:
    return [(row["code"], row["action"]) for row in track(events).rows(Table.ACTIONS)]


def details(row: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(row["details"])
    return found


# What is told -------------------------------------------------------------------------------------


def test_a_customer_hears_of_the_key_moments_each_once() -> None:
    steps = [
        ("packed", 3.0), ("handed_over", 4), ("scanned", 6), ("departed", 7),
        ("out_for_delivery", 8), ("delivered", 10), ("delivered", 10.5), ("signed", 11),
    ]  # fmt: skip
    events = [*ROUTED, *(step(what, at, node="A") for what, at in steps), feedback(12, nps=9)]

    assert told(track(events)) == [
        ("CONFIRMED", None),
        ("SHIPPED", "1"),
        ("OUT_FOR_DELIVERY", "1"),
        ("DELIVERED", "1"),
        ("FEEDBACK_REQUESTED", None),
    ]
    assert templates(events, "operator") == []


def test_a_row_says_whose_order_it_is_and_what_the_text_may_use() -> None:
    tracked = track([*ROUTED, step("handed_over", 4, node="A")])

    confirmed, shipped = tracked.rows(Table.OUTBOX)

    assert (confirmed["customer"], confirmed["tier"], confirmed["channel"]) == (
        "c-1", "standard", "web",
    )  # fmt: skip
    assert (confirmed["link"], confirmed["language"]) == ("/orders/acme/eu/o1", "en")
    assert details(shipped) == {
        "phase": "HANDED_OVER",
        "package": "1",
        "node": "A",
        "happened_at": moment(4).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "promise_at": moment(48).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def test_late_repeated_and_corrected_reports_tell_nobody_anything() -> None:
    wrong = step("signed", 12, event_id="wrong")
    sound = [step("handed_over", 1), step("out_for_delivery", 8), step("delivered", 10), wrong]
    late = [step("handed_over", 2, event_id="again"), step("out_for_delivery", 7), sound[0]]
    takes_back = step("signed", 13, classifier=Classifier.RETRACTED, retracts="wrong")

    tracked = track([*sound, *late, takes_back])

    assert told(tracked) == told(track(sound))


WRONG = [step("handed_over", 1), step("delivered", 5, event_id="wrong")]
TAKEN_BACK = step("delivered", 6, classifier=Classifier.RETRACTED, retracts="wrong", event_id="r")


@pytest.mark.parametrize(
    "correction", [TAKEN_BACK, step("attempt_failed", 5, retracts="wrong", event_id="c")]
)
def test_the_real_delivery_is_told_though_a_wrong_one_was(correction: Event) -> None:
    events = [*WRONG, correction, step("delivered", 30), step("delivered", 31)]

    tracked = track(events)

    assert told(tracked) == [("SHIPPED", "1"), ("DELIVERED", "1"), ("DELIVERED", "1")]
    first, second = (details(row)["happened_at"][8:13] for row in tracked.rows(Table.OUTBOX)[1:])
    assert (first, second) == ("05T14", "06T15")


def test_the_real_delivery_is_told_though_nothing_else_is_known_of_the_parcel() -> None:
    assert templates([WRONG[1], TAKEN_BACK, step("delivered", 30)]) == ["DELIVERED", "DELIVERED"]


def test_a_correction_of_the_same_instant_is_not_told_again() -> None:
    right = step("delivered", 5, retracts="wrong", event_id="right")

    assert templates([*WRONG, right]) == templates([*WRONG, TAKEN_BACK, right]) == templates(WRONG)


def test_what_was_learnt_in_another_order_is_told_forwards_in_time() -> None:
    events = [step("out_for_delivery", 8), step("handed_over", 4), step("delivered", 10)]

    assert templates(events) == ["OUT_FOR_DELIVERY", "DELIVERED"]


def test_a_second_attempt_is_told_again() -> None:
    days = [step(what, 24.0 * n + at) for n in range(2) for what, at in (
        ("out_for_delivery", 8), ("attempt_failed", 15),
    )]  # fmt: skip

    assert templates(days) == ["OUT_FOR_DELIVERY", "ATTEMPT_FAILED"] * 2


def test_each_parcel_of_a_split_order_is_told_as_its_own() -> None:
    events = [step(what, at, package=package) for package in "ab" for what, at in (
        ("handed_over", 1), ("delivered", 9),
    )]  # fmt: skip

    assert told(track(events)) == [
        ("SHIPPED", "a"), ("DELIVERED", "a"), ("SHIPPED", "b"), ("DELIVERED", "b"),
    ]  # fmt: skip


@pytest.mark.parametrize("node", ["", "A"])
def test_a_parcel_is_not_shipped_twice_because_it_gets_a_name(node: str) -> None:
    events = [*ROUTED, answered(WorkHandedOver, 4, "A"), step("scanned", 6, node=node)]

    assert told(track(events)) == [("CONFIRMED", None), ("SHIPPED", None)]


def test_a_parcel_that_nobody_handed_over_is_shipped_with_its_first_scan() -> None:
    assert templates([step("packed", 1), step("arrived", 6), step("scanned", 9)]) == ["SHIPPED"]


def test_a_date_is_told_again_only_when_it_is_on_another_day() -> None:
    dates = [48, 50, 80, 80]
    events = [decided(n, promise=date, cause=n) for n, date in enumerate(dates)]

    rows = track(events).rows(Table.OUTBOX)

    assert [row["template"] for row in rows] == ["CONFIRMED", "RESCHEDULED"]
    first, second = map(details, rows)
    assert second["previous_promise_at"] == first["promise_at"] != second["promise_at"]


def test_a_cancellation_is_told_once() -> None:
    events = [*ROUTED, decided(1, outcome="CANCELLED", cause=1), tick(2)]

    assert templates([*events, *events]) == ["CONFIRMED", "CANCELLED"]


def test_a_customer_is_reminded_before_the_deadline_and_once() -> None:
    wanted = ordered(0, installation=True, acceptance=True)
    begun = [wanted, step("signed", 1), tick(1 + 11 * 24 - 1), tick(1 + 11 * 24), tick(1 + 12 * 24)]
    rest = [served(ServiceInstalled, 300), tick(300 + 4 * 24), tick(300 + 8 * 24)]

    rows = track([*begun, *rest]).rows(Table.OUTBOX)

    said = [(row["template"], row["position"]) for row in rows if row["audience"] == "customer"]
    assert said == [("INSTALLATION_DUE", 3), ("ACCEPTANCE_DUE", 6)]
    due = moment(1) + timedelta(days=14)
    assert details(rows[0])["due_at"] == due.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert [row["code"] for row in rows if row["template"] == "ALERT"] == ["ACCEPTANCE_OVERDUE"]


# Exceptions ---------------------------------------------------------------------------------------


def test_a_breached_promise_is_told_alerted_and_compensated_once() -> None:
    tracked = track([*ROUTED, step("handed_over", 5, node="A"), tick(47), tick(49), tick(50)])

    assert told(tracked)[2:] == [("DELAYED", None)]
    (alert,) = [row for row in tracked.rows(Table.OUTBOX) if row["audience"] == "operator"]
    assert (alert["template"], alert["code"], alert["customer"]) == (
        "ALERT", "DELAY_BREACHED", None,
    )  # fmt: skip
    assert details(alert)["severity"] == "high"
    (action,) = tracked.rows(Table.ACTIONS)
    assert (action["action"], action["amount_minor"], action["currency"]) == (
        "COMPENSATE", 1_000, "EUR",
    )  # fmt: skip
    assert (action["policy_version"], action["record_id"]) == ("default", None)


def test_the_end_of_a_delay_is_told_unless_the_delivery_says_it() -> None:
    late = [*ROUTED, step("handed_over", 5, node="A"), tick(49)]
    better = decided(50, promise=90, cause=1)

    assert templates([*late, better])[-2:] == ["RESOLVED", "RESCHEDULED"]
    assert templates([*late, step("delivered", 50, node="A")])[-2:] == ["DELAYED", "DELIVERED"]


def test_the_end_of_what_no_customer_heard_of_is_told_to_none() -> None:
    events = [
        ordered(0), decided(0), offered(0, "A", ship_date="2026-01-05"), tick(22),
        step("handed_over", 23, node="A"),
    ]  # fmt: skip

    assert templates(events) == ["SHIPPED"]
    assert templates(events, "operator") == ["ALERT"]


def test_a_promise_that_is_breached_again_is_not_paid_for_again() -> None:
    late = [*ROUTED, step("handed_over", 5, node="A"), tick(49)]
    again = [decided(50, promise=90, cause=1), tick(91)]

    assert actions([*late, *again]) == [("DELAY_BREACHED", "COMPENSATE")]
    assert templates([*late, *again]).count("DELAYED") == 2


def test_a_missed_hand_over_asks_for_another_decision_about_that_node() -> None:
    events = [ordered(0), decided(0), offered(0, "A", ship_date="2026-01-05"), tick(20), tick(22)]

    (row,) = track(events).rows(Table.ACTIONS)

    assert (row["code"], row["action"], row["node"]) == (
        "MILESTONE_MISSED_HANDOVER", "REROUTE", "A",
    )  # fmt: skip
    assert row["record_id"] == f"0/{row['position']}/{row['index']}"


def test_the_third_failed_attempt_is_for_a_person() -> None:
    events = [step("attempt_failed", 2 + day) for day in range(4)]

    assert actions(events) == [("ATTEMPT_FAILED", "REVIEW")]
    assert templates(events, "operator") == ["ALERT"]


def test_a_worse_excursion_is_not_the_end_of_one() -> None:
    begun = [ordered(0, tier="vip", price=1_000), step("handed_over", 1), bound(1)]

    tracked = track([*begun, *series([9.0] * 14, begin=1, every=1 / 6)])

    assert [t for t, _ in told(tracked)] == ["SHIPPED", "EXCURSION", "EXCURSION"]
    assert [(row["action"], row["amount_minor"]) for row in tracked.rows(Table.ACTIONS)] == [
        ("REVIEW", None), ("COMPENSATE", 400),
    ]  # fmt: skip


# The policy ---------------------------------------------------------------------------------------

DOCUMENT = """
version: ours
actions:
  raised:
    DELAY_BREACHED: [REVIEW, COMPENSATE]
compensation:
  tiers: {vip: 2.5}
  codes:
    DELAY_BREACHED: {percent: 12.5, floor_minor: 300, cap_minor: 4_000}
notifications:
  language: de
  languages: {wechat: zh}
  phases:
    PACKED: [{to: customer, template: SHIPPED, tiers: [vip]}, {to: partner, template: SHIPPED}]
    HANDED_OVER: []
  occasions:
    COMPENSATION: [{to: customer, template: COMPENSATED}]
"""


def test_a_policy_says_who_is_told_what_and_what_is_paid() -> None:
    packed = [step("packed", 1), step("handed_over", 5)]
    late = [ordered(0, tier="vip", price=777), decided(0, promise=48), *packed, tick(49)]

    tracked = track([policy(DOCUMENT, "ours"), *late])

    assert told(tracked) == [
        ("CONFIRMED", None), ("SHIPPED", "1"), ("DELAYED", None), ("COMPENSATED", None),
    ]  # fmt: skip
    assert told(tracked, "partner") == [("SHIPPED", "1")]
    offer = tracked.rows(Table.OUTBOX)[-1]
    assert (offer["language"], details(offer)["amount_minor"]) == ("de", 486)
    assert details(offer)["currency"] == "EUR"
    review, paid = tracked.rows(Table.ACTIONS)
    assert (paid["amount_minor"], paid["policy_version"]) == (486, "ours")
    rows = [*tracked.rows(Table.OUTBOX), review, paid, *tracked.rows(Table.EXCEPTIONS)]
    rows += tracked.rows(Table.TIMELINE)
    assert len({(row["position"], row["index"]) for row in rows}) == len(rows)


@pytest.mark.parametrize(
    ("value", "tier", "amount"),
    [(0, "", 300), (2_404, "", 301), (2_404, "vip", 751), (10**12, "vip", 4_000)],
)
def test_an_amount_is_a_share_within_its_bounds(value: int, tier: str, amount: int) -> None:
    compensation = parse_policy(DOCUMENT, "ours").compensation

    assert compensation.amount_minor("DELAY_BREACHED", value, tier) == amount


def test_an_order_whose_name_is_no_path_is_quoted_in_its_link() -> None:
    (row,) = track([step("handed_over", 1, "A/1 ü")]).rows(Table.OUTBOX)

    assert row["link"] == "/orders/acme/eu/A%2F1%20%C3%BC"
