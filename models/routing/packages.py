"""Packages: what one costs on a lane, what a set of nodes makes of an order, the best three plans."""

import numpy as np

from models.heap import Addresses, copy, fill
from models.intake.columns import NO_TIME
from models.jit import kernel
from models.ledger.stock import open_prices
from models.promising.calendar import NO_DAY, find_day, starts_at
from models.routing.arrays import (
    EXACT_LINES,
    MAX_PACKAGES,
    PLANS,
    open_bands,
    open_cost,
    open_cursor,
    open_grams,
    open_green,
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
from models.routing.candidates import may_take
from models.routing.codes import (
    C_LATE,
    C_PACKAGES,
    C_PARCELS,
    C_PIECES,
    HANDLING_Q,
    LATE_Q,
    P50,
    P90,
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
LATE_STEP = 1 << 55
"""More than any cost: what a late package adds to a sum by which plans are compared."""


Parts = tuple[int, int, int, int, int, int]
"""Freight, handling, time, lateness, carbon and shadow price, minor units."""

Load = tuple[int, int, int, int, int]
"""What a package holds: units, grams, cubic centimetres, shadow price in minor units, needs."""


@kernel
def arrives_at(heap: Addresses, row: int, node: int, day: int, now: int) -> int:
    """When a package arrives, us: at the policy's confidence, by the log-normal quantile."""
    confidence = open_terms(heap).confidence[0]
    said = open_quantities(heap)[row]
    median, late = np.float64(said[P50]), np.float64(said[P90])
    hours = late
    if confidence != 1.0:
        spread = late / median if median > 0.0 else 1.0
        hours = median * spread**confidence
    hours += np.float64(said[HANDLING_Q])
    leaves = max(now, starts_at(heap, node, day))
    return leaves + np.int64(np.floor(hours * HOUR_US))


@kernel
def told(heap: Addresses, at: int) -> int:
    """The date that a customer is told for an arrival: the end of its day, if dates are rounded so."""
    span = open_terms(heap).rounding_us[0]
    return at if span == 0 else (at + span - 1) // span * span


@kernel
def parcels_of(heap: Addresses, lane: int, weight_g: int, volume_cm3: int) -> int:
    """How many parcels a package makes on a lane, by weight and by volume."""
    lanes = open_lanes(heap)
    most_g, most_cm3 = lanes.parcel_g[lane], lanes.parcel_cm3[lane]
    parcels = 1
    if most_g > 0:
        parcels = max(parcels, (weight_g + most_g - 1) // most_g)
    if most_cm3 > 0:
        parcels = max(parcels, (volume_cm3 + most_cm3 - 1) // most_cm3)
    return parcels


@kernel
def _freight(heap: Addresses, lane: int, weight_g: int, volume_cm3: int) -> float:
    """Freight of all parcels by the tariff, or ``NO_BAND``."""
    lanes = open_lanes(heap)
    first, bands = lanes.first_band[lane], lanes.bands[lane]
    parcels = parcels_of(heap, lane, weight_g, volume_cm3)
    volumetric = lanes.volumetric[lane]
    if parcels == 1 and volumetric == 0.0:
        return charge(open_bands(heap), first, bands, weight_g)
    charged = max(weight_g, np.int64(np.ceil(volume_cm3 * volumetric)))
    each = charge(open_bands(heap), first, bands, (charged + parcels - 1) // parcels)
    return each if each < 0 else parcels * each


@kernel
def hours_to_door(heap: Addresses, row: int, node: int, day: int, now: int) -> float:
    """Hours to the customer's door at the median, the wait for a day to ship on included."""
    predicted = open_quantities(heap)[row]
    waits = max(0, starts_at(heap, node, day) - now) / HOUR_US
    return waits + np.float64(predicted[HANDLING_Q]) + np.float64(predicted[P50])


@kernel
def _price(heap: Addresses, row: int, lane: int, day: int, now: int, load: Load) -> Parts:
    """What one package costs on one lane; freight is ``NO_PLAN`` if its weight is in no band."""
    units, weight_g, volume_cm3, shadow, _ = load
    lanes = open_lanes(heap)
    nodes = open_nodes(heap)
    terms = open_terms(heap)
    weights = open_weights(heap)
    node = lanes.node[lane]
    freight = _freight(heap, lane, weight_g, volume_cm3)
    if freight < 0:
        return NO_PLAN, 0, 0, 0, 0, 0
    hours = hours_to_door(heap, row, node, day, now)
    late = np.float64(open_quantities(heap)[row, LATE_Q])
    grams = carbon_grams(heap, lanes.mode[lane], lanes.distance_km[lane], weight_g)
    handling = nodes.per_package[node] + nodes.per_unit[node] * units
    return (
        rounded(weights[FREIGHT] * freight),
        rounded(weights[HANDLING] * handling),
        rounded(weights[TIME] * terms.hour_minor[0] * hours),
        rounded(weights[LATE] * terms.late_minor[0] * late),
        rounded(weights[CARBON] * terms.carbon_kg_minor[0] * grams / 1000.0),
        rounded(weights[SHADOW] * shadow),
    )


@kernel
def best_lane(
    heap: Addresses, order: int, row0: int, node: int, day: int, now: int, load: Load, whole: bool
) -> tuple[int, int, int, Parts]:
    """The lane of the node that a package goes by: one that keeps the date asked for, then the cheapest.

    Args:
        heap: the network and the scratch.
        order: the order.
        row0: first of its score rows.
        node: a candidate.
        day: on which the node ships.
        now: log time, us.
        load: the package.
        whole: it is the whole order, so that its lanes compete for the least emissions.

    Returns:
        The lane's index within the region, or ``NO_PLAN``; its cost; 1 if it is late; the cost's parts.
    """
    lanes = open_lanes(heap)
    region_lanes = open_region_lanes(heap)
    seen = open_seen(heap)
    usable = open_usable(heap)
    asked = open_orders(heap).requested_by[order]
    first = open_region_first(heap)[open_orders(heap).region[order]]
    best, lowest, late_of_best, parts_of_best = NO_PLAN, 0, 0, (0, 0, 0, 0, 0, 0)
    for j in range(seen.reach_from[node], seen.reach_to[node]):
        lane = region_lanes[first + j]
        if not usable[j] or load[4] & ~lanes.offers[lane]:
            continue
        parts = _price(heap, row0 + j, lane, day, now, load)
        if parts[0] == NO_PLAN:
            continue
        total = parts[0] + parts[1] + parts[2] + parts[3] + parts[4] + parts[5]
        late = 0
        if asked != NO_TIME:
            late = np.int64(arrives_at(heap, row0 + j, node, day, now) > asked)
        if whole:
            _note_emissions(heap, row0 + j, lane, day, now, load[1], total)
        if best == NO_PLAN or late < late_of_best or (late == late_of_best and total < lowest):
            best, lowest, late_of_best, parts_of_best = j, total, late, parts
    return best, lowest, late_of_best, parts_of_best


@kernel
def _note_emissions(
    heap: Addresses, row: int, lane: int, day: int, now: int, weight_g: int, total: int
) -> None:
    """Keep the lane if it emits less than those before it, or as much at a lower cost."""
    green = open_green(heap)
    lanes = open_lanes(heap)
    grams = carbon_grams(heap, lanes.mode[lane], lanes.distance_km[lane], weight_g)
    if grams < green.grams[0] or (grams == green.grams[0] and total < green.total[0]):
        green.grams[0], green.total[0], green.lane[0] = grams, total, lane
        green.hours[0] = hours_to_door(heap, row, lanes.node[lane], day, now)


@kernel
def _fill_package(
    heap: Addresses, n: int, shared: int, node: int, only: int, package: int, pieces: int
) -> tuple[int, Load]:
    """Let the lines draw on a node: all of them, or only those whose bits are set.

    Returns:
        Pieces in use, and what the package holds.
    """
    pieces_of = open_pieces(heap)
    prices = open_prices(heap)
    seen = open_seen(heap)
    skus = open_skus(heap)
    wants = open_wants(heap)
    units, weight, volume, shadow, needs = 0, 0, 0, 0, 0
    for i in range(n):
        if wants.left[i] <= 0 or wants.need[i] & ~seen.offers[node]:
            continue
        if only and not only >> i & 1:
            continue
        sku = wants.sku[i]
        taken = skus.mark[sku] if shared else 0
        qty = min(wants.left[i], may_take(heap, i, node) - taken)
        if qty <= 0:
            continue
        if shared:
            skus.mark[sku] += np.int32(qty)
        pieces_of[pieces, 0], pieces_of[pieces, 1], pieces_of[pieces, 2] = i, package, qty
        pieces += 1
        wants.left[i] -= qty
        units += qty
        weight += qty * wants.weight[i]
        volume += qty * wants.volume[i]
        shadow += qty * np.int64(prices[sku, node])
        needs |= np.int64(wants.need[i])
    if shared:
        for i in range(n):
            skus.mark[wants.sku[i]] = 0
    return pieces, (units, weight, volume, shadow, needs)


@kernel
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
    pieces, packages, served, late, parcels = 0, 0, 0, 0, 0
    for k in range(size):
        node = pick[k]
        only = lines >> (EXACT_LINES * k) & EVERY_LINE
        pieces, load = _fill_package(heap, n, shared, node, only, packages, pieces)
        if load[0] == 0:
            continue
        day = find_day(heap, node, now, load[0], terms.horizon_days[0])
        if day < 0:
            seen.excluded[node] = X_CAPACITY if day == NO_DAY else X_CUTOFF
            return NO_PLAN
        j, total, is_late, parts = best_lane(heap, order, row0, node, day, now, load, False)
        if j == NO_PLAN:
            seen.excluded[node] = X_WEIGHT_BAND
            return NO_PLAN
        lane = region_lanes[region_first[orders.region[order]] + j]
        made = package[packages]
        made[0], made[1], made[2], made[3], made[4] = node, lane, row0 + j, day, load[0]
        for c in range(SPLIT):
            cost[c] += parts[c]
        cost[TOTAL] += total
        grams[0] += carbon_grams(heap, lanes.mode[lane], lanes.distance_km[lane], load[1])
        grams[1] += load[1]
        parcels += parcels_of(heap, lane, load[1], load[2])
        packages += 1
        served += load[0]
        late += is_late
    extra = rounded(weights[SPLIT] * terms.package_minor[0] * max(0, packages - 1))
    cost[SPLIT] += extra
    cost[TOTAL] += extra
    cursor[C_PIECES], cursor[C_PACKAGES] = pieces, packages
    cursor[C_LATE], cursor[C_PARCELS] = late, parcels
    return served


@kernel
def _is_ahead(heap: Addresses, units: int, place: int) -> bool:
    """Whether the weighed plan is better than a ranked one.

    More units; then fewer packages that come too late; then a lower cost; then fewer packages.
    """
    cursor = open_cursor(heap)
    top = open_top(heap)
    if units != top.units[place]:
        return units > top.units[place]
    if cursor[C_LATE] != top.late[place]:
        return cursor[C_LATE] < top.late[place]
    costs, others = open_cost(heap)[TOTAL], open_top_cost(heap)[place, TOTAL]
    if costs != others:
        return costs < others
    return cursor[C_PACKAGES] < top.packages[place]


@kernel
def _move_plan(heap: Addresses, place: int, to: int) -> None:
    top = open_top(heap)
    top.packages[to], top.units[to] = top.packages[place], top.units[place]
    top.lines[to], top.late[to] = top.lines[place], top.late[place]
    copy(open_top_nodes(heap)[place], open_top_nodes(heap)[to])
    copy(open_top_cost(heap)[place], open_top_cost(heap)[to])


@kernel
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


@kernel
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
    top.late[place] = cursor[C_LATE]
    copy(open_cost(heap), open_top_cost(heap)[place])
