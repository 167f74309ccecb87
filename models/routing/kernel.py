"""The walk: records in log order, each taking its effect on the exact books before the next is read.

The walk stops and is called again, at the very place where it stood, when it needs something that only
its caller can give: the scores of an order that nobody foresaw (a backorder whose stock arrived), room
for more effects, or the publication of stock. Whatever is remembered across such a stop is in
``.cursor``.

A record that raises available stock puts the SKU on the agenda. Before the next record the agenda is
worked: the orders waiting for the SKU are tried by priority, then age, each wholly or not at all; an
order that must wait on does not keep a younger one from units it cannot use itself.
"""

from models.heap import Addresses
from models.intake.columns import NO_TIME
from models.jit import kernel
from models.ledger.stock import fetch_stock
from models.ledger.window import fetch_key, is_repeated
from models.promising.calendar import roll
from models.routing.arrays import (
    open_again,
    open_agenda,
    open_asked,
    open_counts,
    open_cursor,
    open_items,
    open_records,
)
from models.routing.books import has_room, rows_of, stop_all_waiting, unplan, withdraw_all
from models.routing.candidates import coverable, gather_lines
from models.routing.codes import (
    C_AGAIN,
    C_AGENDA_END,
    C_AGENDA_NEXT,
    C_EFFECTS,
    C_LATEST,
    C_NOW,
    C_PRIORITY,
    C_PROPOSAL,
    C_RECORD,
    C_STARTED,
    C_WAITING,
    C_WANTED,
    CAPACITY_SET,
    CLOCK_TICKED,
    DONE,
    FORGOTTEN,
    HELD,
    INVENTORY_ADJUSTED,
    INVENTORY_COUNTED,
    LANE_SET,
    N_ASSUMED,
    N_CLOCK,
    N_LINES,
    N_PUBLISHED,
    NODE_SET,
    ORDER_AMENDED,
    ORDER_CANCELLED,
    ORDER_RECEIVED,
    OUT_OF_LINES,
    OUT_OF_ROOM,
    PACKED,
    PAYMENT_UPDATED,
    PLAN_PROPOSED,
    PUBLISH,
    REPEATED_REJECTION,
    REROUTE_REQUESTED,
    RETURN_RECEIVED,
    REVIEW_DECIDED,
    SUPPLY_PLANNED,
    T_ARRIVED,
    T_PAYMENT,
    T_REJECTED,
    T_SHORT,
    T_TIMEOUT,
    WANTS_SCORES,
    WORK_ACCEPTED,
    WORK_HANDED_OVER,
    WORK_PACKED,
    WORK_PICKED,
    WORK_REJECTED,
    WORK_SHORT_PICKED,
    WORK_TIMED_OUT,
)
from models.routing.costs import open_terms
from models.routing.decide import REROUTE, ROUTE, decide, write_decision
from models.routing.orders import cancel, receive, take_payment
from models.routing.recalls import look_for_silence, take_back
from models.routing.state import (
    PRIORITIES,
    open_allocations,
    open_lines,
    open_orders,
    open_queues,
    open_skus,
)
from models.routing.supplies import change_stock, plan_ahead
from models.routing.wishes import decide_anew, propose, review, weigh_proposal
from models.routing.work import assume_handed_over, note_progress, take_work

BEGIN = -2
ASSUME_EVERY_US = 3_600_000_000
AHEAD = 8  # records


@kernel
def log_time(heap: Addresses, i: int) -> int:
    """Now, for the record: when it was learnt, never before the clock nor a day after it."""
    records = open_records(heap)
    clock = records.clock[i]
    if clock == NO_TIME:
        return records.record_time[i]
    return min(max(records.record_time[i], clock), clock + 86_400_000_000)


@kernel
def _row_of(heap: Addresses, order: int) -> int:
    """First row of an order scored on demand, -1 if it was not."""
    asked = open_asked(heap)
    for k in range(len(asked)):
        if asked[k, 0] == order:
            return asked[k, 1]
    return -1


