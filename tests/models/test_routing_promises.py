"""What customers are told, what comes first at a node, and what is kept for whom."""

from datetime import timedelta
from typing import Any

import pytest

from schemas.envelope import Event
from tests.support.builders import (
    DAY,
    HOUR,
    START,
    amended,
    at,
    band,
    capacity,
    counted,
    instant,
    lane,
    line,
    node,
    order,
    policy,
    rejected,
    route,
    supply,
)


def two_ways(fast: float = 900.0) -> list[Event]:
    """A is cheap and slow, B dear and fast; both have plenty."""
    return [
        node("A"),
        node("B"),
        lane("A", cost=500.0, transit_hours=48.0),
        lane("B", cost=fast, transit_hours=10.0),
        counted("A"),
        counted("B"),
    ]


def hours(value: object) -> float:
    return (value - START) / timedelta(hours=1)  # type: ignore[operator,no-any-return]


# Dates --------------------------------------------------------------------------------------------


def test_the_cheapest_plan_that_keeps_the_date_comes_before_a_cheaper_one() -> None:
    rows = route(*two_ways(fast=5_000.0), order("o-1", requested_by=instant(40 * HOUR)))

    decision = rows.decision()
    assert decision["nodes"] == ["B"]
    assert decision["runner_up_nodes"] == ["A"]
    assert decision["selection"] == "S_KEEPS_DATE"
    assert "DELAY_PREDICTED" not in rows.codes()


def test_without_a_date_the_cheapest_plan_ships() -> None:
    assert route(*two_ways(), order()).decision()["nodes"] == ["A"]


def test_an_order_that_nobody_brings_in_time_is_offered_what_can_be() -> None:
    rows = route(*two_ways(), order("o-1", requested_by=instant(5 * HOUR)))

    decision = rows.decision()
    assert decision["outcome"] == "FULLY_ROUTED"
    assert decision["latest_commit_at"] > decision["requested_by"]
    assert rows.codes() == ["DELAY_PREDICTED"]


def test_serving_every_unit_comes_before_the_date() -> None:
    log = [*two_ways(), counted("B", {"S1": 1}, when=at(60))]

    rows = route(*log, order("o-1", ("S1", 5), requested_by=instant(40 * HOUR)))

    assert rows.decision()["units_served"] == 5


def test_a_promise_is_made_at_the_confidence_of_the_policy() -> None:
    def told(confidence: float) -> float:
        rules = policy(f"version: p\npromise: {{confidence: {confidence}}}\n")
        return hours(route(rules, *two_ways(), order()).decision()["promise_at"])

    assert told(0.9) == pytest.approx(8 + 72)  # handling, and p90 of the transit
    assert told(0.5) == pytest.approx(8 + 48)
    assert 80 < told(0.99) < 130


def test_a_date_may_be_told_as_the_end_of_its_day() -> None:
    rules = policy("version: p\npromise: {rounding_hours: 24}\n")

    rows = route(rules, *two_ways(), order("o-1", requested_by=instant(80.5 * HOUR)))

    assert hours(rows.decision()["latest_commit_at"]) == 15 + 3 * 24
    assert rows.codes() == []
    assert rows.decision()["nodes"] == ["A"]


def test_the_first_date_is_kept_beside_the_one_that_stands() -> None:
    rows = route(*two_ways(), order(), rejected("o-1", "A"))

    first, second = rows.decisions
    assert second["original_commit_at"] == first["latest_commit_at"] == first["promise_at"]
    assert second["latest_commit_at"] == second["promise_at"] != first["promise_at"]


def test_a_customer_who_changes_the_order_is_told_anew() -> None:
    rows = route(*two_ways(), order(), rejected("o-1", "A"), amended("o-1", ("S1", 2)))

    last = rows.decisions[-1]
    assert last["original_commit_at"] == last["latest_commit_at"]


def test_nothing_arrives_before_the_window_that_the_customer_asked_for() -> None:
    rows = route(*two_ways(), order("o-1", requested_from=instant(10 * DAY)))

    assert hours(rows.decision()["latest_commit_at"]) == 240


def test_a_backorder_is_told_when_its_supply_can_be_there() -> None:
    rows = route(
        node("A"),
        lane("A", transit_hours=24.0),
        supply("p-1", "A", {"S1": 5}, due=3 * DAY),
        order(),
    )

    decision = rows.decision()
    assert decision["outcome"] == "BACKORDERED"
    assert hours(decision["backorder_due_at"]) == 72
    assert hours(decision["latest_commit_at"]) == 72 + 8 + 36


