"""Which nodes ship an order: candidates, costs, and the choice.

Order of worth: hard rules, then the most units served, then the fewest packages, then the lowest cost,
then the node declared first. One node that serves everything comes before any split. Up to 4 distinct
lines and 20 candidate nodes every set of nodes is weighed; beyond that a greedy cover looks for the
node that adds the most units, then the least cost. Within a set, lines draw on the nodes in the order
of what each node would cost alone.
"""

import numba
import numpy as np
import numpy.typing as npt

from models.heap import Addresses, copy, fill
from models.ledger.stock import available, fetch_cell, open_prices
from models.promising.calendar import NO_DAY, find_day
from models.routing.arrays import (
    COSTS,
    EXACT_LINES,
    MAX_PACKAGES,
    PLANS,
    open_candidates,
    open_cost,
    open_cursor,
    open_holds,
    open_package,
    open_pick,
    open_priced,
    open_seen,
    open_top,
    open_top_cost,
    open_top_nodes,
    open_wants,
)
from models.routing.candidates import count_units, say_what_lacks, screen
from models.routing.codes import C_PACKAGES, FEASIBLE, X_CAPACITY, X_CUTOFF, X_WEIGHT_BAND
from models.routing.costs import SPLIT, TOTAL, open_terms
from models.routing.packages import NO_PLAN, best_lane, weigh
from models.routing.state import (
    open_orders,
)

EXACT_NODES = 20
LOWEST = np.iinfo(np.int64).min
NODE = COSTS  # column of ``priced`` behind the costs


@numba.njit(cache=True)
def _offer(heap: Addresses, units: int) -> None:
    """Rank the weighed plan among the best three: units, then packages, then cost, then age."""
    cost = open_cost(heap)
    cursor = open_cursor(heap)
    package = open_package(heap)
    top = open_top(heap)
    top_cost = open_top_cost(heap)
    top_nodes = open_top_nodes(heap)
    size = cursor[C_PACKAGES]
    place = PLANS
    while place > 0:
        other = place - 1
        if top.packages[other] > 0:
            ahead = (
                units > top.units[other]
                or (units == top.units[other] and size < top.packages[other])
                or (
                    units == top.units[other]
                    and size == top.packages[other]
                    and cost[TOTAL] < top_cost[other, TOTAL]
                )
            )
            if not ahead:
                break
            if place < PLANS:
                copy(top_nodes[other], top_nodes[place])
                top.packages[place] = top.packages[other]
                top.units[place] = top.units[other]
                copy(top_cost[other], top_cost[place])
        place -= 1
    if place == PLANS or size == 0:
        return
    for k in range(MAX_PACKAGES):
        top_nodes[place, k] = package[k, 0] if k < size else -1
    top.packages[place], top.units[place] = size, units
    copy(cost, top_cost[place])


@numba.njit(cache=True)
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
    weight, needs, able, ready = 0, 0, 0, 0
    for i in range(n):
        weight += wants.qty[i] * wants.weight[i]
        needs |= wants.need[i]
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
        j, costs, parts = best_lane(heap, order, row0, node, needs, day, now, total, weight, shadow)
        if j == NO_PLAN:
            seen.excluded[node] = X_WEIGHT_BAND
            continue
        row = priced[ready]
        for p in range(SPLIT):
            row[p] = parts[p]
        row[SPLIT], row[TOTAL], row[NODE] = 0, costs, node
        ready += 1
    return ready


@numba.njit(cache=True)
def _offer_singles(heap: Addresses, ready: int, units: int) -> None:
    """Offer the three cheapest of the priced nodes; of equal ones the node declared first."""
    cost = open_cost(heap)
    cursor = open_cursor(heap)
    package = open_package(heap)
    priced = open_priced(heap)
    cursor[C_PACKAGES] = 1
    last, last_at = LOWEST, -1
    for _ in range(min(ready, PLANS)):
        best = -1
        for k in range(ready):
            costs = priced[k, TOTAL]
            taken = costs < last or (costs == last and k <= last_at)
            if not taken and (best < 0 or costs < priced[best, TOTAL]):
                best = k
        copy(priced[best, :NODE], cost)
        package[0, 0] = priced[best, NODE]
        _offer(heap, units)
        last, last_at = priced[best, TOTAL], best


