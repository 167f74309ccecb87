"""Packages: what one costs on a lane, what a set of nodes makes of an order, the best three plans."""

import numba
import numpy as np

from models.heap import Addresses, copy, fill
from models.ledger.stock import available, open_prices
from models.promising.calendar import NO_DAY, find_day, starts_at
from models.routing.arrays import (
    EXACT_LINES,
    MAX_PACKAGES,
    PLANS,
    open_bands,
    open_cost,
    open_cursor,
    open_grams,
    open_package,
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
from models.routing.codes import (
    C_PACKAGES,
    C_PIECES,
    HANDLING_Q,
    LATE_Q,
    P50,
    X_CAPACITY,
    X_CUTOFF,
    X_WEIGHT_BAND,
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
from models.routing.state import open_lanes, open_nodes, open_orders, open_skus

NO_PLAN = -1
EVERY_LINE = (1 << EXACT_LINES) - 1


Parts = tuple[int, int, int, int, int, int]
"""Freight, handling, time, lateness, carbon and shadow price, minor units."""


@numba.njit(cache=True)
def _price(
    heap: Addresses, row: int, lane: int, day: int, now: int, units: int, weight_g: int, shadow: int
) -> Parts:
    """What one package costs on one lane; freight is ``NO_PLAN`` if its weight is in no band."""
    lanes = open_lanes(heap)
    nodes = open_nodes(heap)
    terms = open_terms(heap)
    weights = open_weights(heap)
    node = lanes.node[lane]
    freight = charge(open_bands(heap), lanes.first_band[lane], lanes.bands[lane], weight_g)
    if freight < 0:
        return NO_PLAN, 0, 0, 0, 0, 0
    predicted = open_quantities(heap)[row]
    waits = max(0, starts_at(heap, node, day) - now) / HOUR_US
    hours = waits + np.float64(predicted[HANDLING_Q]) + np.float64(predicted[P50])
    grams = carbon_grams(heap, lanes.mode[lane], lanes.distance_km[lane], weight_g)
    handling = nodes.per_package[node] + nodes.per_unit[node] * units
    return (
        rounded(weights[FREIGHT] * freight),
        rounded(weights[HANDLING] * handling),
        rounded(weights[TIME] * terms.hour_minor[0] * hours),
        rounded(weights[LATE] * terms.late_minor[0] * np.float64(predicted[LATE_Q])),
        rounded(weights[CARBON] * terms.carbon_kg_minor[0] * grams / 1000.0),
        rounded(weights[SHADOW] * shadow),
    )


@numba.njit(cache=True)
def best_lane(
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
) -> tuple[int, int, Parts]:
    """The cheapest lane of the node: its index within the region, or ``NO_PLAN``; its cost."""
    lanes = open_lanes(heap)
    region_lanes = open_region_lanes(heap)
    seen = open_seen(heap)
    usable = open_usable(heap)
    first = open_region_first(heap)[open_orders(heap).region[order]]
    best, lowest, parts_of_best = NO_PLAN, 0, (0, 0, 0, 0, 0, 0)
    for j in range(seen.reach_from[node], seen.reach_to[node]):
        lane = region_lanes[first + j]
        if not usable[j] or needs & ~lanes.offers[lane]:
            continue
        parts = _price(heap, row0 + j, lane, day, now, units, weight_g, shadow)
        total = parts[0] + parts[1] + parts[2] + parts[3] + parts[4] + parts[5]
        if parts[0] != NO_PLAN and (best == NO_PLAN or total < lowest):
            best, lowest, parts_of_best = j, total, parts
    return best, lowest, parts_of_best


@numba.njit(cache=True)
def _fill_package(
    heap: Addresses, n: int, shared: int, node: int, only: int, package: int, pieces: int
) -> tuple[int, int, int, int, int]:
    """Let the lines draw on a node: all of them, or only those whose bits are set.

    Returns:
        Pieces in use, and the package's units, grams, shadow price and needs.
    """
    pieces_of = open_pieces(heap)
    prices = open_prices(heap)
    seen = open_seen(heap)
    skus = open_skus(heap)
    wants = open_wants(heap)
    units, weight, shadow, needs = 0, 0, 0, 0
    for i in range(n):
        if wants.left[i] <= 0 or wants.need[i] & ~seen.offers[node]:
            continue
        if only and not only >> i & 1:
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
        shadow += qty * np.int64(prices[sku, node])
        needs |= wants.need[i]
    if shared:
        for i in range(n):
            skus.mark[wants.sku[i]] = 0
    return pieces, units, weight, shadow, needs


@numba.njit(cache=True)
def weigh(
    heap: Addresses, order: int, row0: int, n: int, shared: int, size: int, lines: int, now: int
) -> int:
    """Work out the plan that draws on ``pick[:size]`` in order.

    The packages, pieces, grams and cost are left in the scratch; a node that nothing is drawn from is
    no package. ``lines`` says which lines each node ships, see ``TOP``; 0: what it can.

    Returns:
        Units served, or ``NO_PLAN`` if a node has no day or no lane for its package.
    """
    cost = open_cost(heap)
    cursor = open_cursor(heap)
    grams = open_grams(heap)
    lanes = open_lanes(heap)
    orders = open_orders(heap)
    package = open_package(heap)
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
            heap, n, shared, node, lines >> (EXACT_LINES * k) & EVERY_LINE, packages, pieces
        )
        if units == 0:
            continue
        day = find_day(heap, node, now, units, terms.horizon_days[0])
        if day < 0:
            seen.excluded[node] = X_CAPACITY if day == NO_DAY else X_CUTOFF
            return NO_PLAN
        j, total, parts = best_lane(heap, order, row0, node, needs, day, now, units, weight, shadow)
        if j == NO_PLAN:
            seen.excluded[node] = X_WEIGHT_BAND
            return NO_PLAN
        lane = region_lanes[region_first[orders.region[order]] + j]
        made = package[packages]
        made[0], made[1], made[2], made[3], made[4] = node, lane, row0 + j, day, units
        for c in range(SPLIT):
            cost[c] += parts[c]
        cost[TOTAL] += total
        grams[0] += carbon_grams(heap, lanes.mode[lane], lanes.distance_km[lane], weight)
        grams[1] += weight
        packages += 1
        served += units
    extra = rounded(weights[SPLIT] * terms.package_minor[0] * max(0, packages - 1))
    cost[SPLIT] += extra
    cost[TOTAL] += extra
    cursor[C_PIECES], cursor[C_PACKAGES] = pieces, packages
    return served


@numba.njit(cache=True)
def _is_ahead(heap: Addresses, units: int, place: int) -> bool:
    """Whether the weighed plan is better than a ranked one: units, then cost, then packages."""
    top = open_top(heap)
    if units != top.units[place]:
        return units > top.units[place]
    costs, others = open_cost(heap)[TOTAL], open_top_cost(heap)[place, TOTAL]
    if costs != others:
        return costs < others
    return open_cursor(heap)[C_PACKAGES] < top.packages[place]


@numba.njit(cache=True)
def _move_plan(heap: Addresses, place: int, to: int) -> None:
    top = open_top(heap)
    top.packages[to], top.units[to] = top.packages[place], top.units[place]
    top.lines[to] = top.lines[place]
    copy(open_top_nodes(heap)[place], open_top_nodes(heap)[to])
    copy(open_top_cost(heap)[place], open_top_cost(heap)[to])


@numba.njit(cache=True)
def _place_of(heap: Addresses, size: int) -> int:
    """Where a plan of the same nodes is ranked; ``PLANS`` if nowhere."""
    package = open_package(heap)
    top = open_top(heap)
    top_nodes = open_top_nodes(heap)
    for place in range(PLANS):
        if top.packages[place] != size:
            continue
        common = 0
        for k in range(size):
            for other in range(size):
                common += package[k, 0] == top_nodes[place, other]
        if common == size:
            return place
    return PLANS


@numba.njit(cache=True)
def offer(heap: Addresses, units: int, lines: int) -> None:
    """Rank the weighed plan among the best three, of which no two have the same nodes."""
    cursor = open_cursor(heap)
    package = open_package(heap)
    top = open_top(heap)
    top_nodes = open_top_nodes(heap)
    size = cursor[C_PACKAGES]
    if size == 0:
        return
    place = _place_of(heap, size)
    if place < PLANS and not _is_ahead(heap, units, place):
        return
    if place == PLANS:  # the last one has to go
        place = PLANS - 1
        if top.packages[place] > 0 and not _is_ahead(heap, units, place):
            return
    while place > 0 and (top.packages[place - 1] == 0 or _is_ahead(heap, units, place - 1)):
        _move_plan(heap, place - 1, place)
        place -= 1
    for k in range(MAX_PACKAGES):
        top_nodes[place, k] = package[k, 0] if k < size else -1
    top.packages[place], top.units[place], top.lines[place] = size, units, lines
    copy(open_cost(heap), open_top_cost(heap)[place])
