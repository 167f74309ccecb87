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
from models.ledger.stock import available, open_cells
from models.promising.calendar import NO_DAY, find_day, starts_at
from models.routing.arrays import (
    COSTS,
    EXACT_LINES,
    MAX_PACKAGES,
    PLANS,
    Cursor,
    open_bands,
    open_candidates,
    open_cost,
    open_cursor,
    open_customer_keys,
    open_grams,
    open_holds,
    open_package,
    open_package_cost,
    open_pick,
    open_pieces,
    open_quantities,
    open_region_first,
    open_region_lanes,
    open_seen,
    open_top,
    open_top_cost,
    open_top_nodes,
    open_usable,
    open_wants,
)
from models.routing.costs import (
    CARBON,
    FREIGHT,
    HANDLING,
    HOUR_US,
    LATE,
    SHADOW,
    SPLIT,
    TIME,
    TOTAL,
    carbon_grams,
    charge,
    open_terms,
    open_weights,
    rounded,
)
from models.routing.features import Quantity
from models.routing.state import (
    open_blocked,
    open_lanes,
    open_lines,
    open_nodes,
    open_orders,
    open_skus,
)
from schemas.codes import Exclusion, TempClass

HAZMAT_BIT = 1 << len(TempClass)
EXACT_NODES = 20
NO_PLAN = -1

FEASIBLE = int(Exclusion.FEASIBLE)
X_NO_STOCK, X_SAFETY_STOCK = int(Exclusion.X_NO_STOCK), int(Exclusion.X_SAFETY_STOCK)
X_CAPACITY, X_CUTOFF = int(Exclusion.X_CAPACITY), int(Exclusion.X_CUTOFF)
X_DISTANCE, X_LANE_UNSERVED = int(Exclusion.X_DISTANCE), int(Exclusion.X_LANE_UNSERVED)
X_TEMP_CLASS, X_HAZMAT = int(Exclusion.X_TEMP_CLASS), int(Exclusion.X_HAZMAT)
X_BLOCKED, X_CUSTOMER = int(Exclusion.X_BLOCKED_REJECTER), int(Exclusion.X_CUSTOMER)
X_WEIGHT_BAND, X_CLOSED = int(Exclusion.X_WEIGHT_BAND), int(Exclusion.X_CLOSED)
P50, LATE_Q, HANDLING_Q = (
    int(Quantity.TRANSIT_P50_HOURS),
    int(Quantity.LATE_PROBABILITY),
    int(Quantity.HANDLING_HOURS),
)
_PIECES, _PACKAGES = int(Cursor.PIECES), int(Cursor.PACKAGES)


@numba.njit(cache=True)
def gather_lines(heap: Addresses, order: int, only_waiting: bool) -> tuple[int, int, int]:
    """Put the units to be served into the scratch.

    Returns:
        Number of lines, their units, and whether two of them share a SKU (0 or 1).
    """
    lines = open_lines(heap)
    orders = open_orders(heap)
    skus = open_skus(heap)
    wants = open_wants(heap)
    n, units, shared = 0, 0, 0
    first = orders.first_line[order]
    for line in range(first, first + orders.lines[order]):
        if only_waiting:
            qty = lines.waiting[line]
        else:
            qty = lines.qty[line] - lines.reserved[line] - lines.consumed[line]
        if qty <= 0:
            continue
        sku = lines.sku[line]
        wants.line[n], wants.sku[n], wants.qty[n] = line, sku, qty
        wants.need[n], wants.weight[n] = lines.needs[line], lines.weight_g[line]
        shared |= skus.mark[sku]
        skus.mark[sku] = 1
        n += 1
        units += qty
    for i in range(n):
        skus.mark[wants.sku[i]] = 0
    return n, units, shared


@numba.njit(cache=True)
def _serves_customer(heap: Addresses, node: int, customer: int) -> bool:
    customer_keys = open_customer_keys(heap)
    nodes = open_nodes(heap)
    if not nodes.restricted[node]:
        return True
    key = (np.int64(node) << 32) | np.int64(customer)
    at = np.searchsorted(customer_keys, key)
    return customer >= 0 and at < len(customer_keys) and customer_keys[at] == key


