"""What no plan serves: planned supply is promised to it, earliest first, and its lines wait.

An order that may not be split, or not be served in part, waits whole or not at all.
"""

import numpy as np

from models.heap import Addresses
from models.intake.columns import NO_TIME
from models.jit import kernel
from models.promising.calendar import find_day, local_day
from models.routing.arrays import (
    MAX_PIECES,
    open_seen,
    open_wants,
)
from models.routing.books import plan_supply, wait
from models.routing.candidates import may_take
from models.routing.codes import (
    FEASIBLE,
    X_CAPACITY,
    X_CUTOFF,
    X_HAZMAT,
    X_NO_STOCK,
    X_SAFETY_STOCK,
    X_TEMP_CLASS,
)
from models.routing.costs import open_terms
from models.routing.packages import NO_PLAN, arrives_at, best_lane, told
from models.routing.state import open_orders, open_skus, open_supplies


@kernel
def _may_supply(heap: Addresses, i: int, node: int) -> bool:
    """Whether a node that lacks stock or time today could serve the line some day."""
    seen = open_seen(heap)
    wants = open_wants(heap)
    why = seen.excluded[node]
    able = why in (FEASIBLE, X_NO_STOCK, X_SAFETY_STOCK, X_CAPACITY, X_CUTOFF)
    # A node that lacks what another line needs may serve this one; no candidate offers nothing.
    able |= why in (X_TEMP_CLASS, X_HAZMAT)
    return able and not wants.need[i] & ~seen.offers[node]


@kernel
def _plannable(heap: Addresses, i: int, only_node: int) -> int:
    """Units of planned supply that are not promised yet and may serve the line."""
    skus = open_skus(heap)
    supplies = open_supplies(heap)
    wants = open_wants(heap)
    units, pieces = 0, 0
    supply = skus.first_supply[wants.sku[i]]
    while supply >= 0 and pieces < MAX_PIECES:
        node = supplies.node[supply]
        free = supplies.qty[supply] - supplies.promised[supply]
        if free > 0 and (only_node < 0 or node == only_node) and _may_supply(heap, i, node):
            units += free
            pieces += 1
        supply = supplies.next[supply]
    return units


@kernel
def _told(heap: Addresses, order: int, row0: int, i: int, qty: int, node: int, due: int) -> int:
    """When units of a line that come to the node at ``due`` can be with the customer.

    By the lane that they would go by alone; ``NO_TIME`` if none carries as much.
    """
    wants = open_wants(heap)
    day = find_day(heap, node, due, qty, open_terms(heap).horizon_days[0])
    day = local_day(heap, node, due) if day < 0 else day
    weight, volume = qty * wants.weight[i], qty * wants.volume[i]
    load = (qty, weight, volume, 0, np.int64(wants.need[i]))
    j, _, _, _ = best_lane(heap, order, row0, node, day, due, load, False)
    return NO_TIME if j == NO_PLAN else told(heap, arrives_at(heap, row0 + j, node, day, due))


@kernel
def _plan_line(
    heap: Addresses,
    position: int,
    order: int,
    row0: int,
    i: int,
    qty: int,
    only_node: int,
    now: int,
) -> tuple[int, int]:
    """Promise planned supply to a line, earliest first; returns (units promised, last due time)."""
    skus = open_skus(heap)
    supplies = open_supplies(heap)
    wants = open_wants(heap)
    done, due, pieces = 0, NO_TIME, 0
    supply = skus.first_supply[wants.sku[i]]
    while supply >= 0 and done < qty and pieces < MAX_PIECES:
        node = supplies.node[supply]
        free = supplies.qty[supply] - supplies.promised[supply]
        if free > 0 and (only_node < 0 or node == only_node) and _may_supply(heap, i, node):
            take, at = min(free, qty - done), supplies.due_at[supply]
            date = _told(heap, order, row0, i, take, node, max(at, now))
            plan_supply(heap, position, wants.line[i], supply, take, date, now)
            done += take
            due = max(due, at)
            pieces += 1
        supply = supplies.next[supply]
    return done, due


@kernel
def _node_that_will_cover(heap: Addresses, n: int) -> int:
    """First node whose stock and planned supply cover all lines; -1 if there is none."""
    seen = open_seen(heap)
    wants = open_wants(heap)
    for node in range(len(seen)):
        covers = True
        for i in range(n):
            have = max(0, may_take(heap, i, node))
            if have < wants.qty[i]:
                have += _plannable(heap, i, node)
            if have < wants.qty[i] or not _may_supply(heap, i, node):
                covers = False
        if covers:
            return node
    return -1


@kernel
def _units_anywhere(heap: Addresses, i: int, only_node: int) -> int:
    """Units of a line that its possible nodes (or the one) hold now."""
    seen = open_seen(heap)
    free = 0
    for node in range(len(seen)):
        if (only_node < 0 or node == only_node) and _may_supply(heap, i, node):
            free += max(0, may_take(heap, i, node))
    return free


@kernel
def _backorder_whole(
    heap: Addresses, position: int, order: int, row0: int, n: int, only_node: int, now: int
) -> tuple[int, int]:
    """All lines wait to be served together; planned supply is promised for what stock lacks."""
    wants = open_wants(heap)
    units, due = 0, NO_TIME
    for i in range(n):
        free = _units_anywhere(heap, i, only_node)
        lacks = wants.qty[i] - min(free, wants.qty[i])
        if lacks > 0:
            _, last = _plan_line(heap, position, order, row0, i, lacks, only_node, now)
            due = max(due, last)
        wait(heap, wants.line[i], wants.qty[i])
        units += wants.qty[i]
    return units, due


@kernel
def _all_plannable(heap: Addresses, n: int) -> bool:
    """Whether stock and planned supply anywhere cover every line."""
    wants = open_wants(heap)
    for i in range(n):
        if _units_anywhere(heap, i, -1) + _plannable(heap, i, -1) < wants.qty[i]:
            return False
    return True


@kernel
def backorder(
    heap: Addresses, position: int, order: int, row0: int, n: int, served: int, now: int
) -> tuple[int, int]:
    """Backorder what the plan left; returns (units, due time of the last of them)."""
    orders = open_orders(heap)
    terms = open_terms(heap)
    wants = open_wants(heap)
    if orders.no_split[order]:
        node = _node_that_will_cover(heap, n)
        if node < 0:
            return 0, NO_TIME
        return _backorder_whole(heap, position, order, row0, n, node, now)
    if not terms.allow_partial[0]:
        if not _all_plannable(heap, n):
            return 0, NO_TIME
        return _backorder_whole(heap, position, order, row0, n, -1, now)
    units, due = 0, NO_TIME
    for i in range(n):
        left = wants.left[i] if served > 0 else wants.qty[i]
        if left > 0:
            done, last = _plan_line(heap, position, order, row0, i, left, -1, now)
            if done > 0:
                wait(heap, wants.line[i], done)
                units += done
                due = max(due, last)
    return units, due
