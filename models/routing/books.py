"""The order book: allocations, the queues of waiting lines, and planned supply.

Every change of units writes one row of the allocation ledger, so that the sum over the ledger is what
is reserved. A waiting line stands in the queue of its SKU and the order's priority, oldest first.
"""

from models.heap import Addresses
from models.intake.columns import NO_TIME
from models.jit import kernel
from models.ledger.stock import consume, release, reserve
from models.promising.calendar import book, open_places, starts_at, unbook
from models.routing.arrays import (
    MAX_PIECES,
    Count,
    Cursor,
    Event,
    open_again,
    open_agenda,
    open_counts,
    open_cursor,
    open_dead_rows,
    open_made_rows,
    open_move_rows,
    open_out_lengths,
    open_raised_rows,
)
from models.routing.state import (
    PRIORITIES,
    Stage,
    open_allocations,
    open_lines,
    open_orders,
    open_queues,
    open_skus,
    open_supplies,
)

PLACED, RELEASED, CONSUMED, PLANNED, UNPLANNED = (int(e) for e in Event)
_ALLOCATIONS, _FREE = int(Count.ALLOCATIONS), int(Count.FREE_ALLOCATION)
_SERIAL = int(Count.SERIAL)
_EFFECTS, _AGENDA_END = int(Cursor.EFFECTS), int(Cursor.AGENDA_END)
_AGAIN = int(Cursor.AGAIN)
OFFERED, PICKED = int(Stage.OFFERED), int(Stage.PICKED)


@kernel
def next_effect(heap: Addresses) -> int:
    """Number of the next effect of the record at hand."""
    cursor = open_cursor(heap)
    number = cursor[_EFFECTS]
    cursor[_EFFECTS] += 1
    return number


@kernel
def write_move(heap: Addresses, position: int, row: int, event: int, qty: int) -> None:
    """One row of the allocation ledger for an allocation."""
    allocations = open_allocations(heap)
    lines = open_lines(heap)
    move_rows = open_move_rows(heap)
    out_lengths = open_out_lengths(heap)
    line = allocations.line[row]
    move = move_rows[out_lengths[1]]
    out_lengths[1] += 1
    move[0], move[1] = position, next_effect(heap)
    move[2], move[3], move[4] = lines.order[line], lines.number[line], lines.sku[line]
    move[5], move[6], move[7] = allocations.node[row], allocations.lane[row], event
    node, day = allocations.node[row], allocations.day[row]
    move[8], move[9] = qty, day
    move[10] = NO_TIME if day < 0 else starts_at(heap, node, day + 1)


@kernel
def raise_exception(
    heap: Addresses, position: int, code: int, order: int, node: int, sku: int, qty: int, at: int
) -> None:
    """One business deviation; -1 stands for none."""
    out_lengths = open_out_lengths(heap)
    raised_rows = open_raised_rows(heap)
    row = raised_rows[out_lengths[2]]
    out_lengths[2] += 1
    row[0], row[1], row[2], row[3] = position, next_effect(heap), code, order
    row[4], row[5], row[6], row[7] = node, sku, qty, at


@kernel
def dead_letter(
    heap: Addresses, position: int, reason: int, kind: int, record: int, at: int
) -> None:
    """A record that cannot take effect."""
    dead_rows = open_dead_rows(heap)
    out_lengths = open_out_lengths(heap)
    row = dead_rows[out_lengths[3]]
    out_lengths[3] += 1
    row[0], row[1], row[2], row[3] = position, next_effect(heap), reason, kind
    row[4], row[5] = record, at


@kernel
def has_room(heap: Addresses, lines: int) -> bool:
    """Whether a decision about so many lines is sure to fit into allocations and outputs."""
    allocations = open_allocations(heap)
    counts = open_counts(heap)
    dead_rows = open_dead_rows(heap)
    made_rows = open_made_rows(heap)
    move_rows = open_move_rows(heap)
    out_lengths = open_out_lengths(heap)
    raised_rows = open_raised_rows(heap)
    pieces = 4 + lines * (MAX_PIECES + 4)
    return (
        counts[_ALLOCATIONS] + pieces <= len(allocations)
        and out_lengths[0] + 2 <= len(made_rows)
        and out_lengths[1] + 2 * pieces <= len(move_rows)
        and out_lengths[2] + pieces <= len(raised_rows)
        and out_lengths[3] + pieces <= len(dead_rows)
    )


@kernel
def _new_allocation(heap: Addresses) -> int:
    allocations = open_allocations(heap)
    counts = open_counts(heap)
    row = counts[_FREE]
    if row >= 0:
        counts[_FREE] = allocations.next[row]
        return row
    row = counts[_ALLOCATIONS]
    counts[_ALLOCATIONS] += 1
    return row


