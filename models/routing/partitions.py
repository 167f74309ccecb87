"""Splits by whole lines: which lines go together, and from which node each group ships.

Every way of putting up to 4 distinct lines into groups is looked at, and for each group the nodes that
serve it alone, cheapest first. Different nodes are independent, so the cheapest nodes of the groups make
the cheapest plan; only where two groups want the same node are the next ones tried. This is how a split
that costs less than any single node is found; a line's own units are not split here (splits.py).
"""

from itertools import product

import numpy as np

from models.heap import Addresses, fill
from models.jit import kernel
from models.ledger.stock import open_prices
from models.promising.calendar import find_day
from models.routing.arrays import (
    EXACT_LINES,
    MAX_PACKAGES,
    PLANS,
    open_candidates,
    open_group_cost,
    open_group_nodes,
    open_pick,
    open_quantities,
    open_region_first,
    open_region_floor,
    open_seen,
    open_top,
    open_top_cost,
    open_usable,
    open_wants,
)
from models.routing.candidates import may_take
from models.routing.codes import HANDLING_Q, LATE_Q, P50
from models.routing.costs import LATE, SPLIT, TIME, TOTAL, open_terms, open_weights, rounded
from models.routing.packages import LATE_STEP, NO_PLAN, best_lane, offer, weigh
from models.routing.state import open_orders

NOBODY = -1


def _partitions(n: int) -> list[list[int]]:
    """Every way of putting n lines into two or more groups, each group as bits of its lines."""
    found = []
    for labels in product(range(n), repeat=n):
        grows = all(label <= max(labels[:i], default=-1) + 1 for i, label in enumerate(labels))
        if grows and max(labels) > 0:
            bits = [sum(1 << i for i in range(n) if labels[i] == k) for k in range(MAX_PACKAGES)]
            found.append(bits)
    return found


_OF = [_partitions(n) if n > 1 else [] for n in range(EXACT_LINES + 1)]
PARTITION_COUNTS = np.array([len(of) for of in _OF], np.int64)
PARTITIONS = np.zeros((len(_OF), int(PARTITION_COUNTS.max()), MAX_PACKAGES), np.int64)
"""Groups by number of lines and partition; 0: no group."""
for _n, _of in enumerate(_OF):
    PARTITIONS[_n, : len(_of)] = np.array(_of, np.int64).reshape(-1, MAX_PACKAGES)


@kernel
def _extra(heap: Addresses, groups: int) -> int:
    """What a plan of so many packages costs for being split."""
    weighted = open_weights(heap)[SPLIT] * open_terms(heap).package_minor[0]
    return rounded(weighted * (groups - 1))


@kernel
def may_pay(heap: Addresses, order: int, row0: int) -> bool:
    """Whether two packages could cost less than the best node alone, if there is one."""
    top = open_top(heap)
    if top.packages[0] == 0 or top.late[0] > 0:
        return True
    region = open_orders(heap).region[order]
    each = open_region_floor(heap)[region] + _least_for_time(heap, region, row0)
    return open_top_cost(heap)[0, TOTAL] > 2.0 * each + _extra(heap, 2)


@kernel
def _least_for_time(heap: Addresses, region: int, row0: int) -> float:
    """What any package of the order costs at the least for the time that it takes and for lateness."""
    quantities = open_quantities(heap)
    region_first = open_region_first(heap)
    terms = open_terms(heap)
    usable = open_usable(heap)
    weights = open_weights(heap)
    hour, late = weights[TIME] * terms.hour_minor[0], weights[LATE] * terms.late_minor[0]
    least = np.inf
    for j in range(region_first[region + 1] - region_first[region]):
        if usable[j]:
            said = quantities[row0 + j]
            hours = np.float64(said[HANDLING_Q]) + np.float64(said[P50])
            least = min(least, hour * hours + late * np.float64(said[LATE_Q]))
    return least - 1.0  # both terms are rounded


@kernel
def _keep_cheapest(heap: Addresses, group: int, node: int, costs: int) -> None:
    """Insert a node into its group's list; of equal ones the node declared first stays ahead."""
    group_cost = open_group_cost(heap)
    group_nodes = open_group_nodes(heap)
    at = MAX_PACKAGES
    while at > 0 and (group_nodes[group, at - 1] == NOBODY or costs < group_cost[group, at - 1]):
        if at < MAX_PACKAGES:
            group_cost[group, at] = group_cost[group, at - 1]
            group_nodes[group, at] = group_nodes[group, at - 1]
        at -= 1
    if at < MAX_PACKAGES:
        group_cost[group, at], group_nodes[group, at] = costs, node


