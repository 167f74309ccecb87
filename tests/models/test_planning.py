"""The planner: its costs are the router's, its bound and prices those of brute force."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from models.heap import Slot
from models.planning.bound import solve
from models.planning.costs import GROUPS, group_costs
from models.planning.demand import Expected, draw_orders
from models.planning.orders import LINES, orders_in_books, plain_orders
from models.planning.prices import price_stock
from models.planning.pricing import MEMBERS, PACKINGS, best_plans
from models.planning.problem import Problem, Spans, free_stock
from models.planning.windows import Waiting, better_plans
from models.routing.fold import RouteState, advance
from models.routing.network import Network
from models.routing.scoring import RULES
from tests.support.builders import (
    Rows,
    band,
    counted,
    journal,
    lane,
    line,
    node,
    order,
    policy,
    rules_only,
)

FREIGHT_ONLY = "version: p\nweights: {time: 0, late: 0, carbon: 0, handling: 0, split: 0}\n"
NONE = np.zeros((0, 0))
FREE = np.zeros((1, 2), np.int64)


def network_of(*events: object) -> tuple[Network, Rows]:
    state = RouteState(0)
    effects = advance(state, journal(*events), rules_only)  # type: ignore[arg-type]
    (network,) = state.networks.values()
    return network, Rows([effects])


def problem(
    costs: list[list[float]],
    stock: list[list[int]],
    skus: list[list[int]],
    unserved: float = 1_000.0,
    qty: int = 1,
    fixed: float = 0.0,
) -> Problem:
    """Orders by their SKUs; ``costs`` (orders, nodes) of a line, ``fixed`` of a package."""
    n = len(skus)
    sku = np.full((n, LINES), -1, np.int64)
    for row, wanted in enumerate(skus):
        sku[row, : len(wanted)] = wanted
    units = np.where(sku >= 0, qty, 0)
    per_line = np.array(costs)[:, None, :] * (MEMBERS @ np.ones(LINES))[None, :, None]
    there = (MEMBERS @ (sku < 0).T.astype(np.int64)).T == 0
    table = np.where(there[:, :, None], per_line + fixed, np.inf)
    table[:, 0, :] = np.inf
    zero = np.zeros((n, LINES), np.int64)
    return Problem(
        orders=plain_orders(np.zeros(n, np.int64), sku, units, zero, zero, zero, 0),
        costs=table,
        weight=np.ones(n),
        stock=np.array(stock),
        unserved_minor=unserved,
        extra_minor=0.0,
        max_packages=3,
        allow_partial=True,
    )


def least_by_brute_force(given: Problem) -> float:
    """The cheapest whole-line assignment within stock, by trying all of them."""
    nodes = given.stock.shape[1]
    slots = [
        (o, i)
        for o in range(len(given.orders))
        for i in range(LINES)
        if given.orders.sku[o, i] >= 0
    ]
    best = np.inf
    for chosen in itertools.product(range(-1, nodes), repeat=len(slots)):
        used = np.zeros_like(given.stock)
        for (o, i), k in zip(slots, chosen, strict=True):
            if k >= 0:
                used[given.orders.sku[o, i], k] += given.orders.qty[o, i]
        if (used > given.stock).any():
            continue
        total = 0.0
        for o in range(len(given.orders)):
            mine = [(i, k) for (p, i), k in zip(slots, chosen, strict=True) if p == o]
            for k in {k for _, k in mine if k >= 0}:
                total += given.costs[o, sum(1 << i for i, at in mine if at == k), k]
            total += sum(given.unserved_minor * given.orders.qty[o, i] for i, k in mine if k < 0)
        best = min(best, total)
    return best


def test_there_are_as_many_packings_as_partitions_of_five() -> None:
    assert len(PACKINGS) == 52  # the Bell number: the lines left out are one more block
    assert len(set(PACKINGS)) == 52


def test_a_group_costs_what_the_router_charges() -> None:
    bands = [band(base_minor=300.0, per_kg_minor=40.0)]
    network, rows = network_of(
        policy("version: p\n"),
        node("A", handling_per_unit_minor=7.0, handling_per_package_minor=11.0),
        lane("A", bands=bands),
        counted("A", {"S1": 9, "S2": 9}),
        order("o-1", line("S1", 2, weight_g=500), line("S2", 1, weight_g=250)),
    )

    at = network.heap[Slot.ORDERS]["touched_at"][:1].copy()
    costs = group_costs(network, orders_in_books(network, np.array([0]), at), RULES)

    assert costs[0, 0b11, 0] == rows.decision()["total_minor"]
    assert costs[0, 0b01, 0] < costs[0, 0b11, 0]
    assert np.isinf(costs[0, 0b100, 0])


def test_a_node_without_a_lane_costs_infinitely_much() -> None:
    network, _ = network_of(node("A"), lane("A"), node("B"), counted("A"), order())

    costs = group_costs(
        network, orders_in_books(network, np.array([0]), np.zeros(1, np.int64)), RULES
    )

    assert np.isfinite(costs[0, 1, 0])
    assert np.isinf(costs[0, :, 1]).all()


@pytest.mark.parametrize("seed", range(12))
def test_the_bound_is_not_above_brute_force_and_meets_it_where_plans_are_whole(seed: int) -> None:
    g = np.random.default_rng(seed)
    skus = [sorted(g.choice(3, g.integers(1, 3), replace=False).tolist()) for _ in range(3)]
    given = problem(
        g.integers(1, 50, (3, 2)).astype(float).tolist(), g.integers(0, 3, (3, 2)).tolist(), skus,
        unserved=100.0, fixed=float(g.integers(0, 30)),
    )  # fmt: skip

    exact = least_by_brute_force(given)
    solution = solve(given)
    whole = solve(given, whole_gap=0.0)

    assert solution.bound_minor <= exact + 1e-6
    assert whole.weight @ whole.plans.minor >= exact - 1e-6
    if np.allclose(solution.weight, np.round(solution.weight)):
        assert solution.bound_minor == pytest.approx(exact)


@pytest.mark.parametrize("seed", range(6))
def test_a_price_is_what_one_unit_more_would_save(seed: int) -> None:
    g = np.random.default_rng(seed)
    given = problem(
        (g.random((4, 2)) * 50).tolist(), [[1, 1]], [[0]] * 4, unserved=float(60 + g.random())
    )

    solution = solve(given)
    more = np.array([[1, 0]])
    saved = solution.bound_minor - solve(replace(given, stock=given.stock + more)).bound_minor
    lost = solve(replace(given, stock=given.stock - more)).bound_minor - solution.bound_minor

    assert saved - 1e-6 <= solution.prices[0, 0] <= lost + 1e-6


def test_abundant_stock_is_worth_nothing_and_its_rows_are_left_out() -> None:
    solution = solve(problem([[10.0, 20.0]] * 3, [[3, 3]], [[0]] * 3))

    assert solution.bound_minor == pytest.approx(30.0)
    assert (solution.prices == 0).all()


def test_scarce_stock_is_worth_what_the_next_best_costs_more() -> None:
    solution = solve(problem([[10.0, 25.0]] * 3, [[1, 9]], [[0]] * 3))

    assert solution.prices[0].tolist() == pytest.approx([15.0, 0.0])


def test_two_lines_share_a_package() -> None:
    given = problem([[1.0, 1.0]], [[1, 1], [0, 1]], [[0, 1]], fixed=50.0)

    plans = best_plans(given, np.zeros((2, 2)), NONE, NONE).plans
    solution = solve(given)

    assert plans.minor[0] == pytest.approx(52.0)
    assert solution.bound_minor == pytest.approx(52.0)


def test_no_split_is_one_package_or_nothing() -> None:
    given = problem([[1.0, 1.0]], [[1, 0], [0, 1]], [[0, 1]], unserved=70.0, fixed=5.0)
    bound = replace(given, orders=replace(given.orders, no_split=np.array([True])))

    assert solve(given).bound_minor == pytest.approx(12.0)
    assert solve(bound).bound_minor == pytest.approx(140.0)


def test_daily_capacity_holds_in_orders_and_in_units() -> None:
    given = problem([[1.0, 30.0]] * 4, [[9, 9]], [[0]] * 4, qty=2)
    day = np.array([0, 0, 1, 1])
    per_order = Spans(*(np.array(c) for c in ([0, 0], [0, 1], [0, 1], [1.0, 1.0], [True, True])))
    per_unit = per_order._replace(limit=np.array([2.0, 4.0]), per_package=np.array([False, False]))

    assert solve(replace(given, day=day, spans=per_order)).bound_minor == pytest.approx(62.0)
    assert solve(replace(given, day=day, spans=per_unit)).bound_minor == pytest.approx(33.0)


def expected(units: list[list[float]], sizes: list[float] | None = None) -> Expected:
    rates = np.array(units)
    return Expected(
        units=rates,
        lines=np.array(sizes or [1.0, 0, 0, 0]),
        line_qty=np.ones(len(rates)),
        weight_g=np.full(len(rates), 1_000),
        volume_cm3=np.zeros(len(rates), np.int64),
        needs=np.ones(len(rates), np.int64),
    )


def test_drawn_orders_have_the_demand_that_was_expected() -> None:
    foreseen = expected([[300.0, 100.0], [0.0, 600.0]], [0.5, 0.5, 0, 0])

    orders, weight = draw_orders(foreseen, 0, np.random.default_rng(1))

    cells = [
        [int(orders.qty[(orders.sku == s) & (orders.region == r)[:, None]].sum()) for r in (0, 1)]
        for s in (0, 1)
    ]
    assert weight == 1.0
    assert np.abs(np.array(cells) - foreseen.units).max() < 80
    assert cells[1][0] == 0


def test_a_draw_from_more_orders_than_fit_stands_for_all_of_them() -> None:
    orders, weight = draw_orders(expected([[50_000.0]]), 0, np.random.default_rng(1))

    assert len(orders) * weight == pytest.approx(50_000, rel=0.01)


def priced_network() -> Network:
    far = [band(base_minor=900.0)]
    network, _ = network_of(
        policy(FREIGHT_ONLY),
        *(node(n) for n in "AB"),
        lane("A", "R1"), lane("B", "R1", bands=far), lane("A", "R2"), lane("B", "R2", bands=far),
        counted("A", {"S1": 5, "S2": 500}), counted("B", {"S1": 50, "S2": 500}),
        order("o-1", region="R1"), order("o-2", ("S2", 1), region="R2"),
    )  # fmt: skip
    return network


def test_prices_are_zero_for_abundant_stock_and_never_above_the_cap() -> None:
    network = priced_network()
    foreseen = expected([[20.0, 20.0], [20.0, 20.0]])

    prices = price_stock(
        network, foreseen, RULES, 4_000, np.random.default_rng(0), free_stock(network)
    )
    capped = price_stock(
        network, foreseen, RULES, 150, np.random.default_rng(0), free_stock(network)
    )

    assert prices[0].tolist() == [400, 0]  # the other node is dearer by that
    assert prices[1].tolist() == [0, 0]
    assert capped.max() <= 150


def test_the_same_seed_gives_the_same_prices() -> None:
    network, foreseen = priced_network(), expected([[3.0, 3.0], [4.0, 4.0]])

    first, second = (
        price_stock(network, foreseen, RULES, 4_000, np.random.default_rng(7), free_stock(network))
        for _ in range(2)
    )

    assert (first == second).all()


def test_nothing_expected_is_worth_nothing() -> None:
    network = priced_network()

    prices = price_stock(
        network,
        expected([[0.0, 0.0]] * 2),
        RULES,
        4_000,
        np.random.default_rng(0),
        free_stock(network),
    )

    assert not prices.any()


def waiting(stock: list[list[int]], node: list[list[int]]) -> Waiting:
    given = problem([[10.0, 30.0]] * len(node), stock, [[0]] * len(node))
    padded = np.full((len(node), LINES), -1, np.int64)
    padded[:, 0] = np.array(node)[:, 0]
    return Waiting(given, padded)


def test_a_waiting_order_moves_to_the_cheaper_node_when_stock_is_there() -> None:
    proposals = better_plans(waiting([[1, 0]], [[1], [1]]), FREE, 5.0)

    assert [(p.row, p.node[0], p.saving_minor) for p in proposals] == [(0, 0, 20.0)]


def test_a_waiting_order_stays_where_moving_saves_too_little() -> None:
    assert better_plans(waiting([[1, 0]], [[1]]), FREE, 21.0) == []
    assert better_plans(waiting([[1, 0]], [[1]]), np.array([[15, 0]]), 6.0) == []


def test_proposals_are_feasible_one_after_another() -> None:
    given = waiting([[0, 1]], [[0], [1], [1]])
    prices = np.array([[100, 0]])

    proposals = better_plans(given, prices, 1.0)

    free = given.problem.stock.copy()
    for proposal in proposals:
        free[0, given.node[proposal.row, 0]] += 1
        free[0, proposal.node[0]] -= 1
        assert (free >= 0).all()
    assert [p.row for p in proposals] == [0]


def test_an_order_that_nobody_serves_is_served_when_it_can_be() -> None:
    (proposal,) = better_plans(waiting([[1, 0]], [[-1]]), FREE, 5.0)

    assert proposal.node[0] == 0
    assert proposal.saving_minor == pytest.approx(990.0)


def test_groups_are_priced_for_every_set_of_lines() -> None:
    assert GROUPS == 1 << LINES
