"""What customers say: orders received, amended, cancelled and paid."""

import numpy as np

from models.heap import Addresses
from models.intake.columns import NO_TIME
from models.jit import kernel
from models.routing.arrays import (
    open_counts,
    open_fields,
    open_first_row,
    open_items,
    open_records,
)
from models.routing.books import (
    add_to_agenda,
    ask_again,
    dead_letter,
    raise_exception,
    stop_all_waiting,
    stop_waiting,
    withdraw,
    withdraw_all,
)
from models.routing.codes import (
    AUTHORISED,
    AWAITING_PAYMENT,
    CANCELLED_EARLY,
    CLOSED,
    CONFLICTING,
    E_DUPLICATE,
    E_LATE,
    E_PAYMENT,
    E_REGRESSION,
    F_CARRIER,
    F_CHANNEL,
    F_CURRENCY,
    F_CUSTOMER,
    F_FLAG,
    F_NO_SPLIT,
    F_PAYMENT,
    F_PRIORITY,
    F_REGION,
    F_REQUESTED,
    F_REQUESTED_FROM,
    F_REVISION,
    F_SERVICE,
    F_TIER,
    F_TOKEN,
    F_VALUE,
    F_WANTS,
    FAILED,
    FORGOTTEN,
    HELD,
    N_LINES,
    NO_HOLD,
    NO_LINE,
    NO_ORDER,
    OPEN,
    PACKED,
    PENDING,
    T_CUSTOMER,
    T_NEW,
    T_PAYMENT,
    UNKNOWN,
)
from models.routing.decide import CANCEL, REROUTE, ROUTE, decide, write_decision
from models.routing.state import open_allocations, open_lines, open_orders


@kernel
def _content_hash(heap: Addresses, i: int, revision: int, payment: int) -> np.uint64:
    """Hash of what an order says but for these two: tells a repeat from a contradiction or a change."""
    fields = open_fields(heap)
    items = open_items(heap)
    records = open_records(heap)
    h = np.uint64(14695981039346656037)
    prime = np.uint64(1099511628211)
    for f in range(F_TOKEN):
        said = fields[i, f]
        if f == F_REVISION:
            said = revision
        elif f == F_PAYMENT:
            said = payment
        h = (h ^ np.uint64(said)) * prime
    for j in range(records.first_line[i], records.first_line[i + 1]):
        h = (h ^ np.uint64(items.number[j])) * prime
        h = (h ^ np.uint64(items.sku[j])) * prime
        h = (h ^ np.uint64(items.qty[j])) * prime
        h = (h ^ np.uint64(items.weight_g[j])) * prime
        h = (h ^ np.uint64(items.volume_cm3[j])) * prime
        h = (h ^ np.uint64(items.needs[j])) * prime
        h ^= h >> np.uint64(29)
    return h


@kernel
def _keep_consumed(heap: Addresses, order: int, old_first: int, old_count: int) -> None:
    """What was handed over stays handed over: on the line that says the same, or on its old line."""
    counts = open_counts(heap)
    lines = open_lines(heap)
    orders = open_orders(heap)
    first, said = orders.first_line[order], orders.lines[order]
    for old in range(old_first, old_first + old_count):
        lines.order[old] = -1
        gone = lines.consumed[old]
        if gone == 0:
            continue
        line = first
        while line < first + said and (
            lines.number[line] != lines.number[old] or lines.sku[line] != lines.sku[old]
        ):
            line += 1
        if line == first + said:
            line = counts[N_LINES]
            counts[N_LINES] += 1
            orders.lines[order] += 1
            lines.order[line], lines.number[line] = order, lines.number[old]
            lines.sku[line], lines.needs[line] = lines.sku[old], lines.needs[old]
            lines.qty[line], lines.weight_g[line] = 0, lines.weight_g[old]
            lines.volume_cm3[line] = lines.volume_cm3[old]
            lines.reserved[line], lines.consumed[line], lines.waiting[line] = 0, 0, 0
            lines.previous_waiting[line], lines.next_waiting[line] = -1, -1
        lines.consumed[line] += gone
        lines.qty[line] = max(lines.qty[line], lines.consumed[line])


