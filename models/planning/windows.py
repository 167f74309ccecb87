"""Better plans for orders that wait to be released, at the prices of the moment.

A price is an estimate, so the plan that looks best is often the one whose estimate is most wrong: moving for
every small saving costs money in the end (measured). So a proposal must save a good part of what an order
costs, and serve no fewer units. Proposals are ordered by what they save, and each is feasible once those
before it have been applied.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from models.planning.pricing import MEMBERS, best_plans
from models.planning.problem import Floats, Ints, Problem

_NONE = np.zeros((0, 0))
RATHER_THAN_UNSERVED = 1e12  # minor units; the most units come before any cost


@dataclass(frozen=True, eq=False)
class Waiting:
    """Orders that wait, and where each line ships from now.

    Attributes:
        problem: the orders; its stock is what is free besides what they hold.
        node: (n, LINES) node of each line; -1: none.
    """

    problem: Problem
    node: Ints


class Proposal(NamedTuple):
    """A better plan of one waiting order: its row, the node of each line, what it saves."""

    row: int
    node: Ints
    saving_minor: float


def better_plans(waiting: Waiting, prices: Ints, least_minor: float) -> list[Proposal]:
    """Proposals for waiting orders.

    Args:
        waiting: the orders and where they ship from now.
        prices: (skus, nodes) of a unit of stock, minor units.
        least_minor: what a proposal must save at these prices.

    Returns:
        At most one proposal per order, in the order in which they can be applied.
    """
    problem, free = waiting.problem, waiting.problem.stock.copy()
    best = _alone(waiting, prices.astype(np.float64))
    now, then = (_worth(problem, node, prices) for node in (waiting.node, best))
    served = [(problem.orders.qty * (node >= 0)).sum(axis=1) for node in (waiting.node, best)]
    saving = now - then
    wanted = (saving >= least_minor) & (served[1] >= served[0]) & (best != waiting.node).any(axis=1)
    proposals = []
    for row in sorted(np.flatnonzero(wanted).tolist(), key=lambda r: (-saving[r], r)):
        change = np.zeros_like(free[problem.orders.sku[row]])
        lines = np.arange(change.shape[0])
        np.add.at(
            change, (lines, waiting.node[row]), problem.orders.qty[row] * (waiting.node[row] >= 0)
        )
        np.add.at(change, (lines, best[row]), -problem.orders.qty[row] * (best[row] >= 0))
        if (free[problem.orders.sku[row]] + change < 0).any():
            continue
        np.add.at(free, problem.orders.sku[row], change)
        proposals.append(Proposal(row, best[row], float(saving[row])))
    return proposals


def _alone(waiting: Waiting, prices: Floats) -> Ints:
    """(n, LINES) the cheapest plan of each order if it alone were moved."""
    problem, orders = waiting.problem, waiting.problem.orders
    have = problem.stock[orders.sku]  # (n, LINES, nodes)
    row, line = np.nonzero(waiting.node >= 0)
    have[row, line, waiting.node[row, line]] += orders.qty[row, line]
    lacks = (have < orders.qty[:, :, None]) & (orders.qty > 0)[:, :, None]
    forbidden = np.einsum("gl,nlk->ngk", MEMBERS, lacks.astype(np.int64)) > 0
    costs = np.where(forbidden, np.inf, problem.costs)
    alone = replace(problem, costs=costs, unserved_minor=RATHER_THAN_UNSERVED)
    return best_plans(alone, prices, _NONE, _NONE).plans.node


def _worth(problem: Problem, node: Ints, prices: Ints) -> Floats:
    """(n,) what the plans cost, with unserved units and what the stock is worth."""
    orders = problem.orders
    rows = np.arange(len(orders))[:, None]
    minor: Floats = ((node < 0) * orders.qty * problem.unserved_minor).sum(axis=1) * 1.0
    minor += (np.where(node >= 0, prices[orders.sku, node], 0.0) * orders.qty).sum(axis=1)
    same = (node[:, :, None] == node[:, None, :]) & (node >= 0)[:, :, None]
    group = (same << np.arange(node.shape[1])).sum(axis=2)  # lines that ship with each line
    leads = (node >= 0) & (group & ((1 << np.arange(node.shape[1])) - 1) == 0)
    minor += np.where(leads, problem.costs[rows, group, node], 0.0).sum(axis=1)
    minor += problem.extra_minor * np.maximum(0, leads.sum(axis=1) - 1)
    return minor
