"""The best plan of every order, given a price on every unit of stock: exact, and for all orders at once.

A plan packs the lines of an order into groups, each shipped as one package from one node, and leaves out the
rest. There are 52 packings of four lines. Within a packing each group goes to the node that is cheapest
for it, so the best plan is a minimum over nodes, then over packings; nothing is pruned. Two groups may
meet at one node; as long as a package costs no more than its parts, that is never the cheapest.
"""

from typing import NamedTuple

import numpy as np

from models.planning.costs import GROUPS
from models.planning.orders import LINES
from models.planning.problem import Floats, Ints, Plans, Problem

MEMBERS = np.arange(GROUPS)[:, None] >> np.arange(LINES) & 1
"""(GROUPS, LINES) which lines a group holds."""


class Packing(NamedTuple):
    """Disjoint groups, and the lines that are in none of them."""

    groups: tuple[int, ...]
    left: int


def _packings(left: int) -> list[tuple[int, ...]]:
    """Every way to put some of the lines into groups; a group's lowest line decides its place."""
    if not left:
        return [()]
    lowest = left & -left
    rest = left ^ lowest
    found = _packings(rest)
    subset = rest
    while True:
        found = found + [(lowest | subset, *more) for more in _packings(rest ^ subset)]
        if not subset:
            return found
        subset = (subset - 1) & rest


PACKINGS = [
    Packing(groups, (GROUPS - 1) ^ sum(groups))
    for groups in sorted(_packings(GROUPS - 1), key=lambda groups: (len(groups), groups))
]
"""The fewest packages first, so that they win where costs are equal."""


class Priced(NamedTuple):
    """The best plans: ``minor`` (n,) cost with what the units are worth, and the plans themselves."""

    minor: Floats
    plans: Plans


def best_plans(problem: Problem, prices: Floats, package: Floats, unit: Floats) -> Priced:
    """The cheapest plan of every order.

    Args:
        problem: the orders and what they cost.
        prices: (skus, nodes) what a unit of stock is worth.
        package: (days, nodes) price of sending a package that day; no days: none.
        unit: (days, nodes) price of sending a unit that day.

    Returns:
        One plan per order; of equal ones the first packing, then the node declared first.
    """
    orders, costs = problem.orders, problem.costs
    worth = prices[orders.sku] * orders.qty[:, :, None]  # (n, LINES, nodes)
    if problem.day is not None and len(package):
        worth += unit[problem.day][:, None, :] * orders.qty[:, :, None]
    total = costs + np.einsum("gl,nlk->ngk", MEMBERS, worth)
    if problem.day is not None and len(package):
        total += package[problem.day][:, None, :]
    node = total.argmin(axis=2)
    least = np.take_along_axis(total, node[:, :, None], axis=2)[:, :, 0]
    packed, minor = _best_packing(problem, least)
    return Priced(minor, _plans(problem, packed, node))


def _best_packing(problem: Problem, least: Floats) -> tuple[Ints, Floats]:
    """Index and cost of each order's best packing; ``least`` (n, GROUPS) is a group's lowest cost."""
    orders = problem.orders
    absent = orders.sku < 0
    present = ~absent @ (1 << np.arange(LINES))
    left_minor = (orders.qty * float(problem.unserved_minor)) @ MEMBERS.T
    limit = np.where(orders.no_split, 1, problem.max_packages)
    whole = orders.no_split | (not problem.allow_partial)
    best, at = np.full(len(orders), np.inf), np.zeros(len(orders), np.int64)
    for index, packing in enumerate(PACKINGS):
        minor = left_minor[:, packing.left]
        for group in packing.groups:
            minor = minor + least[:, group]
        minor = minor + problem.extra_minor * max(0, len(packing.groups) - 1)
        partly = bool(packing.groups) & whole & ((present & packing.left) > 0)
        minor[(len(packing.groups) > limit) | partly] = np.inf
        better = minor < best
        best[better], at[better] = minor[better], index
    return at, best


def _plans(problem: Problem, packed: Ints, node: Ints) -> Plans:
    """The packings with their nodes as plans."""
    n = len(packed)
    chosen, minor = np.full((n, LINES), -1, np.int64), np.zeros(n)
    for index in np.unique(packed).tolist():
        rows, packing = np.flatnonzero(packed == index), PACKINGS[index]
        cost = (problem.orders.qty[rows] * problem.unserved_minor) @ MEMBERS[packing.left]
        for group in packing.groups:
            at = node[rows, group]
            lines = np.flatnonzero(MEMBERS[group])
            chosen[rows[:, None], lines] = at[:, None]
            cost = cost + problem.costs[rows, group, at]
        minor[rows] = cost + problem.extra_minor * max(0, len(packing.groups) - 1)
    return Plans(np.arange(n), chosen, minor)
