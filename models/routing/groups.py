"""Every group of an order's lines as one package from every node: what planning asks of the router.

Nothing here decides an order. The books hold the orders that are planned, see ``models.planning``.
"""

import numpy as np
import numpy.typing as npt

from models.heap import Addresses
from models.jit import kernel
from models.promising.calendar import find_day
from models.routing.arrays import EXACT_LINES, open_candidates, open_features, open_seen, open_wants
from models.routing.candidates import gather_lines, screen
from models.routing.codes import FEASIBLE
from models.routing.costs import open_terms
from models.routing.inputs import fill_order
from models.routing.packages import NO_PLAN, best_lane


@kernel
def fill_orders(
    heap: Addresses, at: npt.NDArray[np.int64], first_row: npt.NDArray[np.int64]
) -> None:
    """Model inputs of every order in the books, each on every lane of its region.

    Args:
        heap: the network and its books.
        at: (orders,) the instant at which each is planned, us.
        first_row: (orders + 1,) its rows in ``features``.
    """
    features = open_features(heap)
    for order in range(len(at)):
        fill_order(heap, order, at[order], features[first_row[order] : first_row[order + 1]])


@kernel
def _empty_package(heap: Addresses, order: int, row0: int, node: int, now: int) -> float:
    """What a package of the node costs before anything is in it; 0 if no tariff says."""
    day = find_day(heap, node, now, 0, open_terms(heap).horizon_days[0])
    if day < 0:
        return 0.0
    j, total, _, _ = best_lane(heap, order, row0, node, day, now, (0, 0, 0, 0, 0), False)
    return total if j != NO_PLAN else 0.0


@kernel
def _group_cost(
    heap: Addresses, order: int, row0: int, n: int, node: int, group: int, now: int
) -> float:
    """What one package with these lines of the order costs from the node, or infinity."""
    seen = open_seen(heap)
    wants = open_wants(heap)
    units, weight, volume, needs = 0, 0, 0, 0
    for i in range(n):
        if group >> i & 1:
            units += wants.qty[i]
            weight += wants.qty[i] * wants.weight[i]
            volume += wants.qty[i] * wants.volume[i]
            needs |= np.int64(wants.need[i])
    day = find_day(heap, node, now, 0, open_terms(heap).horizon_days[0])
    if day < 0 or needs & ~seen.offers[node]:
        return np.inf
    load = (units, weight, volume, 0, needs)
    j, total, _, _ = best_lane(heap, order, row0, node, day, now, load, False)
    return total if j != NO_PLAN else np.inf


@kernel
def price_groups(
    heap: Addresses,
    at: npt.NDArray[np.int64],
    first_row: npt.NDArray[np.int64],
    share: npt.NDArray[np.float64],
    costs: npt.NDArray[np.float64],
) -> None:
    """Price every group of lines of every order from every node, without shadow prices.

    Args:
        heap: the network, scores and books; every order has ``EXACT_LINES`` lines, some of no units.
        at: (orders,) the instant at which each is planned, us.
        first_row: (orders + 1,) its score rows.
        share: (orders,) of what an empty package costs.
        costs: (orders, 2**EXACT_LINES, nodes) filled where a package is allowed.
    """
    candidates = open_candidates(heap)
    wants = open_wants(heap)
    for order in range(len(at)):
        n, _, _ = gather_lines(heap, order, False)
        found = screen(heap, order, n) if n > 0 else 0
        for c in range(found):
            node, row0, now = candidates[c], first_row[order], at[order]
            spared = 0.0
            if share[order] < 1.0:
                spared = (1.0 - share[order]) * _empty_package(heap, order, row0, node, now)
            for group in range(1, 1 << n):
                places = 0
                for i in range(n):
                    if group >> i & 1:
                        places |= 1 << (wants.line[i] - EXACT_LINES * order)
                cost = _group_cost(heap, order, row0, n, node, group, now)
                costs[order, places, node] = cost - spared


@kernel
def price_packages(
    heap: Addresses,
    at: npt.NDArray[np.int64],
    first_row: npt.NDArray[np.int64],
    packages: npt.NDArray[np.int64],
    costs: npt.NDArray[np.float64],
) -> None:
    """Price given packages, without shadow prices.

    Args:
        heap: the network, scores and books.
        at: (orders,) the instant at which each is planned, us.
        first_row: (orders + 1,) its score rows.
        packages: (n, 6) order, node, units, grams, cm3 and needs, sorted by order.
        costs: (n,) filled where a package is allowed.
    """
    seen = open_seen(heap)
    last = -1
    for p in range(len(packages)):
        order, node, needs = packages[p, 0], packages[p, 1], packages[p, 5]
        if order != last:
            n, _, _ = gather_lines(heap, order, False)
            screen(heap, order, n)
            last = order
        day = find_day(heap, node, at[order], 0, open_terms(heap).horizon_days[0])
        if day < 0 or seen.excluded[node] != FEASIBLE or needs & ~seen.offers[node]:
            continue
        load = (packages[p, 2], packages[p, 3], packages[p, 4], 0, needs)
        row0, now = first_row[order], at[order]
        j, total, _, _ = best_lane(heap, order, row0, node, day, now, load, False)
        if j != NO_PLAN:
            costs[p] = total