@kernel
def _forget_scores(heap: Addresses) -> None:
    """Scores on demand hold for the record that wanted them: a later one asks again."""
    asked = open_asked(heap)
    cursor = open_cursor(heap)
    if cursor[C_WANTED] >= 0:
        for k in range(len(asked)):
            asked[k, 0] = -1
        cursor[C_WANTED] = -1


@kernel
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


@kernel
def _apply(heap: Addresses, i: int, now: int) -> None:
    """What one record does by itself."""
    records = open_records(heap)
    kind = records.kind[i]
    if kind in (ORDER_RECEIVED, ORDER_AMENDED):
        receive(heap, i, now)
    elif kind == CLOCK_TICKED:
        open_counts(heap)[N_CLOCK] = records.clock[i]
        look_for_silence(heap)
    elif kind == ORDER_CANCELLED:
        cancel(heap, i, now)
    elif kind in (INVENTORY_COUNTED, INVENTORY_ADJUSTED, RETURN_RECEIVED):
        change_stock(heap, i, now)
    elif kind == SUPPLY_PLANNED:
        plan_ahead(heap, i, now)
    elif kind == PAYMENT_UPDATED:
        take_payment(heap, i, now)
    elif kind in (WORK_REJECTED, WORK_TIMED_OUT, WORK_SHORT_PICKED, WORK_HANDED_OVER):
        take_work(heap, i, now)
    elif kind in (WORK_ACCEPTED, WORK_PICKED, WORK_PACKED):
        note_progress(heap, i, now)
    elif kind == REVIEW_DECIDED:
        review(heap, i, now)
    elif kind == REROUTE_REQUESTED:
        decide_anew(heap, i, now)
    elif kind == PLAN_PROPOSED:
        propose(heap, i, now)


@kernel
def _keep_known(heap: Addresses, i: int, now: int) -> None:
    """An order that is heard of, if only again, stays known by its id."""
    orders = open_orders(heap)
    order = open_records(heap).order[i]
    if order >= 0 and orders.state[order] == FORGOTTEN:
        orders.touched_at[order] = now


@kernel
def _is_control(kind: int) -> bool:
    """Control records have taken effect before; here the units that they affect are taken back."""
    return kind in (NODE_SET, LANE_SET, CAPACITY_SET)


@kernel
def _lines_fit(heap: Addresses, i: int) -> bool:
    """Whether there is room for the lines that the record writes: its own, and old ones kept."""
    orders = open_orders(heap)
    records = open_records(heap)
    lines = records.first_line[i + 1] - records.first_line[i]
    if records.order[i] >= 0:
        lines += orders.lines[records.order[i]]
    return open_counts(heap)[N_LINES] + lines <= len(open_lines(heap))


@kernel
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


@kernel
def _hold(heap: Addresses, position: int, order: int, trigger: int, now: int) -> None:
    """Nodes have refused the order so often that a person has to decide."""
    open_orders(heap).state[order] = HELD
    open_orders(heap).touched_at[order] = now
    write_decision(heap, position, order, REROUTE, trigger, REPEATED_REJECTION, now)


@kernel
def _decide_again(heap: Addresses, position: int, now: int) -> int:
    """Decide the orders that the record freed, by priority, then age."""
    again = open_again(heap)
    cursor = open_cursor(heap)
    orders = open_orders(heap)
    terms = open_terms(heap)
    while cursor[C_AGAIN] > 0:
        order, trigger = again[cursor[C_AGAIN] - 1]
        refused = trigger in (T_REJECTED, T_TIMEOUT, T_SHORT)
        hold = orders.state[order] == HELD and orders.hold[order] == REPEATED_REJECTION
        hold |= refused and orders.attempts[order] >= terms.max_attempts[0]
        row0 = _row_of(heap, order)
        if row0 < 0 and not hold:
            cursor[C_WANTED] = order
            return WANTS_SCORES
        if not has_room(heap, orders.lines[order] + rows_of(heap, order)):
            return OUT_OF_ROOM
        stop_all_waiting(heap, order)
        unplan(heap, position, order)
        if orders.no_split[order]:
            withdraw_all(heap, position, order, -1, PACKED)
        if hold:
            _hold(heap, position, order, trigger, now)
        else:
            kind = ROUTE if trigger == T_PAYMENT else REROUTE
            decide(heap, order, row0, now, position, trigger, kind, False)
        orders.in_again[order] = 0
        cursor[C_AGAIN] -= 1
    return DONE


