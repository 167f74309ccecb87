"""The views of service follow their definitions: small logs through the fold, figures worked out by hand."""

from typing import Any

import duckdb
import msgspec
import pytest

from schemas import decisions, shipments
from schemas.codes import Trouble
from schemas.tables import Table
from tests.support import tracks
from tests.support.devices import bound, series
from tests.support.effects import allocation, decision
from tests.support.facts import TRACKING, rows_in, tracked_facts
from tests.support.tracks import decided, feedback, moment, ordered, served, step, tick

VISITED, INSTALLED = shipments.ServiceVisited, shipments.ServiceInstalled


def delivered(order: str, at: float, promise: float, package: str = "1") -> list[Any]:
    """An order with its date, delivered in one parcel."""
    return [
        ordered(0, order),
        decided(1, order, promise=promise),
        step("handed_over", 2, order, package=package, node="DC"),
        step("delivered", at, order, package=package),
    ]


def journal(order: str, position: int, **changes: Any) -> dict[str, Any]:
    """The router's decision about it, in the journal's part of the lake."""
    return decision(0, position, order_id=order, **changes)


def overall(facts: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """The one row of the network as a whole."""
    (row,) = rows_in(facts, "SELECT * FROM service_kpis WHERE dimension = ''")
    return row


def told_again(order: str, first: float, latest: float) -> Any:
    """Another date for an order that had one."""
    said = tracks.Said(5, "0/9/0", tracks.JOURNAL).envelope(order, "")
    data = decisions.Decision(
        outcome="FULLY_ROUTED", original_commit_at=moment(first), latest_commit_at=moment(latest)
    )
    return decisions.DecisionRouted(**said, data=data)


def test_on_time_is_told_by_the_original_the_latest_and_the_requested_date() -> None:
    told = [
        *delivered("early", 10, promise=10),  # to the instant: in time
        *delivered("moved", 30, promise=20),
        told_again("moved", first=20, latest=40),
        *delivered("open", 10, promise=500)[:3],  # neither delivered nor overdue
        *delivered("overdue", 10, promise=20)[:3],
        ordered(0, "gone"),
        decided(1, "gone", promise=20, outcome="CANCELLED"),
        decided(1, "lost", promise=400),
        step("lost", 9, "lost"),
        step("scanned", 60, "early"),  # by which time it is
    ]
    asked = [
        journal("moved", 0, requested_by=moment(35)),
        journal("early", 1, requested_by=moment(9)),
    ]
    moves = [allocation(0, n, 0, order_id=o, qty=4) for n, o in enumerate(("moved", "early"))]
    facts = tracked_facts(told, {Table.DECISIONS: asked, Table.ALLOCATIONS: moves})

    row = overall(facts)

    assert (row["orders"], row["due_orders"], row["delivered_orders"]) == (6, 4, 2)
    assert row["otd_original"] == 1 / 4
    assert row["otd_latest"] == 2 / 4
    assert row["otd_requested"] == 1 / 2


def test_an_order_is_in_time_only_if_all_its_parcels_are() -> None:
    both = [*delivered("a", 10, promise=20), step("handed_over", 3, "a", package="2", node="DC")]
    split = [*delivered("b", 10, promise=20), step("delivered", 25, "b", package="2", node="DC")]
    lost = [*delivered("c", 10, promise=20), step("lost", 12, "c", package="2", node="DC")]
    facts = tracked_facts([*both, *split, *lost])

    found = rows_in(
        facts,
        "SELECT is_on_time_original AS t, is_in_full AS f FROM order_health ORDER BY order_id",
    )

    assert [(r["t"], r["f"]) for r in found] == [(None, None), (False, True), (False, False)]


def test_in_full_needs_every_unit_that_was_ordered() -> None:
    told = [*delivered("whole", 10, promise=20), *delivered("short", 10, promise=20)]
    decided_on = [journal("whole", 0), journal("short", 1)]  # four units each
    moves = [
        allocation(0, 0, 0, order_id="whole", qty=4, node="DC"),
        allocation(0, 1, 0, order_id="short", qty=4, node="DC"),
        allocation(0, 2, 0, order_id="short", qty=1, node="DC", event="released"),
    ]
    facts = tracked_facts(
        [*told, tick(60), step("scanned", 60, "whole")],
        {Table.DECISIONS: decided_on, Table.ALLOCATIONS: moves},
    )

    row = overall(facts)

    assert (row["in_full_rate"], row["otif"], row["otd_original"]) == (0.5, 0.5, 0.5)


def test_a_perfect_order_is_neither_damaged_nor_badly_documented() -> None:
    told = [
        *delivered("fine", 10, promise=20),
        *delivered("broken", 10, promise=20),
        step("damaged", 11, "broken"),
        *delivered("address", 10, promise=20),
        step("attempt_failed", 8, "address", reason=Trouble.ADDRESS_INVALID),  # learnt late
    ]
    facts = tracked_facts(told)

    row = overall(facts)
    found = rows_in(facts, "SELECT order_id FROM order_health WHERE is_perfect")

    assert (row["otif"], row["perfect_order_rate"]) == (1.0, pytest.approx(1 / 3))
    assert [r["order_id"] for r in found] == ["fine"]
    assert row["first_attempt_rate"] == pytest.approx(2 / 3)
    assert row["attempts_per_order"] == pytest.approx(4 / 3)


def warmed(order: str) -> list[Any]:
    """An order whose logger is too warm for three hours from the seventh on."""
    parts = delivered(order, 10.5, promise=20)
    warm = series([12.0] * 37, order, begin=7)
    return [*parts[:-1], bound(1, order), *warm, tick(10.4), parts[-1]]


def test_goods_that_were_too_warm_are_damaged_unless_that_was_an_error() -> None:
    told = [
        *warmed("warm"),
        *warmed("closed"),
        feedback(30, "closed", nps=9),
        *warmed("desk"),
        step("delivered", 7, "desk", event_id="real"),  # what was measured later is nobody's loss
        tick(40),
    ]
    facts = tracked_facts(told)

    found = rows_in(facts, "SELECT order_id, phase, is_undamaged FROM order_health ORDER BY ALL")

    assert [tuple(row.values()) for row in found] == [
        ("closed", "CLOSED", False),
        ("desk", "DELIVERED", True),
        ("warm", "DELIVERED", False),
    ]


def test_a_job_is_fixed_first_if_the_first_visit_leaves_nothing_to_do_and_none_follows() -> None:
    told = [
        served(INSTALLED, 10, "first"),
        served(INSTALLED, 10, "twice", fixed=False),
        served(VISITED, 20, "twice"),
        served(INSTALLED, 10, "again"),
        served(VISITED, 20, "again"),
        served(INSTALLED, 10, "open", fixed=False),
        served(INSTALLED, 10, "yearly"),
        served(VISITED, 10 + 24 * 31, "yearly"),
    ]

    row = overall(tracked_facts(told))

    assert row["first_time_fix_rate"] == 2 / 4


def test_nps_and_csat_count_the_last_answer_of_each_order() -> None:
    scores = [(10, 5), (9, 4), (8, 3), (7, None), (6, None), (0, 1)]
    told = [feedback(1, f"o{n}", nps=nps, csat=csat) for n, (nps, csat) in enumerate(scores)]
    told.append(feedback(2, "o5", nps=10, csat=5))  # it thought better of it

    row = overall(tracked_facts(told))

    assert (row["nps_answers"], row["csat_answers"]) == (6, 4)
    assert row["nps"] == pytest.approx(100 * (3 - 1) / 6)
    assert row["csat"] == pytest.approx((5 + 4 + 3 + 5) / 4)


def test_orders_are_counted_by_day_carrier_node_and_lane() -> None:
    told = [*delivered("a", 10, promise=20), *delivered("b", 60, promise=50)]
    facts = tracked_facts(told, {Table.DECISIONS: [journal("a", 0), journal("b", 1)]})

    found = rows_in(
        facts,
        "SELECT dimension, value, orders FROM service_kpis WHERE dimension <> '' ORDER BY ALL",
    )

    by = {(row["dimension"], row["value"]): row["orders"] for row in found}
    assert by["node", "DC"] == 2
    assert (by["day", str(moment(20).date())], by["day", str(moment(50).date())]) == (1, 1)
    assert by["lane", "DC-1>R1"] == 1
    assert by["region", "R1"] == 2


def test_warnings_are_right_if_the_order_is_late_and_early_by_the_time_to_its_date() -> None:
    told = [
        *delivered("late", 30, promise=20),
        *delivered("fine", 10, promise=20),
        *delivered("silent", 30, promise=20),
    ]
    cause = {"partition": 10_000, "position": 99, "tenant": "acme", "network": "eu"}
    warned = [
        {**cause, "index": n, "order_id": order, "code": "DELAY_PREDICTED", "change": "raised",
         "severity": "warn", "raised_at": moment(14)}
        for n, order in enumerate(("late", "fine"))
    ]  # fmt: skip

    (row,) = rows_in(
        tracked_facts(told, {Table.EXCEPTIONS: warned}), "SELECT * FROM delay_warnings"
    )

    assert (row["orders"], row["late"], row["warned"], row["false_alarms"]) == (3, 2, 2, 1)
    assert (row["precision"], row["recall"], row["lead_hours"]) == (0.5, 0.5, 6.0)


def test_exceptions_last_from_raised_to_resolved() -> None:
    told = [
        step("attempt_failed", 1, "a"),
        tick(1),
        step("attempt_failed", 1, "b"),
        tick(4),
        step("delivered", 4, "b"),
    ]

    (row,) = [
        r
        for r in rows_in(tracked_facts(told), "SELECT * FROM exception_kpis")
        if r["code"] == "ATTEMPT_FAILED"
    ]

    assert (row["raised"], row["orders"], row["open_now"]) == (2, 2, 1)
    assert row["resolve_hours"] == 3.0


@pytest.mark.parametrize(
    ("finding", "order"),
    [
        ("MORE_PLACED_THAN_ORDERED", "a"),
        ("CANCELLED_BUT_RESERVED", "b"),
        ("SHIPPED_UNRESERVED", "c"),
        ("SHIPPED_BUT_RESERVED", "d"),
        ("CONSUMED_BUT_NOT_SHIPPED", "e"),
        ("CANCELLED_BUT_SHIPPED", "f"),
        ("PROMISE_DIFFERS", "g"),
        ("NOT_TRACKED", "h"),
        ("NOT_ROUTED", "i"),
        ("ROUTED_BUT_NOT_RESERVED", "j"),
    ],
)
def test_what_does_not_agree_is_found_and_what_does_is_not(finding: str, order: str) -> None:
    facts = tracked_facts(_disagreements(), _ledger())
    facts.execute("INSERT INTO identity VALUES ('route', 'log')")

    found = rows_in(facts, "SELECT finding, order_id FROM consistency")

    assert {"finding": finding, "order_id": order} in found
    assert not [row for row in found if row["order_id"] == "right"]
    assert len(found) == 10


def _disagreements() -> list[Any]:
    """What tracking says of orders, the first of which agrees with the ledger."""
    said: list[Any] = [ordered(0, "right"), ordered(0, "i")]
    for order in ("right", "a", "b", "c", "d", "e", "f", "g", "j"):
        outcome = "CANCELLED" if order in ("b", "f") else "FULLY_ROUTED"
        said.append(decided(1, order, promise=30 if order == "g" else 48, outcome=outcome))
    for order, node in (("right", "DC"), ("c", "XX"), ("d", "DC"), ("f", "DC")):
        said.append(step("handed_over", 2, order, node=node))
    return said


def _ledger() -> dict[Table, list[dict[str, Any]]]:
    routed, moves = [], []
    for position, order in enumerate(("right", "a", "b", "c", "d", "e", "f", "g", "h", "j")):
        told = {"original_commit_at": moment(48), "latest_commit_at": moment(48), "nodes": ["DC"]}
        outcome = "CANCELLED" if order in ("b", "f") else "FULLY_ROUTED"
        routed.append(journal(order, position, outcome=outcome, **told))
        if order == "j":
            continue
        qty = 5 if order == "a" else 4
        moves.append(allocation(0, position, 0, order_id=order, node="DC", qty=qty))
        if order in ("right", "e", "f"):
            used = allocation(0, position, 1, order_id=order, node="DC", qty=4, event="consumed")
            moves.append({**used, "line_no": 0})
    return {Table.DECISIONS: routed, Table.ALLOCATIONS: moves}


def test_order_360_joins_what_both_logs_tell_and_says_how_fresh_it_is() -> None:
    told = [*delivered("a", 10, promise=20), feedback(12, "a", nps=9)]
    facts = tracked_facts(told, {Table.DECISIONS: [journal("a", 0), journal("b", 1)]})

    a, b = rows_in(facts, "SELECT * FROM order_360 ORDER BY order_id")

    assert (a["phase"], a["outcome"], a["customer"], a["nps"]) == (
        "CLOSED",
        "FULLY_ROUTED",
        "c-1",
        9,
    )
    assert [(p["package"], p["in_hands_of"]) for p in a["parcels"]] == [("1", "customer")]
    sources = {s["source"]: (s["rows"], s["last_at"]) for s in a["sources"]}
    assert sources["carrier"] == (2, moment(10))
    assert sources["survey"] == (1, moment(12))
    assert (b["phase"], b["outcome"], b["parcels"]) == (None, "FULLY_ROUTED", [])


def test_order_360_says_of_each_group_of_columns_who_said_it_last_and_when() -> None:
    late = msgspec.structs.replace(
        step("departed", 6, "a", event_id="scan-6"), recordedtime=moment(30)
    )
    told = [
        *delivered("a", 10, promise=20),
        late,
        feedback(12, "a", nps=9),
        *delivered("b", 10, promise=20)[:1],
    ]
    facts = tracked_facts(told, {Table.DECISIONS: [journal("a", 3), journal("a", 7)]})

    rows = rows_in(
        facts,
        "SELECT order_id, unnest(provenance, recursive := true) FROM order_360 ORDER BY order_id",
    )
    said = {(r["order_id"], r["fields"]): r for r in rows}

    assert [r["fields"] for r in rows if r["order_id"] == "a"] == [
        "customer", "plan", "promise", "phase", "parcels", "answers",
    ]  # fmt: skip
    assert [r["fields"] for r in rows if r["order_id"] == "b"] == ["customer", "phase"]
    assert said["a", "plan"]["source"] == "crossdock-route"
    plan, phase = said["a", "plan"], said["b", "phase"]
    assert (plan["record"], plan["partition"], plan["position"]) == ("0/7/0", 0, 7), "the newest"
    assert (phase["partition"], phase["position"]) == (TRACKING, len(told) - 1)
    assert (said["a", "customer"]["source"], said["a", "customer"]["at"]) == (
        told[0].source,
        moment(0),
    )
    assert (said["a", "answers"]["source"], said["a", "answers"]["at"]) == ("survey", moment(12))
    parcels = said["a", "parcels"]
    assert (parcels["source"], parcels["record"]) == ("carrier", "scan-6"), "learnt last"
    assert (parcels["at"], parcels["recorded_at"]) == (moment(6), moment(30))
