"""Shadow prices: what it costs the future to take one unit of a SKU from a node now.

Each scenario is one draw of the orders that the forecast expects; the dual of a stock row in its optimal plan
is what one unit more would have saved. The price is the mean over the scenarios. One scenario alone gives
the value of a unit in a future that will not come, mostly all or nothing; the mean is the expected value.

The last unit of a cell is worth the change of the optimum over that unit, so each scenario has a random
part of a unit less; that also leaves no ties among the duals. Orders are drawn with several lines, so that
the price knows that two lines share a package: prices from a transportation program for each SKU alone
save half as much (see the README).
"""

from dataclasses import replace

import numpy as np

from models.planning.bound import solve
from models.planning.demand import Expected, draw_orders
from models.planning.problem import Floats, Ints, problem_of
from models.routing.network import Network
from models.routing.scoring import Scorer

SCENARIOS = 6
"""Draws per epoch; three give nine tenths of what eight give, in the seeded world."""


def price_stock(
    network: Network,
    expected: Expected,
    scorer: Scorer,
    unserved_minor: float,
    generator: np.random.Generator,
    stock: Floats,
    scenarios: int = SCENARIOS,
) -> Ints:
    """Prices of free stock as it stands.

    Args:
        network: its nodes, lanes and policy; orders come from its log time on.
        expected: the orders to come until stock is replenished.
        scorer: predicts what a lane takes.
        unserved_minor: what a unit costs that nobody ships; no price is above it.
        generator: of the draws.
        stock: (skus, nodes) free units.
        scenarios: how many draws.

    Returns:
        (skus, nodes) minor units; 0 where stock is left over in every draw.
    """
    total = np.zeros(stock.shape)
    skus, nodes, regions = (_by_name(network, kind) for kind in ("skus", "nodes", "regions"))
    for _ in range(scenarios):
        drawn, weight = draw_orders(expected.take(skus, regions), network.log_time, generator)
        orders = replace(
            drawn,
            sku=np.where(drawn.sku >= 0, skus[drawn.sku], -1),
            region=regions[drawn.region],
        )
        less = stock.copy()
        less[np.ix_(skus, nodes)] -= generator.random(less.shape)
        problem = problem_of(network, orders, scorer, unserved_minor, np.maximum(less, 0.0))
        problem = replace(problem, weight=np.full(len(orders), weight))
        if len(problem.orders):
            total += np.minimum(solve(problem).prices, unserved_minor)
    return np.floor(total / scenarios + 0.5).astype(np.int64)


def _by_name(network: Network, kind: str) -> Ints:
    """Codes in the order of their names: what is drawn must not depend on how names were numbered."""
    return np.argsort(np.array(network.names[kind].listed(), np.str_), kind="stable")