@numba.njit(cache=True)
def _rank_partial(
    heap: Addresses, order: int, row0: int, n: int, shared: int, found: int, now: int
) -> int:
    """Keep the candidates that can serve something, cheapest alone first; returns how many."""
    candidates = open_candidates(heap)
    cost = open_cost(heap)
    pick = open_pick(heap)
    seen = open_seen(heap)
    kept = 0
    for c in range(found):
        node = candidates[c]
        if seen.units[node] <= 0:
            continue
        pick[0] = node
        if weigh(heap, order, row0, n, shared, 1, now) <= 0:
            continue
        seen.excluded[node] = FEASIBLE
        seen.estimate[node] = cost[TOTAL]
        at = kept
        while at > 0 and seen.estimate[candidates[at - 1]] > seen.estimate[node]:
            candidates[at] = candidates[at - 1]
            at -= 1
        candidates[at] = node
        kept += 1
    return kept


@numba.njit(cache=True)
def _next_set(chosen: npt.NDArray[np.int64], size: int, kept: int) -> bool:
    """The next ``size`` of ``kept`` candidates in dictionary order; False after the last."""
    at = size - 1
    while at >= 0 and chosen[at] == kept - size + at:
        at -= 1
    if at < 0:
        return False
    chosen[at] += 1
    for k in range(at + 1, size):
        chosen[k] = chosen[k - 1] + 1
    return True


@numba.njit(cache=True)
def _units_of_set(heap: Addresses, chosen: npt.NDArray[np.int64], size: int, n: int) -> int:
    """Units that a set of candidates could serve, by what each holds."""
    holds = open_holds(heap)
    wants = open_wants(heap)
    served = 0
    for i in range(n):
        have = 0
        for k in range(size):
            have += holds[chosen[k], i]
        served += min(have, wants.qty[i])
    return served


@numba.njit(cache=True)
def _units_at_best(heap: Addresses, n: int, kept: int, size: int) -> int:
    """Units that no set of this size can exceed: each line draws on the nodes that hold most of it."""
    holds = open_holds(heap)
    wants = open_wants(heap)
    bound = 0
    for i in range(n):
        drawn_on, have = 0, 0
        for _ in range(size):
            most, at = -1, 0
            for c in range(kept):
                if holds[c, i] > most and not drawn_on >> c & 1:
                    most, at = holds[c, i], c
            drawn_on |= 1 << at
            have += most
        bound += min(have, wants.qty[i])
    return bound


@numba.njit(cache=True)
def _most_units(heap: Addresses, n: int, kept: int, size: int, bound: int) -> int:
    """Most units that any set of this size could serve; ``bound`` of them are enough."""
    chosen = np.arange(MAX_PACKAGES)
    most = _units_of_set(heap, chosen, size, n)
    while most < bound and _next_set(chosen, size, kept):
        most = max(most, _units_of_set(heap, chosen, size, n))
    return most


@numba.njit(cache=True)
def _weigh_sets(
    heap: Addresses,
    order: int,
    row0: int,
    n: int,
    shared: int,
    kept: int,
    size: int,
    least: int,
    now: int,
) -> None:
    """Weigh every set of this size that could serve at least so many units."""
    candidates = open_candidates(heap)
    cursor = open_cursor(heap)
    pick = open_pick(heap)
    chosen = np.arange(MAX_PACKAGES)
    while True:
        if _units_of_set(heap, chosen, size, n) >= least:
            for k in range(size):
                pick[k] = candidates[chosen[k]]
            served = weigh(heap, order, row0, n, shared, size, now)
            # With an idle node the plan is that of a smaller set, which was offered before.
            if served > 0 and cursor[C_PACKAGES] == size:
                _offer(heap, served)
        if not _next_set(chosen, size, kept):
            return