def test_an_order_with_a_unit_that_nobody_has_is_told_no_date() -> None:
    rows = route(*two_ways(), order("o-1", ("S1", 99)))

    assert rows.decision()["units_served"] == 20
    assert rows.decision()["latest_commit_at"] is None


def test_a_cut_off_that_has_passed_is_part_of_the_promise() -> None:
    rows = route(*two_ways(), capacity("A", cut_off_minute=60), capacity("B"), order())

    assert hours(rows.decision()["promise_at"]) == 15 + 80  # from midnight on


# Priority -----------------------------------------------------------------------------------------

POINTS = """
version: points
priority: {level: 10, tiers: {vip: 500}, channels: {store: 50}, urgency: 100, value: 1, value_max: 30}
"""


def test_a_score_says_what_a_node_releases_first() -> None:
    rows = route(
        policy(POINTS),
        *two_ways(),
        order("o-1", priority=3),
        order("o-2", priority=3, tier="vip", channel="store"),
        order("o-3", line(unit_price_minor=120_000), priority=0),
        order("o-4", line(unit_price_minor=120_000, qty=9), priority=0),
        order("o-5", priority=0, requested_by=instant(60 * HOUR)),
        order("o-6", priority=0, requested_by=instant(0)),
    )

    scores = {d["order_id"]: d["priority_score"] for d in rows.decisions}
    assert scores == {"o-1": 30, "o-2": 580, "o-3": 12, "o-4": 30, "o-5": 50, "o-6": 100}


# Protected stock ----------------------------------------------------------------------------------

KEPT = "version: kept\nprotection: {units: 1, skus: {S2: 3}, tiers: [vip], channels: [store]}\n"


@pytest.mark.parametrize(
    ("sku", "said", "served"),
    [
        ("S1", {}, 3),
        ("S1", {"tier": "vip"}, 4),
        ("S1", {"channel": "store"}, 4),
        ("S2", {}, 1),
        ("S2", {"tier": "vip"}, 4),
    ],
)
def test_units_are_kept_for_some(sku: str, said: dict[str, Any], served: int) -> None:
    log = [policy(KEPT), node("A"), lane("A"), counted("A", {"S1": 4, "S2": 4})]

    rows = route(*log, order("o-1", (sku, 4), **said))

    assert rows.decision()["units_served"] == served


def test_a_policy_without_protection_frees_what_was_kept() -> None:
    log = [policy(KEPT), node("A"), lane("A"), counted("A", {"S1": 4})]

    rows = route(*log, order("o-1", ("S1", 3)), policy("version: free\n"), order("o-2"))

    assert rows.outcomes("o-2") == ["FULLY_ROUTED"]


# Parcels ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "parcels", "freight"),
    [
        ({}, 1, 500 + 6 * 100),
        ({"parcel_max_kg": 2.5}, 3, 3 * (500 + 2 * 100)),
        ({"parcel_max_litres": 4.0}, 2, 2 * (500 + 3 * 100)),
        ({"volumetric_kg_per_m3": 2000.0}, 1, 500 + 12 * 100),
        ({"volumetric_kg_per_m3": 2000.0, "parcel_max_kg": 3.0}, 2, 2 * (500 + 6 * 100)),
    ],
)
def test_a_package_is_charged_by_parcel_weight_and_volume(
    limits: dict[str, Any], parcels: int, freight: int
) -> None:
    tariff = [band(base_minor=500.0, per_kg_minor=100.0)]
    goods = line(qty=6, weight_g=1_000, volume_cm3=1_000)

    rows = route(node("A"), lane("A", bands=tariff, **limits), counted("A"), order("o-1", goods))

    assert rows.decision()["parcels"] == parcels
    assert rows.decision()["freight_minor"] == freight


# Carbon -------------------------------------------------------------------------------------------


def test_the_lane_with_the_least_emissions_is_kept_with_its_cost_and_time() -> None:
    rows = route(
        node("A"),
        lane("A", cost=100.0, lane_id="air", mode="air", distance_km=1_000.0, transit_hours=5.0),
        lane("A", cost=300.0, lane_id="rail", mode="rail", distance_km=1_000.0, transit_hours=50.0),
        counted("A"),
        order("o-1", line(qty=2, weight_g=5_000)),
    )

    decision = rows.decision()
    assert decision["lane_ids"] == ["air"]
    assert decision["carbon_g"] == 6_670
    assert decision["factor_set"] == "DESNZ-2025"
    assert decision["greenest_lane_id"] == "rail"
    assert decision["greenest_carbon_g"] == 347
    assert decision["greenest_door_minutes"] == (8 + 50) * 60
    assert decision["door_minutes"] == (8 + 5) * 60
    assert decision["greenest_total_minor"] > decision["total_minor"]
