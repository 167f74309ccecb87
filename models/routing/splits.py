"""Orders that neither one node nor whole lines on several can serve: which sets of nodes are weighed.

Up to 4 distinct lines and 20 candidate nodes every set of nodes is weighed; beyond that a greedy cover
looks for the node that adds the most units, then the least cost. Within a set, lines draw on the nodes in
the order of what each node would cost alone.
"""

import numpy as np
import numpy.typing as npt

from models.heap import Addresses
from models.jit import kernel
from models.routing.arrays import (
    MAX_PACKAGES,
    PLANS,
    open_candidates,
    open_cost,
    open_cursor,
    open_holds,
    open_pick,
    open_seen,
    open_top,
    open_wants,
)
from models.routing.candidates import may_take
from models.routing.codes import C_LATE, C_PACKAGES, FEASIBLE
from models.routing.costs import TOTAL
from models.routing.packages import LATE_STEP, offer, weigh


@kernel
def rank_partial(
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
        if weigh(heap, order, row0, n, shared, 1, 0, now) <= 0:
            continue
        seen.excluded[node] = FEASIBLE
        seen.estimate[node] = cost[TOTAL] + open_cursor(heap)[C_LATE] * LATE_STEP
        at = kept
        while at > 0 and seen.estimate[candidates[at - 1]] > seen.estimate[node]:
            candidates[at] = candidates[at - 1]
            at -= 1
        candidates[at] = node
        kept += 1
    return kept


@kernel
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


@kernel
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


@kernel
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


@kernel
def _most_units(heap: Addresses, n: int, kept: int, size: int, bound: int) -> int:
    """Most units that any set of this size could serve; ``bound`` of them are enough."""
    chosen = np.arange(MAX_PACKAGES)
    most = _units_of_set(heap, chosen, size, n)
    while most < bound and _next_set(chosen, size, kept):
        most = max(most, _units_of_set(heap, chosen, size, n))
    return most


@kernel
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
            served = weigh(heap, order, row0, n, shared, size, 0, now)
            # With an idle node the plan is that of a smaller set, which was offered before.
            if served >= max(1, least) and cursor[C_PACKAGES] == size:
                offer(heap, served, 0)
        if not _next_set(chosen, size, kept):
            return


@kernel
def every_set(
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
            free = may_take(heap, i, candidates[c]) if able else 0
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
            least = top.units[0] + 1 if top.packages[0] > 0 else 0
            _weigh_sets(heap, order, row0, n, shared, kept, size, least, now)
            if top.packages[0] > 0 and top.units[0] == total:
                return


@kernel
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
                    adds += max(0, min(wants.left[i], may_take(heap, i, node)))
            if adds > most:
                best, most = node, adds
        if best < 0:
            break
        pick[size] = best
        size += 1
        for i in range(n):
            if wants.left[i] > 0 and not wants.need[i] & ~seen.offers[best]:
                wants.left[i] -= max(0, min(wants.left[i], may_take(heap, i, best)))
    return size


@kernel
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


@kernel
def greedy(
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
        served = weigh(heap, order, row0, n, shared, size, 0, now)
        if served > 0:
            offer(heap, served, 0)
