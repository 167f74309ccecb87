"""The walk: records in log order, each taking its effect on the exact books before the next is read.

The walk stops and is called again, at the very place where it stood, when it needs something that only
its caller can give: the scores of an order that nobody foresaw (a backorder whose stock arrived), room
for more effects, or the publication of stock. Whatever is remembered across such a stop is in
``.cursor``.

A record that raises available stock puts the SKU on the agenda. Before the next record the agenda is
worked: the orders waiting for the SKU are tried by priority, then age, each wholly or not at all; an
order that must wait on does not keep a younger one from units it cannot use itself.
"""

import numba
import numpy as np

from models.heap import Addresses
from models.ledger.stock import DRIFT, OVERFLOW, OVERSOLD, STALE, adjust, available, count
from models.ledger.window import is_repeated
from models.promising.calendar import roll
from models.routing.arrays import (
    Count,
    Cursor,
    Field,
    Stop,
    open_agenda,
    open_asked,
    open_clocks,
    open_counts,
    open_cursor,
    open_fields,
    open_first_row,
    open_items,
    open_records,
)
from models.routing.books import (
    add_to_agenda,
    dead_letter,
    hand_over,
    has_room,
    raise_exception,
    stop_waiting,
    unplan,
    withdraw,
    withdraw_all,
)
from models.routing.costs import open_terms
from models.routing.decide import CANCEL, REROUTE, ROUTE, decide, write_decision
from models.routing.plans import coverable, gather_lines
from models.routing.state import (
    NO_TIME,
    PRIORITIES,
    OrderState,
    open_allocations,
    open_blocked,
    open_lines,
    open_orders,
    open_queues,
    open_skus,
    open_supplies,
)
from schemas.codes import DeadLetterReason, ExceptionCode, HoldReason, PaymentState, Trigger
from schemas.kinds import Kind

(
    ORDER_RECEIVED, ORDER_AMENDED, ORDER_CANCELLED, PAYMENT_UPDATED, RETURN_RECEIVED,
    INVENTORY_COUNTED, INVENTORY_ADJUSTED, SUPPLY_PLANNED,
) = (int(k) for k in list(Kind)[:8])  # fmt: skip
WORK_REJECTED, WORK_TIMED_OUT = int(Kind.WORK_REJECTED), int(Kind.WORK_TIMED_OUT)
WORK_SHORT_PICKED, WORK_HANDED_OVER = int(Kind.WORK_SHORT_PICKED), int(Kind.WORK_HANDED_OVER)
CLOCK_TICKED = int(Kind.CLOCK_TICKED)

UNKNOWN, CANCELLED_EARLY, HELD, OPEN, CLOSED = (int(s) for s in OrderState)
CONFLICTING, NO_ORDER = (
    int(DeadLetterReason.CONFLICTING_ORDER),
    int(DeadLetterReason.UNKNOWN_ORDER),
)
NO_LINE, NO_NODE = int(DeadLetterReason.UNKNOWN_LINE), int(DeadLetterReason.UNKNOWN_NODE)
TOO_MANY, MORE_THAN_RESERVED = (
    int(DeadLetterReason.QUANTITY_OVERFLOW),
    int(DeadLetterReason.MORE_THAN_RESERVED),
)
E_REJECTED, E_TIMEOUT = int(ExceptionCode.NODE_REJECTED), int(ExceptionCode.NODE_TIMEOUT)
E_SHORT, E_OVERSELL = int(ExceptionCode.SHORT_PICK), int(ExceptionCode.OVERSELL_DETECTED)
E_DRIFT, E_DUPLICATE = int(ExceptionCode.INVENTORY_DRIFT), int(ExceptionCode.DUPLICATE_EVENT)
E_LATE, E_REGRESSION = int(ExceptionCode.LATE_EVENT), int(ExceptionCode.STATE_REGRESSION)
E_PAYMENT = int(ExceptionCode.PAYMENT_HOLD)
T_NEW, T_REJECTED, T_TIMEOUT = (
    int(Trigger.NEW_ORDER),
    int(Trigger.R_REJECTED),
    int(Trigger.R_TIMEOUT),
)
T_SHORT, T_CUSTOMER = int(Trigger.R_SHORT_PICK), int(Trigger.R_CUSTOMER_CHANGE)
T_ARRIVED, T_PAYMENT = int(Trigger.STOCK_ARRIVED), int(Trigger.PAYMENT)
NO_HOLD, AWAITING_PAYMENT = int(HoldReason.NONE), int(HoldReason.AWAITING_PAYMENT)
_PAYMENTS = list(PaymentState)
PENDING, AUTHORISED, FAILED = (
    _PAYMENTS.index(PaymentState.PENDING),
    _PAYMENTS.index(PaymentState.AUTHORISED),
    _PAYMENTS.index(PaymentState.FAILED),
)
(
    F_REGION, F_REVISION, F_CHANNEL, F_PRIORITY, F_NO_SPLIT, F_PAYMENT, F_REQUESTED, F_CARRIER,
    F_SERVICE, F_CUSTOMER, F_NODE, F_NAME, F_FLAG,
) = (int(f) for f in Field)  # fmt: skip
(
    C_RECORD, C_EFFECTS, C_STARTED, C_AGENDA_NEXT, C_AGENDA_END, C_PRIORITY, C_WAITING, C_WANTED,
    _, _, _, C_SWEEP, C_REROUTE, C_TRIGGER, C_NOW, C_LATEST,
) = (int(c) for c in Cursor)  # fmt: skip
N_LINES, N_ALLOCATIONS, _, N_SUPPLIES, N_CLOCK, N_PUBLISHED, N_ASSUMED, _ = (int(c) for c in Count)
DONE, WANTS_SCORES, OUT_OF_ROOM, PUBLISH = (int(s) for s in Stop)
BEGIN = -2
ASSUME_EVERY_US = 3_600_000_000