@kernel
def _link(heap: Addresses, row: int, line: int, node: int, qty: int, now: int) -> None:
    allocations = open_allocations(heap)
    lines = open_lines(heap)
    orders = open_orders(heap)
    order = lines.order[line]
    allocations.line[row], allocations.node[row], allocations.qty[row] = line, node, qty
    counts = open_counts(heap)
    allocations.placed_at[row], allocations.stage[row] = now, OFFERED
    allocations.serial[row] = counts[_SERIAL]
    counts[_SERIAL] += 1
    allocations.next[row] = orders.first_allocation[order]
    orders.first_allocation[order] = row


@kernel
def place(
    heap: Addresses,
    position: int,
    line: int,
    node: int,
    lane: int,
    qty: int,
    day: int,
    booked: int,
    promised_at: int,
    now: int,
) -> None:
    """Reserve units of a line at a node, and ``booked`` of the day's capacity with them."""
    allocations = open_allocations(heap)
    lines = open_lines(heap)
    row = _new_allocation(heap)
    _link(heap, row, line, node, qty, now)
    allocations.lane[row], allocations.day[row], allocations.supply[row] = lane, day, -1
    allocations.booked[row], allocations.promised_at[row] = booked, promised_at
    book(heap, node, day, booked)
    reserve(heap, lines.sku[line], node, qty)
    lines.reserved[line] += qty
    write_move(heap, position, row, PLACED, qty)


@kernel
def plan_supply(
    heap: Addresses, position: int, line: int, supply: int, qty: int, promised_at: int, now: int
) -> None:
    """Promise units of a planned supply to a line."""
    allocations = open_allocations(heap)
    supplies = open_supplies(heap)
    row = _new_allocation(heap)
    _link(heap, row, line, supplies.node[supply], qty, now)
    allocations.lane[row], allocations.day[row] = -1, -1
    allocations.booked[row], allocations.supply[row] = 0, supply
    allocations.promised_at[row] = promised_at
    supplies.promised[supply] += qty
    write_move(heap, position, row, PLANNED, qty)


@kernel
def _unlink(heap: Addresses, row: int) -> None:
    allocations = open_allocations(heap)
    counts = open_counts(heap)
    lines = open_lines(heap)
    orders = open_orders(heap)
    order = lines.order[allocations.line[row]]
    at = orders.first_allocation[order]
    if at == row:
        orders.first_allocation[order] = allocations.next[row]
    else:
        while allocations.next[at] != row:
            at = allocations.next[at]
        allocations.next[at] = allocations.next[row]
    allocations.line[row] = -1
    allocations.next[row] = counts[_FREE]
    counts[_FREE] = row


@kernel
def free_capacity(heap: Addresses, row: int, qty: int) -> None:
    """Give back the capacity of ``qty`` units.

    A package counted as one order keeps its booking as long as another allocation of it is left.
    """
    allocations = open_allocations(heap)
    lines = open_lines(heap)
    orders = open_orders(heap)
    places = open_places(heap)
    node = allocations.node[row]
    if allocations.booked[row] == 0:
        return
    if not places.counts_orders[node]:
        given = min(qty, allocations.booked[row])
        unbook(heap, node, allocations.day[row], given)
        allocations.booked[row] -= given
        return
    if qty < allocations.qty[row]:
        return
    other = orders.first_allocation[lines.order[allocations.line[row]]]
    while other >= 0:
        same_day = allocations.day[other] == allocations.day[row]
        if other != row and allocations.node[other] == node and same_day:
            allocations.booked[other] += allocations.booked[row]
            allocations.booked[row] = 0
            return
        other = allocations.next[other]
    unbook(heap, node, allocations.day[row], allocations.booked[row])
    allocations.booked[row] = 0


@kernel
def withdraw(heap: Addresses, position: int, row: int, qty: int) -> None:
    """Undo ``qty`` units of an allocation: the stock is free, its SKU goes on the agenda."""
    allocations = open_allocations(heap)
    lines = open_lines(heap)
    supplies = open_supplies(heap)
    line = allocations.line[row]
    sku = lines.sku[line]
    if allocations.supply[row] >= 0:
        supplies.promised[allocations.supply[row]] -= qty
        write_move(heap, position, row, UNPLANNED, qty)
    else:
        free_capacity(heap, row, qty)
        release(heap, sku, allocations.node[row], qty)
        lines.reserved[line] -= qty
        write_move(heap, position, row, RELEASED, qty)
        add_to_agenda(heap, sku)
    allocations.qty[row] -= qty
    if allocations.qty[row] == 0:
        _unlink(heap, row)


@kernel
def _use_capacity(heap: Addresses, row: int) -> None:
    """A package counted as one order is used up once a part of it has left: no part gives it back."""
    allocations = open_allocations(heap)
    lines = open_lines(heap)
    orders = open_orders(heap)
    places = open_places(heap)
    node, day = allocations.node[row], allocations.day[row]
    if not places.counts_orders[node]:
        return
    other = orders.first_allocation[lines.order[allocations.line[row]]]
    while other >= 0:
        if allocations.node[other] == node and allocations.day[other] == day:
            allocations.booked[other] = 0
        other = allocations.next[other]


