"""What holds of a log as a whole: its records' places, its networks, its time, its repeats."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pytest

from models.policy.document import Policy
from models.routing.features import N_FEATURES, N_QUANTITIES, Feature
from models.routing.fold import TILE, RouteState, advance
from schemas.envelope import Event
from schemas.errors import ModelError
from schemas.tables import Table
from tests.support.builders import (
    DAY,
    HOUR,
    Rows,
    When,
    adjusted,
    at,
    cancelled,
    capacity,
    cause_of,
    counted,
    effects_of,
    handed_over,
    instant,
    journal,
    lane,
    model,
    node,
    order,
    policy,
    rejected,
    route,
    rules_only,
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
def test_a_network_named_late_goes_by_the_clock_of_the_partition(ticking: str) -> None:
    when = When(network=ticking)
    log = [tick(10 * HOUR, when=when), *in_networks("eu", "us"), tick(20 * HOUR, "fast", when)]

    rows = route(*log)

    assert {(s["network"], s["at"]) for s in rows.stock} == {
        ("eu", instant(10 * HOUR)),
        ("us", instant(10 * HOUR)),
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


# The clock ----------------------------------------------------------------------------------------


def decided(log: Sequence[Event], learnt: float) -> datetime:
    """When an order that was learnt of at this second is decided."""
    rows = route(node("A"), *log, order("probe", when=at(learnt)))
    moment = rows.decision("probe")["decided_at"]
    assert isinstance(moment, datetime)
    return moment


def test_an_order_is_decided_when_it_was_learnt_of() -> None:
    assert decided([], 50) == instant(50)


def test_no_order_is_decided_before_the_clock() -> None:
    assert decided([tick(100)], 50) == instant(100)


def test_no_order_is_decided_more_than_a_day_after_the_clock() -> None:
    assert decided([tick(0)], 3 * DAY) == instant(DAY)


def test_the_clock_is_that_of_the_slowest_ingest_process() -> None:
    assert decided([tick(10, "a"), tick(500, "b"), tick(300, "a")], 0) == instant(300)


def test_the_clock_never_goes_back() -> None:
    log = [tick(500, "a"), tick(100, "a"), tick(10, "late joiner")]

    assert decided(log, 0) == instant(500)


def test_a_retired_process_holds_the_clock_no_longer() -> None:
    log = [tick(10, "a"), tick(500, "b"), tick(10, "a", retired=True), tick(600, "b")]

    assert decided(log, 0) == instant(600)


def test_the_clock_stands_when_every_process_retired() -> None:
    log = [tick(500, "a"), tick(900, "a", retired=True)]

    assert decided(log, 0) == instant(500)


def test_record_time_counts_and_event_time_does_not() -> None:
    rows = route(*ONE_NODE, order(when=at(10, learnt=700)))

    assert rows.decision()["decided_at"] == instant(700)


# Policy and model ---------------------------------------------------------------------------------


def test_a_policy_decides_from_its_record_on() -> None:
    rows = route(
        *ONE_NODE,
        order("o-1"),
        policy("version: half\nweights: {freight: 0.5}\n"),
        order("o-2"),
    )

    before, after = rows.decision("o-1"), rows.decision("o-2")
    assert (before["policy_version"], before["freight_minor"]) == ("default", 500)
    assert (after["policy_version"], after["freight_minor"]) == ("half", 250)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("version: x\nlimits: {max_packages: 9}\n", "max_packages"),
        ("version: x\nwaits: 3\n", "waits"),
        ("version: [x\n", "policy"),
        ("just words", "version"),
    ],
)
def test_a_policy_that_does_not_validate_is_a_dead_letter_and_the_old_one_stays(
    document: str, said: str
) -> None:
    rows = route(*ONE_NODE, policy("version: good\n"), policy(document), order())

    assert rows.reasons() == ["SCHEMA_INVALID"]
    assert said in rows.dead_letters[0]["detail"]
    assert rows.decision()["policy_version"] == "good"


def test_a_policy_override_ignores_the_policies_of_the_log() -> None:
    state = RouteState(0, policy_override=Policy(version="what-if"))
    piece = journal(*ONE_NODE, policy("version: logged\n"), order())

    rows = Rows(effects_of(piece, state=state))

    assert rows.decision()["policy_version"] == "what-if"


class Oracle:
    """A model that knows."""

    low = np.zeros(N_FEATURES, np.float32)
    high = np.full(N_FEATURES, 0.5, np.float32)

    def score(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return np.full((len(features), N_QUANTITIES), 0.30078125, np.float32)


def test_a_model_scores_from_its_record_on() -> None:
    oracle = "ab" * 32
    asked: list[str] = []

    def scorer_of(sha256: str) -> Oracle:
        asked.append(sha256)
        return Oracle()

    piece = journal(*ONE_NODE, order("o-1"), model(oracle), order("o-2"))
    rows = Rows([advance(RouteState(0), piece, scorer_of)])

    before, after = rows.decision("o-1"), rows.decision("o-2")
    assert (before["model_sha256"], before["out_of_range"]) == ("", False)
    assert (after["model_sha256"], after["out_of_range"]) == (oracle, True)
    assert after["transit_p50_hours"] == 0.296875  # on the grid of 1/64
    assert after["late_probability"] == 0.30078125  # and of 1/4096
    assert set(asked) == {oracle}


class Fragile(Oracle):
    """A model that fails on orders of seven units, as a real one may on what it never saw."""

    low = np.full(N_FEATURES, -9, np.float32)
    high = np.full(N_FEATURES, 9, np.float32)

    def score(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        if np.isclose(features[:, Feature.UNITS_LOG], np.log(8)).any():
            raise ModelError("outputs of 1 rows are not finite")
        return super().score(features)


@pytest.mark.parametrize("slice_records", [1, 3, 64])
def test_an_order_that_the_model_fails_on_is_decided_by_rules_and_says_so(
    slice_records: int,
) -> None:
    """However the log is cut; the other orders are decided as if it were not there."""
    units = [1, 2, 7, 1, 7, 3]
    orders = [order(f"o-{n}", ("S1", qty)) for n, qty in enumerate(units)]
    piece, state = journal(*ONE_NODE, model("ab" * 32), *orders), RouteState(0)

    borders = range(0, len(piece), slice_records)
    parts = [piece.cut(at, min(at + slice_records, len(piece))) for at in borders]
    rows = Rows([advance(state, part, lambda _sha256: Fragile()) for part in parts])

    decided = [rows.decision(f"o-{n}") for n in range(len(units))]
    assert [d["out_of_range"] for d in decided] == [qty == 7 for qty in units]
    assert [d["late_probability"] == 0.30078125 for d in decided] == [qty != 7 for qty in units]
    assert {d["model_sha256"] for d in decided} == {"ab" * 32}


# Nodes and lanes ----------------------------------------------------------------------------------


def test_nodes_and_lanes_are_facts_for_the_lake() -> None:
    rows = route(node("A"), node("B", open=False), lane("B", "R2"), node("A", open=False))

    nodes = [(n["node_no"], n["node"], n["open"]) for n in rows.tables[Table.NODES]]
    assert nodes == [(0, "A", True), (1, "B", False), (0, "A", False)]
    (fact,) = rows.tables[Table.LANES]
    assert (fact["lane_id"], fact["node"], fact["region"]) == ("B>R2", "B", "R2")


def test_a_lane_from_an_unknown_node_is_a_dead_letter() -> None:
    rows = route(lane("A"), node("A"), counted("A"), order())

    assert rows.reasons() == ["UNKNOWN_NODE"]
    assert rows.outcomes() == ["UNROUTABLE"]


def test_a_lane_may_change_its_tariff_its_region_and_its_node() -> None:
    rows = route(
        node("A"),
        node("B"),
        counted("A"),
        counted("B"),
        lane("A", lane_id="L", cost=100),
        order("o-1"),
        lane("B", "R2", lane_id="L", cost=200),
        order("o-2"),
        order("o-3", region="R2"),
    )

    assert rows.decision("o-1")["freight_minor"] == 100
    assert rows.outcomes("o-2") == ["UNROUTABLE"]
    assert rows.decision("o-3")["nodes"] == ["B"]
    assert rows.decision("o-3")["freight_minor"] == 200


def test_networks_of_one_partition_share_nothing_but_ticks() -> None:
    us = When(network="us")
    log = [
        *in_networks("eu", "us"),
        order("o-1", ("S1", 9)),
        order("o-1", ("S1", 9), when=us),
        cancelled("o-1", when=us),
    ]

    rows = route(*log)

    outcomes = [(d["network"], d["outcome"]) for d in rows.decisions]
    assert outcomes == [("eu", "FULLY_ROUTED"), ("us", "FULLY_ROUTED"), ("us", "CANCELLED")]


def test_no_records_cause_nothing() -> None:
    state = RouteState(3)

    effects = advance(state, journal(partition=3), rules_only)

    assert (effects.partition, effects.position, dict(effects.tables)) == (3, -1, {})