@numba.njit(cache=True)
def log_time(heap: Addresses, i: int) -> int:
    """Now, for the record: when it was learnt, never before the clock nor a day after it."""
    counts = open_counts(heap)
    records = open_records(heap)
    clock = counts[N_CLOCK]
    if clock == NO_TIME:
        return records.record_time[i]
    return min(max(records.record_time[i], clock), clock + 86_400_000_000)


@numba.njit(cache=True)
def _content_hash(heap: Addresses, i: int) -> np.uint64:
    """Hash of what an order says, for telling a repeat from a contradiction."""
    fields = open_fields(heap)
    items = open_items(heap)
    records = open_records(heap)
    h = np.uint64(14695981039346656037)
    prime = np.uint64(1099511628211)
    for f in range(fields.shape[1]):
        h = (h ^ np.uint64(fields[i, f])) * prime
    for j in range(records.first_line[i], records.first_line[i + 1]):
        h = (h ^ np.uint64(items.number[j])) * prime
        h = (h ^ np.uint64(items.sku[j])) * prime
        h = (h ^ np.uint64(items.qty[j])) * prime
        h = (h ^ np.uint64(items.weight_g[j])) * prime
        h = (h ^ np.uint64(items.needs[j])) * prime
        h ^= h >> np.uint64(29)
    return h


@numba.njit(cache=True)
def _write_content(heap: Addresses, i: int, now: int) -> None:
    """Give the order the content of the record; units handed over before stay handed over."""
    counts = open_counts(heap)
    fields = open_fields(heap)
    items = open_items(heap)
    lines = open_lines(heap)
    orders = open_orders(heap)
    records = open_records(heap)
    order, said = records.order[i], fields[i]
    old_first, old_count = orders.first_line[order], orders.lines[order]
    first = counts[N_LINES]
    orders.first_line[order] = first
    orders.lines[order] = records.first_line[i + 1] - records.first_line[i]
    orders.region[order], orders.revision[order] = said[F_REGION], said[F_REVISION]
    orders.channel[order], orders.priority[order] = said[F_CHANNEL], said[F_PRIORITY]
    orders.no_split[order], orders.requested_by[order] = said[F_NO_SPLIT], said[F_REQUESTED]
    orders.carrier[order], orders.service[order] = said[F_CARRIER], said[F_SERVICE]
    orders.customer[order], orders.content[order] = said[F_CUSTOMER], _content_hash(heap, i)
    orders.touched_at[order] = now
    for j in range(records.first_line[i], records.first_line[i + 1]):
        line = counts[N_LINES]
        counts[N_LINES] += 1
        lines.order[line], lines.number[line] = order, items.number[j]
        lines.sku[line], lines.qty[line] = items.sku[j], items.qty[j]
        lines.needs[line], lines.weight_g[line] = items.needs[j], items.weight_g[j]
        lines.reserved[line], lines.consumed[line], lines.waiting[line] = 0, 0, 0
        lines.previous_waiting[line], lines.next_waiting[line] = -1, -1
        for old in range(old_first, old_first + old_count):
            if lines.number[old] == items.number[j] and lines.consumed[old] > 0:
                lines.consumed[line] = lines.consumed[old]
                lines.qty[line] = max(lines.qty[line], lines.consumed[old])
                lines.consumed[old] = 0
    for old in range(old_first, old_first + old_count):
        lines.order[old] = -1


