"""What it costs to ship each group of an order's lines from each node: the router's own arithmetic.

The compiled functions of ``models.routing`` screen the nodes and price the packages, so a plan costs here
what a decision says it costs, but for two things that depend on the moment: shadow prices are left out,
and every day has room.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from models.heap import Heap, Slot
from models.planning.orders import LINES, Orders
from models.routing.arrays import put_scores, put_scratch
from models.routing.costs import rounded
from models.routing.features import N_FEATURES, N_QUANTITIES
from models.routing.groups import fill_orders, price_groups, price_packages
from models.routing.network import Network
from models.routing.scoring import Scorer, score_rows
from models.routing.state import LINE, ORDER, SKU

GROUPS = 1 << LINES
"""Sets of lines, as bits; 0 is no line."""

Costs = npt.NDArray[np.float64]
_SHARED = (
    Slot.LANES,
    Slot.NODES,
    Slot.DAYS,
    Slot.WEEKDAYS,
    Slot.FIRST_DAY,
    Slot.BANDS,
    Slot.REGION_FIRST,
    Slot.REGION_LANES,
    Slot.REGION_SIGNAL,
    Slot.REGION_FLOOR,
    Slot.CUSTOMER_KEYS,
    Slot.FREE,
    Slot.FREE_SEEN,
    Slot.TERMS,
    Slot.WEIGHTS,
    Slot.CARBON_FACTORS,
    Slot.TIER_POINTS,
    Slot.CHANNEL_POINTS,
)
"""Tables that are read and never written here."""


def group_costs(network: Network, orders: Orders, scorer: Scorer) -> Costs:
    """Cost of one package for every order, group of its lines and node.

    Args:
        network: its nodes, lanes, calendar and policy.
        orders: in its codes.
        scorer: predicts what a lane takes.

    Returns:
        (n, GROUPS, nodes) minor units without shadow price; infinite where a hard rule forbids it. A part
        of a longer order pays its share of what an empty package costs.
    """
    nodes = len(network.names["nodes"])
    heap = _heap_of(network, *_rows_of(orders), LINES)
    first_row = _score(heap, orders.at, scorer)
    costs = np.full((len(orders), GROUPS, nodes), np.inf)
    price_groups(heap.addresses, orders.at, first_row, orders.share, costs)
    return costs


def package_costs(
    network: Network, at: npt.NDArray[np.int64], packages: npt.NDArray[np.int64], scorer: Scorer
) -> npt.NDArray[np.float64]:
    """Cost of packages of the orders in a network's books.

    Args:
        network: its books name every order.
        at: (orders,) the instant at which each is planned, us.
        packages: (n, 6) order, node, units, grams, cm3 and needs, sorted by order.
        scorer: predicts what a lane takes.

    Returns:
        (n,) minor units without shadow price; infinite where a hard rule forbids it.
    """
    lines = network.heap[Slot.LINES].copy()
    lines["reserved"], lines["consumed"] = 0, 0
    heap = _heap_of(network, network.heap[Slot.ORDERS], lines, network.longest_order)
    first_row = _score(heap, at, scorer)
    costs = np.full(len(packages), np.inf)
    price_packages(heap.addresses, at, first_row, packages, costs)
    return costs


def extra_package_minor(network: Network) -> int:
    """What each package after an order's first costs on top of its own."""
    policy = network.policy
    return int(rounded(policy.weights.split * policy.costs.extra_package_minor))


def _heap_of(
    network: Network, rows: npt.NDArray[Any], lines: npt.NDArray[Any], longest: int
) -> Heap:
    """The network with these orders in its books, none of them reserved or blocked."""
    heap, skus = Heap(len(Slot)), len(network.heap[Slot.SKUS])
    for slot in _SHARED:
        heap.put(slot, network.heap[slot])
    heap.put(Slot.PLACES, network.heap[Slot.PLACES].copy())  # it remembers the day asked for last
    heap.put(Slot.ORDERS, rows)
    heap.put(Slot.LINES, lines)
    heap.put(Slot.BLOCKED, np.zeros((len(rows), network.heap[Slot.BLOCKED].shape[1]), np.uint64))
    heap.put(Slot.SKUS, np.zeros(skus, SKU))
    most = int(np.diff(network.heap[Slot.REGION_FIRST]).max(initial=1))
    put_scratch(heap, len(network.heap[Slot.NODES]), skus, most, longest)
    return heap


def _rows_of(orders: Orders) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Orders as rows of the books: every one has ``LINES`` lines."""
    rows, lines = np.zeros(len(orders), ORDER), np.zeros(LINES * len(orders), LINE)
    rows["first_line"], rows["lines"] = LINES * np.arange(len(orders)), LINES
    rows["pinned"] = -1
    names = (
        "region",
        "requested_by",
        "carrier",
        "service",
        "customer",
        "tier",
        "channel",
        "no_split",
    )
    for name in names:
        rows[name] = getattr(orders, name)
    for name in ("sku", "qty", "weight_g", "volume_cm3", "needs"):
        lines[name] = getattr(orders, name).ravel()
    return rows, lines


def _score(heap: Heap, at: npt.NDArray[np.int64], scorer: Scorer) -> npt.NDArray[np.int64]:
    """Put the scores of all orders into the heap; returns the (orders + 1,) first row of each."""
    first_row = np.zeros(len(at) + 1, np.int64)
    lanes = np.append(np.diff(heap[Slot.REGION_FIRST]), 0)  # region -1 has none
    np.cumsum(lanes[heap[Slot.ORDERS]["region"][: len(at)]], out=first_row[1:])
    features = np.empty((int(first_row[-1]), N_FEATURES), np.float32)
    empty = np.empty((0, 2), np.int64)
    put_scores(heap, first_row, empty, features, np.empty((0, N_QUANTITIES), np.float32))
    fill_orders(heap.addresses, at, first_row)
    put_scores(heap, first_row, empty, features, score_rows(scorer, features))
    return first_row