@kernel
def _weigh_proposal(heap: Addresses, i: int, now: int) -> int:
    """Weigh the plan that the record proposes, if it is still about the order as it stands."""
    cursor = open_cursor(heap)
    order = open_records(heap).order[i]
    if not cursor[C_PROPOSAL]:
        return DONE
    row0 = _row_of(heap, order)
    if row0 < 0:
        cursor[C_WANTED] = order
        return WANTS_SCORES
    if not has_room(heap, open_orders(heap).lines[order] + rows_of(heap, order)):
        return OUT_OF_ROOM
    weigh_proposal(heap, i, row0, now)
    return DONE


@kernel
def _follow_up(heap: Addresses, i: int, position: int, now: int) -> int:
    """What the record brings about beyond its own effect; see ``Stop`` for what is returned."""
    stopped = take_back(heap, position, now)
    if stopped == DONE:
        stopped = _decide_again(heap, position, now)
    if stopped == DONE:
        stopped = _weigh_proposal(heap, i, now)
    if stopped == DONE:
        stopped = _work_agenda(heap, position, now)
    if stopped == DONE and open_records(heap).kind[i] == CLOCK_TICKED:
        stopped = _deadlines(heap, position, now)
    return stopped


@kernel
def _deadlines(heap: Addresses, position: int, now: int) -> int:
    """What the passing of time brings about, after a tick."""
    counts = open_counts(heap)
    terms = open_terms(heap)
    clock = counts[N_CLOCK]
    if clock == NO_TIME:
        return DONE
    if terms.assume_us[0] > 0 and clock - counts[N_ASSUMED] >= ASSUME_EVERY_US:
        if not assume_handed_over(heap, position, now):
            return OUT_OF_ROOM
    if clock // terms.publish_us[0] > counts[N_PUBLISHED] // terms.publish_us[0]:
        return PUBLISH
    return DONE


@kernel
def _look_ahead(heap: Addresses, i: int) -> None:
    """Ask for what a later record will read first; at full speed most of the time is waiting for it."""
    items = open_items(heap)
    records = open_records(heap)
    fetch_key(heap, records.key_a[i])
    if records.kind[i] == ORDER_RECEIVED:
        for j in range(records.first_line[i], records.first_line[i + 1]):
            fetch_stock(heap, items.sku[j])


@kernel
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
            if i + AHEAD < stop:
                _look_ahead(heap, i + AHEAD)
        now = cursor[C_NOW]
        if not cursor[C_STARTED]:
            if not _lines_fit(heap, i):
                return OUT_OF_LINES
            if not has_room(heap, _lines_at_stake(heap, i)):
                return OUT_OF_ROOM
            roll(heap, now)
            _keep_known(heap, i, now)
            if not _is_control(records.kind[i]) and not is_repeated(
                heap, records.key_a[i], records.key_b[i], now,
                terms.dedupe_us[0], terms.dedupe_max[0],
            ):  # fmt: skip
                _apply(heap, i, now)
            cursor[C_STARTED] = 1
            cursor[C_LATEST] = max(cursor[C_LATEST], now)
        stopped = _follow_up(heap, i, position, now)
        if stopped != DONE:
            return stopped
        _forget_scores(heap)
        cursor[C_STARTED], cursor[C_EFFECTS] = 0, 0
        cursor[C_RECORD] += 1
    return DONE
