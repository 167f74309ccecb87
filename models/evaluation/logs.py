"""Every policy on a recorded log, with prices from what the log itself had shown by then."""

from collections.abc import Callable

import numpy as np

from models.evaluation.case import Case
from models.planning.demand import Expected
from models.planning.epochs import PricePlanner
from models.planning.foreseen import HOUR_US, Lines, expect
from models.routing.network import Network


def planner_on(case: Case, horizon_hours: int, seed: int) -> PricePlanner:
    """The planner that knows of the log what came before the present.

    It looks ahead to the end of the log, but no farther than the horizon.
    """
    return PricePlanner(
        _seen_by(case, horizon_hours), case.scorer, case.problem.unserved_minor, seed
    )


def _seen_by(case: Case, horizon_hours: int) -> Callable[[Network, int], Expected]:
    columns = {name: case.wanted[name].to_numpy() for name in case.wanted.columns}
    order = columns["order"]
    first = np.searchsorted(case.problem.orders.whole, order)
    region = case.problem.orders.region[first]
    ends = int(case.at[-1])

    def expected(network: Network, orders: int) -> Expected:
        past = slice(0, int(np.searchsorted(order, orders)))
        now = int(case.at[min(orders, len(case.at) - 1)])
        own = _codes(case, network)
        lines = Lines(
            order=order[past],
            at=case.at[order[past]],
            sku=own["skus"][columns["sku"][past]],
            region=own["regions"][region[past]],
            qty=columns["qty"][past],
            weight_g=columns["weight_g"][past],
            volume_cm3=columns["volume_cm3"][past],
            needs=columns["needs"][past],
        )
        hours = min(horizon_hours, (ends - now) // HOUR_US)
        return expect(
            lines, len(network.names["skus"]), len(network.names["regions"]), now, int(hours)
        )

    return expected


def _codes(case: Case, network: Network) -> dict[str, np.ndarray]:
    """The codes of a network by those of the case, for SKUs and regions; -1 where it has none yet."""
    names = case.network.names
    return {
        kind: network.names[kind].find(names[kind].all()).astype(np.int64)
        for kind in ("skus", "regions")
    }
