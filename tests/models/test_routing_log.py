"""What holds of a log as a whole: its records' places, its networks, its time, its repeats."""

import pytest

from models.routing.fold import TILE
from schemas.envelope import Event
from tests.support.builders import (
    HOUR,
    Rows,
    When,
    adjusted,
    at,
    cancelled,
    capacity,
    cause_of,
    counted,
    handed_over,
    instant,
    lane,
    node,
    order,
    policy,
    rejected,
    route,
    supply,
    tick,
)

ONE_NODE = (node("A"), lane("A"), counted("A", {"S1": 100}))


def test_dead_letters_of_control_records_and_of_others_share_a_table() -> None:
    rows = route(capacity("nowhere", 5), counted("nowhere"))

    assert rows.reasons() == ["UNKNOWN_NODE", "UNKNOWN_NODE"]
    assert [d["kind"] for d in rows.dead_letters] == ["capacity.set", "inventory.counted"]
    assert [d["subject"] for d in rows.dead_letters] == ["nowhere", "nowhere"]


def places(rows: Rows) -> list[tuple[int, int]]:
    return [cause_of(row) for held in rows.tables.values() for row in held]


def in_networks(*names: str) -> list[Event]:
    """A node with stock in every network."""
    events: list[Event] = []
    for name in names:
        when = When(network=name)
        events += [node("A", when), lane("A", when=when), counted("A", {"S1": 9}, when=when)]
    return events


def test_one_tick_makes_effects_in_many_networks_and_each_has_its_own_place() -> None:
    log = [*in_networks("eu", "us", "asia"), tick(60), tick(2 * HOUR)]

    rows = route(*log)

    assert {(s["network"], s["position"]) for s in rows.stock} == {
        ("eu", 9),
        ("us", 9),
        ("asia", 9),
    }
    assert len(places(rows)) == len(set(places(rows)))
    assert route(*log, cut=1).tables == rows.tables


@pytest.mark.parametrize("ticking", ["eu", "us", "system"])
def test_a_network_hears_the_ticks_after_its_first_record_only(ticking: str) -> None:
    when = When(network=ticking)
    log = [tick(10 * HOUR, when=when), *in_networks("eu", "us"), tick(20 * HOUR, "late", when)]

    rows = route(*log)

    assert {(s["network"], s["at"]) for s in rows.stock} == {
        ("eu", instant(20 * HOUR)),
        ("us", instant(20 * HOUR)),
    }
    for cut in (1, 2, 4):
        assert route(*log, cut=cut).tables == rows.tables


def test_an_order_decided_twice_in_a_slice_is_scored_anew_each_time() -> None:
    log = [
        *ONE_NODE,
        order(requested_by=instant(40 * HOUR)),
        rejected(when=at(1 * HOUR), blocking=False),
        rejected(when=at(9 * HOUR), blocking=False),
    ]

    rows = route(*log)

    first, second, third = (d["late_probability"] for d in rows.decisions)
    assert first < second < third
    assert route(*log, cut=1).tables == rows.tables


def test_a_backorder_that_was_looked_at_in_vain_is_scored_anew_when_stock_comes() -> None:
    log = [
        *ONE_NODE[:2],
        counted("A", {"S1": 0}),
        supply(items={"S1": 5}),
        order("o-1", ("S1", 5), requested_by=instant(50 * HOUR)),
        adjusted("A", {"S1": 2}, when=at(HOUR)),
        adjusted("A", {"S1": 3}, when=at(9 * HOUR)),
    ]

    rows = route(*log)

    assert rows.outcomes() == ["BACKORDERED", "FULLY_ROUTED"]
    assert route(*log, cut=1).tables == rows.tables


def test_the_view_is_refreshed_at_the_latest_time_that_was_seen() -> None:
    late_cut_off = capacity("A", cut_off_minute=12 * 60)
    early = [cancelled(f"x-{i}", {1: 1}, at(i)) for i in range(TILE - 5)]
    log = [
        *ONE_NODE,
        late_cut_off,
        *early[:-1],
        cancelled("x-2", {1: 1}, at(4 * HOUR)),
        cancelled("x-3", {1: 1}, at(0)),
        order(requested_by=instant(50 * HOUR), when=at(1)),
    ]

    rows = route(*log)

    assert route(*log, cut=1).tables == rows.tables
    assert route(*log, cut=254).tables == rows.tables


def test_an_order_first_named_after_the_closed_ones_were_forgotten_is_itself() -> None:
    forgetful = policy("version: p\nwindows: {closed_order_retention_hours: 1}\n")
    closed = [
        event
        for i in range(TILE // 2)
        for event in (order(f"o-{i}", when=at(i)), cancelled(f"o-{i}", when=at(i)))
    ]
    log = [
        *ONE_NODE,
        forgetful,
        *closed[: TILE - 6],
        tick(9 * HOUR),
        order("new-1", ("S1", 2), when=at(9 * HOUR)),
        order("new-2", ("S1", 3), when=at(9 * HOUR)),
        cancelled("new-1", when=at(9 * HOUR)),
        handed_over("new-2", when=at(9 * HOUR)),
    ]

    rows = route(*log)

    assert [d["order_id"] for d in rows.decisions[-3:]] == ["new-1", "new-2", "new-1"]
    assert rows.held() == {}
    assert rows.reasons() == []
    assert route(*log, cut=1).tables == rows.tables
