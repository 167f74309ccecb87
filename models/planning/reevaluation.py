"""Orders that nodes have not begun to work on: better plans for them, as records that the router checks.

What is proposed is as good as the books were when it was worked out. The router weighs every proposal again
when it arrives, at the prices and the stock of that moment, and keeps what was told to the customer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from models.heap import Slot
from models.planning.epochs import PricePlanner
from models.planning.orders import LINES, orders_in_books
from models.planning.problem import Ints, free_stock, problem_of
from models.planning.publishing import prices_records
from models.planning.windows import Proposal, Waiting, better_plans
from models.routing.arrays import Count
from models.routing.network import Network
from models.routing.scoring import Scorer
from models.routing.state import OrderState, Stage
from schemas.envelope import Event
from schemas.reviews import PlanProposed, ProposedPackage
from schemas.reviews import Proposal as Content

HOUR_US = 3_600_000_000
MOST = 500
"""Proposals of one window; those that save the most come first."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Reevaluator:
    """Prices, and better plans at those prices.

    Attributes:
        prices: publishes prices.
        release_hours: orders that were placed longer ago are left alone.
        least_minor: what a proposal must save at the prices.
    """

    prices: PricePlanner
    release_hours: float = 12.0  # picking queues of 6 to 18 hours; domain.md, E.1
    least_minor: float = 200.0  # a fifth of what an order costs in the seeded world

    def __call__(self, network: Network, orders: int) -> Sequence[Event]:
        """The records of the next epoch: prices first, then proposals at those prices."""
        prices = self.prices.prices(network, orders)
        return [
            *prices_records(network, prices),
            *proposed(
                network,
                prices,
                self.prices.scorer,
                self.prices.unserved_minor,
                since=network.log_time - round(self.release_hours * HOUR_US),
                least_minor=self.least_minor,
            ),
        ]


def proposed(
    network: Network,
    prices: Ints,
    scorer: Scorer,
    unserved_minor: float,
    since: int,
    least_minor: float,
) -> list[PlanProposed]:
    """Proposals for the orders that may still be moved.

    Args:
        network: its books.
        prices: (skus, nodes) of a unit of stock, minor units.
        scorer: predicts what a lane takes.
        unserved_minor: what a unit costs that nobody ships.
        since: orders placed before are left alone; log time, us.
        least_minor: what a proposal must save.

    Returns:
        One record per order at most, ordered so that each can be applied after those before it.
    """
    rows, node = waiting_orders(network, since)
    if not len(rows):
        return []
    at = np.full(len(rows), network.log_time, np.int64)
    orders = orders_in_books(network, rows.astype(np.intp), at)
    problem = problem_of(network, orders, scorer, unserved_minor, free_stock(network))
    found = better_plans(Waiting(problem, node), prices, least_minor)
    return [_record(network, int(rows[p.row]), p) for p in found[:MOST]]


def waiting_orders(network: Network, since: int) -> tuple[Ints, Ints]:
    """Orders served whole, each line by one node that has not accepted it yet.

    Returns:
        (n,) rows of the orders, oldest first, and (n, LINES) the node of each line; -1: no line.
    """
    allocations = network.heap[Slot.ALLOCATIONS][: int(network.counts[Count.ALLOCATIONS])]
    lines = network.heap[Slot.LINES][: int(network.counts[Count.LINES])]
    orders = network.heap[Slot.ORDERS][: len(network.names["orders"])]
    held = allocations[allocations["line"] >= 0]
    movable = (held["stage"] == Stage.OFFERED) & (held["supply"] < 0) & (held["placed_at"] >= since)
    order = lines["order"][held["line"]]
    whole = lines["reserved"] == lines["qty"]
    per_line = np.bincount(held["line"], minlength=len(lines))
    fit = (orders["state"] == OrderState.OPEN) & (orders["lines"] <= LINES) & (orders["lines"] > 0)
    owner = lines["order"]
    fit &= _none(owner, (owner >= 0) & ~(whole & (per_line == 1)), len(orders))
    fit &= _none(order, ~movable, len(orders))
    chosen = np.flatnonzero(fit)
    chosen = chosen[np.argsort(orders["decided_at"][chosen], kind="stable")]
    row_of = np.full(len(orders) + 1, -1, np.int64)
    row_of[chosen] = np.arange(len(chosen))
    node = np.full((len(chosen), LINES), -1, np.int64)
    mine = held[row_of[order] >= 0]
    place = mine["line"] - orders["first_line"][lines["order"][mine["line"]]]
    node[row_of[lines["order"][mine["line"]]], place] = mine["node"]
    return chosen.astype(np.int64), node


def _none(
    owner: npt.NDArray[np.int32], wrong: npt.NDArray[np.bool_], orders: int
) -> npt.NDArray[np.bool_]:
    """(orders,) whether nothing is wrong with any row of the order."""
    sound: npt.NDArray[np.bool_] = np.bincount(owner[wrong], minlength=orders) == 0
    return sound


def _record(network: Network, row: int, proposal: Proposal) -> PlanProposed:
    order = network.heap[Slot.ORDERS][row]
    name, decision = network.names["orders"].listed()[row], int(order["decided_at"])
    tenant, label = network.key.split("/")
    return PlanProposed(
        id=f"plan-{network.key}-{name}-{decision}-{network.log_time}",
        source="crossdock/planner",
        subject=name,
        time=_EPOCH + timedelta(microseconds=network.log_time),
        tenant=tenant,
        network=label,
        data=Content(
            decision=decision,
            computed_at=max(0, int(network.heap[Slot.ORDERS]["decided_at"].max(initial=0))),
            packages=_packages(network, order, proposal.node),
            saving_minor=max(0, round(proposal.saving_minor)),
        ),
    )


def _packages(network: Network, order: np.void, node: Ints) -> list[ProposedPackage]:
    """A package for each node, in the order of the first line that it ships."""
    numbers = network.heap[Slot.LINES]["number"][order["first_line"] :][: order["lines"]].tolist()
    nodes, parts = network.names["nodes"].listed(), dict[int, list[int]]()
    for number, at in zip(numbers, node.tolist(), strict=False):
        if at >= 0:
            parts.setdefault(at, []).append(number)
    return [ProposedPackage(node=nodes[at], lines=lines) for at, lines in parts.items()]
