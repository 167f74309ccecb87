"""The walk over a slice: every record into its order's history, every tick past the orders that are due.

After each, the order is judged anew; what is said of it is the difference to what was said before.
"""

import numpy as np

from models.jit import borrowing_kernel
from models.ledger.window import is_repeated
from models.lifecycle.steps import MILESTONES, Step
from models.lifecycle.transitions import NONE, number
from models.tracking.arrays import (
    ACTUAL,
    BLOCK,
    MOST_ENTERED,
    NEVER,
    NOBODY,
    Cursor,
    Flag,
    Moved,
    Records,
    Tables,
    Term,
)
from models.tracking.asking import MOST_ASKED, ask
from models.tracking.causes import MOST_RAISED, say_changes
from models.tracking.devices import bind, entry_of
from models.tracking.goods import parcel_named_by
from models.tracking.history import parcel_wronged, take
from models.tracking.judge import judge
from models.tracking.lane_book import MAX_LANES, teach
from models.tracking.notices import tell_order, tell_parcel
from models.tracking.road import MOST_SAID, locate
from models.tracking.sensing import sense
from schemas.codes import ExceptionCode, Phase

RECORD, RAISED, MOVED, _, USED, SWEPT, INDEX, NOTICED, ASKED, LANES = (int(c) for c in Cursor)
TAKEN, REPEATED, BEYOND = int(Flag.TAKEN), int(Flag.REPEATED), int(Flag.BEYOND)
IS_BOUND, IS_RETRACTED = int(Step.BOUND), int(Step.RETRACTED)
IS_SENSED, IS_LOCATED = int(Step.SENSED), int(Step.LOCATED)
P_DELIVERED, P_SIGNED = number(Phase.DELIVERED), number(Phase.SIGNED)
BREACHED = np.uint64(1) << np.uint64(ExceptionCode.DELAY_BREACHED)
T_DEDUPE, T_DEDUPE_RECORDS = int(Term.DEDUPE), int(Term.DEDUPE_RECORDS)
(
    M_RECORD, M_INDEX, M_ORDER, M_PHASE, M_AT, M_STEP, M_PACKAGE, M_PLACE, M_HOLDS, M_PACKAGE_PHASE,
) = (int(m) for m in Moved)  # fmt: skip
MOST_NOTICED = MOST_RAISED + MOST_SAID + 4
"""Notices of one order that one record can make: exceptions, parcels, its phase, a reminder, a date."""
UNSEEN = np.iinfo(np.uint8).max
"""Phase of an order that was never judged."""


@borrowing_kernel
def _settle(tables: Tables, order: int, verdict: Records, clock: int, is_shown: bool) -> None:
    """Keep what the verdict says, say what is new, and ask about the arrival.

    ``is_shown``: the record under way bears on it; else it is asked about if it is time to.
    """
    row = tables.orders[order]
    is_time = row.ask_at <= clock or (row.raised ^ verdict.active) & BREACHED != 0
    say_changes(tables, order, verdict, clock)
    tell_order(tables, order, verdict, clock)
    row.closed_at, row.phase = verdict.closed_at, verdict.phase
    if is_shown or is_time:
        ask(tables, order, verdict, clock, is_shown)
    row.due = min(verdict.due, row.ask_at)
    block = order // BLOCK
    tables.blocks[block] = min(tables.blocks[block], row.due)


@borrowing_kernel
def _has_room(tables: Tables) -> bool:
    """Whether there is room for all that one record can say, or a deadline of one order."""
    cursor = tables.cursor
    is_full = cursor[RAISED] + MOST_RAISED > len(tables.raised)
    is_full |= cursor[MOVED] + MOST_SAID > len(tables.moved)
    is_full |= cursor[NOTICED] + MOST_NOTICED > len(tables.notices)
    is_full |= cursor[USED] + MOST_ENTERED > len(tables.entries)
    return not is_full and cursor[ASKED] + MOST_ASKED < len(tables.asked.questions)


@borrowing_kernel
def _learn(tables: Tables, record: Records, verdict: Records) -> None:
    """Let the lane of the record's parcel learn, if it was delivered."""
    named = parcel_named_by(record.entry)
    for k in range(verdict.parcels):
        parcel = tables.parcels[k]
        if parcel.package == named and parcel.phase in (P_DELIVERED, P_SIGNED):
            teach(tables, record.order, k, verdict, record.position)


@borrowing_kernel
def _package_phase(tables: Tables, verdict: Records, package: int) -> int:
    """Of a parcel of the order that was judged last."""
    for k in range(verdict.parcels):
        if tables.parcels[k].package == package:
            return tables.parcels[k].phase
    return NONE


@borrowing_kernel
def _move(
    tables: Tables, order: int, at: int, step: int, package: int, holds: int, verdict: Records
) -> None:
    """Say what nobody reported of an order that was judged, or of a parcel of it; see ``Moved``."""
    cursor = tables.cursor
    row = tables.moved[cursor[MOVED]]
    row[M_RECORD], row[M_INDEX] = cursor[RECORD], cursor[INDEX]
    row[M_ORDER], row[M_PHASE], row[M_AT] = order, verdict.phase, at
    row[M_STEP], row[M_PACKAGE], row[M_PLACE] = step, package, NOBODY
    row[M_HOLDS], row[M_PACKAGE_PHASE] = holds, _package_phase(tables, verdict, package)
    cursor[MOVED] += 1
    cursor[INDEX] += 1


