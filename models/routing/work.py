"""What nodes did: handed over, rejected, let time pass or came up short; and what is taken for granted."""

import numba
import numpy as np

from models.heap import Addresses
from models.ledger.stock import adjust
from models.routing.arrays import (
    open_counts,
    open_cursor,
    open_fields,
    open_items,
    open_records,
)
from models.routing.books import (
    dead_letter,
    hand_over,
    has_room,
    raise_exception,
    withdraw,
    withdraw_all,
)
from models.routing.codes import (
    C_REROUTE,
    C_SWEEP,
    C_TRIGGER,
    CANCELLED_EARLY,
    E_REGRESSION,
    E_REJECTED,
    E_SHORT,
    E_TIMEOUT,
    F_FLAG,
    F_NODE,
    MORE_THAN_RESERVED,
    N_ALLOCATIONS,
    N_ASSUMED,
    N_CLOCK,
    NO_NODE,
    NO_ORDER,
    T_REJECTED,
    T_SHORT,
    T_TIMEOUT,
    UNKNOWN,
    WORK_HANDED_OVER,
    WORK_SHORT_PICKED,
    WORK_TIMED_OUT,
)
from models.routing.costs import open_terms
from models.routing.orders import settle
from models.routing.state import open_allocations, open_blocked, open_lines, open_orders
from models.routing.supplies import report_stock


@numba.njit(cache=True)
def _line_units(heap: Addresses, i: int, number: int, otherwise: int) -> int:
    """Units that a work record names for a line; ``otherwise`` if it names no lines at all."""
    items = open_items(heap)
    records = open_records(heap)
    if records.first_line[i] == records.first_line[i + 1]:
        return otherwise
    units = 0
    for j in range(records.first_line[i], records.first_line[i + 1]):
        if items.number[j] == number:
            units += items.qty[j]
    return units


@numba.njit(cache=True)
def take_work(heap: Addresses, i: int, now: int) -> None:
    """A node handed over, rejected, let time pass or came up short."""
    allocations = open_allocations(heap)
    blocked = open_blocked(heap)
    cursor = open_cursor(heap)
    fields = open_fields(heap)
    items = open_items(heap)
    lines = open_lines(heap)
    orders = open_orders(heap)
    records = open_records(heap)
    order, position, kind = records.order[i], records.position[i], records.kind[i]
    node = fields[i, F_NODE]
    if orders.state[order] in (UNKNOWN, CANCELLED_EARLY):
        dead_letter(heap, position, NO_ORDER, kind, i, now)
        return
    if node < 0:
        dead_letter(heap, position, NO_NODE, kind, i, now)
        return
    moved, named = 0, 0
    for j in range(records.first_line[i], records.first_line[i + 1]):
        named += items.qty[j]
    first = orders.first_line[order]
    for line in range(first, first + orders.lines[order]):
        left = _line_units(heap, i, lines.number[line], np.int64(1) << 40)
        row = orders.first_allocation[order]
        while row >= 0 and left > 0:
            following = allocations.next[row]
            mine = allocations.line[row] == line and allocations.node[row] == node
            if mine and allocations.supply[row] < 0:
                qty = min(left, allocations.qty[row])
                sku = lines.sku[line]
                if kind == WORK_HANDED_OVER:
                    result = hand_over(heap, position, row, qty)
                    report_stock(heap, position, result, node, sku, qty, now)
                else:
                    withdraw(heap, position, row, qty)
                    if kind == WORK_SHORT_PICKED:
                        adjust(heap, sku, node, -qty, np.int64(1) << 62)
                left -= qty
                moved += qty
            row = following
    if moved == 0:
        dead_letter(heap, position, MORE_THAN_RESERVED, kind, i, now)
    elif kind == WORK_HANDED_OVER:
        settle(heap, order, now)
    else:
        code, trigger = E_REJECTED, T_REJECTED
        if kind == WORK_TIMED_OUT:
            code, trigger = E_TIMEOUT, T_TIMEOUT
        elif kind == WORK_SHORT_PICKED:
            code, trigger = E_SHORT, T_SHORT
        raise_exception(heap, position, code, order, node, -1, moved, now)
        if kind != WORK_SHORT_PICKED and fields[i, F_FLAG]:
            blocked[order, node >> 6] |= np.uint64(1) << np.uint64(node & 63)
        if orders.no_split[order]:
            withdraw_all(heap, position, order, -1)
        cursor[C_REROUTE], cursor[C_TRIGGER] = order, trigger
    if 0 < moved < named:
        raise_exception(heap, position, E_REGRESSION, order, node, -1, named - moved, now)


@numba.njit(cache=True)
def assume_handed_over(heap: Addresses, position: int, now: int) -> bool:
    """Take allocations as handed over that nobody reported for long; False if there is no room."""
    allocations = open_allocations(heap)
    counts = open_counts(heap)
    cursor = open_cursor(heap)
    lines = open_lines(heap)
    terms = open_terms(heap)
    clock, limit = counts[N_CLOCK], terms.assume_us[0]
    while cursor[C_SWEEP] < counts[N_ALLOCATIONS]:
        row = cursor[C_SWEEP]
        line = allocations.line[row]
        if line >= 0 and allocations.supply[row] < 0:
            if clock - allocations.placed_at[row] >= limit:
                if not has_room(heap, 1):
                    return False
                qty, node = allocations.qty[row], allocations.node[row]
                order, sku = lines.order[line], lines.sku[line]
                result = hand_over(heap, position, row, qty)
                report_stock(heap, position, result, node, sku, qty, now)
                settle(heap, order, now)
        cursor[C_SWEEP] += 1
    cursor[C_SWEEP] = 0
    counts[N_ASSUMED] = clock
    return True
