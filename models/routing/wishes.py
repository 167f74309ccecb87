"""What people, the tracker and the planner ask of an order that was decided before.

A review routes a held order after all, ships it from a given node, or cancels it. A wish to decide again
takes back what no node has picked. A proposed plan is weighed against the one that stands, with the
books and prices of this moment, and replaces it only if it is better (``reevaluation`` of the policy) and
nobody has begun to work on the order.
"""

import numpy as np

from models.heap import Addresses, copy, fill
from models.intake.columns import NO_TIME
from models.jit import kernel
from models.ledger.stock import reinstate, release
from models.promising.calendar import book, unbook
from models.routing.arrays import (
    EXACT_LINES,
    MAX_PACKAGES,
    open_cost,
    open_cursor,
    open_fields,
    open_green,
    open_items,
    open_package,
    open_pick,
    open_records,
    open_seen,
    open_top,
    open_top_nodes,
    open_wants,
)
from models.routing.books import (
    ask_again,
    dead_letter,
    raise_exception,
    withdraw_all,
)
from models.routing.candidates import gather_lines, screen
from models.routing.codes import (
    ACCEPTED,
    AWAITING_PAYMENT,
    C_LATE,
    C_PACKAGES,
    C_PROPOSAL,
    CANCELLED_EARLY,
    CLOSED,
    E_REGRESSION,
    E_VOID,
    F_DECISION,
    F_FLAG,
    F_NODE,
    F_WISH,
    FEASIBLE,
    FORGOTTEN,
    HELD,
    NO_NODE,
    NO_ORDER,
    OFFERED,
    OPEN,
    T_OPERATOR,
    UNKNOWN,
    V_ASSIGN,
    V_CANCEL,
)
from models.routing.costs import TOTAL, open_terms
from models.routing.decide import replace_plan
from models.routing.orders import close
from models.routing.packages import EVERY_LINE, arrives_at, offer, weigh
from models.routing.state import open_allocations, open_blocked, open_lines, open_orders


@kernel
def _is_about_nothing(heap: Addresses, i: int, now: int) -> bool:
    """Whether the record's order cannot be acted on; says so."""
    orders = open_orders(heap)
    records = open_records(heap)
    order, position = records.order[i], records.position[i]
    state = orders.state[order]
    if state in (UNKNOWN, CANCELLED_EARLY, FORGOTTEN):
        dead_letter(heap, position, NO_ORDER, records.kind[i], i, now)
        return True
    waits_for_money = state == HELD and orders.hold[order] == AWAITING_PAYMENT
    if state == CLOSED or waits_for_money:
        raise_exception(heap, position, E_REGRESSION, order, -1, -1, 0, now)
        return True
    return False


@kernel
def review(heap: Addresses, i: int, now: int) -> None:
    """A person decided: route it, ship it from a node whatever was said before, or cancel it."""
    fields = open_fields(heap)
    orders = open_orders(heap)
    records = open_records(heap)
    order, position, verdict = records.order[i], records.position[i], fields[i, F_WISH]
    if verdict == V_ASSIGN and fields[i, F_NODE] < 0:
        dead_letter(heap, position, NO_NODE, records.kind[i], i, now)
        return
    if _is_about_nothing(heap, i, now):
        return
    if verdict == V_CANCEL:
        close(heap, position, order, T_OPERATOR, now)
        return
    if verdict == V_ASSIGN:
        withdraw_all(heap, position, order, -1, ACCEPTED)
        orders.pinned[order] = fields[i, F_NODE]
    orders.state[order], orders.hold[order], orders.attempts[order] = OPEN, 0, 0
    ask_again(heap, order, T_OPERATOR)


@kernel
def decide_anew(heap: Addresses, i: int, now: int) -> None:
    """Take back what is at a node, or everywhere, as far as nobody has picked it."""
    fields = open_fields(heap)
    orders = open_orders(heap)
    records = open_records(heap)
    order, position, node = records.order[i], records.position[i], fields[i, F_NODE]
    if fields[i, F_FLAG] >= 2 and node < 0:  # a node was named, and nobody declared it
        dead_letter(heap, position, NO_NODE, records.kind[i], i, now)
        return
    if _is_about_nothing(heap, i, now):
        return
    if node >= 0 and fields[i, F_FLAG] & 1:
        open_blocked(heap)[order, node >> 6] |= np.uint64(1) << np.uint64(node & 63)
    withdraw_all(heap, position, order, node, ACCEPTED)
    if orders.state[order] == OPEN:
        ask_again(heap, order, fields[i, F_WISH])


@kernel
def propose(heap: Addresses, i: int, now: int) -> None:
    """A plan was proposed: have it weighed, unless the order has changed since it was made."""
    allocations = open_allocations(heap)
    fields = open_fields(heap)
    lines = open_lines(heap)
    orders = open_orders(heap)
    records = open_records(heap)
    order, position = records.order[i], records.position[i]
    if orders.state[order] in (UNKNOWN, FORGOTTEN):
        dead_letter(heap, position, NO_ORDER, records.kind[i], i, now)
        return
    valid = orders.state[order] == OPEN and orders.decided_at[order] == fields[i, F_DECISION]
    first = orders.first_line[order]
    for line in range(first, first + orders.lines[order]):
        valid &= lines.reserved[line] == lines.qty[line]
    row = orders.first_allocation[order]
    while row >= 0:
        valid &= allocations.stage[row] == OFFERED
        row = allocations.next[row]
    if valid:
        open_cursor(heap)[C_PROPOSAL] = 1
    else:
        raise_exception(heap, position, E_VOID, order, -1, -1, 0, now)


