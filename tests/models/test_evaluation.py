"""The evaluator: its costs are the router's, the bound is below all, and the same seed gives the same."""

from dataclasses import replace
from functools import cache

import numpy as np
import polars as pl
import pytest

from models.evaluation.case import Case, make_case
from models.evaluation.compare import Compared, compare
from models.evaluation.figures import Label, by_policy, tabulate
from models.evaluation.logs import planner_on
from models.evaluation.outcome import Shipped, assess
from models.evaluation.rivals import cheapest
from models.evaluation.routed import shipped_by
from models.evaluation.walk import walk
from models.evaluation.worlds import planner_of
from models.planning.bound import solve
from models.planning.epochs import PricePlanner
from models.planning.reevaluation import Reevaluator
from models.routing.scoring import RULES
from models.simulation.fulfilment import SKUS, UNSERVED_MINOR, World, draw_world, records_of
from schemas.codec import to_slice
from schemas.errors import InputError
from schemas.kinds import Kind
from tests.support.builders import (
    adjusted,
    at,
    counted,
    journal,
    lane,
    node,
    order,
    policy,
    prices,
)

ORDERS = 240
FREIGHT = "version: p\nweights: {time: 0, late: 0, carbon: 0, handling: 0, split: 0}\n"


@cache
def world() -> World:
    return draw_world(3, 1.05, ORDERS)


@cache
def case() -> Case:
    piece = to_slice(list(records_of(world())), 0, 0)
    return make_case(piece, lambda _: RULES, UNSERVED_MINOR)


def planner(scenarios: int = 2) -> PricePlanner:
    return replace(planner_of(world(), case(), 3), scenarios=scenarios)


@cache
def compared() -> Compared:
    return compare(case(), planner(), 60)


def test_a_world_is_the_same_for_the_same_seed_and_has_the_stock_that_its_slack_says() -> None:
    first, second = (list(records_of(draw_world(5, 1.1, 50))) for _ in range(2))
    wanted = np.bincount(np.concatenate(world().skus), minlength=SKUS)

    assert first == second
    assert (world().stock.sum(axis=1) == np.ceil(1.05 * wanted - 1e-9)).all()
    assert draw_world(6, 1.1, 50).region.tolist() != draw_world(5, 1.1, 50).region.tolist()


def test_the_costs_of_the_evaluator_are_those_of_the_router() -> None:
    priced = walk(case().piece, lambda _: RULES, planner(), 60)
    for walked in (case().myopic, priced):
        hindsight = solve(case().problem)
        outcome = assess(case(), shipped_by(case(), "x", walked), hindsight, None)
        decided = pl.DataFrame(walked.decisions)
        paid = int(decided["total_minor"].sum()) - int(decided["shadow_minor"].sum())
        unserved = int(decided["units_unserved"].sum())

        assert outcome.units_unserved == unserved
        assert outcome.cost_minor == paid + UNSERVED_MINOR * unserved
    assert pl.DataFrame(priced.decisions)["shadow_minor"].sum() > 0


def test_no_policy_costs_less_than_the_bound() -> None:
    assert len(compared().outcomes) == 7
    for outcome in compared().outcomes:
        assert outcome.cost_minor >= compared().bound_minor - 1e-6
        assert outcome.gap >= 0
        assert outcome.feasible == 1.0
        assert 0 < outcome.agreement <= 1


def test_the_router_leaves_no_servable_unit_out() -> None:
    routed = [o for o in compared().outcomes if o.policy in ("B3 myopic", "B5 prices")]

    assert [o.servable_unserved for o in routed] == [0, 0]


def test_re_evaluation_is_the_same_when_it_is_run_again_and_moves_orders() -> None:
    first, second = (
        shipped_by(case(), "B6", walk(case().piece, lambda _: RULES, Reevaluator(planner()), 60))
        for _ in range(2)
    )

    assert first.rows.equals(second.rows)
    assert 0.5 < first.first_kept < 1.0
    assert first.servable_unserved == 0


def test_figures_by_policy_are_means_over_the_cases() -> None:
    figures = tabulate([(Label("a", 1), compared()), (Label("a", 2), compared())])

    rows = by_policy(figures).to_dicts()

    assert [row["policy"] for row in rows] == [o.policy for o in compared().outcomes]
    assert {row["cases"] for row in rows} == {2}
    myopic = rows[3]
    assert (myopic["gap_closed"], myopic["dearer_most"], myopic["splits_change"]) == (0, 0, 0)


def small_log(*more: object) -> Case:
    piece = journal(
        policy(FREIGHT),
        node("A"), node("B"),
        lane("A", cost=100), lane("B", cost=300),
        counted("A", {"S1": 2}), counted("B", {"S1": 2}),
        *more,  # type: ignore[arg-type]
    )  # fmt: skip
    return make_case(piece, lambda _: RULES, 4_000)


def test_stock_that_comes_later_is_supply_and_a_recount_is_not() -> None:
    found = small_log(
        order("o-1", when=at(1)),
        adjusted("A", {"S1": 3}, when=at(2)),
        counted("A", {"S1": 4}, when=at(3)),
        order("o-2", when=at(4)),
    )

    assert found.problem.stock.tolist() == [[5.0, 2.0]]
    assert int((found.piece.kinds == Kind.INVENTORY_COUNTED).sum()) == 2
    assert found.ids == ["o-1", "o-2"]


def test_the_prices_of_a_log_make_its_own_policy() -> None:
    found = small_log(prices({("A", "S1"): 500}), order("o-1", when=at(9)))

    outcomes = compare(found, planner_on(found, 24, 0), 10).outcomes

    costs = {o.policy: o.cost_minor for o in outcomes}
    assert costs["B3 myopic"] == 100
    assert costs["live"] == 300


def test_lines_over_four_are_shipped_and_priced_as_whole_orders() -> None:
    skus = {f"T{i}": 5 for i in range(6)}
    found = small_log(counted("A", skus), order("o-1", *((sku, 1) for sku in skus), when=at(1)))

    outcomes = compare(found, planner_on(found, 24, 0), 10).outcomes

    assert {o.cost_minor for o in outcomes} == {100.0}
    assert solve(found.problem).bound_minor == pytest.approx(100.0)


def test_the_cheapest_plan_serves_the_most_units_first() -> None:
    found = small_log(order("o-1", ("S1", 2), when=at(1)))
    worthless = np.zeros((1, 2), np.int64)
    free = np.zeros((4, 2), np.int64)
    free[0] = [1, 2]

    assert cheapest(found, 0, free, worthless) == [(0, 1, 2)]
    free[0] = [2, 2]
    assert cheapest(found, 0, free, worthless) == [(0, 0, 2)]
    assert cheapest(found, 0, free, np.array([[500, 0]])) == [(0, 1, 2)]


def test_shipping_more_than_there_is_is_not_feasible() -> None:
    found = small_log(order("o-1", ("S1", 2), when=at(1)), order("o-2", ("S1", 2), when=at(2)))
    rows = pl.DataFrame({"order": [0, 1], "line": [0, 0], "node": [0, 0], "units": [2, 2]})

    outcome = assess(found, Shipped("cheat", rows), solve(found.problem), None)

    assert outcome.feasible < 1.0


def test_a_log_without_orders_is_refused() -> None:
    with pytest.raises(InputError, match="no orders"):
        small_log()


def test_an_order_that_comes_twice_is_refused() -> None:
    with pytest.raises(InputError, match="twice"):
        small_log(order("o-1", when=at(1)), order("o-1", when=at(2)))