@numba.njit(cache=True)
def _lane_verdict(heap: Addresses, order: int, lane: int, needs: int, some: int) -> int:
    """Exclusion of a lane for an order whose lines need ``needs`` in all, ``some`` at the least."""
    blocked = open_blocked(heap)
    lanes = open_lanes(heap)
    nodes = open_nodes(heap)
    orders = open_orders(heap)
    terms = open_terms(heap)
    node = lanes.node[lane]
    carrier, service = orders.carrier[order], orders.service[order]
    if carrier >= 0 and carrier != lanes.carrier[lane]:
        return X_LANE_UNSERVED
    if service >= 0 and service != lanes.service[lane]:
        return X_LANE_UNSERVED
    if not nodes.is_open[node] or not lanes.is_open[lane]:
        return X_CLOSED
    if not _serves_customer(heap, node, orders.customer[order]):
        return X_CUSTOMER
    if blocked[order, node >> 6] >> np.uint64(node & 63) & np.uint64(1):
        return X_BLOCKED
    if lanes.distance_km[lane] > terms.max_distance_km[0]:
        return X_DISTANCE
    lacks = needs & ~(lanes.offers[lane] & nodes.offers[node])
    if lacks & some:
        return X_HAZMAT if lacks & HAZMAT_BIT else X_TEMP_CLASS
    return FEASIBLE


@numba.njit(cache=True)
def screen(heap: Addresses, order: int, n: int) -> int:
    """Fill ``excluded``, ``offers`` and ``usable``; returns the number of candidate nodes.

    A node is a candidate if at least one lane of it may carry at least one line of the order.
    """
    candidates = open_candidates(heap)
    lanes = open_lanes(heap)
    nodes = open_nodes(heap)
    orders = open_orders(heap)
    region_first = open_region_first(heap)
    region_lanes = open_region_lanes(heap)
    seen = open_seen(heap)
    usable = open_usable(heap)
    wants = open_wants(heap)
    needs, some = 0, -1
    for i in range(n):
        needs |= wants.need[i]
        some &= wants.need[i]
    fill(seen.excluded, X_LANE_UNSERVED)
    region, found = orders.region[order], 0
    if region < 0:
        return 0
    first = region_first[region]
    for j in range(region_first[region + 1] - first):
        lane = region_lanes[first + j]
        node = lanes.node[lane]
        verdict = _lane_verdict(heap, order, lane, needs, some)
        usable[j] = verdict == FEASIBLE
        if verdict == FEASIBLE:
            offers = lanes.offers[lane] & nodes.offers[node]
            if seen.excluded[node] != FEASIBLE:
                seen.excluded[node] = FEASIBLE
                seen.offers[node] = offers
                seen.reach_from[node] = j
                candidates[found] = node
                found += 1
            else:
                seen.offers[node] |= offers
            seen.reach_to[node] = j + 1
        elif seen.excluded[node] == X_LANE_UNSERVED:
            seen.excluded[node], seen.offers[node] = verdict, 0
    return found


@numba.njit(cache=True)
def _count_units(heap: Addresses, n: int, shared: int, node: int, total: int) -> int:
    """Units of the lines that the node could serve; sets why it cannot serve them all."""
    cells = open_cells(heap)
    seen = open_seen(heap)
    skus = open_skus(heap)
    wants = open_wants(heap)
    units, physical, offers = 0, 0, seen.offers[node]
    for i in range(n):
        sku = wants.sku[i]
        if wants.need[i] & ~offers:
            seen.excluded[node] = X_HAZMAT if wants.need[i] & ~offers & HAZMAT_BIT else X_TEMP_CLASS
            continue
        taken = skus.mark[sku] if shared else 0
        free = available(heap, sku, node) - taken
        held = free + cells.safety[sku, node]
        units += max(0, min(wants.qty[i], free))
        physical += max(0, min(wants.qty[i], held))
        if shared:
            skus.mark[sku] += np.int32(max(0, min(wants.qty[i], free)))
    if shared:
        for i in range(n):
            skus.mark[wants.sku[i]] = 0
    if units < total and seen.excluded[node] == FEASIBLE:
        seen.excluded[node] = X_SAFETY_STOCK if physical == total else X_NO_STOCK
    return units


@numba.njit(cache=True)
def _price_package(
    heap: Addresses, row: int, lane: int, day: int, now: int, units: int, weight_g: int, shadow: int
) -> int:
    """Cost of one package on one lane into ``package_cost[0]``; ``NO_PLAN`` if no band fits."""
    bands = open_bands(heap)
    lanes = open_lanes(heap)
    nodes = open_nodes(heap)
    package_cost = open_package_cost(heap)
    quantities = open_quantities(heap)
    terms = open_terms(heap)
    weights = open_weights(heap)
    node = lanes.node[lane]
    freight = charge(bands, lanes.first_band[lane], lanes.bands[lane], weight_g)
    if freight < 0:
        return NO_PLAN
    predicted = quantities[row]
    waits = max(0, starts_at(heap, node, day) - now) / HOUR_US
    hours = waits + np.float64(predicted[HANDLING_Q]) + np.float64(predicted[P50])
    grams = carbon_grams(heap, lanes.mode[lane], lanes.distance_km[lane], weight_g)
    handling = nodes.per_package[node] + nodes.per_unit[node] * units
    cost = package_cost[0]
    cost[FREIGHT] = rounded(weights[FREIGHT] * freight)
    cost[HANDLING] = rounded(weights[HANDLING] * handling)
    cost[TIME] = rounded(weights[TIME] * terms.hour_minor[0] * hours)
    cost[LATE] = rounded(weights[LATE] * terms.late_minor[0] * np.float64(predicted[LATE_Q]))
    cost[CARBON] = rounded(weights[CARBON] * terms.carbon_kg_minor[0] * grams / 1000.0)
    cost[SHADOW] = rounded(weights[SHADOW] * shadow)
    cost[SPLIT] = 0
    cost[TOTAL] = 0
    for c in range(TOTAL):
        cost[TOTAL] += cost[c]
    return cost[TOTAL]


