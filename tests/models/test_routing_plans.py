"""Which nodes ship an order: candidates, splits, costs and ties."""

from typing import Any

import pytest

from models.heap import Slot
from models.routing.features import Feature
from models.routing.fold import RouteState
from schemas.codes import Exclusion, TempClass
from schemas.envelope import Event
from tests.support.builders import (
    HOUR,
    band,
    cancelled,
    counted,
    effects_of,
    instant,
    journal,
    lane,
    line,
    node,
    order,
    policy,
    prices,
    rejected,
    route,
    signal,
)


def test_a_runner_up_is_another_plan_than_the_winner() -> None:
    rows = route(
        *two_nodes(),
        counted("A", {"S1": 2}),
        counted("B", {"S1": 2}),
        order("o-1", ("S1", 2), ("S2", 1)),
    )

    decision = rows.decision()
    assert decision["nodes"] == ["A"]
    assert decision["runner_up_nodes"] == ["B"]
    assert decision["second_runner_up_nodes"] == []
    assert decision["margin_minor"] == 100


def test_a_runner_up_is_another_plan_where_two_lines_share_a_sku() -> None:
    rows = route(
        *two_nodes(),
        counted("A", {"S1": 2}),
        counted("B", {"S1": 2}),
        order("o-1", ("S1", 1), ("S1", 1), ("S2", 1)),
    )

    decision = rows.decision()
    assert decision["nodes"] == ["A"]
    assert decision["runner_up_nodes"] == ["B"]
    assert decision["second_runner_up_nodes"] == []


def test_a_runner_up_of_a_greedy_cover_is_another_plan_too() -> None:
    lines = [(f"S{i}", 1) for i in range(1, 7)]
    rows = route(
        *two_nodes(),
        counted("A", {"S1": 1, "S2": 1, "S3": 1, "S4": 1}),
        counted("B", {"S5": 1, "S6": 1}),
        order("o-1", *lines),
    )

    decision = rows.decision()
    assert decision["nodes"] == ["A", "B"]
    assert decision["runner_up_nodes"] == ["A"]
    assert decision["second_runner_up_nodes"] == ["B"]


def test_a_split_that_costs_less_comes_before_one_node_that_has_everything() -> None:
    rows = route(
        node("A"),
        node("B"),
        node("C"),
        lane("A", cost=1),
        lane("B", cost=1),
        lane("C", cost=5_000),
        counted("A", {"S1": 1}),
        counted("B", {"S2": 1}),
        counted("C", {"S1": 1, "S2": 1}),
        order("o-1", ("S1", 1), ("S2", 1)),
    )

    decision = rows.decision()
    assert decision["nodes"] == ["A", "B"]
    assert decision["runner_up_nodes"] == ["C"]
    assert decision["selection"] == "S_LOWEST_TOTAL"
    assert decision["exclusions"] == [0, 0, 0]


def test_one_node_that_costs_less_comes_before_a_split() -> None:
    rows = route(
        *two_nodes(),
        counted("A", {"S1": 1, "S2": 1}),
        counted("B", {"S1": 1, "S2": 1}),
        order("o-1", ("S1", 1), ("S2", 1)),
    )

    assert rows.decision()["nodes"] == ["A"]


def test_groups_of_lines_that_want_the_same_node_are_given_the_cheapest_different_ones() -> None:
    rows = route(
        *(node(name) for name in "ABC"),
        *(lane(name, cost=cost) for name, cost in (("A", 100), ("B", 300), ("C", 400))),
        counted("A", {"S1": 1, "S2": 1}),
        counted("B", {"S2": 1, "S3": 1}),
        counted("C", {"S1": 1, "S3": 1}),
        order("o-1", ("S1", 1), ("S2", 1), ("S3", 1)),
    )

    assert rows.decision()["nodes"] == ["A", "B"]
    assert rows.held() == {("o-1", 1, "A"): 1, ("o-1", 2, "A"): 1, ("o-1", 3, "B"): 1}


