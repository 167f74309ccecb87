"""When prices are published, and from what: a planner that a log's walk or a job asks again and again.

New prices move the old ones a ``step`` of the way. Stock changes little between two epochs, the draws do,
so that the mean over epochs is worth as much as twice the scenarios. The first epoch stands for itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.heap import Slot
from models.planning.demand import Expected
from models.planning.prices import SCENARIOS, price_stock
from models.planning.problem import Floats, Ints, free_stock
from models.planning.publishing import prices_records
from models.routing.arrays import Count
from models.routing.network import Network
from models.routing.scoring import Scorer
from schemas.envelope import Event


@dataclass(frozen=True)
class PricePlanner:
    """Prices of a network as it stands.

    Attributes:
        expected: the forecast, given the network and the orders so far.
        scorer: predicts what a lane takes.
        unserved_minor: what a unit costs that nobody ships.
        seed: of the draws; each epoch draws anew.
        scenarios: draws per epoch.
        step: how far an epoch moves the prices towards its own, 0 to 1.
    """

    expected: Callable[[Network, int], Expected]
    scorer: Scorer
    unserved_minor: float
    seed: int = 0
    scenarios: int = SCENARIOS
    step: float = 0.5

    def __call__(self, network: Network, orders: int) -> Sequence[Event]:
        """The records of the next epoch."""
        return prices_records(network, self.prices(network, orders))

    def prices(self, network: Network, orders: int) -> Ints:
        """(skus, nodes) minor units, from the network's free stock and the prices that it has."""
        epoch, stock = int(network.counts[Count.PRICE_EPOCH]), free_stock(network)
        before = network.heap[Slot.PRICES][: stock.shape[0], : stock.shape[1]]
        return self.next_prices(network, orders, stock, before if epoch else None, epoch)

    def next_prices(
        self,
        network: Network,
        orders: int,
        stock: Floats,
        before: npt.NDArray[np.integer[Any]] | None,
        epoch: int,
    ) -> Ints:
        """(skus, nodes) minor units.

        Args:
            network: its nodes, lanes and policy.
            orders: so many have come.
            stock: (skus, nodes) free units.
            before: the prices of the last epoch; None: there was none.
            epoch: number of the last epoch.
        """
        fresh = price_stock(
            network,
            self.expected(network, orders),
            self.scorer,
            self.unserved_minor,
            np.random.default_rng([self.seed, epoch]),
            stock,
            self.scenarios,
        )
        if before is None:
            return fresh
        return np.floor(self.step * fresh + (1 - self.step) * before + 0.5).astype(np.int64)
