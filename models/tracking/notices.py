"""What is worth telling of an order, once for each cause.

Theory of operation. Of every parcel is kept what was told of it last: its phase, and when that happened. A
parcel is told of again if its phase is another one because of something that happened later. So a report that
comes late, twice, or takes something back tells nobody anything, and no report is ever told twice; in
whatever order reports come in, what is told goes forward in time. What was told and taken back is told again
once it happens after all. What only the order as a whole can come to
is told once in its life; a date, when it is on another day than the one told last.

A notice is only made where the policy answers it; who is told what is worked out of it in answers.py.
"""

import numpy as np

from models.intake.columns import NO_TIME
from models.jit import borrowing_kernel
from models.lifecycle.steps import MILESTONES, Step
from models.lifecycle.transitions import NONE, PROGRESS, TABLE, number
from models.policy.answers import Occasion
from models.tracking.arrays import (
    ANSWERS,
    NOBODY,
    Change,
    Cursor,
    Records,
    Tables,
)
from models.tracking.devices import entry_of
from models.tracking.goods import is_counted
from models.tracking.history import enter, has_room
from models.tracking.topics import topic_of
from schemas.codes import Phase

TOLD = int(Step.TOLD)
RECORD, INDEX, NOTICED = int(Cursor.RECORD), int(Cursor.INDEX), int(Cursor.NOTICED)
RAISED = int(Change.RAISED)
DATE_TOLD, DATE_CHANGED = topic_of(Occasion.DATE_TOLD), topic_of(Occasion.DATE_CHANGED)
P_HANDED_OVER, P_IN_TRANSIT = number(Phase.HANDED_OVER), number(Phase.IN_TRANSIT)
P_DELIVERED, P_HELD = number(Phase.DELIVERED), number(Phase.HELD)
IS_OF_ORDER = np.ones(NONE + 1, np.bool_)
"""Phases that no milestone leads a parcel to."""
IS_OF_ORDER[[number(phase) for leads in TABLE.values() for phase in leads.values()]] = False
IS_OF_ORDER[NONE] = False
DAY_US = 86_400_000_000


@borrowing_kernel
def notice(
    tables: Tables,
    order: int,
    topic: int,
    verdict: Records,
    at: int,
    other: int,
    package: int,
    node: int,
    change: int,
    is_loud: bool,
) -> None:
    """Note something that the policy answers; of anything else nothing. See ``NOTICE``."""
    cursor = tables.cursor
    if verdict.is_over or not tables.answered[tables.orders[order].network, topic]:
        return
    new = tables.notices[cursor[NOTICED]]
    begin_notice(tables, new, order, topic, verdict, at)
    new.other, new.package, new.node = other, package, node
    new.change, new.is_loud = change, is_loud
    cursor[NOTICED] += 1


@borrowing_kernel
def begin_notice(
    tables: Tables, new: Records, order: int, topic: int, verdict: Records, at: int
) -> None:
    """Write down what a notice says of its order, and keep indexes for its answers."""
    row, cursor = tables.orders[order], tables.cursor
    new.record, new.index, new.order, new.topic = cursor[RECORD], cursor[INDEX], order, topic
    new.at, new.promise, new.other, new.active = at, verdict.promise, NO_TIME, verdict.active
    new.package, new.node, new.change, new.is_loud = NOBODY, NOBODY, RAISED, False
    new.phase, new.value, new.customer, new.tier = verdict.phase, row.value, row.customer, row.tier
    new.channel, new.currency = row.channel, row.currency
    cursor[INDEX] += ANSWERS


@borrowing_kernel
def tell_order(tables: Tables, order: int, verdict: Records, clock: int) -> None:
    """What is new of the order as a whole; to be asked before its new phase is kept."""
    row = tables.orders[order]
    if verdict.phase != row.phase and IS_OF_ORDER[verdict.phase]:
        _tell_once(tables, order, np.int64(verdict.phase), verdict, clock, np.int64(NO_TIME))
    if verdict.reminder != 0:
        _tell_once(tables, order, np.int64(verdict.reminder), verdict, clock, verdict.deadline)
    promise, before = verdict.promise, row.promised
    if promise == NO_TIME:
        return
    if PROGRESS[verdict.phase] >= PROGRESS[P_DELIVERED] or verdict.phase == P_HELD:
        return
    if before != NO_TIME and promise // DAY_US == before // DAY_US:
        return
    topic = DATE_TOLD if before == NO_TIME else DATE_CHANGED
    _notice_of_order(tables, order, topic, verdict, clock, before)
    row.promised = promise