@numba.njit(cache=True)
def _stop_all_waiting(heap: Addresses, order: int) -> None:
    orders = open_orders(heap)
    first = orders.first_line[order]
    for line in range(first, first + orders.lines[order]):
        stop_waiting(heap, line)


@numba.njit(cache=True)
def _close(heap: Addresses, position: int, order: int, trigger: int, now: int) -> None:
    """Cancel everything that has not been handed over."""
    lines = open_lines(heap)
    orders = open_orders(heap)
    _stop_all_waiting(heap, order)
    withdraw_all(heap, position, order, -1)
    first = orders.first_line[order]
    for line in range(first, first + orders.lines[order]):
        lines.qty[line] = lines.consumed[line]
    orders.state[order], orders.touched_at[order] = CLOSED, now
    write_decision(heap, position, order, CANCEL, trigger, NO_HOLD, now)


@numba.njit(cache=True)
def _receive(heap: Addresses, i: int, now: int) -> None:
    """An order arrived or was amended: the highest revision stands."""
    fields = open_fields(heap)
    first_row = open_first_row(heap)
    orders = open_orders(heap)
    records = open_records(heap)
    order, position = records.order[i], records.position[i]
    state, revision = orders.state[order], fields[i, F_REVISION]
    if state == CANCELLED_EARLY:
        _write_content(heap, i, now)
        _close(heap, position, order, T_CUSTOMER, now)
        return
    if state != UNKNOWN:
        if revision < orders.revision[order]:
            raise_exception(heap, position, E_LATE, order, -1, -1, 0, now)
            return
        if revision == orders.revision[order]:
            if orders.content[order] == _content_hash(heap, i):
                raise_exception(heap, position, E_DUPLICATE, order, -1, -1, 0, now)
            else:
                dead_letter(heap, position, CONFLICTING, records.kind[i], i, now)
            return
        if state == CLOSED:
            raise_exception(heap, position, E_REGRESSION, order, -1, -1, 0, now)
            return
        _stop_all_waiting(heap, order)
        withdraw_all(heap, position, order, -1)
    _write_content(heap, i, now)
    payment = fields[i, F_PAYMENT]
    if payment == PENDING:
        orders.state[order] = HELD
        kind = ROUTE if state == UNKNOWN else REROUTE
        write_decision(heap, position, order, kind, T_NEW, AWAITING_PAYMENT, now)
    elif payment == FAILED:
        _close(heap, position, order, T_PAYMENT, now)
    else:
        kind, trigger = (ROUTE, T_NEW) if state == UNKNOWN else (REROUTE, T_CUSTOMER)
        row0 = first_row[i]
        decide(heap, order, row0, now, position, trigger, kind, False)


@numba.njit(cache=True)
def _cancel_units(heap: Addresses, position: int, line: int, qty: int) -> None:
    """Take units off a line: unserved ones first, then waiting ones, then the latest reserved."""
    allocations = open_allocations(heap)
    lines = open_lines(heap)
    orders = open_orders(heap)
    order = lines.order[line]
    lines.qty[line] -= qty
    lacking = lines.qty[line] + qty - lines.reserved[line] - lines.consumed[line]
    unserved = lacking - lines.waiting[line]
    qty -= min(qty, unserved)
    if qty > 0 and lines.waiting[line] > 0:
        gone = min(qty, lines.waiting[line])
        if gone == lines.waiting[line]:
            stop_waiting(heap, line)
        else:
            lines.waiting[line] -= gone
        _unplan_units(heap, position, line, gone)
        qty -= gone
    row = orders.first_allocation[order]
    while row >= 0 and qty > 0:
        following = allocations.next[row]
        if allocations.line[row] == line and allocations.supply[row] < 0:
            gone = min(qty, allocations.qty[row])
            withdraw(heap, position, row, gone)
            qty -= gone
        row = following