@kernel
def hand_over(heap: Addresses, position: int, row: int, qty: int) -> int:
    """Units of an allocation leave the node for good; see ``stock.consume`` for the result."""
    allocations = open_allocations(heap)
    lines = open_lines(heap)
    orders = open_orders(heap)
    line = allocations.line[row]
    order = lines.order[line]
    told = max(orders.shipped_promise[order], allocations.promised_at[row])
    orders.shipped_promise[order] = told
    _use_capacity(heap, row)
    result = consume(heap, lines.sku[line], allocations.node[row], qty)
    lines.reserved[line] -= qty
    lines.consumed[line] += qty
    write_move(heap, position, row, CONSUMED, qty)
    allocations.qty[row] -= qty
    if allocations.qty[row] == 0:
        _unlink(heap, row)
    return result


@kernel
def add_to_agenda(heap: Addresses, sku: int) -> None:
    """Look at the orders that wait for this SKU before the next record."""
    agenda = open_agenda(heap)
    cursor = open_cursor(heap)
    queues = open_queues(heap)
    skus = open_skus(heap)
    if skus.in_agenda[sku]:
        return
    for priority in range(PRIORITIES):
        if queues.first[sku, priority] >= 0:
            skus.in_agenda[sku] = 1
            agenda[cursor[_AGENDA_END]] = sku
            cursor[_AGENDA_END] += 1
            return


@kernel
def ask_again(heap: Addresses, order: int, trigger: int) -> None:
    """Have an order decided again before the next record; the one asked for last comes first."""
    again = open_again(heap)
    cursor = open_cursor(heap)
    orders = open_orders(heap)
    if not orders.in_again[order]:
        orders.in_again[order] = 1
        again[cursor[_AGAIN], 0], again[cursor[_AGAIN], 1] = order, trigger
        cursor[_AGAIN] += 1


@kernel
def wait(heap: Addresses, line: int, qty: int) -> None:
    """Queue a line for ``qty`` units."""
    lines = open_lines(heap)
    orders = open_orders(heap)
    queues = open_queues(heap)
    sku, priority = lines.sku[line], orders.priority[lines.order[line]]
    last = queues.last[sku, priority]
    lines.waiting[line] = qty
    lines.previous_waiting[line], lines.next_waiting[line] = last, -1
    if last >= 0:
        lines.next_waiting[last] = line
    else:
        queues.first[sku, priority] = line
    queues.last[sku, priority] = line


@kernel
def stop_waiting(heap: Addresses, line: int) -> None:
    """Take a line out of its queue."""
    lines = open_lines(heap)
    orders = open_orders(heap)
    queues = open_queues(heap)
    if lines.waiting[line] == 0:
        return
    sku, priority = lines.sku[line], orders.priority[lines.order[line]]
    before, after = lines.previous_waiting[line], lines.next_waiting[line]
    if before >= 0:
        lines.next_waiting[before] = after
    else:
        queues.first[sku, priority] = after
    if after >= 0:
        lines.previous_waiting[after] = before
    else:
        queues.last[sku, priority] = before
    lines.waiting[line] = 0


@kernel
def stop_all_waiting(heap: Addresses, order: int) -> None:
    """Take an order's lines out of their queues."""
    orders = open_orders(heap)
    first = orders.first_line[order]
    for line in range(first, first + orders.lines[order]):
        stop_waiting(heap, line)


@kernel
def unplan(heap: Addresses, position: int, order: int) -> None:
    """Give back every planned supply that the order was promised."""
    allocations = open_allocations(heap)
    orders = open_orders(heap)
    row = orders.first_allocation[order]
    while row >= 0:
        following = allocations.next[row]
        if allocations.supply[row] >= 0:
            withdraw(heap, position, row, allocations.qty[row])
        row = following


@kernel
def withdraw_all(heap: Addresses, position: int, order: int, node: int, most: int) -> int:
    """Undo the order's allocations at a node (-1: everywhere) up to a stage; returns the units released."""
    allocations = open_allocations(heap)
    orders = open_orders(heap)
    row, units = orders.first_allocation[order], 0
    while row >= 0:
        following = allocations.next[row]
        mine = node < 0 or (allocations.node[row] == node and allocations.supply[row] < 0)
        if mine and allocations.stage[row] <= most:
            if allocations.supply[row] < 0:
                units += allocations.qty[row]
            withdraw(heap, position, row, allocations.qty[row])
        row = following
    return units


@kernel
def rows_of(heap: Addresses, order: int) -> int:
    """Allocations that the order has."""
    allocations = open_allocations(heap)
    row, found = open_orders(heap).first_allocation[order], 0
    while row >= 0:
        found += 1
        row = allocations.next[row]
    return found