def test_of_two_nodes_that_have_everything_the_cheaper_one_ships() -> None:
    rows = route(
        *two_nodes(),
        counted("A", {"S1": 5}),
        counted("B", {"S1": 5}),
        order("o-1", ("S1", 2)),
    )

    decision = rows.decision()
    assert decision["nodes"] == ["A"]
    assert decision["runner_up_nodes"] == ["B"]
    assert decision["margin_minor"] == 100
    assert decision["selection"] == "S_LOWEST_TOTAL"


def test_a_tie_goes_to_the_node_declared_first() -> None:
    rows = route(
        node("Z"),
        node("A"),
        lane("A"),
        lane("Z"),
        counted("A"),
        counted("Z"),
        order(),
    )

    assert rows.decision()["nodes"] == ["Z"]
    assert rows.decision()["selection"] == "S_TIE_BREAK"
    assert rows.decision()["margin_minor"] == 0


def test_an_order_is_split_when_no_node_has_everything() -> None:
    rows = route(
        *two_nodes(),
        counted("A", {"S1": 1}),
        counted("B", {"S2": 1}),
        order("o-1", ("S1", 1), ("S2", 1)),
    )

    decision = rows.decision()
    assert decision["nodes"] == ["A", "B"]
    assert decision["lane_ids"] == ["A>R1", "B>R1"]
    assert decision["split_minor"] == 150
    assert decision["freight_minor"] == 1_100
    assert rows.held() == {("o-1", 1, "A"): 1, ("o-1", 2, "B"): 1}


def test_one_line_is_split_over_two_nodes() -> None:
    rows = route(
        *two_nodes(),
        counted("A", {"S1": 3}),
        counted("B", {"S1": 3}),
        order("o-1", ("S1", 5)),
    )

    assert rows.decision()["outcome"] == "FULLY_ROUTED"
    assert rows.held() == {("o-1", 1, "A"): 3, ("o-1", 1, "B"): 2}


def test_two_lines_of_one_sku_do_not_share_a_unit() -> None:
    rows = route(
        *two_nodes(),
        counted("A", {"S1": 3}),
        counted("B", {"S1": 1}),
        order("o-1", ("S1", 2), ("S1", 2)),
    )

    assert rows.decision()["outcome"] == "FULLY_ROUTED"
    assert rows.held() == {("o-1", 1, "A"): 2, ("o-1", 2, "A"): 1, ("o-1", 2, "B"): 1}


def test_the_split_limit_holds() -> None:
    rows = route(
        policy("version: p\nlimits: {max_packages: 1}\n"),
        *two_nodes(),
        counted("A", {"S1": 2}),
        counted("B", {"S2": 1}),
        order("o-1", ("S1", 2), ("S2", 1)),
    )

    assert rows.decision()["nodes"] == ["A"]
    assert rows.decision()["units_unserved"] == 1
    assert rows.codes() == ["SPLIT_LIMIT_REACHED"]


def test_units_come_before_cost() -> None:
    rows = route(
        policy("version: p\nlimits: {max_packages: 1}\n"),
        node("A"),
        node("B"),
        lane("A", cost=1),
        lane("B", cost=90_000),
        counted("A", {"S1": 1}),
        counted("B", {"S1": 2}),
        order("o-1", ("S1", 3)),
    )

    assert rows.decision()["nodes"] == ["B"]
    assert rows.decision()["selection"] == "S_MOST_UNITS"


def test_a_price_near_the_worth_of_a_unit_never_refuses_a_servable_order() -> None:
    rows = route(
        node("A"),
        lane("A"),
        counted("A", {"S1": 1}),
        prices({("A", "S1"): 1_000_000_000}),
        order(),
    )

    assert rows.outcomes() == ["FULLY_ROUTED"]


def test_prices_of_scarce_stock_are_a_component_of_the_cost() -> None:
    rows = route(
        *two_nodes(),
        counted("A", {"S1": 5}),
        counted("B", {"S1": 5}),
        prices({("A", "S1"): 60, ("B", "S1"): 5}, epoch=7),
        order("o-1", ("S1", 2)),
    )

    decision = rows.decision()
    assert decision["nodes"] == ["B"]
    assert decision["shadow_minor"] == 10
    assert decision["runner_up_shadow_minor"] == 120
    assert decision["price_epoch"] == 7


