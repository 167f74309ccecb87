"""What an order was told, and how urgent it is to the nodes: dates and the priority score."""

import numpy as np

from models.heap import Addresses
from models.intake.columns import NO_TIME
from models.jit import kernel
from models.routing.arrays import open_channel_points, open_tier_points
from models.routing.costs import open_terms
from models.routing.state import open_allocations, open_lines, open_orders


@kernel
def commit(heap: Addresses, order: int) -> None:
    """Work out the date that now stands for the whole order; the first one is kept beside it.

    A date stands only where every unit has one: shipped, reserved, or promised of planned supply.
    """
    allocations = open_allocations(heap)
    lines = open_lines(heap)
    orders = open_orders(heap)
    first = orders.first_line[order]
    for line in range(first, first + orders.lines[order]):
        served = lines.reserved[line] + lines.consumed[line] + lines.waiting[line]
        if served < lines.qty[line]:
            orders.latest_promise[order] = NO_TIME
            return
    latest = orders.shipped_promise[order]
    row = orders.first_allocation[order]
    while row >= 0:
        latest = max(latest, allocations.promised_at[row])
        row = allocations.next[row]
    if latest != NO_TIME and orders.requested_from[order] != NO_TIME:
        latest = max(latest, orders.requested_from[order])
    orders.latest_promise[order] = latest
    if orders.first_promise[order] == NO_TIME:
        orders.first_promise[order] = latest


@kernel
def priority_score(heap: Addresses, order: int, now: int) -> int:
    """Points by which a node releases its work, most first; see ``Priority`` of the policy."""
    orders = open_orders(heap)
    terms = open_terms(heap)
    points = terms.level_points[0] * np.int64(orders.priority[order])
    points += open_tier_points(heap)[orders.tier[order], 0]
    points += open_channel_points(heap)[orders.channel[order], 0]
    worth = np.int64(np.floor(orders.value_minor[order] * terms.value_points[0]))
    points += max(-terms.value_most[0], min(terms.value_most[0], worth))
    asked, standard = orders.requested_by[order], terms.standard_us[0]
    if asked != NO_TIME and standard > 0:
        used = 1.0 - max(0.0, min(1.0, (asked - now) / standard))
        points += np.int64(np.floor(terms.urgency_points[0] * used))
    return points
