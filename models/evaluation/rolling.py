"""Prices with re-evaluation: waiting orders are moved to better plans at every epoch.

The router's rule on a ledger of its own: the most units, then the lowest cost with shadow prices, whole
lines from one node. An order waits to be released for a while after it came; only then is it out of reach.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from models.evaluation.case import Case
from models.evaluation.outcome import SHIPPED, Shipped
from models.evaluation.rivals import cheapest
from models.planning.epochs import PricePlanner
from models.planning.orders import LINES
from models.planning.problem import Ints, part_of
from models.planning.windows import Waiting, better_plans

HOUR_US = 3_600_000_000


@dataclass(frozen=True)
class Window:
    """When orders may be moved: ``release_hours`` after they came, for ``least_minor`` or more."""

    release_hours: float = 12.0  # picking queues of 6 to 18 hours; domain.md, E.1
    least_minor: float = 200.0  # a fifth of what an order costs in the seeded world


class _Ledger:
    """Free units, where every order ships from, and the prices."""

    def __init__(self, case: Case, planner: PricePlanner, window: Window | None) -> None:
        self.case, self.planner, self.window = case, planner, window
        self.free = np.zeros(case.problem.stock.shape)
        self.node = np.full_like(case.problem.orders.sku, -1)
        self.prices = np.zeros(case.problem.stock.shape, np.int64)
        self.epoch, self.moved = 0, set[int]()

    def decide(self, row: int) -> None:
        orders = self.case.problem.orders
        free = self.free[orders.sku[row]] * (orders.sku[row] >= 0)[:, None]
        for line, node, units in cheapest(self.case, row, free, self.prices):
            self.node[row, line] = node
            self.free[orders.sku[row, line], node] -= units

    def plan(self, row: int) -> None:
        """Publish prices before a row is decided, and move what waits."""
        before = self.prices if self.epoch else None
        orders = int(self.case.problem.orders.whole[row])
        self.prices = self.planner.next_prices(
            self.case.network, orders, self.free, before, self.epoch
        )
        self.epoch += 1
        waiting, rows = self._waiting(row)
        if waiting is None or self.window is None:
            return
        for proposal in better_plans(waiting, self.prices, self.window.least_minor):
            self._move(int(rows[proposal.row]), proposal.node)

    def _waiting(self, row: int) -> tuple[Waiting | None, Ints]:
        orders = self.case.problem.orders
        if self.window is None:
            return None, np.empty(0, np.int64)
        since = orders.at[row] - self.window.release_hours * HOUR_US
        rows = np.flatnonzero((orders.at >= since) & (np.arange(len(orders)) < row))
        if not len(rows):
            return None, rows
        return Waiting(part_of(self.case.problem, rows, self.free), self.node[rows]), rows

    def _move(self, row: int, node: Ints) -> None:
        orders = self.case.problem.orders
        for held, sign in ((self.node[row], 1), (node, -1)):
            lines = np.flatnonzero(held >= 0)
            np.add.at(
                self.free, (orders.sku[row, lines], held[lines]), sign * orders.qty[row, lines]
            )
        self.node[row] = node
        self.moved.add(int(orders.whole[row]))


def with_prices(
    case: Case, policy: str, planner: PricePlanner, every: int, window: Window | None
) -> Shipped:
    """Run a case with prices every so many orders, and with re-evaluation if there is a window."""
    orders, ledger = case.problem.orders, _Ledger(case, planner, window)
    supply = case.supply.sort("position", maintain_order=True)
    due, changes, taken = supply["position"].to_numpy(), supply.rows(), 0
    for row in range(len(orders)):
        whole = int(orders.whole[row])
        while taken < len(due) and due[taken] < case.position[whole]:
            _, sku, node, units = changes[taken]
            ledger.free[sku, node] += units
            taken += 1
        if whole % every == 0 and (row == 0 or orders.whole[row - 1] != whole):
            ledger.plan(row)
        ledger.decide(row)
    first = np.searchsorted(orders.whole, orders.whole)
    rows, line = np.nonzero(ledger.node >= 0)
    columns = {
        "order": orders.whole[rows],
        "line": LINES * (rows - first[rows]) + line,
        "node": ledger.node[rows, line],
        "units": orders.qty[rows, line],
    }
    kept = 1.0 - len(ledger.moved) / len(case.ids)
    return Shipped(policy, pl.DataFrame(columns, SHIPPED), kept)