@numba.njit(cache=True)
def _best_lane(
    heap: Addresses,
    order: int,
    row0: int,
    node: int,
    needs: int,
    day: int,
    now: int,
    units: int,
    weight_g: int,
    shadow: int,
) -> int:
    """Index (within the region) of the cheapest lane of the node; its cost in ``package_cost[1]``."""
    lanes = open_lanes(heap)
    orders = open_orders(heap)
    package_cost = open_package_cost(heap)
    region_first = open_region_first(heap)
    region_lanes = open_region_lanes(heap)
    seen = open_seen(heap)
    usable = open_usable(heap)
    region = orders.region[order]
    first, best, lowest = region_first[region], NO_PLAN, 0
    for j in range(seen.reach_from[node], seen.reach_to[node]):
        lane = region_lanes[first + j]
        if not usable[j] or needs & ~lanes.offers[lane]:
            continue
        total = _price_package(heap, row0 + j, lane, day, now, units, weight_g, shadow)
        if total != NO_PLAN and (best == NO_PLAN or total < lowest):
            best, lowest = j, total
            copy(package_cost[0], package_cost[1])
    return best


@numba.njit(cache=True)
def _fill_package(
    heap: Addresses, n: int, shared: int, node: int, package: int, pieces: int
) -> tuple[int, int, int, int, int]:
    """Let the lines draw on a node.

    Returns:
        Pieces in use, and the package's units, grams, shadow price and needs.
    """
    cells = open_cells(heap)
    pieces_of = open_pieces(heap)
    seen = open_seen(heap)
    skus = open_skus(heap)
    wants = open_wants(heap)
    units, weight, shadow, needs = 0, 0, 0, 0
    for i in range(n):
        if wants.left[i] <= 0 or wants.need[i] & ~seen.offers[node]:
            continue
        sku = wants.sku[i]
        taken = skus.mark[sku] if shared else 0
        qty = min(wants.left[i], available(heap, sku, node) - taken)
        if qty <= 0:
            continue
        if shared:
            skus.mark[sku] += np.int32(qty)
        pieces_of[pieces, 0], pieces_of[pieces, 1], pieces_of[pieces, 2] = i, package, qty
        pieces += 1
        wants.left[i] -= qty
        units += qty
        weight += qty * wants.weight[i]
        shadow += qty * np.int64(cells.price[sku, node])
        needs |= wants.need[i]
    if shared:
        for i in range(n):
            skus.mark[wants.sku[i]] = 0
    return pieces, units, weight, shadow, needs


@numba.njit(cache=True)
def weigh(heap: Addresses, order: int, row0: int, n: int, shared: int, size: int, now: int) -> int:
    """Work out the plan that draws on ``pick[:size]`` in order.

    The packages, pieces, grams and cost are left in the scratch; a node that nothing is drawn from is
    no package.

    Returns:
        Units served, or ``NO_PLAN`` if a node has no day or no lane for its package.
    """
    cost = open_cost(heap)
    cursor = open_cursor(heap)
    grams = open_grams(heap)
    lanes = open_lanes(heap)
    orders = open_orders(heap)
    package = open_package(heap)
    package_cost = open_package_cost(heap)
    pick = open_pick(heap)
    region_first = open_region_first(heap)
    region_lanes = open_region_lanes(heap)
    seen = open_seen(heap)
    terms = open_terms(heap)
    wants = open_wants(heap)
    weights = open_weights(heap)
    for i in range(n):
        wants.left[i] = wants.qty[i]
    fill(cost, 0)
    fill(grams, 0.0)
    pieces, packages, served = 0, 0, 0
    for k in range(size):
        node = pick[k]
        pieces, units, weight, shadow, needs = _fill_package(
            heap, n, shared, node, packages, pieces
        )
        if units == 0:
            continue
        day = find_day(heap, node, now, units, terms.horizon_days[0])
        if day < 0:
            seen.excluded[node] = X_CAPACITY if day == NO_DAY else X_CUTOFF
            return NO_PLAN
        j = _best_lane(heap, order, row0, node, needs, day, now, units, weight, shadow)
        if j == NO_PLAN:
            seen.excluded[node] = X_WEIGHT_BAND
            return NO_PLAN
        lane = region_lanes[region_first[orders.region[order]] + j]
        made = package[packages]
        made[0], made[1], made[2], made[3], made[4] = node, lane, row0 + j, day, units
        for c in range(COSTS):
            cost[c] += package_cost[1, c]
        grams[0] += carbon_grams(heap, lanes.mode[lane], lanes.distance_km[lane], weight)
        grams[1] += weight
        packages += 1
        served += units
    extra = rounded(weights[SPLIT] * terms.package_minor[0] * max(0, packages - 1))
    cost[SPLIT] += extra
    cost[TOTAL] += extra
    cursor[_PIECES], cursor[_PACKAGES] = pieces, packages
    return served


