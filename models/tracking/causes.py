"""Exceptions that stand, one for each cause, and how they change: raised, escalated, resolved.

Theory of operation. What holds of an order is worked out anew each time (judge.py); what is said of it is the
difference to what stands. That is a list of entries, one for each cause, beside the order's history: it counts
for none of its room, and an order without exceptions has none. As what holds depends on the history and the
clock alone, what stands in the end does not depend on the order of arrival either.
"""

import numpy as np

from models.intake.columns import NO_TIME
from models.jit import borrowing_kernel
from models.lifecycle.steps import Step
from models.tracking.arrays import (
    CODES,
    MOST_SHOWN,
    NOBODY,
    Change,
    Cursor,
    Raised,
    Records,
    Tables,
)
from models.tracking.history import free_place, take_place
from models.tracking.notices import notice
from models.tracking.topics import EXCEPTIONS_FROM
from models.tracking.verdict import find_shown

MOST_RAISED = 2 * MOST_SHOWN
"""Rows that one order can need at once: all that stands ends, and as much begins."""
STANDING = int(Step.RAISED)
RECORD, INDEX, RAISED = int(Cursor.RECORD), int(Cursor.INDEX), int(Cursor.RAISED)
IS_RAISED, IS_ESCALATED, IS_RESOLVED = (int(c) for c in Change)
(
    R_RECORD, R_INDEX, R_ORDER, R_CODE, R_CHANGE, R_LOUD, R_PACKAGE, R_EVIDENCE, R_AT, R_NODE,
) = (int(r) for r in Raised)  # fmt: skip


@borrowing_kernel
def say_changes(tables: Tables, order: int, verdict: Records, clock: int) -> None:
    """Raise, escalate and resolve what holds otherwise than before, by code."""
    row, one = tables.orders[order], np.uint64(1)
    either = verdict.active | row.raised
    if either == 0:
        return
    for code in range(CODES):
        if either >> np.uint64(code) & one:
            _look_at_standing(tables, order, code, verdict, clock)
            _raise_others(tables, order, code, verdict, clock)
    row.raised = verdict.active


@borrowing_kernel
def _look_at_standing(tables: Tables, order: int, code: int, verdict: Records, clock: int) -> None:
    """Resolve what does not hold any more, and escalate what needs a person now."""
    entries = tables.entries
    before, at = NOBODY, tables.orders[order].standing
    while at != NOBODY:
        entry, following = entries[at], np.int64(entries[at].next)
        if entry.reason == code:
            place = find_shown(tables, verdict, code, entry.package, entry.node)
            if place == NOBODY:
                _say(tables, order, entry, IS_RESOLVED, np.int64(NOBODY), verdict, clock)
                if before == NOBODY:
                    tables.orders[order].standing = following
                else:
                    entries[before].next = following
                free_place(tables, at)
                at = following
                continue
            shown = tables.shown[place]
            shown.is_standing, was_loud = True, entry.classifier
            entry.classifier = shown.is_loud
            if shown.is_loud and not was_loud:
                _say(tables, order, entry, IS_ESCALATED, shown.position, verdict, clock)
        before, at = at, following


@borrowing_kernel
def _raise_others(tables: Tables, order: int, code: int, verdict: Records, clock: int) -> None:
    """Raise what holds and does not stand yet."""
    for k in range(verdict.shown):
        shown = tables.shown[k]
        if shown.code == code and not shown.is_standing:
            at = take_place(tables)
            entry = tables.entries[at]
            entry.at, entry.key, entry.said, entry.also = NO_TIME, np.uint64(0), NO_TIME, NO_TIME
            entry.cause, entry.position, entry.is_taught = NOBODY, NOBODY, False
            entry.step, entry.reason, entry.classifier = STANDING, code, shown.is_loud
            entry.package, entry.node = shown.package, shown.node
            entry.next = tables.orders[order].standing
            tables.orders[order].standing = at
            _say(tables, order, entry, IS_RAISED, shown.position, verdict, clock)


@borrowing_kernel
def _say(
    tables: Tables,
    order: int,
    entry: Records,
    change: int,
    evidence: int,
    verdict: Records,
    clock: int,
) -> None:
    """A row of it, and a notice."""
    cursor = tables.cursor
    code, is_loud = np.int64(entry.reason), entry.classifier > 0
    row = tables.raised[cursor[RAISED]]
    row[R_RECORD], row[R_INDEX], row[R_ORDER] = cursor[RECORD], cursor[INDEX], order
    row[R_CODE], row[R_CHANGE], row[R_LOUD], row[R_AT] = code, change, is_loud, clock
    row[R_EVIDENCE], row[R_PACKAGE], row[R_NODE] = evidence, entry.package, entry.node
    cursor[RAISED] += 1
    cursor[INDEX] += 1
    topic, other = EXCEPTIONS_FROM + code, np.int64(NO_TIME)
    package, node = np.int64(entry.package), np.int64(entry.node)
    notice(tables, order, topic, verdict, clock, other, package, node, change, is_loud)
