"""The least that a set of orders can cost, known all at once; and what each unit of stock is worth to it.

A linear program chooses a mix of plans for every order, within stock and capacity. Its columns are made as
they are wanted: the duals of the last solution price all plans of all orders (``pricing``), and those that
would lower the cost are added, until none would. So no plan is left out, and the duals are those of the
whole program. HiGHS solves it, with the simplex method on one thread: the same problem gives the same duals.

The bound is the Lagrangian one of the last duals, valid whatever the solver's tolerance. It holds for plans
that split the units of one line as well, as long as a package costs no more than its parts: the
mix of whole-line plans that ships the same units is no dearer.
"""

from dataclasses import dataclass, replace

import highspy
import numpy as np
from highspy._core import _Highs as Highs  # highspy.Highs prints a banner to standard output

from models.planning.pricing import MEMBERS, best_plans
from models.planning.problem import Floats, Ints, Plans, Problem, joined

TOLERANCE = 1e-6
"""Minor units by which a plan must beat the duals to be worth a column."""

_NO_ROW = -1


@dataclass(frozen=True, eq=False)
class Solution:
    """The optimum of a problem.

    Attributes:
        bound_minor: no mix of plans costs less.
        prices: (skus, nodes) what one more unit would save, minor units; 0 where stock is left over.
        plans: the plans that were made.
        weight: (m,) how much of each is taken; whole numbers if that was asked for.
    """

    bound_minor: float
    prices: Floats
    plans: Plans
    weight: Floats


class _Rows:
    """The rows of the program: an order each, then cells of stock that can run out, then spans."""

    def __init__(self, problem: Problem) -> None:
        orders, stock = problem.orders, problem.stock
        n, nodes = len(orders), stock.shape[1]
        able = np.asarray(np.isfinite(problem.costs).any(axis=1))  # (n, nodes)
        cell = orders.sku[:, :, None] * nodes + np.arange(nodes)
        wanted = (orders.sku[:, :, None] >= 0) & able[:, None, :]
        units = (orders.qty * problem.weight[:, None])[:, :, None] * wanted
        most = np.bincount(np.where(wanted, cell, 0).ravel(), units.ravel(), stock.size)
        self.problem = problem
        self.cells = np.flatnonzero((most > stock.ravel()) & (stock.ravel() > 0))
        self.row_of = np.full(stock.size, _NO_ROW, np.int64)
        self.row_of[self.cells] = n + np.arange(len(self.cells))
        self.first_span = n + len(self.cells)
        self.upper = np.concatenate(
            [problem.weight, stock.ravel()[self.cells], problem.spans.limit]
        ).astype(np.float64)
        self.lower = np.concatenate(
            [problem.weight, np.full(len(self.upper) - n, -highspy.kHighsInf)]
        )

    def entries(self, plans: Plans) -> tuple[Ints, Ints, Floats]:
        """(column, row, value) of the plans, sorted by column, then row; no two alike."""
        orders, nodes = self.problem.orders, self.problem.stock.shape[1]
        m, total = len(plans.order), len(self.upper)
        column, line = np.nonzero(plans.node >= 0)
        row = self.row_of[orders.sku[plans.order[column], line] * nodes + plans.node[column, line]]
        value = orders.qty[plans.order[column], line].astype(np.float64)
        held = row != _NO_ROW
        columns, rows = [np.arange(m), column[held]], [plans.order, row[held]]
        values = [np.ones(m), value[held]]
        for part in self._span_entries(plans):
            for kept, added in zip((columns, rows, values), part, strict=True):
                kept.append(added)
        keys, place = np.unique(
            np.concatenate(columns) * total + np.concatenate(rows), return_inverse=True
        )
        value = np.bincount(place, np.concatenate(values)).astype(np.float64)
        return keys // total, keys % total, value

    def _span_entries(self, plans: Plans) -> list[tuple[Ints, Ints, Floats]]:
        spans, parts = self.problem.spans, []
        for s in range(len(spans.node)):
            assert self.problem.day is not None
            day = self.problem.day[plans.order]
            ships = plans.node == spans.node[s]
            units = (ships * self.problem.orders.qty[plans.order]).sum(axis=1)
            taken = ships.any(axis=1) if spans.per_package[s] else units
            hit = np.flatnonzero((taken > 0) & (day >= spans.first[s]) & (day <= spans.last[s]))
            row = np.full(len(hit), self.first_span + s)
            parts.append((hit, row, taken[hit].astype(np.float64)))
        return parts


