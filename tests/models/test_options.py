"""Candidates line by line, options by cost, hours and carbon."""

from models.routing.options import candidates_of, greenest, options_of
from schemas.codes import Mode, TempClass
from tests.support.builders import counted, lane, line, node, order, prices
from tests.support.moments import last_moment


def test_each_node_is_told_with_its_costs_or_with_what_each_line_lacks() -> None:
    _, _, moment = last_moment(
        node("A"),
        node("B"),
        node("C"),
        node("D"),
        lane("A"),
        lane("B", cost=400),
        lane("C", cost=300),
        counted("A", {"S1": 5, "S2": 5}),
        counted("B", {"S1": 5, "S2": 1}),
        counted("C", {"S1": 5, "S2": 3}, safety=2),
        order("o-1", ("S1", 2), ("S2", 2)),
    )

    rows = {c.node: c for c in candidates_of(moment)}

    assert [(c.node, c.code, c.rank, c.units, c.chosen) for c in rows.values()] == [
        ("A", "FEASIBLE", 1, 4, True),
        ("C", "X_SAFETY_STOCK", 2, 3, False),
        ("B", "X_NO_STOCK", 3, 3, False),
        ("D", "X_LANE_UNSERVED", 0, 0, False),
    ]
    assert rows["A"].option is not None
    assert rows["A"].option.costs_minor["freight"] == 500
    assert rows["A"].option.total_minor == sum(rows["A"].option.costs_minor.values())
    assert [(x.line_no, x.sku, x.wanted, x.available, x.code) for x in rows["B"].lacks] == [
        (2, "S2", 2, 1, "X_NO_STOCK")
    ]
    assert [x.code for x in rows["C"].lacks] == ["X_SAFETY_STOCK"]
    assert rows["D"].option is None


def test_lines_that_share_a_sku_share_what_there_is() -> None:
    _, _, moment = last_moment(
        node("A"), lane("A"), counted("A", {"S1": 3}), order("o-1", ("S1", 2), ("S1", 2))
    )

    (candidate,) = candidates_of(moment)

    assert [(x.line_no, x.available) for x in candidate.lacks] == [(2, 1)]


def test_a_line_that_a_node_cannot_carry_is_told() -> None:
    _, _, moment = last_moment(
        node("A"),
        lane("A"),
        counted("A", {"S1": 9, "S2": 9}),
        order("o-1", line("S1", 1), line("S2", 1, temp_class=TempClass.FROZEN)),
    )

    (candidate,) = candidates_of(moment)

    assert [(x.line_no, x.available, x.code) for x in candidate.lacks] == [(2, 0, "X_TEMP_CLASS")]


def test_options_are_every_lane_and_the_best_trade_offs_are_marked() -> None:
    _, _, moment = last_moment(
        node("A"),
        lane("A", lane_id="road", cost=500, transit_hours=24.0),
        lane("A", lane_id="rail", cost=520, transit_hours=72.0, mode=Mode.RAIL),
        lane("A", lane_id="slow", cost=600, transit_hours=96.0),
        counted("A"),
        order("o-1", line("S1", 1, weight_g=2_000)),
    )

    options = options_of(moment)

    assert [(o.plan.lane_ids, o.chosen, o.pareto) for o in options] == [
        (("road",), True, True),
        (("rail",), False, True),
        (("slow",), False, False),
    ]
    assert greenest(options).plan.lane_ids == ("rail",)
    assert options[0].carbon_g == 25.04
    assert [leg.factor_id for o in options[:2] for leg in o.legs] == [
        "DESNZ-2025/road",
        "DESNZ-2025/rail",
    ]
    assert options[0].legs[0].distance_kind == "lane"
    assert options[0].hours_p50 == 24 + 8
    assert options[0].hours_p90 == 36 + 8


def test_the_lanes_of_a_split_are_options_too() -> None:
    _, _, moment = last_moment(
        node("A"),
        node("B"),
        lane("A"),
        lane("B", lane_id="road"),
        lane("B", lane_id="rail", cost=700, mode=Mode.RAIL),
        counted("A", {"S1": 1}),
        counted("B", {"S2": 1}),
        order("o-1", line("S1", 1, weight_g=900), line("S2", 1, weight_g=900)),
    )

    options = options_of(moment)

    assert [o.plan.lane_ids for o in options] == [("A>R1", "road"), ("A>R1", "rail")]
    assert greenest(options).plan.lane_ids == ("A>R1", "rail")
    assert options[0].costs_minor["split"] == 150


def test_an_order_that_nobody_serves_has_candidates_and_no_options() -> None:
    _, _, moment = last_moment(
        node("A"), lane("A"), prices({("A", "S1"): 50}), order("o-1", ("S1", 1))
    )

    assert options_of(moment) == []
    assert [c.code for c in candidates_of(moment)] == ["X_NO_STOCK"]