@kernel
def _lift(heap: Addresses, order: int, sign: int) -> None:
    """Give the order's stock and capacity back to the books (1), or take them again (-1)."""
    allocations = open_allocations(heap)
    lines = open_lines(heap)
    row = open_orders(heap).first_allocation[order]
    while row >= 0:
        line, qty = allocations.line[row], allocations.qty[row]
        node, day, booked = allocations.node[row], allocations.day[row], allocations.booked[row]
        lines.reserved[line] -= sign * qty
        if sign > 0:
            release(heap, lines.sku[line], node, qty)
            unbook(heap, node, day, booked)
        else:
            reinstate(heap, lines.sku[line], node, qty)
            book(heap, node, day, booked)
        row = allocations.next[row]


@kernel
def _standing_plan(heap: Addresses, order: int, n: int) -> tuple[int, int, int]:
    """Put the nodes of the plan that stands into ``pick``.

    Returns:
        How many there are, which lines each ships (see ``TOP``), and the last date told.
    """
    allocations = open_allocations(heap)
    pick = open_pick(heap)
    wants = open_wants(heap)
    row = open_orders(heap).first_allocation[order]
    size, lines, told = 0, 0, NO_TIME
    while row >= 0:
        k = 0
        while k < size and pick[k] != allocations.node[row]:
            k += 1
        if k == size:
            pick[size] = allocations.node[row]
            size += 1
        for i in range(min(n, EXACT_LINES)):
            if wants.line[i] == allocations.line[row]:
                lines |= 1 << (EXACT_LINES * k + i)
        told = max(told, allocations.promised_at[row])
        row = allocations.next[row]
    return size, lines if n <= EXACT_LINES else 0, told


@kernel
def _proposed_plan(heap: Addresses, i: int, n: int) -> tuple[int, int]:
    """Put the proposal's nodes into ``pick``; returns how many, and the lines of each.

    None are returned where a node cannot be had, or is named twice, or for lines that nobody wants.
    """
    items = open_items(heap)
    lines_of = open_lines(heap)
    pick = open_pick(heap)
    records = open_records(heap)
    seen = open_seen(heap)
    wants = open_wants(heap)
    size, lines, named = 0, 0, 0
    for j in range(records.first_line[i], records.first_line[i + 1]):
        k, node = items.qty[j], items.sku[j]
        if k >= MAX_PACKAGES or node < 0 or seen.excluded[node] != FEASIBLE:
            return 0, 0
        pick[k] = node
        size = max(size, k + 1)
        named |= np.int64(items.number[j] > 0) << k
        for w in range(min(n, EXACT_LINES)):
            if lines_of.number[wants.line[w]] == items.number[j]:
                lines |= 1 << (EXACT_LINES * k + w)
    for k in range(size):
        for other in range(k):
            if pick[k] == pick[other]:
                return 0, 0
        wanted = lines >> (EXACT_LINES * k) & EVERY_LINE
        if n <= EXACT_LINES and named >> k & 1 and not wanted:
            return 0, 0
    return size, lines if n <= EXACT_LINES else 0


@kernel
def _last_arrival(heap: Addresses, now: int) -> int:
    """When the last package of the weighed plan arrives."""
    package = open_package(heap)
    at = NO_TIME
    for k in range(open_cursor(heap)[C_PACKAGES]):
        node, _, score, day, _ = package[k]
        at = max(at, arrives_at(heap, score, node, day, now))
    return at


@kernel
def weigh_proposal(heap: Addresses, i: int, row0: int, now: int) -> None:
    """Weigh the proposal against the plan that stands, and replace it if it is better."""
    cursor = open_cursor(heap)
    orders = open_orders(heap)
    records = open_records(heap)
    terms = open_terms(heap)
    top = open_top(heap)
    order, position = records.order[i], records.position[i]
    cursor[C_PROPOSAL] = 0
    _lift(heap, order, 1)
    n, total, shared = gather_lines(heap, order, False)
    fill(top.packages, 0)
    open_green(heap).grams[0] = np.inf
    screen(heap, order, n)
    limit = 1 if orders.no_split[order] else terms.max_packages[0]
    size, lines, told = _standing_plan(heap, order, n)
    better = weigh(heap, order, row0, n, shared, size, lines, now) == total
    if better:
        offer(heap, total, lines)
    late, standing = cursor[C_LATE], open_cost(heap)[TOTAL]
    size, lines = _proposed_plan(heap, i, n)
    if better and 0 < size <= limit:
        better = weigh(heap, order, row0, n, shared, size, lines, now) == total
        better &= cursor[C_LATE] <= late and _last_arrival(heap, now) <= told
        better &= standing - open_cost(heap)[TOTAL] >= max(1, terms.saving_minor[0])
        if better:
            offer(heap, total, lines)
    else:
        better = False
    _lift(heap, order, -1)
    if not better:
        raise_exception(heap, position, E_VOID, order, -1, -1, 0, now)
        return
    withdraw_all(heap, position, order, -1, OFFERED)
    top_nodes, pick = open_top_nodes(heap), open_pick(heap)
    copy(top_nodes[0, : top.packages[0]], pick)
    gather_lines(heap, order, False)
    weigh(heap, order, row0, n, shared, top.packages[0], top.lines[0], now)
    replace_plan(heap, order, total, now, position)