def test_a_price_at_an_unknown_node_is_a_dead_letter_and_the_others_count() -> None:
    rows = route(
        node("A"),
        lane("A"),
        counted("A"),
        prices({("B", "S1"): 60, ("A", "S1"): 7}),
        order(),
    )

    assert rows.reasons() == ["UNKNOWN_NODE"]
    assert rows.decision()["shadow_minor"] == 7


def test_components_add_up_to_the_total() -> None:
    rows = route(
        node("A", handling_per_unit_minor=12.5, handling_per_package_minor=30.0),
        lane("A", bands=[band(base_minor=200.0, per_kg_minor=99.0)], distance_km=400.0),
        counted("A"),
        order("o-1", line("S1", 3, weight_g=700)),
    )

    decision = rows.decision()
    assert decision["freight_minor"] == 408  # 200 + 2.1 x 99, rounded
    assert decision["handling_minor"] == 68  # 30 + 3 x 12.5, halves upwards
    assert decision["time_minor"] == 32  # 24 hours of transit, 8 of handling
    assert decision["carbon_g"] == 105  # 2.1 kg x 400 km x 125.2 g/tkm
    assert decision["carbon_minor"] == 1
    assert decision["late_minor"] == 40
    assert decision["total_minor"] == 408 + 68 + 32 + 1 + 40
    assert decision["weight_g"] == 2_100


@pytest.mark.parametrize(
    ("grams", "charged"), [(1, 150), (400, 150), (1_000, 200), (1_001, None), (3_000, 900)]
)
def test_the_first_band_that_fits_charges(grams: int, charged: int | None) -> None:
    bands = [
        band(to_kg=1.0, base_minor=100.0, per_kg_minor=100.0, minimum_minor=150.0),
        band(from_kg=2.0, to_kg=9.0, base_minor=900.0),
    ]
    rows = route(
        node("A"),
        lane("A", bands=bands),
        counted("A"),
        order("o-1", line("S1", 1, weight_g=grams)),
    )

    if charged is None:
        assert rows.outcomes() == ["UNROUTABLE"]
        assert rows.excluded(0) == Exclusion.X_WEIGHT_BAND
    else:
        assert rows.decision()["freight_minor"] == charged


def test_a_weight_in_a_gap_of_one_lane_goes_by_another() -> None:
    rows = route(
        node("A"),
        lane("A", lane_id="light", bands=[band(to_kg=1.0)]),
        lane("A", lane_id="heavy", cost=900, carrier="other"),
        counted("A"),
        order("o-1", line("S1", 1, weight_g=2_000)),
    )

    assert rows.decision()["lane_ids"] == ["heavy"]


def test_the_cheapest_lane_of_a_node_is_taken() -> None:
    rows = route(
        node("A"),
        lane("A", lane_id="dear", cost=700, carrier="x"),
        lane("A", lane_id="cheap", cost=600, carrier="y"),
        counted("A"),
        order(),
    )

    assert rows.decision()["lane_ids"] == ["cheap"]


@pytest.mark.parametrize(
    ("wish", "lane_id"),
    [({}, "slow"), ({"carrier": "air"}, "quick"), ({"service": "express"}, "quick")],
)
def test_the_carrier_and_the_service_asked_for_are_kept_to(
    wish: dict[str, Any], lane_id: str
) -> None:
    rows = route(
        node("A"),
        lane("A", lane_id="slow", cost=100),
        lane("A", lane_id="quick", cost=900, carrier="air", service="express"),
        counted("A"),
        order(**wish),
    )

    assert rows.decision()["lane_ids"] == [lane_id]


def test_a_carrier_that_nobody_offers_leaves_the_order_unroutable() -> None:
    rows = route(node("A"), lane("A"), counted("A"), order(carrier="pigeon"))

    assert rows.outcomes() == ["UNROUTABLE"]
    assert rows.excluded(0) == Exclusion.X_LANE_UNSERVED