@borrowing_kernel
def _notice_of_order(
    tables: Tables, order: int, topic: int, verdict: Records, at: int, other: int
) -> None:
    """A notice of the order as a whole."""
    whole = np.int64(NOBODY)
    notice(tables, order, topic, verdict, at, other, whole, whole, np.int64(RAISED), False)


@borrowing_kernel
def _tell_once(
    tables: Tables, order: int, topic: int, verdict: Records, clock: int, other: int
) -> None:
    row, bit = tables.orders[order], np.uint64(1) << np.uint64(topic)
    if row.told & bit == 0:
        row.told |= bit
        _notice_of_order(tables, order, topic, verdict, clock, other)


@borrowing_kernel
def tell_parcel(tables: Tables, record: Records, package: int, verdict: Records) -> None:
    """What is new of a parcel of the order that was judged last."""
    order, k = record.order, 0
    while k < verdict.parcels and tables.parcels[k].package != package:
        k += 1
    if k == verdict.parcels or not is_counted(tables, k, verdict.parcels):
        return
    parcel = tables.parcels[k]
    phase, at, step = np.int64(parcel.phase), parcel.at, np.int64(parcel.step)
    known, before = _told_last(tables, order, k, verdict.parcels), NONE
    if known != NOBODY:
        entry = tables.entries[known]
        before = np.int64(entry.classifier)
        if phase == before or (at, step) <= (entry.said, entry.also):
            return
    told = entry_of(tables, order, TOLD, package)
    if told == NOBODY:
        if not has_room(tables, order, record.clock):
            return
        told = _remember(tables, record, package)
    entry = tables.entries[told]
    entry.classifier, entry.said, entry.also = phase, at, step
    if phase == P_IN_TRANSIT and PROGRESS[before] < PROGRESS[P_HANDED_OVER]:
        phase = P_HANDED_OVER  # nobody reported it
    name, node = np.int64(NOBODY if package == parcel.node else package), np.int64(parcel.node)
    notice(
        tables, order, phase, verdict, at, np.int64(NO_TIME), name, node, np.int64(RAISED), False
    )


@borrowing_kernel
def untell_parcels(tables: Tables, order: int, verdict: Records) -> None:
    """Something was taken back: what was told and does not stand is not what a parcel has come to.

    Nothing that happened up to then is told any more.
    """
    at = tables.orders[order].first
    while at != NOBODY and tables.entries[at].at == NO_TIME:
        entry = tables.entries[at]
        at = entry.next
        if entry.step != TOLD:
            continue
        phase, since, step = NONE, np.int64(NO_TIME), np.int64(NOBODY)
        for k in range(verdict.parcels):
            parcel = tables.parcels[k]
            if parcel.package == entry.package:
                phase, since, step = np.int64(parcel.phase), parcel.at, np.int64(parcel.step)
        if phase != entry.classifier and (since, step) <= (entry.said, entry.also):
            entry.classifier, entry.also = phase, MILESTONES


@borrowing_kernel
def _told_last(tables: Tables, order: int, k: int, parcels: int) -> int:
    """What was told last of a parcel, or before it had a name of its node; ``NOBODY``: nothing."""
    parcel = tables.parcels[k]
    told = entry_of(tables, order, TOLD, parcel.package)
    if told != NOBODY:
        return told
    for j in range(parcels):
        other = tables.parcels[j]
        if parcel.node != NOBODY and parcel.node != other.node:
            continue
        if other.package == other.node:
            one = entry_of(tables, order, TOLD, other.package)
            if one != NOBODY and (told == NOBODY or _is_later(tables, one, told)):
                told = one
    return told


@borrowing_kernel
def _is_later(tables: Tables, one: int, other: int) -> bool:
    return tables.entries[one].said > tables.entries[other].said


@borrowing_kernel
def _remember(tables: Tables, record: Records, package: int) -> int:
    """A new entry for what is told of a parcel, before all that is in the order of time."""
    order = record.order
    new = enter(tables, order, record.entry)
    entry = tables.entries[new]
    entry.at, entry.key, entry.cause, entry.position = NO_TIME, np.uint64(0), NOBODY, NOBODY
    entry.node = entry.package = package
    entry.step, entry.reason = TOLD, 0
    entry.next = tables.orders[order].first
    tables.orders[order].first = new
    return new