@numba.njit(cache=True)
def _unplan_units(heap: Addresses, position: int, line: int, qty: int) -> None:
    allocations = open_allocations(heap)
    lines = open_lines(heap)
    orders = open_orders(heap)
    row = orders.first_allocation[lines.order[line]]
    while row >= 0 and qty > 0:
        following = allocations.next[row]
        if allocations.line[row] == line and allocations.supply[row] >= 0:
            gone = min(qty, allocations.qty[row])
            withdraw(heap, position, row, gone)
            qty -= gone
        row = following


@numba.njit(cache=True)
def _cancel(heap: Addresses, i: int, now: int) -> None:
    """The customer cancels all or part of an order."""
    fields = open_fields(heap)
    items = open_items(heap)
    lines = open_lines(heap)
    orders = open_orders(heap)
    records = open_records(heap)
    order, position, kind = records.order[i], records.position[i], records.kind[i]
    state, whole = orders.state[order], fields[i, F_FLAG]
    if state in (UNKNOWN, CANCELLED_EARLY):
        if whole:
            orders.state[order], orders.touched_at[order] = CANCELLED_EARLY, now
        else:
            dead_letter(heap, position, NO_ORDER, kind, i, now)
        return
    if state == CLOSED:
        raise_exception(heap, position, E_REGRESSION, order, -1, -1, 0, now)
        return
    if whole:
        _close(heap, position, order, T_CUSTOMER, now)
        return
    first, found = orders.first_line[order], False
    for j in range(records.first_line[i], records.first_line[i + 1]):
        for line in range(first, first + orders.lines[order]):
            if lines.number[line] == items.number[j]:
                found = True
                open_units = lines.qty[line] - lines.consumed[line]
                if items.qty[j] > open_units:
                    lacks = items.qty[j] - open_units
                    sku = lines.sku[line]
                    raise_exception(heap, position, E_REGRESSION, order, -1, sku, lacks, now)
                gone = min(open_units, items.qty[j])
                if gone > 0:
                    _cancel_units(heap, position, line, gone)
                break
    if not found:
        dead_letter(heap, position, NO_LINE, kind, i, now)
        return
    for line in range(first, first + orders.lines[order]):
        if lines.waiting[line] > 0:  # what waits is less now, so there may be enough of it
            add_to_agenda(heap, lines.sku[line])
    _settle(heap, order, now)
    hold = AWAITING_PAYMENT if orders.state[order] == HELD else NO_HOLD
    write_decision(heap, position, order, CANCEL, T_CUSTOMER, hold, now)


@numba.njit(cache=True)
def _settle(heap: Addresses, order: int, now: int) -> None:
    """Close the order if nothing of it is open any more."""
    lines = open_lines(heap)
    orders = open_orders(heap)
    first = orders.first_line[order]
    orders.touched_at[order] = now
    for line in range(first, first + orders.lines[order]):
        if lines.qty[line] > lines.consumed[line]:
            return
    orders.state[order] = CLOSED


@numba.njit(cache=True)
def _report_stock(
    heap: Addresses, position: int, result: int, node: int, sku: int, qty: int, now: int
) -> None:
    """The exception that a count or an adjustment calls for, if any."""
    if result == STALE:
        raise_exception(heap, position, E_LATE, -1, node, sku, qty, now)
    elif result == DRIFT:
        raise_exception(heap, position, E_DRIFT, -1, node, sku, qty, now)
    elif result == OVERSOLD:
        raise_exception(heap, position, E_OVERSELL, -1, node, sku, qty, now)


@numba.njit(cache=True)
def _fulfil_supply(heap: Addresses, sku: int, node: int, name: int, qty: int) -> None:
    skus = open_skus(heap)
    supplies = open_supplies(heap)
    supply = skus.first_supply[sku]
    while supply >= 0:
        if supplies.name[supply] == name and supplies.node[supply] == node:
            supplies.qty[supply] = max(0, supplies.qty[supply] - qty)
        supply = supplies.next[supply]