@numba.njit(cache=True)
def _every_set(
    heap: Addresses,
    order: int,
    row0: int,
    n: int,
    shared: int,
    kept: int,
    limit: int,
    total: int,
    now: int,
) -> None:
    """Weigh the sets of nodes that serve the most units, of the smallest size that does.

    What a set could serve is a sum of minima, cheap to compute for all; only the sets that serve the
    most are worked out. If every one of those fails for want of a day or a tariff, or two lines share a
    SKU so that the sum is only a bound, all sets are.
    """
    candidates = open_candidates(heap)
    holds = open_holds(heap)
    seen = open_seen(heap)
    top = open_top(heap)
    wants = open_wants(heap)
    for c in range(kept):
        for i in range(n):
            able = not wants.need[i] & ~seen.offers[candidates[c]]
            free = available(heap, wants.sku[i], candidates[c]) if able else 0
            holds[c, i] = max(0, min(wants.qty[i], free))
    best, most = 0, 0
    for size in range(1, min(limit, kept) + 1):
        bound = _units_at_best(heap, n, kept, size)
        if bound > most:
            units = _most_units(heap, n, kept, size, bound)
            if units > most:
                best, most = size, units
    if best > 0 and not shared:
        _weigh_sets(heap, order, row0, n, shared, kept, best, most, now)
    if top.packages[0] == 0:
        for size in range(1, min(limit, kept) + 1):
            _weigh_sets(heap, order, row0, n, shared, kept, size, 0, now)
            if top.packages[0] > 0 and top.units[0] == total:
                return


@numba.njit(cache=True)
def _greedy_cover(heap: Addresses, n: int, kept: int, limit: int, banned: int) -> int:
    """Pick nodes that add the most units, then cost least; returns how many were picked."""
    candidates = open_candidates(heap)
    pick = open_pick(heap)
    seen = open_seen(heap)
    wants = open_wants(heap)
    for i in range(n):
        wants.left[i] = wants.qty[i]
    size = 0
    while size < limit:
        best, most = -1, 0
        for c in range(kept):
            node, adds = candidates[c], 0
            picked = node == banned
            for k in range(size):
                picked |= pick[k] == node
            if picked:
                continue
            for i in range(n):
                if wants.left[i] > 0 and not wants.need[i] & ~seen.offers[node]:
                    adds += max(0, min(wants.left[i], available(heap, wants.sku[i], node)))
            if adds > most:
                best, most = node, adds
        if best < 0:
            break
        pick[size] = best
        size += 1
        for i in range(n):
            if wants.left[i] > 0 and not wants.need[i] & ~seen.offers[best]:
                free = available(heap, wants.sku[i], best)
                wants.left[i] -= max(0, min(wants.left[i], free))
    return size


@numba.njit(cache=True)
def _by_estimate(heap: Addresses, size: int) -> None:
    """Sort the picked nodes by what each would cost alone."""
    pick = open_pick(heap)
    seen = open_seen(heap)
    for k in range(1, size):
        node, at = pick[k], k
        while at > 0 and seen.estimate[pick[at - 1]] > seen.estimate[node]:
            pick[at] = pick[at - 1]
            at -= 1
        pick[at] = node


@numba.njit(cache=True)
def _greedy(
    heap: Addresses, order: int, row0: int, n: int, shared: int, kept: int, limit: int, now: int
) -> None:
    """A greedy cover, and for runners-up the covers without its first and its second node."""
    pick = open_pick(heap)
    size = _greedy_cover(heap, n, kept, limit, -1)
    first = pick[0] if size > 0 else -1
    second = pick[1] if size > 1 else -1
    for attempt in range(PLANS):
        if attempt > 0:
            banned = first if attempt == 1 else second
            if banned < 0:
                continue
            size = _greedy_cover(heap, n, kept, limit, banned)
        _by_estimate(heap, size)
        served = weigh(heap, order, row0, n, shared, size, now)
        if served > 0:
            _offer(heap, served)


@numba.njit(cache=True)
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
    terms = open_terms(heap)
    top = open_top(heap)
    top_nodes = open_top_nodes(heap)
    wants = open_wants(heap)
    fill(top.packages, 0)
    found = screen(heap, order, n)
    ready = _price_singles(heap, order, row0, n, shared, total, found, now)
    _offer_singles(heap, ready, total)
    if top.packages[0] == 0:
        limit = 1 if orders.no_split[order] else terms.max_packages[0]
        kept = _rank_partial(heap, order, row0, n, shared, found, now)
        if n <= EXACT_LINES and kept <= EXACT_NODES:
            _every_set(heap, order, row0, n, shared, kept, limit, total, now)
        else:
            _greedy(heap, order, row0, n, shared, kept, limit, now)
    whole = orders.no_split[order] or not terms.allow_partial[0]
    if top.packages[0] == 0 or (whole and top.units[0] < total):
        fill(top.packages, 0)
        return 0
    size = top.packages[0]
    copy(top_nodes[0, :size], pick)
    for i in range(n):
        for k in range(size):
            fetch_cell(heap, wants.sku[i], pick[k])
    return weigh(heap, order, row0, n, shared, size, now)