@numba.njit(cache=True)
def _offer(heap: Addresses, units: int) -> None:
    """Rank the weighed plan among the best three: units, then packages, then cost, then age."""
    cost = open_cost(heap)
    cursor = open_cursor(heap)
    package = open_package(heap)
    top = open_top(heap)
    top_cost = open_top_cost(heap)
    top_nodes = open_top_nodes(heap)
    size = cursor[_PACKAGES]
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
def _single(
    heap: Addresses, order: int, row0: int, n: int, shared: int, total: int, found: int, now: int
) -> None:
    """Price every node that serves all units alone.

    This is most of the work of most orders, so it does no more than that: the plan that wins is
    weighed once, at the end.
    """
    candidates = open_candidates(heap)
    cells = open_cells(heap)
    cost = open_cost(heap)
    cursor = open_cursor(heap)
    package = open_package(heap)
    package_cost = open_package_cost(heap)
    seen = open_seen(heap)
    top = open_top(heap)
    top_cost = open_top_cost(heap)
    wants = open_wants(heap)
    horizon = open_terms(heap).horizon_days[0]
    weight, needs = 0, 0
    for i in range(n):
        weight += wants.qty[i] * wants.weight[i]
        needs |= wants.need[i]
    for c in range(found):
        node = candidates[c]
        seen.units[node] = _count_units(heap, n, shared, node, total)
        if seen.units[node] != total:
            continue
        day = find_day(heap, node, now, total, horizon)
        if day < 0:
            seen.excluded[node] = X_CAPACITY if day == NO_DAY else X_CUTOFF
            continue
        shadow = 0
        for i in range(n):
            shadow += wants.qty[i] * np.int64(cells.price[wants.sku[i], node])
        j = _best_lane(heap, order, row0, node, needs, day, now, total, weight, shadow)
        if j == NO_PLAN:
            seen.excluded[node] = X_WEIGHT_BAND
        elif top.packages[PLANS - 1] == 0 or package_cost[1, TOTAL] < top_cost[PLANS - 1, TOTAL]:
            copy(package_cost[1], cost)
            package[0, 0], cursor[_PACKAGES] = node, 1
            _offer(heap, total)


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
def _most_units(heap: Addresses, n: int, kept: int, size: int, total: int) -> int:
    """Most units that any set of this size could serve."""
    chosen = np.arange(MAX_PACKAGES)
    most = _units_of_set(heap, chosen, size, n)
    while most < total and _next_set(chosen, size, kept):
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
            if served > 0 and cursor[_PACKAGES] == size:
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
        units = _most_units(heap, n, kept, size, total)
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
    fill(top.packages, 0)
    found = screen(heap, order, n)
    _single(heap, order, row0, n, shared, total, found, now)
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
    return weigh(heap, order, row0, n, shared, size, now)


@numba.njit(cache=True)
def coverable(heap: Addresses, order: int, n: int) -> bool:
    """Whether the candidates together hold every unit of the gathered lines."""
    candidates = open_candidates(heap)
    seen = open_seen(heap)
    wants = open_wants(heap)
    found = screen(heap, order, n)
    for i in range(n):
        have = 0
        for c in range(found):
            node = candidates[c]
            if not wants.need[i] & ~seen.offers[node]:
                have += max(0, available(heap, wants.sku[i], node))
        if have < wants.qty[i]:
            return False
    return True


def tariff_rows(bands: list[dict[str, float]]) -> npt.NDArray[np.float64]:
    """Tariff bands as the kernels read them: (n, 5) from_g, to_g, base, per kg, minimum.

    Bounds are whole grams: published bands such as 0.5 to 0.99 kg do not move by rounding.
    """
    return np.array(
        [
            (
                np.ceil(band["from_kg"] * 1000 - 1e-6),
                np.floor(band["to_kg"] * 1000 + 1e-6),
                band["base_minor"],
                band["per_kg_minor"],
                band["minimum_minor"],
            )
            for band in bands
        ],
        np.float64,
    ).reshape(-1, 5)