@numba.njit(cache=True)
def _stock_changed(heap: Addresses, i: int, now: int) -> None:
    """A count, an adjustment or a return."""
    fields = open_fields(heap)
    items = open_items(heap)
    records = open_records(heap)
    node, position, kind = fields[i, F_NODE], records.position[i], records.kind[i]
    if node < 0:
        dead_letter(heap, position, NO_NODE, kind, i, now)
        return
    for j in range(records.first_line[i], records.first_line[i + 1]):
        sku, qty, at = items.sku[j], items.qty[j], records.event_time[i]
        before = available(heap, sku, node)
        if kind == INVENTORY_COUNTED:
            result = count(heap, sku, node, qty, items.safety[j], at)
        elif kind == RETURN_RECEIVED and not items.safety[j]:
            continue
        else:
            result = adjust(heap, sku, node, qty, at)
            if qty > 0 and fields[i, F_NAME] >= 0:
                _fulfil_supply(heap, sku, node, fields[i, F_NAME], qty)
        if result == OVERFLOW:
            dead_letter(heap, position, TOO_MANY, kind, i, now)
            continue
        _report_stock(heap, position, result, node, sku, qty, now)
        if available(heap, sku, node) > before:
            add_to_agenda(heap, sku)


@numba.njit(cache=True)
def _chain_supply(heap: Addresses, supply: int) -> None:
    """Insert by due time; of two due together the one announced first."""
    skus = open_skus(heap)
    supplies = open_supplies(heap)
    sku, due = supplies.sku[supply], supplies.due_at[supply]
    before, at = -1, skus.first_supply[sku]
    while at >= 0 and supplies.due_at[at] <= due:
        before, at = at, supplies.next[at]
    supplies.next[supply] = at
    if before < 0:
        skus.first_supply[sku] = supply
    else:
        supplies.next[before] = supply


@numba.njit(cache=True)
def _unchain_supply(heap: Addresses, supply: int) -> None:
    skus = open_skus(heap)
    supplies = open_supplies(heap)
    sku = supplies.sku[supply]
    at = skus.first_supply[sku]
    if at == supply:
        skus.first_supply[sku] = supplies.next[supply]
        return
    while supplies.next[at] != supply:
        at = supplies.next[at]
    supplies.next[at] = supplies.next[supply]


@numba.njit(cache=True)
def _plan(heap: Addresses, i: int, now: int) -> None:
    """Supply was planned, planned anew or withdrawn."""
    counts = open_counts(heap)
    fields = open_fields(heap)
    items = open_items(heap)
    records = open_records(heap)
    skus = open_skus(heap)
    supplies = open_supplies(heap)
    node, name = fields[i, F_NODE], fields[i, F_NAME]
    if node < 0:
        dead_letter(heap, records.position[i], NO_NODE, records.kind[i], i, now)
        return
    for j in range(records.first_line[i], records.first_line[i + 1]):
        sku = items.sku[j]
        at = skus.first_supply[sku]
        while at >= 0 and (supplies.name[at] != name or supplies.node[at] != node):
            at = supplies.next[at]
        if at >= 0:
            _unchain_supply(heap, at)
        else:
            at = counts[N_SUPPLIES]
            counts[N_SUPPLIES] += 1
            supplies.sku[at], supplies.node[at] = sku, node
            supplies.name[at], supplies.promised[at] = name, 0
        supplies.qty[at] = items.qty[j]
        supplies.due_at[at] = fields[i, F_REQUESTED]
        _chain_supply(heap, at)


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
def _work(heap: Addresses, i: int, now: int) -> None:
    """A node handed over, rejected, let time pass or came up short."""
    allocations = open_allocations(heap)
    blocked = open_blocked(heap)
    cursor = open_cursor(heap)
    fields = open_fields(heap)
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
    moved = 0
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
                    _report_stock(heap, position, result, node, sku, qty, now)
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
        _settle(heap, order, now)
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


