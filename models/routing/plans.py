"""Which nodes ship an order: candidates, costs, and the choice.

Order of worth: hard rules, then the most units served, then the lowest cost, then the fewest packages,
then the node declared first. One node that serves everything is compared with splits by whole lines
(partitions.py); a line's own units are split only where nothing else serves them all (splits.py).
"""

import numpy as np

from models.heap import Addresses, copy, fill
from models.jit import kernel
from models.ledger.stock import fetch_cell, open_prices
from models.promising.calendar import NO_DAY, find_day
from models.routing.arrays import (
    COSTS,
    EXACT_LINES,
    PLANS,
    open_candidates,
    open_cost,
    open_cursor,
    open_green,
    open_package,
    open_pick,
    open_priced,
    open_seen,
    open_top,
    open_top_nodes,
    open_wants,
)
from models.routing.candidates import count_units, say_what_lacks, screen
from models.routing.codes import C_LATE, C_PACKAGES, FEASIBLE, X_CAPACITY, X_CUTOFF, X_WEIGHT_BAND
from models.routing.costs import SPLIT, TOTAL, open_terms
from models.routing.packages import LATE_STEP, NO_PLAN, best_lane, offer, weigh
from models.routing.partitions import may_pay, whole_lines
from models.routing.splits import every_set, greedy, rank_partial
from models.routing.state import open_orders

EXACT_NODES = 20
LOWEST = np.iinfo(np.int64).min
LATE, NODE = COSTS, COSTS + 1  # columns of ``priced`` behind the costs


@kernel
def _price_singles(
    heap: Addresses, order: int, row0: int, n: int, shared: int, total: int, found: int, now: int
) -> int:
    """Price every candidate that serves all units alone; returns how many there are.

    This is most of the work of most orders: which nodes are able is settled first, so that the loop
    that prices them has nothing to guess.
    """
    candidates = open_candidates(heap)
    priced = open_priced(heap)
    prices = open_prices(heap)
    seen = open_seen(heap)
    wants = open_wants(heap)
    horizon = open_terms(heap).horizon_days[0]
    weight, volume, needs, able, ready = 0, 0, 0, 0, 0
    for i in range(n):
        weight += wants.qty[i] * wants.weight[i]
        volume += wants.qty[i] * wants.volume[i]
        needs |= np.int64(wants.need[i])
    count_units(heap, n, shared, found)
    for c in range(found):
        if seen.units[candidates[c]] == total:
            priced[able, NODE] = candidates[c]
            able += 1
        else:
            say_what_lacks(heap, n, candidates[c])
    for k in range(able):
        node = priced[k, NODE]
        day = find_day(heap, node, now, total, horizon)
        if day < 0:
            seen.excluded[node] = X_CAPACITY if day == NO_DAY else X_CUTOFF
            continue
        shadow = 0
        for i in range(n):
            shadow += wants.qty[i] * np.int64(prices[wants.sku[i], node])
        load = (total, weight, volume, shadow, needs)
        j, costs, late, parts = best_lane(heap, order, row0, node, day, now, load, True)
        if j == NO_PLAN:
            seen.excluded[node] = X_WEIGHT_BAND
            continue
        row = priced[ready]
        for p in range(SPLIT):
            row[p] = parts[p]
        row[SPLIT], row[TOTAL], row[LATE], row[NODE] = 0, costs, late, node
        ready += 1
    return ready


@kernel
def _offer_singles(heap: Addresses, ready: int, units: int) -> None:
    """Offer the three cheapest of the priced nodes; of equal ones the node declared first."""
    cost = open_cost(heap)
    cursor = open_cursor(heap)
    package = open_package(heap)
    priced = open_priced(heap)
    cursor[C_PACKAGES] = 1
    last, last_at = LOWEST, -1
    for _ in range(min(ready, PLANS)):
        best, lowest = -1, 0
        for k in range(ready):
            costs = priced[k, TOTAL] + priced[k, LATE] * LATE_STEP
            taken = costs < last or (costs == last and k <= last_at)
            if not taken and (best < 0 or costs < lowest):
                best, lowest = k, costs
        copy(priced[best, :LATE], cost)
        package[0, 0], cursor[C_LATE] = priced[best, NODE], priced[best, LATE]
        offer(heap, units, 0)
        last, last_at = lowest, best


@kernel
def choose(
    heap: Addresses, order: int, row0: int, n: int, shared: int, total: int, now: int
) -> int:
    """Find the best plan and its two runners-up; leave the best one weighed in the scratch.

    Args:
        heap: the network and the scratch, filled by ``gather_lines``.
        order: the order.
        row0: first of its score rows.
        n: lines to serve.
        shared: whether two lines share a SKU.
        total: units to serve.
        now: log time, us.

    Returns:
        Units that the best plan serves; 0 if there is none.
    """
    orders = open_orders(heap)
    pick = open_pick(heap)
    seen = open_seen(heap)
    terms = open_terms(heap)
    top = open_top(heap)
    top_nodes = open_top_nodes(heap)
    wants = open_wants(heap)
    fill(top.packages, 0)
    open_green(heap).grams[0] = np.inf
    found = screen(heap, order, n)
    ready = _price_singles(heap, order, row0, n, shared, total, found, now)
    _offer_singles(heap, ready, total)
    limit = 1 if orders.no_split[order] else terms.max_packages[0]
    if limit > 1 and 1 < n <= EXACT_LINES and not shared and may_pay(heap, order, row0):
        whole_lines(heap, order, row0, n, found, limit, now)
    if top.packages[0] == 0:
        kept = rank_partial(heap, order, row0, n, shared, found, now)
        if n <= EXACT_LINES and kept <= EXACT_NODES:
            every_set(heap, order, row0, n, shared, kept, limit, total, now)
        else:
            greedy(heap, order, row0, n, shared, kept, limit, now)
    whole = orders.no_split[order] or not terms.allow_partial[0]
    if top.packages[0] == 0 or (whole and top.units[0] < total):
        fill(top.packages, 0)
        return 0
    for plan in range(PLANS):
        for k in range(top.packages[plan]):
            seen.excluded[top_nodes[plan, k]] = FEASIBLE
    size = top.packages[0]
    copy(top_nodes[0, :size], pick)
    for i in range(n):
        for k in range(size):
            fetch_cell(heap, wants.sku[i], pick[k])
    return weigh(heap, order, row0, n, shared, size, top.lines[0], now)
