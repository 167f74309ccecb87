"""Which nodes are in the running for an order, what each could serve, and why the others are out."""

import numpy as np

from models.heap import Addresses, fill
from models.jit import kernel
from models.ledger.stock import available, open_free, open_safety
from models.routing.arrays import (
    open_candidates,
    open_channel_points,
    open_customer_keys,
    open_region_first,
    open_region_lanes,
    open_seen,
    open_tier_points,
    open_usable,
    open_wants,
)
from models.routing.codes import (
    FEASIBLE,
    HAZMAT_BIT,
    X_BLOCKED,
    X_CARRIER_DOWN,
    X_CLOSED,
    X_CUSTOMER,
    X_DISTANCE,
    X_HAZMAT,
    X_LANE_UNSERVED,
    X_NO_STOCK,
    X_NOT_PINNED,
    X_SAFETY_STOCK,
    X_TEMP_CLASS,
)
from models.routing.costs import open_terms
from models.routing.state import (
    open_blocked,
    open_lanes,
    open_lines,
    open_nodes,
    open_orders,
    open_skus,
)


@kernel
def is_privileged(heap: Addresses, order: int) -> bool:
    """Whether protected stock is for this order too, by its tier or channel."""
    orders = open_orders(heap)
    tiers, channels = open_tier_points(heap), open_channel_points(heap)
    return tiers[orders.tier[order], 1] > 0 or channels[orders.channel[order], 1] > 0


@kernel
def may_take(heap: Addresses, i: int, node: int) -> int:
    """Units of a wanted line's SKU that the node may give to this order; negative if oversold."""
    wants = open_wants(heap)
    return available(heap, wants.sku[i], node) - np.int64(wants.kept[i])


@kernel
def gather_lines(heap: Addresses, order: int, only_waiting: bool) -> tuple[int, int, int]:
    """Put the units to be served into the scratch.

    Returns:
        Number of lines, their units, and whether two of them share a SKU (0 or 1).
    """
    lines = open_lines(heap)
    orders = open_orders(heap)
    skus = open_skus(heap)
    wants = open_wants(heap)
    privileged = is_privileged(heap, order)
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
        wants.volume[n], wants.kept[n] = lines.volume_cm3[line], 0 if privileged else skus.kept[sku]
        shared |= skus.mark[sku]
        skus.mark[sku] = 1
        n += 1
        units += qty
    for i in range(n):
        skus.mark[wants.sku[i]] = 0
    return n, units, shared


@kernel
def _serves_customer(heap: Addresses, node: int, customer: int) -> bool:
    customer_keys = open_customer_keys(heap)
    nodes = open_nodes(heap)
    if not nodes.restricted[node]:
        return True
    key = (np.int64(node) << 32) | np.int64(customer)
    at = np.searchsorted(customer_keys, key)
    return customer >= 0 and at < len(customer_keys) and customer_keys[at] == key


@kernel
def _lane_verdict(heap: Addresses, order: int, lane: int, needs: int, some: int) -> int:
    """Exclusion of a lane for an order whose lines need ``needs`` in all, ``some`` at the least."""
    blocked = open_blocked(heap)
    lanes = open_lanes(heap)
    nodes = open_nodes(heap)
    orders = open_orders(heap)
    terms = open_terms(heap)
    node, pinned = lanes.node[lane], orders.pinned[order]
    if pinned >= 0 and node != pinned:
        return X_NOT_PINNED
    carrier, service = orders.carrier[order], orders.service[order]
    if carrier >= 0 and carrier != lanes.carrier[lane]:
        return X_LANE_UNSERVED
    if service >= 0 and service != lanes.service[lane]:
        return X_LANE_UNSERVED
    if not nodes.is_open[node]:
        return X_CLOSED
    if not lanes.is_open[lane]:
        return X_CARRIER_DOWN
    if not _serves_customer(heap, node, orders.customer[order]):
        return X_CUSTOMER
    if pinned < 0 and blocked[order, node >> 6] >> np.uint64(node & 63) & np.uint64(1):
        return X_BLOCKED
    if lanes.distance_km[lane] > terms.max_distance_km[0]:
        return X_DISTANCE
    lacks = needs & ~(lanes.offers[lane] & nodes.offers[node])
    if lacks & some:
        return X_HAZMAT if lacks & HAZMAT_BIT else X_TEMP_CLASS
    return FEASIBLE


@kernel
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
    if region < 0 or orders.shut_out[order]:
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


@kernel
def count_units(heap: Addresses, n: int, shared: int, found: int) -> None:
    """Units of the lines that each candidate could serve, into ``seen.units``.

    Lines outside, nodes inside: a SKU's row of the ledger is read once, from end to end.
    """
    candidates = open_candidates(heap)
    free = open_free(heap)
    seen = open_seen(heap)
    wants = open_wants(heap)
    for c in range(found):
        seen.units[candidates[c]] = 0
    for i in range(n):
        sku, qty, need = wants.sku[i], wants.qty[i], wants.need[i]
        for c in range(found):
            node = candidates[c]
            if need & ~seen.offers[node]:
                continue
            have = np.int64(free[sku, node]) - np.int64(wants.kept[i])
            if shared:
                have -= _wanted_before(heap, i, node)
            seen.units[node] += max(0, min(qty, have))


@kernel
def _wanted_before(heap: Addresses, i: int, node: int) -> int:
    """Units that earlier lines want of the same SKU, of those that the node can carry."""
    seen = open_seen(heap)
    wants = open_wants(heap)
    units = 0
    for other in range(i):
        if wants.sku[other] == wants.sku[i] and not wants.need[other] & ~seen.offers[node]:
            units += wants.qty[other]
    return units


@kernel
def say_what_lacks(heap: Addresses, n: int, node: int) -> None:
    """Why a candidate cannot serve all lines: what it cannot carry, protected stock, or no stock."""
    free = open_free(heap)
    safety = open_safety(heap)
    seen = open_seen(heap)
    wants = open_wants(heap)
    offers, enough = seen.offers[node], True
    for i in range(n):
        lacks = wants.need[i] & ~offers
        if lacks:
            seen.excluded[node] = X_HAZMAT if lacks & HAZMAT_BIT else X_TEMP_CLASS
        else:
            sku = wants.sku[i]
            held = np.int64(free[sku, node]) + np.int64(safety[sku, node])
            enough &= held - _wanted_before(heap, i, node) >= wants.qty[i]
    if seen.excluded[node] == FEASIBLE:
        seen.excluded[node] = X_SAFETY_STOCK if enough else X_NO_STOCK


@kernel
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
                have += max(0, may_take(heap, i, node))
        if have < wants.qty[i]:
            return False
    return True