@numba.njit(cache=True)
def _pay(heap: Addresses, i: int, now: int) -> None:
    """Payment was authorised (route the order at last) or failed (cancel it)."""
    cursor = open_cursor(heap)
    fields = open_fields(heap)
    orders = open_orders(heap)
    records = open_records(heap)
    order, payment = records.order[i], fields[i, F_PAYMENT]
    state, position = orders.state[order], records.position[i]
    if state in (UNKNOWN, CANCELLED_EARLY):
        dead_letter(heap, position, NO_ORDER, records.kind[i], i, now)
    elif payment == AUTHORISED and state == HELD:
        cursor[C_REROUTE], cursor[C_TRIGGER] = order, T_PAYMENT
    elif payment == FAILED and state in (HELD, OPEN):
        raise_exception(heap, position, E_PAYMENT, order, -1, -1, 0, now)
        _close(heap, position, order, T_PAYMENT, now)


@numba.njit(cache=True)
def _tick(heap: Addresses, i: int) -> None:
    """The clock is the minimum over the ingest processes that are not retired; it never goes back."""
    clocks = open_clocks(heap)
    counts = open_counts(heap)
    fields = open_fields(heap)
    source = fields[i, F_NAME]
    retired = fields[i, F_FLAG] != 0
    said = fields[i, F_REQUESTED]
    lowest, known = np.int64(0), False
    clocks[source] = NO_TIME if retired else max(clocks[source], said)
    for k in range(len(clocks)):
        if clocks[k] != NO_TIME and (not known or clocks[k] < lowest):
            lowest, known = clocks[k], True
    if known:
        counts[N_CLOCK] = max(counts[N_CLOCK], lowest)


@numba.njit(cache=True)
def _assume_handed_over(heap: Addresses, position: int, now: int) -> bool:
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
                _report_stock(heap, position, result, node, sku, qty, now)
                _settle(heap, order, now)
        cursor[C_SWEEP] += 1
    cursor[C_SWEEP] = 0
    counts[N_ASSUMED] = clock
    return True


@numba.njit(cache=True)
def _row_of(heap: Addresses, order: int) -> int:
    """First row of an order scored on demand, -1 if it was not."""
    asked = open_asked(heap)
    for k in range(len(asked)):
        if asked[k, 0] == order:
            return asked[k, 1]
    return -1


@numba.njit(cache=True)
def _forget_scores(heap: Addresses) -> None:
    """Scores on demand hold for the record that wanted them: a later one asks again."""
    asked = open_asked(heap)
    cursor = open_cursor(heap)
    if cursor[C_WANTED] >= 0:
        for k in range(len(asked)):
            asked[k, 0] = -1
        cursor[C_WANTED] = -1


@numba.njit(cache=True)
def _work_agenda(heap: Addresses, position: int, now: int) -> int:
    """Try the orders that wait for SKUs on the agenda."""
    agenda = open_agenda(heap)
    cursor = open_cursor(heap)
    lines = open_lines(heap)
    queues = open_queues(heap)
    skus = open_skus(heap)
    while cursor[C_AGENDA_NEXT] < cursor[C_AGENDA_END]:
        sku = agenda[cursor[C_AGENDA_NEXT]]
        while cursor[C_PRIORITY] >= 0:
            if cursor[C_WAITING] == BEGIN:
                cursor[C_WAITING] = queues.first[sku, cursor[C_PRIORITY]]
            while cursor[C_WAITING] >= 0:
                line = cursor[C_WAITING]
                order, following = lines.order[line], lines.next_waiting[line]
                n, _, _ = gather_lines(heap, order, True)
                if coverable(heap, order, n):
                    row0 = _row_of(heap, order)
                    if row0 < 0:
                        cursor[C_WANTED] = order
                        return WANTS_SCORES
                    if not has_room(heap, n):
                        return OUT_OF_ROOM
                    # A sibling line of the same SKU may be next: it leaves the queue as well.
                    while following >= 0 and lines.order[following] == order:
                        following = lines.next_waiting[following]
                    decide(heap, order, row0, now, position, T_ARRIVED, ROUTE, True)
                cursor[C_WAITING] = following
            cursor[C_WAITING] = BEGIN
            cursor[C_PRIORITY] -= 1
        skus.in_agenda[sku] = 0
        cursor[C_PRIORITY] = PRIORITIES - 1
        cursor[C_AGENDA_NEXT] += 1
    cursor[C_AGENDA_NEXT], cursor[C_AGENDA_END] = 0, 0
    return DONE


