"""The views of a past moment: what was known then is what a replay of the log up to there would say."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from flows.lake.views import MOMENTS
from schemas.codes import Classifier
from schemas.envelope import Event
from schemas.tables import Effects, Table, to_tables
from schemas.work import WorkHandedOver
from tests.support import tracks
from tests.support.devices import journey
from tests.support.effects import START, measurement, to_table
from tests.support.facts import facts_of, rows_in, tracked_facts
from tests.support.journeys import disturbed, records, with_ticks
from tests.support.tracks import decided, moment, step, tick

VIEWS = sorted(MOMENTS - {"learnt_later"})


def learnt_in_order(events: Sequence[Event]) -> list[Event]:
    """The same, each learnt a second after the one before it, and ticks saying so."""
    learnt = []
    for n, event in enumerate(events):
        at = moment(200) + timedelta(seconds=n)
        changes: dict[str, Any] = {"recordedtime": at}
        if event.subject == "ingest":
            changes["data"] = msgspec.structs.replace(event.data, at=at)  # type: ignore[attr-defined]
        learnt.append(msgspec.structs.replace(event, **changes))
    return learnt


def stories(seed: int) -> list[Event]:
    """Orders and devices of every kind, disturbed and corrected, in the order in which they are learnt."""
    known, happened = journey(seed, orders=2)
    told = disturbed([*records(seed, 4), *known, *happened[::12]], seed)
    return learnt_in_order(with_ticks(told, range(0, 500, 40)))


@pytest.mark.parametrize("seed", [1, 2])
def test_the_twin_at_a_past_moment_is_a_replay_of_the_log_cut_there(seed: int) -> None:
    events = stories(seed)
    whole = tracked_facts(events)

    for cut in range(5, len(events), max(1, len(events) // 8)):
        then = events[cut - 1].recordedtime
        replayed = tracked_facts(events[:cut])
        for view in VIEWS:
            was = rows_in(whole, f"SELECT * FROM {view}('{then}'::TIMESTAMPTZ) ORDER BY ALL")
            assert was == rows_in(replayed, f"SELECT * FROM {view} ORDER BY ALL"), (view, cut)


def test_what_a_correction_says_counts_from_when_it_was_learnt() -> None:
    wrong = step("delivered", 10, event_id="wrong")
    right = step("delivered", 12, event_id="right", retracts="wrong")
    learnt = learnt_in_order([decided(1, promise=11), wrong, right, tick(20)])
    facts = tracked_facts(learnt)

    told = [
        rows_in(facts, f"SELECT delivered_at, is_on_time FROM order_states('{e.recordedtime}')")
        for e in learnt[1:3]
    ]
    (taken_back,) = rows_in(facts, "SELECT taken_back_at FROM history WHERE event_id = 'wrong'")

    assert told[0] == [{"delivered_at": moment(10), "is_on_time": True}]
    assert told[1] == [{"delivered_at": moment(12), "is_on_time": False}]
    assert taken_back["taken_back_at"] == learnt[2].recordedtime


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 1, 3, 2), (3, 2, 1, 0)])
def test_a_correction_that_names_another_parcel_leaves_the_wrong_one_where_it_was(
    order: tuple[int, ...],
) -> None:
    said = [
        step("handed_over", 1, package="p1", carrier="sf"),
        step("out_for_delivery", 9, package="p1"),
        step("delivered", 10, package="p1", event_id="wrong"),
        step("delivered", 10, package="p2", event_id="right", retracts="wrong"),
    ]
    facts = tracked_facts([*(said[n] for n in order), tick(12)])

    parcels = rows_in(
        facts, "SELECT package, phase, delivered_at, in_hands_of FROM twin ORDER BY ALL"
    )

    assert parcels == [
        {"package": "p1", "phase": "OUT_FOR_DELIVERY", "delivered_at": None, "in_hands_of": "carrier"},
        {"package": "p2", "phase": "DELIVERED", "delivered_at": moment(10), "in_hands_of": "customer"},
    ]  # fmt: skip


def test_a_delivery_that_was_taken_back_is_none() -> None:
    gone = step("delivered", 12, classifier=Classifier.RETRACTED, retracts="d", event_id="x")
    facts = tracked_facts([step("delivered", 10, event_id="d"), gone])

    (order,) = rows_in(facts, "SELECT delivered_at FROM order_states")
    (parcel,) = rows_in(facts, "SELECT phase, delivered_at FROM shipments")

    assert order["delivered_at"] is None
    assert parcel == {"phase": None, "delivered_at": None}


UNDER_WAY = (  # what is only packed may stay where it is, if its work was withdrawn or the order cancelled
    "'HANDED_OVER', 'IN_TRANSIT', 'CUSTOMS', 'OUT_FOR_DELIVERY', 'ATTEMPT_FAILED',"
    "'AVAILABLE_FOR_PICKUP'"
)


@pytest.mark.parametrize("seed", range(8))
def test_views_count_the_parcels_that_the_fold_counts(seed: int) -> None:
    facts = tracked_facts(disturbed(records(seed, 60), seed))
    there = "o.phase IN ('DELIVERED', 'SIGNED', 'INSTALLED', 'ACCEPTED', 'CLOSED')"

    found = rows_in(
        facts,
        f"""SELECT o.delivered_at, count(*) FILTER (s.delivered_at IS NULL) AS lost,
            count(*) FILTER (s.phase IN ({UNDER_WAY})) AS under_way
        FROM order_states AS o JOIN shipments AS s USING (order_id)
        WHERE {there} AND s.phase IS NOT NULL AND NOT s.is_stand_in GROUP BY order_id, o.delivered_at""",
    )

    assert found
    for row in found:
        assert row["under_way"] == 0, "the order is there"
        assert row["delivered_at"] or row["lost"]


def test_an_estimate_is_compared_with_the_first_delivery_that_stands() -> None:
    events = [
        *(decided(0, promise=50), step("handed_over", 1), tick(2)),
        *(step("delivered", 40, event_id="wrong"), tick(41)),
        step("scanned", 39, classifier=Classifier.RETRACTED, retracts="wrong", event_id="r"),
    ]
    query = "SELECT delivered_at FROM estimates_now"

    found = [
        rows_in(tracked_facts([*events, *more]), query)
        for more in ([], [step("signed", 46)], [step("signed", 46), step("delivered", 45)])
    ]

    assert found == [[{"delivered_at": at}] for at in (None, moment(46), moment(45))]


def test_an_only_node_is_that_of_its_parcels() -> None:
    events = [
        tracks.offered(0, "A"),
        tracks.answered(WorkHandedOver, 1, "A"),
        step("delivered", 9, package="x"),
    ]

    found = rows_in(
        tracked_facts(events),
        "SELECT package, node, is_stand_in, delivered_at FROM shipments ORDER BY 1",
    )
    (order,) = rows_in(tracked_facts(events), "SELECT phase, delivered_at FROM order_states")

    assert [tuple(row.values())[:3] for row in found] == [("A", "A", True), ("x", "A", False)]
    assert order == {"phase": "DELIVERED", "delivered_at": moment(9)}


def test_the_twin_says_who_has_a_parcel_and_where() -> None:
    events = [
        step("packed", 1, "a", node="DC"),
        step("handed_over", 1, "b", node="DC"),
        step("delivered", 2, "c", node="DC"),
    ]
    facts = tracked_facts([*events, tracks.ordered(0, "c"), decided(1, "d")])

    found = rows_in(
        facts, "SELECT order_id, package, in_hands_of, responsible FROM twin ORDER BY 1"
    )

    assert [tuple(row.values()) for row in found] == [
        ("a", "1", "node", "DC"),
        ("b", "1", "carrier", None),
        ("c", "1", "customer", "c-1"),
        ("d", None, "node", None),
    ]


def troubled() -> list[Event]:
    """One parcel is lost, another was found again; two nodes are late, one of them has packed."""
    return [
        *(decided(0, promise=9), tracks.offered(0, "A", ship_date="2026-01-05", cause=1)),
        tracks.offered(0, "B", ship_date="2026-01-05", cause=2),
        step("packed", 1, package="p1", node="A"),
        step("handed_over", 1, package="p2", node="C"),
        step("lost", 5, package="p3", node="C"),
        step("lost", 6, package="p2", node="C"),
        tick(22),
        step("scanned", 23, package="p3", node="C"),
    ]


def test_exceptions_are_open_by_what_they_are_about() -> None:
    facts = tracked_facts(troubled())

    found = rows_in(facts, "SELECT code, package, node, episode FROM exceptions_open ORDER BY ALL")
    (kpis,) = rows_in(facts, "SELECT raised, open_now FROM exception_kpis WHERE code = 'LOST'")

    late = "MILESTONE_MISSED_HANDOVER"
    assert [tuple(row.values()) for row in found] == [
        ("DELAY_BREACHED", None, None, 1),
        ("LOST", "p2", None, 1),
        (late, None, "A", 1),
        (late, None, "B", 1),
    ]
    assert kpis == {"raised": 2, "open_now": 1}


def test_the_twin_says_of_each_parcel_what_is_wrong_with_it() -> None:
    facts = tracked_facts([*troubled(), tracks.ordered(0, "o2"), tick(30)])

    found = rows_in(facts, "SELECT order_id, package, exceptions FROM twin ORDER BY 1, 2")
    (order,) = rows_in(facts, "SELECT exceptions FROM order_360 WHERE order_id = 'o1'")

    late = "MILESTONE_MISSED_HANDOVER"
    assert [tuple(row.values()) for row in found] == [
        ("o1", "p1", ["DELAY_BREACHED", late]),
        ("o1", "p2", ["DELAY_BREACHED", "LOST"]),
        ("o1", "p3", ["DELAY_BREACHED"]),
        ("o2", None, ["MILESTONE_MISSED_ROUTE"]),
    ]
    assert order["exceptions"] == ["DELAY_BREACHED", "LOST", late]


def test_a_node_is_shown_with_the_stock_and_parcels_of_the_moment() -> None:
    later = START + timedelta(hours=1)
    cause = {"partition": 0, "index": 0, "tenant": "acme", "network": "eu", "node": "DC"}
    cells = [
        {
            **cause,
            "position": 1,
            "sku": "S",
            "on_hand": 9,
            "reserved": 1,
            "available": 8,
            "at": START,
        },
        {
            **cause,
            "position": 2,
            "sku": "S",
            "on_hand": 7,
            "reserved": 0,
            "available": 7,
            "at": later,
        },
    ]
    versions = [{**cause, "position": 0, "node_no": 0, "open": True, "at": START}]
    events = [
        tracks.offered(0, "DC", "x"),
        step("packed", 1, "a", node="DC"),
        step("handed_over", 2, "b", node="DC"),
    ]
    facts = tracked_facts(events, {Table.STOCK: cells, Table.NODES: versions})

    names = "is_open, on_hand, reserved, offered_orders, at_node_parcels, underway_parcels"
    (now,) = rows_in(facts, f"SELECT {names} FROM twin_nodes")
    (then,) = rows_in(facts, f"SELECT {names} FROM twin_nodes('{START}')")

    assert tuple(now.values()) == (True, 7, 0, 1, 1, 1)
    assert tuple(then.values())[:3] == (True, 9, 1)


def test_what_sources_tell_late_and_commits_show_late_is_measured_apart() -> None:
    events = [step("scanned", float(n), "o", event_id=f"s{n}") for n in range(4)]
    known = [e.time + timedelta(seconds=2 + n) for n, e in enumerate(events)]
    learnt = [
        msgspec.structs.replace(e, recordedtime=at) for e, at in zip(events, known, strict=True)
    ]
    seen = [known[1] + timedelta(seconds=1), known[3] + timedelta(seconds=8)]
    slices = [
        {**measurement(10_000, 0, 1), "committed_at": seen[0]},
        {**measurement(10_000, 2, 3), "committed_at": seen[1]},
    ]
    facts = tracked_facts(learnt, {Table.MEASUREMENTS: slices})

    (row,) = rows_in(facts, "SELECT * FROM visibility WHERE hour IS NULL")

    assert (row["source"], row["records"], row["interval_s"]) == ("carrier", 4, 3600)
    assert row["record_s_p50"] == 3.5
    assert row["share_above_10_s"] == pytest.approx(0.75)  # all but the second
    assert row["visible_s_p50"] == pytest.approx((8 + 3600 + 1) / 2, abs=1800)
    hours = rows_in(facts, "SELECT hour FROM visibility WHERE hour IS NOT NULL")
    assert len(hours) == 4


def test_facts_of_the_journal_alone_have_a_twin_of_their_nodes() -> None:
    cause = {"partition": 0, "index": 0, "tenant": "acme", "network": "eu"}
    row = {**cause, "position": 0, "node": "DC", "node_no": 0, "open": False, "at": START}
    effects = Effects(0, 0, {Table.NODES: to_table(Table.NODES, [row])})

    facts = facts_of(to_tables([effects]))

    assert rows_in(facts, "SELECT node, is_open FROM twin_nodes") == [
        {"node": "DC", "is_open": False}
    ]