@kernel
def _price_groups(heap: Addresses, order: int, row0: int, n: int, found: int, now: int) -> None:
    """The cheapest nodes for every group of lines but the whole order."""
    candidates = open_candidates(heap)
    group_nodes = open_group_nodes(heap)
    prices = open_prices(heap)
    seen = open_seen(heap)
    wants = open_wants(heap)
    horizon = open_terms(heap).horizon_days[0]
    every = (1 << n) - 1
    for group in range(1, every):
        fill(group_nodes[group], NOBODY)
    for c in range(found):
        node, able = candidates[c], 0
        for i in range(n):
            carries = not wants.need[i] & ~seen.offers[node]
            if carries and may_take(heap, i, node) >= wants.qty[i]:
                able |= 1 << i
        for group in range(1, every):
            if group & ~able:
                continue
            units, weight, volume, shadow, needs = 0, 0, 0, 0, 0
            for i in range(n):
                if group >> i & 1:
                    qty = wants.qty[i]
                    units += qty
                    weight += qty * wants.weight[i]
                    volume += qty * wants.volume[i]
                    shadow += qty * np.int64(prices[wants.sku[i], node])
                    needs |= np.int64(wants.need[i])
            day = find_day(heap, node, now, units, horizon)
            if day < 0:
                continue
            load = (units, weight, volume, shadow, needs)
            j, costs, late, _ = best_lane(heap, order, row0, node, day, now, load, False)
            if j != NO_PLAN:
                _keep_cheapest(heap, group, node, costs + late * LATE_STEP)


@kernel
def _best_nodes(heap: Addresses, n: int, partition: int, groups: int) -> tuple[int, int]:
    """Different nodes for the groups of a partition, at the lowest cost.

    Returns:
        The cost, or ``NO_PLAN``; and the place of the node in each group's list, two bits a group.
    """
    group_cost = open_group_cost(heap)
    group_nodes = open_group_nodes(heap)
    lowest, chosen = NO_PLAN, 0
    for places in range(1 << (2 * groups)):
        costs, valid = 0, True
        for k in range(groups):
            group, place = PARTITIONS[n, partition, k], places >> (2 * (groups - 1 - k)) & 3
            node = group_nodes[group, place]
            valid &= node != NOBODY
            costs += group_cost[group, place]
            for other in range(k):
                earlier = places >> (2 * (groups - 1 - other)) & 3
                valid &= group_nodes[PARTITIONS[n, partition, other], earlier] != node
        if valid and (lowest == NO_PLAN or costs < lowest):
            lowest, chosen = costs, places
            if places == 0:  # everybody's first choice
                break
    return lowest, chosen


@kernel
def whole_lines(
    heap: Addresses, order: int, row0: int, n: int, found: int, limit: int, now: int
) -> None:
    """Offer the best plan of every way to group the lines, if it is among the best three.

    Args:
        heap: the network and the scratch, with ``found`` candidates.
        order: the order.
        row0: first of its score rows.
        n: lines to serve, 2 to 4, each of another SKU.
        found: number of candidates.
        limit: most packages.
        now: log time, us.
    """
    group_nodes = open_group_nodes(heap)
    pick = open_pick(heap)
    top = open_top(heap)
    top_cost = open_top_cost(heap)
    _price_groups(heap, order, row0, n, found, now)
    for partition in range(PARTITION_COUNTS[n]):
        groups = 0
        while groups < n and PARTITIONS[n, partition, groups] > 0:
            groups += 1
        if groups > limit:
            continue
        costs, places = _best_nodes(heap, n, partition, groups)
        if costs == NO_PLAN:
            continue
        costs += _extra(heap, groups)
        last = top_cost[PLANS - 1, TOTAL] + top.late[PLANS - 1] * LATE_STEP
        if top.packages[PLANS - 1] > 0 and costs >= last:
            continue
        lines = 0
        for k in range(groups):
            group = PARTITIONS[n, partition, k]
            lines |= group << (EXACT_LINES * k)
            pick[k] = group_nodes[group, places >> (2 * (groups - 1 - k)) & 3]
        offer(heap, weigh(heap, order, row0, n, 0, groups, lines, now), lines)