def test_safety_stock_is_never_promised() -> None:
    rows = route(
        node("A"),
        lane("A"),
        counted("A", {"S1": 5}, safety=2),
        order("o-1", ("S1", 3)),
        order("o-2", ("S1", 1)),
    )

    assert rows.outcomes("o-1") == ["FULLY_ROUTED"]
    assert rows.outcomes("o-2") == ["UNROUTABLE"]
    assert rows.excluded(0, "o-2") == Exclusion.X_SAFETY_STOCK
    assert rows.codes() == ["UNROUTABLE"]


def test_a_node_without_stock_says_so() -> None:
    rows = route(node("A"), lane("A"), order())

    assert rows.excluded(0) == Exclusion.X_NO_STOCK


@pytest.mark.parametrize("holder", ["node", "lane"])
def test_temperature_classes_are_kept_to_by_node_and_lane(holder: str) -> None:
    frozen = [TempClass.FROZEN]
    log = [
        node("A", temp_classes=frozen if holder == "node" else [TempClass.AMBIENT]),
        lane("A", temp_classes=frozen if holder == "lane" else [TempClass.AMBIENT]),
        counted("A"),
        order("o-1", line("S1", temp_class=TempClass.FROZEN)),
    ]

    rows = route(*log)

    assert rows.outcomes() == ["UNROUTABLE"]
    assert rows.excluded(0) == Exclusion.X_TEMP_CLASS


def test_goods_go_where_node_and_lane_keep_their_temperature() -> None:
    frozen = [TempClass.FROZEN]
    rows = route(
        node("A"),
        node("F", temp_classes=frozen),
        lane("A", cost=1),
        lane("F", cost=900, temp_classes=frozen),
        counted("A"),
        counted("F"),
        order("o-1", line("S1", temp_class=TempClass.FROZEN)),
    )

    assert rows.decision()["nodes"] == ["F"]


def test_hazardous_goods_go_only_where_they_may() -> None:
    rows = route(
        node("A"),
        node("H", hazmat=True),
        lane("A", cost=1),
        lane("H", cost=900, hazmat=True),
        counted("A"),
        counted("H"),
        order("o-1", line("S1", hazmat=True)),
    )

    assert rows.decision()["nodes"] == ["H"]
    assert rows.excluded(0) == Exclusion.X_HAZMAT


def test_a_node_for_named_customers_serves_nobody_else() -> None:
    log = [node("A", customers=["c-1", "c-2"]), lane("A"), counted("A")]

    rows = route(*log, order("o-1", customer="c-2"), order("o-2", customer="c-3"), order("o-3"))

    assert rows.outcomes("o-1") == ["FULLY_ROUTED"]
    assert rows.outcomes("o-2") == rows.outcomes("o-3") == ["UNROUTABLE"]
    assert rows.excluded(0, "o-3") == Exclusion.X_CUSTOMER


def test_a_customer_named_by_a_later_version_of_the_node_is_served() -> None:
    rows = route(
        node("A", customers=["c-1"]),
        lane("A"),
        counted("A"),
        order("o-1", customer="c-9"),
        node("A", customers=["c-9"]),
        order("o-2", customer="c-9"),
    )

    assert rows.outcomes("o-1") == ["UNROUTABLE"]
    assert rows.outcomes("o-2") == ["FULLY_ROUTED"]


@pytest.mark.parametrize("closed", ["node", "lane"])
def test_a_closed_node_or_lane_ships_nothing(closed: str) -> None:
    log = [node("A", open=closed != "node"), lane("A", open=closed != "lane"), counted("A")]

    rows = route(*log, order())

    assert rows.outcomes() == ["UNROUTABLE"]
    expected = {"node": Exclusion.X_CLOSED, "lane": Exclusion.X_CARRIER_DOWN}
    assert rows.excluded(0) == expected[closed]


def test_a_node_that_opens_again_ships_again() -> None:
    rows = route(node("A", open=False), lane("A"), counted("A"), node("A"), order())

    assert rows.outcomes() == ["FULLY_ROUTED"]