@kernel
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
    orders.customer[order] = said[F_CUSTOMER]
    orders.content[order] = _content_hash(heap, i, said[F_REVISION], said[F_PAYMENT])
    orders.tier[order], orders.value_minor[order] = said[F_TIER], said[F_VALUE]
    orders.token[order], orders.currency[order] = said[F_TOKEN], said[F_CURRENCY]
    orders.wants[order] = said[F_WANTS]
    orders.requested_from[order], orders.first_promise[order] = said[F_REQUESTED_FROM], NO_TIME
    orders.hold[order], orders.attempts[order], orders.pinned[order] = NO_HOLD, 0, -1
    orders.touched_at[order] = now
    for j in range(records.first_line[i], records.first_line[i + 1]):
        line = counts[N_LINES]
        counts[N_LINES] += 1
        lines.order[line], lines.number[line] = order, items.number[j]
        lines.sku[line], lines.qty[line] = items.sku[j], items.qty[j]
        lines.needs[line], lines.weight_g[line] = items.needs[j], items.weight_g[j]
        lines.volume_cm3[line] = items.volume_cm3[j]
        lines.reserved[line], lines.consumed[line], lines.waiting[line] = 0, 0, 0
        lines.previous_waiting[line], lines.next_waiting[line] = -1, -1
    _keep_consumed(heap, order, old_first, old_count)


@kernel
def close(heap: Addresses, position: int, order: int, trigger: int, now: int) -> None:
    """Cancel everything that has not been handed over."""
    lines = open_lines(heap)
    orders = open_orders(heap)
    stop_all_waiting(heap, order)
    withdraw_all(heap, position, order, -1, PACKED)
    first = orders.first_line[order]
    for line in range(first, first + orders.lines[order]):
        lines.qty[line] = lines.consumed[line]
    orders.state[order], orders.touched_at[order] = CLOSED, now
    write_decision(heap, position, order, CANCEL, trigger, NO_HOLD, now)


@kernel
def _settle_payment(heap: Addresses, order: int, position: int, payment: int, now: int) -> None:
    """Route a known order that waits for its payment, or cancel what is not paid for."""
    orders = open_orders(heap)
    state = orders.state[order]
    if payment == AUTHORISED and state == HELD and orders.hold[order] == AWAITING_PAYMENT:
        ask_again(heap, order, T_PAYMENT)
    elif payment == FAILED and state in (HELD, OPEN):
        raise_exception(heap, position, E_PAYMENT, order, -1, -1, 0, now)
        close(heap, position, order, T_PAYMENT, now)


@kernel
def _is_as_known(heap: Addresses, i: int) -> bool:
    """Whether a record says what is known of its order already, whatever revision it calls that."""
    fields = open_fields(heap)
    orders = open_orders(heap)
    order = open_records(heap).order[i]
    known = _content_hash(heap, i, orders.revision[order], fields[i, F_PAYMENT])
    return orders.content[order] == known and orders.token[order] == fields[i, F_TOKEN]


@kernel
def _receive_again(heap: Addresses, i: int, now: int) -> None:
    """A revision came once more: the first stands, but for a payment that was pending, in whatever order.

    Shops number revisions by the second, and many an order is made and paid for in one.
    """
    fields = open_fields(heap)
    orders = open_orders(heap)
    records = open_records(heap)
    order, position, revision = records.order[i], records.position[i], fields[i, F_REVISION]
    known, payment = orders.content[order], fields[i, F_PAYMENT]
    if known == _content_hash(heap, i, revision, payment):
        raise_exception(heap, position, E_DUPLICATE, order, -1, -1, 0, now)
    elif known == _content_hash(heap, i, revision, PENDING):
        orders.content[order] = _content_hash(heap, i, revision, payment)
        _settle_payment(heap, order, position, payment, now)
    elif payment == PENDING and (
        known == _content_hash(heap, i, revision, AUTHORISED)
        or known == _content_hash(heap, i, revision, FAILED)
    ):
        raise_exception(heap, position, E_LATE, order, -1, -1, 0, now)
    else:
        dead_letter(heap, position, CONFLICTING, records.kind[i], i, now)


@kernel
def _is_forgotten(heap: Addresses, i: int, now: int) -> bool:
    """Whether the record's order was closed so long ago that only its id is known; says so."""
    records = open_records(heap)
    order = records.order[i]
    if open_orders(heap).state[order] != FORGOTTEN:
        return False
    raise_exception(heap, records.position[i], E_LATE, order, -1, -1, 0, now)
    return True


