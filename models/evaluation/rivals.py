"""Simple policies to compare with, each with a ledger of its own on the same costs.

B0 tries nodes in a fixed order, B1 the nearest first, B2 takes the fewest packages and then the nearest nodes:
what shop systems do. B4 takes the cheapest plan, but keeps a node's last units of a SKU for the regions that
the node is the cheapest for. All obey the hard rules and serve the most units they can.
Source: domain.md, E.2, item 10.
"""

import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import polars as pl

from models.evaluation.case import Case
from models.evaluation.outcome import SHIPPED, Shipped
from models.heap import Slot
from models.planning.orders import LINES
from models.planning.pricing import MEMBERS, best_plans
from models.planning.problem import part_of
from models.planning.windows import RATHER_THAN_UNSERVED

MOST_NODES = 20
"""Nodes of which sets are tried, as many as the router's; of more, the first by the policy's own order."""

GATE = 0.2
"""Share of a cell's first units that B4 keeps for the node's own regions."""

Ints = npt.NDArray[np.int64]
_NONE = np.zeros((0, 0))
Choose = Callable[[int, Ints], list[tuple[int, int, int]]]
"""(line, node, units) of a row of the problem, given free units (LINES, nodes)."""


def fixed_priority(case: Case) -> Shipped:
    """B0: nodes in the order in which the log declares them."""
    nodes = np.arange(case.problem.stock.shape[1], dtype=np.float64)
    rank = np.tile(nodes, (len(case.network.names["regions"]), 1))
    return _run(case, "B0 fixed priority", _by_rank(case, rank, fewest=False))


def nearest(case: Case) -> Shipped:
    """B1: the nearest node first, however many packages it takes."""
    return _run(case, "B1 nearest", _by_rank(case, _distance(case), fewest=False))


def fewest_splits(case: Case) -> Shipped:
    """B2: the fewest packages, then the nearest nodes."""
    return _run(case, "B2 fewest splits", _by_rank(case, _distance(case), fewest=True))


def gated(case: Case) -> Shipped:
    """B4: the cheapest plan behind a gate."""
    problem, kept = case.problem, np.ceil(GATE * case.problem.stock).astype(np.int64)
    single, no_prices = problem.costs[:, 1, :], np.zeros(problem.stock.shape, np.int64)

    def choose(row: int, free: Ints) -> list[tuple[int, int, int]]:
        sku = problem.orders.sku[row]
        home = np.arange(free.shape[1]) == single[row].argmin()
        behind = np.where(home, free, free - kept[sku])
        plans = [cheapest(case, row, units, no_prices) for units in (behind, free)]
        return max(plans, key=_units)

    return _run(case, "B4 myopic, gated", choose)


def _units(pieces: list[tuple[int, int, int]]) -> int:
    return sum(units for _, _, units in pieces)


def cheapest(case: Case, row: int, free: Ints, prices: Ints) -> list[tuple[int, int, int]]:
    """The plan of whole lines that serves the most units, then costs least with its shadow prices."""
    qty = case.problem.orders.qty[row]
    lacks = (free < qty[:, None]) & (qty > 0)[:, None]
    one = part_of(case.problem, np.array([row]), case.problem.stock)
    forbidden = (MEMBERS @ lacks.astype(np.int64)) > 0
    costs = np.where(forbidden, np.inf, one.costs)
    served_first = replace(one, costs=costs, unserved_minor=RATHER_THAN_UNSERVED)
    node = best_plans(served_first, prices.astype(np.float64), _NONE, _NONE).plans.node[0]
    return [(i, int(node[i]), int(qty[i])) for i in np.flatnonzero(node >= 0).tolist()]


def _by_rank(case: Case, rank: npt.NDArray[np.float64], *, fewest: bool) -> Choose:
    """Take the first set of nodes that serves the most units; within it, lines draw in rank order.

    Args:
        case: the log.
        rank: (regions, nodes) of each node; infinite if it has no lane.
        fewest: small sets first, then by the sum of ranks; else by the ranks themselves.
    """
    problem = case.problem
    sets = [_sets(row, problem.max_packages, fewest=fewest) for row in rank]
    able = np.isfinite(problem.costs[:, 1 << np.arange(LINES), :])

    def choose(row: int, free: Ints) -> list[tuple[int, int, int]]:
        qty = problem.orders.qty[row]
        have = np.where(able[row], np.maximum(free, 0), 0)
        order, members = sets[problem.orders.region[row]]
        units = np.minimum(have @ members.T, qty[:, None]).sum(axis=0)
        chosen = order[int(units.argmax())]
        pieces = []
        for i in np.flatnonzero(qty).tolist():
            left = int(qty[i])
            for node in chosen:
                taken = min(left, int(have[i, node]))
                if taken > 0:
                    pieces.append((i, int(node), taken))
                    left -= taken
        return pieces

    return choose


def _sets(
    rank: npt.NDArray[np.float64], most: int, *, fewest: bool
) -> tuple[list[tuple[int, ...]], Ints]:
    """Sets of nodes in the order in which they are tried, and (sets, nodes) their members."""
    reached = np.argsort(rank, kind="stable")
    reached = reached[np.isfinite(rank[reached])][:MOST_NODES]
    found = [
        places
        for size in range(1, most + 1)
        for places in itertools.combinations(range(len(reached)), size)
    ]
    if fewest:
        found.sort(key=lambda p: (len(p), float(rank[reached[list(p)]].sum()), p))
    else:
        found.sort()
    order = [tuple(int(reached[place]) for place in places) for places in found] or [()]
    members = np.zeros((len(order), len(rank)), np.int64)
    for row, nodes in enumerate(order):
        members[row, list(nodes)] = 1
    return order, members


def _distance(case: Case) -> npt.NDArray[np.float64]:
    """(regions, nodes) km of the shortest lane; infinite without one."""
    names, lanes = case.network.names, case.network.heap[Slot.LANES]
    used = lanes[: len(names["lanes"])]
    distance = np.full((len(names["regions"]), len(names["nodes"])), np.inf)
    np.minimum.at(distance, (used["region"], used["node"]), used["distance_km"])
    return distance


def _run(case: Case, policy: str, choose: Choose) -> Shipped:
    """Decide the orders one after another on a ledger that the supply of the log feeds."""
    orders, free = case.problem.orders, np.zeros(case.problem.stock.shape, np.int64)
    supply = case.supply.sort("position", maintain_order=True)
    due, changes, rows = supply["position"].to_numpy(), supply.rows(), []
    first = np.searchsorted(orders.whole, orders.whole)
    taken = 0
    for row in range(len(orders)):
        while taken < len(due) and due[taken] < case.position[orders.whole[row]]:
            _, sku, node, units = changes[taken]
            free[sku, node] += units
            taken += 1
        sku = orders.sku[row]
        for line, node, units in choose(row, free[sku] * (sku >= 0)[:, None]):
            free[sku[line], node] -= units
            at = LINES * (row - int(first[row])) + line
            rows.append((int(orders.whole[row]), at, node, units))
    return Shipped(policy, pl.DataFrame(rows, SHIPPED, orient="row"))