class _Master:
    """The program with the columns so far."""

    def __init__(self, problem: Problem) -> None:
        self.rows = _Rows(problem)
        self.made: list[Plans] = []
        self.solver = Highs()
        for option, value in (("output_flag", False), ("threads", 1), ("random_seed", 0)):
            self.solver.setOptionValue(option, value)
        none, empty = np.empty(0, np.int32), np.empty(0)
        starts = np.zeros(len(self.rows.upper), np.int32)
        self.solver.addRows(
            len(self.rows.upper), self.rows.lower, self.rows.upper, 0, starts, none, empty
        )

    def add(self, plans: Plans) -> None:
        """Columns for these plans."""
        column, row, value = self.rows.entries(plans)
        m = len(plans.order)
        starts = np.searchsorted(column, np.arange(m)).astype(np.int32)
        self.solver.addCols(
            m, plans.minor, np.zeros(m), np.full(m, highspy.kHighsInf),
            len(row), starts, row.astype(np.int32), value,
        )  # fmt: skip
        self.made.append(plans)

    def duals(self) -> Floats:
        """Solve, and say what one more unit of each row would cost."""
        self.solver.run()
        return np.array(self.solver.getSolution().row_dual)

    def taken(self) -> Floats:
        """How much of each plan the last solution takes."""
        return np.array(self.solver.getSolution().col_value)

    def make_whole(self, gap: float) -> None:
        """Solve once more, with whole numbers of plans."""
        m = self.solver.getNumCol()
        kinds = np.full(m, highspy.HighsVarType.kInteger)
        self.solver.changeColsIntegrality(m, np.arange(m, dtype=np.int32), kinds)
        self.solver.setOptionValue("mip_rel_gap", gap)
        self.solver.run()


def solve(
    problem: Problem,
    *,
    start: Plans | None = None,
    whole_gap: float | None = None,
) -> Solution:
    """Solve a problem.

    Args:
        problem: the orders, their costs, stock and capacity.
        start: plans to begin with, a feasible one per order; None: nothing is shipped.
        whole_gap: None for the linear program; else whole plans are chosen among those that it made, and
            the search ends when it is within this share of the best.

    Returns:
        The optimum; the bound and the prices are those of the linear program either way.
    """
    n, (skus, nodes) = len(problem.orders), problem.stock.shape
    master = _Master(problem)
    master.add(start or _nothing_shipped(problem))
    usable = replace(problem, costs=_where_stock(problem))
    worth, limit = np.zeros((skus, nodes)), np.full(n, np.inf)
    days = int(problem.day.max(initial=-1)) + 1 if problem.day is not None else 0
    package, unit, span = np.zeros((days, nodes)), np.zeros((days, nodes)), np.empty(0)
    while True:
        priced = best_plans(usable, worth, package, unit)
        better = np.flatnonzero(priced.minor < limit - TOLERANCE)
        if not len(better):
            break
        master.add(priced.plans.take(better))
        duals = master.duals()
        limit = duals[:n]
        worth.ravel()[master.rows.cells] = np.maximum(0.0, -duals[n : master.rows.first_span])
        span = np.maximum(0.0, -duals[master.rows.first_span :])
        package, unit = _by_day(problem, span, days)
    bound = (
        problem.weight @ priced.minor - (worth * problem.stock).sum() - span @ problem.spans.limit
    )
    if whole_gap is not None:
        master.make_whole(whole_gap)
    return Solution(float(bound), worth, joined(master.made), master.taken())


def _nothing_shipped(problem: Problem) -> Plans:
    orders = problem.orders
    minor = (orders.qty * problem.unserved_minor).sum(axis=1)
    return Plans(np.arange(len(orders)), np.full_like(orders.sku, -1), minor)


def _where_stock(problem: Problem) -> Floats:
    """The costs, infinite where a node has none of a SKU of the group."""
    lacks = (problem.stock[problem.orders.sku] <= 0) & (problem.orders.sku >= 0)[:, :, None]
    forbidden = np.einsum("gl,nlk->ngk", MEMBERS, lacks.astype(np.int64)) > 0
    return np.where(forbidden, np.inf, problem.costs)


def _by_day(problem: Problem, span: Floats, days: int) -> tuple[Floats, Floats]:
    """What a package, and a unit, costs each node's capacity by day: each (days, nodes)."""
    package = np.zeros((days, problem.stock.shape[1]))
    unit = np.zeros_like(package)
    for s in np.flatnonzero(span).tolist():
        first, last, node = (int(getattr(problem.spans, f)[s]) for f in ("first", "last", "node"))
        target = package if problem.spans.per_package[s] else unit
        target[first : last + 1, node] += span[s]
    return package, unit