@numba.njit(cache=True)
def _apply(heap: Addresses, i: int, now: int) -> None:
    """What one record does by itself."""
    records = open_records(heap)
    kind = records.kind[i]
    if kind in (ORDER_RECEIVED, ORDER_AMENDED):
        _receive(heap, i, now)
    elif kind == CLOCK_TICKED:
        _tick(heap, i)
    elif kind == ORDER_CANCELLED:
        _cancel(heap, i, now)
    elif kind in (INVENTORY_COUNTED, INVENTORY_ADJUSTED, RETURN_RECEIVED):
        _stock_changed(heap, i, now)
    elif kind == SUPPLY_PLANNED:
        _plan(heap, i, now)
    elif kind == PAYMENT_UPDATED:
        _pay(heap, i, now)
    elif kind in (WORK_REJECTED, WORK_TIMED_OUT, WORK_SHORT_PICKED, WORK_HANDED_OVER):
        _work(heap, i, now)


@numba.njit(cache=True)
def _lines_at_stake(heap: Addresses, i: int) -> int:
    """A bound on the lines that the record itself can move."""
    allocations = open_allocations(heap)
    orders = open_orders(heap)
    records = open_records(heap)
    lines = records.first_line[i + 1] - records.first_line[i]
    if records.order[i] >= 0:
        lines += orders.lines[records.order[i]]
        row = orders.first_allocation[records.order[i]]
        while row >= 0:
            lines += 1
            row = allocations.next[row]
    return lines


@numba.njit(cache=True)
def _reroute(heap: Addresses, position: int, now: int) -> int:
    """Decide again the order that the record freed, if it freed one."""
    cursor = open_cursor(heap)
    orders = open_orders(heap)
    order = cursor[C_REROUTE]
    if order < 0:
        return DONE
    row0 = _row_of(heap, order)
    if row0 < 0:
        cursor[C_WANTED] = order
        return WANTS_SCORES
    if not has_room(heap, orders.lines[order]):
        return OUT_OF_ROOM
    trigger = cursor[C_TRIGGER]
    kind = ROUTE if trigger == T_PAYMENT else REROUTE
    _stop_all_waiting(heap, order)
    unplan(heap, position, order)
    decide(heap, order, row0, now, position, trigger, kind, False)
    cursor[C_REROUTE] = -1
    return DONE


@numba.njit(cache=True)
def _deadlines(heap: Addresses, position: int, now: int) -> int:
    """What the passing of time brings about, after a tick."""
    counts = open_counts(heap)
    terms = open_terms(heap)
    clock = counts[N_CLOCK]
    if clock == NO_TIME:
        return DONE
    if terms.assume_us[0] > 0 and clock - counts[N_ASSUMED] >= ASSUME_EVERY_US:
        if not _assume_handed_over(heap, position, now):
            return OUT_OF_ROOM
    if clock // terms.publish_us[0] > counts[N_PUBLISHED] // terms.publish_us[0]:
        return PUBLISH
    return DONE


@numba.njit(cache=True)
def walk(heap: Addresses, stop: int) -> int:
    """Take records from the cursor up to ``stop`` (exclusive); see ``Stop`` for what is returned."""
    cursor = open_cursor(heap)
    records = open_records(heap)
    terms = open_terms(heap)
    while cursor[C_RECORD] < stop:
        i = cursor[C_RECORD]
        position = records.position[i]
        if not cursor[C_STARTED]:
            cursor[C_NOW] = log_time(heap, i)
        now = cursor[C_NOW]
        if not cursor[C_STARTED]:
            if not has_room(heap, _lines_at_stake(heap, i)):
                return OUT_OF_ROOM
            roll(heap, now)
            if not is_repeated(
                heap, records.key_a[i], records.key_b[i], now,
                terms.dedupe_us[0], terms.dedupe_max[0],
            ):  # fmt: skip
                _apply(heap, i, now)
            cursor[C_STARTED] = 1
            cursor[C_LATEST] = max(cursor[C_LATEST], now)
        stopped = _reroute(heap, position, now)
        if stopped == DONE:
            stopped = _work_agenda(heap, position, now)
        if stopped == DONE and records.kind[i] == CLOCK_TICKED:
            stopped = _deadlines(heap, position, now)
        if stopped != DONE:
            return stopped
        _forget_scores(heap)
        cursor[C_STARTED], cursor[C_EFFECTS] = 0, 0
        cursor[C_RECORD] += 1
    return DONE