def test_a_lane_longer_than_the_policy_allows_is_not_used() -> None:
    rows = route(
        policy("version: p\nlimits: {max_distance_km: 99.5}\n"),
        node("A"),
        lane("A", distance_km=100.0),
        counted("A"),
        order(),
    )

    assert rows.outcomes() == ["UNROUTABLE"]
    assert rows.excluded(0) == Exclusion.X_DISTANCE


def test_a_region_without_lanes_cannot_be_served() -> None:
    rows = route(node("A"), lane("A"), counted("A"), order(region="R7"))

    assert rows.outcomes() == ["UNROUTABLE"]
    assert rows.excluded(0) == Exclusion.X_LANE_UNSERVED


def test_an_order_before_any_node_is_unroutable() -> None:
    rows = route(order("o-1"), order("o-2"))

    assert rows.outcomes("o-1") == rows.outcomes("o-2") == ["UNROUTABLE"]
    assert rows.decision()["exclusions"] == []


def test_more_than_64_nodes_may_reject_one_after_the_other() -> None:
    names = [f"N{i:02d}" for i in range(70)]
    log: list[Event] = [policy("version: patient\nlimits: {max_attempts: 100}\n")]
    for cost, name in enumerate(names):
        log += [node(name), lane(name, cost=100.0 + cost), counted(name, {"S1": 1})]
    log.append(order())
    log += [rejected("o-1", name) for name in names[:-1]]

    rows = route(*log)

    assert [d["nodes"] for d in rows.decisions] == [[name] for name in names]
    exclusions = rows.decision()["exclusions"]
    assert exclusions == [Exclusion.X_BLOCKED_REJECTER] * 69 + [Exclusion.FEASIBLE]


def test_an_order_of_a_thousand_lines_is_routed() -> None:
    skus = {f"S{i}": 1 for i in range(1_000)}
    halves = dict(list(skus.items())[:600]), dict(list(skus.items())[600:])
    rows = route(
        *two_nodes(),
        counted("A", halves[0]),
        counted("B", halves[1]),
        order("o-1", *skus.items()),
        cancelled("o-1"),
        order("o-2", *skus.items()),
    )

    assert rows.outcomes("o-1") == ["FULLY_ROUTED", "CANCELLED"]
    assert rows.outcomes("o-2") == ["FULLY_ROUTED"]
    assert len(rows.held()) == 1_000


def test_a_greedy_cover_never_takes_more_nodes_than_allowed() -> None:
    names = [f"N{i}" for i in range(6)]
    log: list[Event] = []
    for i, name in enumerate(names):
        log += [node(name), lane(name), counted(name, {f"S{i}": 1})]
    log.append(order("o-1", *((f"S{i}", 1) for i in range(6))))

    rows = route(*log)

    assert len(rows.decision()["nodes"]) == 3
    assert rows.decision()["units_unserved"] == 3
    assert rows.codes() == ["SPLIT_LIMIT_REACHED"]


def test_the_promise_is_the_slowest_package_at_its_90th_percentile() -> None:
    rows = route(
        node("A"),
        node("B"),
        lane("A", transit_hours=10.0),
        lane("B", transit_hours=40.0),
        counted("A", {"S1": 1}),
        counted("B", {"S2": 1}),
        order("o-1", ("S1", 1), ("S2", 1)),
    )

    decision = rows.decision()
    assert decision["promise_at"] == instant((8 + 60) * HOUR)
    assert (decision["transit_p50_hours"], decision["transit_p90_hours"]) == (40.0, 60.0)


def test_bad_weather_in_a_region_reaches_the_inputs_of_its_orders_only() -> None:
    log = [
        node("A"),
        lane("A"),
        lane("A", "R2"),
        counted("A"),
        signal("R1", lasts=HOUR),
        order("o-1"),
        order("o-2", region="R2"),
    ]
    state = RouteState(0)

    effects_of(journal(*log), state=state)

    (network,) = state.networks.values()
    weather = network.heap[Slot.FEATURES][:, Feature.WEATHER]
    assert weather.tolist() == [1.0, 0.0]


def two_nodes() -> list[Event]:
    """A is the cheaper one."""
    return [node("A"), node("B"), lane("A", cost=500), lane("B", cost=600)]
