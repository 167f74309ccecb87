"""What nodes did: how far they are, what they handed over or refused; and what is taken for granted."""

import numpy as np

from models.heap import Addresses
from models.jit import kernel
from models.ledger.stock import adjust, is_oversold
from models.routing.arrays import (
    open_counts,
    open_cursor,
    open_fields,
    open_items,
    open_records,
)
from models.routing.books import (
    ask_again,
    dead_letter,
    hand_over,
    has_room,
    raise_exception,
    withdraw,
)
from models.routing.codes import (
    ACCEPTED,
    C_SWEEP,
    CANCELLED_EARLY,
    E_REGRESSION,
    E_REJECTED,
    E_SHORT,
    E_TIMEOUT,
    F_FLAG,
    F_NODE,
    FORGOTTEN,
    MORE_THAN_RESERVED,
    N_ALLOCATIONS,
    N_ASSUMED,
    N_CLOCK,
    NO_NODE,
    NO_ORDER,
    PACKED,
    PICKED,
    RECALL_STOCK,
    T_REJECTED,
    T_SHORT,
    T_TIMEOUT,
    UNKNOWN,
    WORK_ACCEPTED,
    WORK_HANDED_OVER,
    WORK_PICKED,
    WORK_SHORT_PICKED,
    WORK_TIMED_OUT,
)
from models.routing.costs import open_terms
from models.routing.orders import settle
from models.routing.recalls import recall
from models.routing.state import open_allocations, open_blocked, open_lines, open_orders
from models.routing.supplies import report_stock


@kernel
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


@kernel
def note_progress(heap: Addresses, i: int, now: int) -> None:
    """A node accepted, picked or packed: the units concerned are further than before, never back."""
    allocations = open_allocations(heap)
    fields = open_fields(heap)
    lines = open_lines(heap)
    orders = open_orders(heap)
    records = open_records(heap)
    order, position, kind = records.order[i], records.position[i], records.kind[i]
    node, stage = fields[i, F_NODE], ACCEPTED
    if kind != WORK_ACCEPTED:
        stage = PICKED if kind == WORK_PICKED else PACKED
    if not _is_known(heap, i, now):
        return
    found = False
    row = orders.first_allocation[order]
    while row >= 0:
        if allocations.node[row] == node and allocations.supply[row] < 0:
            if _line_units(heap, i, lines.number[allocations.line[row]], 1) > 0:
                allocations.stage[row] = max(allocations.stage[row], stage)
                found = True
        row = allocations.next[row]
    if not found:  # it has left already, or never was there
        raise_exception(heap, position, E_REGRESSION, order, node, -1, 0, now)


@kernel
def _is_known(heap: Addresses, i: int, now: int) -> bool:
    """Whether order and node of a work record exist; says so if not."""
    orders = open_orders(heap)
    records = open_records(heap)
    position, kind = records.position[i], records.kind[i]
    if orders.state[records.order[i]] in (UNKNOWN, CANCELLED_EARLY, FORGOTTEN):
        dead_letter(heap, position, NO_ORDER, kind, i, now)
        return False
    if open_fields(heap)[i, F_NODE] < 0:
        dead_letter(heap, position, NO_NODE, kind, i, now)
        return False
    return True


@kernel
def _move_units(heap: Addresses, i: int, line: int, now: int) -> int:
    """Let a line's units at the node leave, come back or be missing; returns how many there were."""
    allocations = open_allocations(heap)
    lines = open_lines(heap)
    orders = open_orders(heap)
    records = open_records(heap)
    order, position, kind = records.order[i], records.position[i], records.kind[i]
    node, sku, moved = open_fields(heap)[i, F_NODE], lines.sku[line], 0
    left = _line_units(heap, i, lines.number[line], np.int64(1) << 40)
    row = orders.first_allocation[order]
    while row >= 0 and left > 0:
        following = allocations.next[row]
        mine = allocations.line[row] == line and allocations.node[row] == node
        if mine and allocations.supply[row] < 0:
            qty = min(left, allocations.qty[row])
            if kind == WORK_HANDED_OVER:
                result = hand_over(heap, position, row, qty)
                report_stock(heap, position, result, node, sku, qty, now)
            else:
                withdraw(heap, position, row, qty)
                if kind == WORK_SHORT_PICKED:
                    adjust(heap, sku, node, -qty, np.int64(1) << 62)
            if is_oversold(heap, sku, node):
                recall(heap, RECALL_STOCK, node)
            left -= qty
            moved += qty
        row = following
    return moved


@kernel
def take_work(heap: Addresses, i: int, now: int) -> None:
    """A node handed over, rejected, let time pass or came up short."""
    fields = open_fields(heap)
    items = open_items(heap)
    orders = open_orders(heap)
    records = open_records(heap)
    order, position, kind = records.order[i], records.position[i], records.kind[i]
    if not _is_known(heap, i, now):
        return
    node, moved, named = fields[i, F_NODE], 0, 0
    for j in range(records.first_line[i], records.first_line[i + 1]):
        named += items.qty[j]
    first = orders.first_line[order]
    for line in range(first, first + orders.lines[order]):
        moved += _move_units(heap, i, line, now)
    if moved == 0:
        dead_letter(heap, position, MORE_THAN_RESERVED, kind, i, now)
    elif kind == WORK_HANDED_OVER:
        settle(heap, order, now)
    else:
        _count_refusal(heap, i, moved, now)
    if 0 < moved < named:
        raise_exception(heap, position, E_REGRESSION, order, node, -1, named - moved, now)


@kernel
def _count_refusal(heap: Addresses, i: int, units: int, now: int) -> None:
    """The units are free again: the order is decided again, without the node if it is to be blocked."""
    blocked = open_blocked(heap)
    fields = open_fields(heap)
    orders = open_orders(heap)
    records = open_records(heap)
    order, position, kind = records.order[i], records.position[i], records.kind[i]
    node, code, trigger = fields[i, F_NODE], E_REJECTED, T_REJECTED
    if kind == WORK_TIMED_OUT:
        code, trigger = E_TIMEOUT, T_TIMEOUT
    elif kind == WORK_SHORT_PICKED:
        code, trigger = E_SHORT, T_SHORT
    raise_exception(heap, position, code, order, node, -1, units, now)
    if kind != WORK_SHORT_PICKED and fields[i, F_FLAG]:
        blocked[order, node >> 6] |= np.uint64(1) << np.uint64(node & 63)
    orders.attempts[order] = min(100, orders.attempts[order] + 1)
    ask_again(heap, order, trigger)


@kernel
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