@kernel
def receive(heap: Addresses, i: int, now: int) -> None:
    """An order arrived or was amended: the highest revision stands.

    Shops call a note or a tag a new revision too: what says nothing new raises the revision and no more.
    """
    fields = open_fields(heap)
    first_row = open_first_row(heap)
    orders = open_orders(heap)
    records = open_records(heap)
    order, position = records.order[i], records.position[i]
    state, revision = orders.state[order], fields[i, F_REVISION]
    if _is_forgotten(heap, i, now):
        return
    if state == CANCELLED_EARLY:
        _write_content(heap, i, now)
        close(heap, position, order, T_CUSTOMER, now)
        return
    if state != UNKNOWN:
        if revision < orders.revision[order]:
            raise_exception(heap, position, E_LATE, order, -1, -1, 0, now)
            return
        if revision == orders.revision[order]:
            _receive_again(heap, i, now)
            return
        if _is_as_known(heap, i):
            orders.revision[order] = revision
            orders.content[order] = _content_hash(heap, i, revision, fields[i, F_PAYMENT])
            return
        if state == CLOSED:
            raise_exception(heap, position, E_REGRESSION, order, -1, -1, 0, now)
            return
        stop_all_waiting(heap, order)
        withdraw_all(heap, position, order, -1, PACKED)
    _write_content(heap, i, now)
    payment = fields[i, F_PAYMENT]
    if payment == PENDING:
        orders.state[order] = HELD
        kind = ROUTE if state == UNKNOWN else REROUTE
        write_decision(heap, position, order, kind, T_NEW, AWAITING_PAYMENT, now)
    elif payment == FAILED:
        close(heap, position, order, T_PAYMENT, now)
    else:
        kind, trigger = (ROUTE, T_NEW) if state == UNKNOWN else (REROUTE, T_CUSTOMER)
        row0 = first_row[i]
        decide(heap, order, row0, now, position, trigger, kind, False)


@kernel
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


@kernel
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


@kernel
def cancel(heap: Addresses, i: int, now: int) -> None:
    """The customer cancels all or part of an order."""
    fields = open_fields(heap)
    items = open_items(heap)
    lines = open_lines(heap)
    orders = open_orders(heap)
    records = open_records(heap)
    order, position, kind = records.order[i], records.position[i], records.kind[i]
    state, whole = orders.state[order], fields[i, F_FLAG]
    if _is_forgotten(heap, i, now):
        return
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
        close(heap, position, order, T_CUSTOMER, now)
        return
    first, found, unknown = orders.first_line[order], 0, 0
    for j in range(records.first_line[i], records.first_line[i + 1]):
        before = found
        for line in range(first, first + orders.lines[order]):
            if lines.number[line] == items.number[j]:
                found += 1
                open_units = lines.qty[line] - lines.consumed[line]
                if items.qty[j] > open_units:
                    lacks = items.qty[j] - open_units
                    sku = lines.sku[line]
                    raise_exception(heap, position, E_REGRESSION, order, -1, sku, lacks, now)
                gone = min(open_units, items.qty[j])
                if gone > 0:
                    _cancel_units(heap, position, line, gone)
                break
        if found == before:
            unknown += items.qty[j]
    if not found:
        dead_letter(heap, position, NO_LINE, kind, i, now)
        return
    if unknown > 0:
        raise_exception(heap, position, E_REGRESSION, order, -1, -1, unknown, now)
    for line in range(first, first + orders.lines[order]):
        if lines.waiting[line] > 0:  # what waits is less now, so there may be enough of it
            add_to_agenda(heap, lines.sku[line])
    settle(heap, order, now)
    hold = orders.hold[order] if orders.state[order] == HELD else NO_HOLD
    write_decision(heap, position, order, CANCEL, T_CUSTOMER, hold, now)


@kernel
def settle(heap: Addresses, order: int, now: int) -> None:
    """Close the order if nothing of it is open any more."""
    lines = open_lines(heap)
    orders = open_orders(heap)
    first = orders.first_line[order]
    orders.touched_at[order] = now
    for line in range(first, first + orders.lines[order]):
        if lines.qty[line] > lines.consumed[line]:
            return
    orders.state[order] = CLOSED


@kernel
def take_payment(heap: Addresses, i: int, now: int) -> None:
    """Payment was authorised (route the order at last) or failed (cancel it)."""
    fields = open_fields(heap)
    orders = open_orders(heap)
    records = open_records(heap)
    order, payment = records.order[i], fields[i, F_PAYMENT]
    state, position = orders.state[order], records.position[i]
    if _is_forgotten(heap, i, now):
        return
    if state in (UNKNOWN, CANCELLED_EARLY):
        dead_letter(heap, position, NO_ORDER, records.kind[i], i, now)
    else:
        _settle_payment(heap, order, position, payment, now)