@borrowing_kernel
def _tick(tables: Tables, orders: int, clock: int, verdict: Records) -> bool:
    """Look at the orders that are due, in order; False if there is no room before the end."""
    cursor = tables.cursor
    order = cursor[SWEPT]
    while order < orders:
        block = order // BLOCK
        if order % BLOCK == 0 and tables.blocks[block] > clock:
            order += BLOCK
            continue
        if order % BLOCK == 0:
            tables.blocks[block] = NEVER
        if tables.orders[order].due <= clock:
            if not _has_room(tables):
                cursor[SWEPT] = order
                return False
            before = tables.orders[order].phase
            judge(tables, order, clock, verdict)
            if verdict.phase != before:
                _move(tables, order, clock, NOBODY, NOBODY, 1, verdict)
            _settle(tables, order, verdict, clock, False)
        else:
            tables.blocks[block] = min(tables.blocks[block], tables.orders[order].due)
        order += 1
    cursor[SWEPT] = 0
    return True


@borrowing_kernel
def _hear(tables: Tables, i: int, verdict: Records) -> int:
    """Take what a device says, or what is said of one; says what it was, see ``Flag``."""
    cursor, record = tables.cursor, tables.records[i]
    entry, terms = record.entry, tables.terms[record.network]
    span, most = terms[T_DEDUPE], terms[T_DEDUPE_RECORDS]
    if is_repeated(tables.seen, entry.key, record.retracts, record.clock, span, most):
        return REPEATED
    cursor[INDEX] = max(1, record.count)
    said = cursor[MOVED]
    if entry.step == IS_SENSED:
        is_new = sense(tables, record)
    elif entry.step == IS_LOCATED:
        is_new = locate(tables, record)
    else:
        bind(tables, record)
        is_new = True
    device = entry_of(tables, record.order, IS_BOUND, entry.node)
    if device != NOBODY:
        tables.packages[i] = tables.entries[device].package
    if is_new or tables.orders[record.order].phase == UNSEEN:
        judge(tables, record.order, record.clock, verdict)
        _settle(tables, record.order, verdict, record.clock, entry.step == IS_LOCATED)
        tables.phases[i, 1] = _package_phase(tables, verdict, entry.package)
        for n in range(said, cursor[MOVED]):
            row = tables.moved[n]
            row[M_PHASE] = verdict.phase
            row[M_PACKAGE_PHASE] = _package_phase(tables, verdict, row[M_PACKAGE])
            tell_parcel(tables, record, row[M_PACKAGE], verdict)
    tables.phases[i, 0] = tables.orders[record.order].phase
    return TAKEN


@borrowing_kernel
def _meet(tables: Tables, record: Records) -> None:
    """Somebody has spoken of the order."""
    order = tables.orders[record.order]
    order.network, order.known_at = record.network, max(order.known_at, record.clock)


@borrowing_kernel
def _take_facts(tables: Tables, record: Records) -> None:
    """Let the order be what the record says, if none has said more."""
    order, fact = tables.orders[record.order], tables.facts[record.detail]
    if fact.revision < order.revision:
        return
    if fact.revision == order.revision and fact.teller <= order.teller:
        return
    order.revision, order.teller, order.value = fact.revision, fact.teller, fact.value
    order.customer, order.tier, order.channel = fact.customer, fact.tier, fact.channel
    order.region, order.currency, order.wants = fact.region, fact.currency, fact.wants


@borrowing_kernel
def walk(tables: Tables, stop: int, orders: int, verdicts: Records) -> bool:
    """Take records up to ``stop``.

    Args:
        tables: the state, the records and the outputs.
        stop: record to stop before.
        orders: how many orders there are.
        verdicts: (1,) scratch.

    Returns:
        Whether it got there; if not, the outputs are to be emptied and the entries to grow first.
    """
    cursor, verdict = tables.cursor, verdicts[0]
    while cursor[RECORD] < stop:
        i = cursor[RECORD]
        record = tables.records[i]
        if not _has_room(tables):
            return False
        if cursor[LANES] == len(tables.lanes.rows) and cursor[LANES] < MAX_LANES:
            return False
        if record.order < NOBODY:  # not for the walk
            pass
        elif record.order == NOBODY:  # a tick, which may have begun before the outputs were full
            if not _tick(tables, orders, record.clock, verdict):
                return False
        elif record.entry.step >= IS_BOUND:
            _meet(tables, record)
            tables.flags[i] = _hear(tables, i, verdict)
        else:
            _meet(tables, record)
            cursor[INDEX] = 1  # the first effect is the row of the record itself
            wronged = parcel_wronged(tables, record)
            flag = take(tables, record)
            tables.flags[i] = flag
            if record.detail != NOBODY and flag != REPEATED:
                _take_facts(tables, record)
            if flag != REPEATED and flag != BEYOND:
                judge(tables, record.order, record.clock, verdict)
                _learn(tables, record, verdict)
                _settle(tables, record.order, verdict, record.clock, True)
                tables.phases[i, 0] = verdict.phase
                named = parcel_named_by(record.entry)
                tables.phases[i, 1] = _package_phase(tables, verdict, named)
                if record.entry.step < MILESTONES and record.entry.classifier == ACTUAL:
                    tell_parcel(tables, record, record.entry.package, verdict)
                if wronged != NOBODY:
                    at = record.entry.at
                    _move(tables, record.order, at, IS_RETRACTED, wronged, 0, verdict)
            else:
                tables.phases[i, 0], tables.phases[i, 1] = tables.orders[record.order].phase, NONE
        cursor[RECORD] += 1
        cursor[INDEX] = 0
    return True
