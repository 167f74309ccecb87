"""A set of orders to be shipped from what there is, as columns: who could ship what, at what cost.

Stock is a table (skus, nodes) of units; a cell that no plans could empty is of no account. Capacity is a
list of spans of days at a node, each with what may leave within it.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.heap import Slot
from models.planning.costs import Costs, extra_package_minor, group_costs
from models.planning.orders import Orders
from models.routing.network import Network
from models.routing.scoring import Scorer

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Spans(NamedTuple):
    """Capacity: what orders of the days ``first`` to ``last`` take of ``node`` is at most ``limit``.

    All (r,); ``per_package`` says whether a package takes 1, or as much as its units.
    """

    node: Ints
    first: Ints
    last: Ints
    limit: Floats
    per_package: npt.NDArray[np.bool_]


_NONE = np.empty(0, np.int64)
NO_SPANS = Spans(_NONE, _NONE, _NONE, np.empty(0), np.empty(0, bool))


@dataclass(frozen=True, eq=False)
class Problem:
    """What is to be planned.

    Attributes:
        orders: (n) the demand.
        costs: (n, GROUPS, nodes) see ``group_costs``.
        weight: (n,) how many orders each row stands for.
        stock: (skus, nodes) units; a part of one counts as such.
        unserved_minor: what a unit costs that nobody ships.
        extra_minor: what each package after an order's first costs on top.
        max_packages: of an order.
        allow_partial: whether some units of an order may be left out.
        spans: capacity.
        day: (n,) day of each order, as the spans count; unused without spans.
    """

    orders: Orders
    costs: Costs
    weight: Floats
    stock: Floats
    unserved_minor: float
    extra_minor: float
    max_packages: int
    allow_partial: bool
    spans: Spans = NO_SPANS
    day: Ints | None = None


def problem_of(
    network: Network, orders: Orders, scorer: Scorer, unserved_minor: float, stock: Floats
) -> Problem:
    """Orders to be shipped by a network's rules, each row standing for itself.

    Args:
        network: its nodes, lanes, calendar and policy.
        orders: in its codes.
        scorer: predicts what a lane takes.
        unserved_minor: what a unit costs that nobody ships.
        stock: (skus, nodes) units that may be used.
    """
    limits = network.policy.limits
    return Problem(
        orders=orders,
        costs=group_costs(network, orders, scorer),
        weight=np.ones(len(orders)),
        stock=stock,
        unserved_minor=unserved_minor,
        extra_minor=extra_package_minor(network),
        max_packages=limits.max_packages,
        allow_partial=limits.allow_partial,
    )


def part_of(problem: Problem, rows: npt.NDArray[np.intp], stock: Floats) -> Problem:
    """These orders alone, with other stock."""
    return replace(
        problem,
        orders=problem.orders.take(rows),
        costs=problem.costs[rows],
        weight=problem.weight[rows],
        stock=stock,
        day=None if problem.day is None else problem.day[rows],
    )


def free_stock(network: Network) -> Floats:
    """(skus, nodes) units that may be promised now; never below zero."""
    skus, nodes = len(network.names["skus"]), len(network.names["nodes"])
    return np.asarray(np.maximum(network.heap[Slot.FREE][:skus, :nodes], 0), np.float64)


class Plans(NamedTuple):
    """Plans as columns: ``order`` (m,) rows, ``node`` (m, LINES) -1: not shipped, ``minor`` (m,) cost."""

    order: Ints
    node: Ints
    minor: Floats

    def take(self, rows: npt.NDArray[np.intp]) -> "Plans":
        """These plans."""
        return Plans(self.order[rows], self.node[rows], self.minor[rows])


def joined(parts: list[Plans]) -> Plans:
    """The plans of all parts, in order."""
    return Plans(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
