"""What an order's history and the clock come to: phases, exceptions, and when to look again.

The history is walked once, from what happened first. Parcels and offers are gathered in the scratch; then
the order's phase is that of the part of it that is furthest behind, and each exception that holds by now has
its bit. Nothing here is remembered from one time to the next, so nothing depends on the order of arrival.

What the router says counts in the order of its causes, not of its times: those are record times, which
may go back a little from one record of the journal to the next.
"""

import numpy as np

from models.intake.columns import NO_TIME, Wants
from models.jit import borrowing_kernel
from models.lifecycle.steps import MILESTONES, Step
from models.lifecycle.transitions import NONE, number
from models.policy.answers import Occasion
from models.tracking.arrays import ACTUAL, NEVER, NO_PART, NOBODY, Records, Tables, Term
from models.tracking.goods import (
    furthest_behind,
    is_counted,
    is_gone,
    move_parcel,
    move_work,
    parcel_of,
    place_parcels,
    settle_work,
    work_of,
)
from models.tracking.overdue import look_at_times
from models.tracking.topics import topic_of
from models.tracking.verdict import expect, show
from models.tracking.watch import look_at_devices
from schemas.codes import ExceptionCode, Phase

CUSTOMS_HELD, ORDERED = int(Step.CUSTOMS_HELD), int(Step.ORDERED)
HELD = int(Step.HELD)
ROUTED, BACKORDERED = int(Step.ROUTED), int(Step.BACKORDERED)
CANCELLED, OFFERED = int(Step.CANCELLED), int(Step.OFFERED)
SHORT_PICKED, INSTALLED = int(Step.SHORT_PICKED), int(Step.INSTALLED)
ACCEPTED, FEEDBACK = int(Step.ACCEPTED), int(Step.FEEDBACK)
RETRACTED, PAID = int(Step.RETRACTED), int(Step.PAID)
P_ACCEPTED, P_ATTEMPT_FAILED = number(Phase.ACCEPTED), number(Phase.ATTEMPT_FAILED)
P_BACKORDERED, P_CANCELLED = number(Phase.BACKORDERED), number(Phase.CANCELLED)
P_CLOSED, P_CUSTOMS = number(Phase.CLOSED), number(Phase.CUSTOMS)
P_DAMAGED, P_DELIVERED = number(Phase.DAMAGED), number(Phase.DELIVERED)
P_HELD, P_INSTALLED = number(Phase.HELD), number(Phase.INSTALLED)
P_LOST, P_RECEIVED = number(Phase.LOST), number(Phase.RECEIVED)
P_RETURNED, P_RETURNING = number(Phase.RETURNED), number(Phase.RETURNING)
P_ROUTED, P_SIGNED = number(Phase.ROUTED), number(Phase.SIGNED)
P_VALIDATED = number(Phase.VALIDATED)
T_SIGN, T_INSTALL = int(Term.SIGN), int(Term.INSTALL)
T_ACCEPT, T_FEEDBACK = int(Term.ACCEPT), int(Term.FEEDBACK)
T_CUSTOMS = int(Term.CUSTOMS)
E_CUSTOMS_HOLD = int(ExceptionCode.CUSTOMS_HOLD)
E_ATTEMPT_FAILED = int(ExceptionCode.ATTEMPT_FAILED)
E_RETURNING, E_LOST = int(ExceptionCode.RETURNING), int(ExceptionCode.LOST)
E_DAMAGED = int(ExceptionCode.DAMAGED)
E_INSTALL, E_ACCEPT = int(ExceptionCode.INSTALL_OVERDUE), int(ExceptionCode.ACCEPTANCE_OVERDUE)
E_FEEDBACK = int(ExceptionCode.FEEDBACK_NEGATIVE)
T_REMIND = int(Term.REMIND)
INSTALLATION_DUE, ACCEPTANCE_DUE, FEEDBACK_DUE = (
    topic_of(o) for o in (Occasion.INSTALLATION_DUE, Occasion.ACCEPTANCE_DUE, Occasion.FEEDBACK_DUE)
)
WANTS_INSTALLATION, WANTS_ACCEPTANCE = int(Wants.INSTALLATION), int(Wants.ACCEPTANCE)

BAD_SCORE, BAD_STARS = 6, 2
"""NPS of detractors; CSAT of the dissatisfied (domain.md D.6)."""
ATTEMPTS = 3
"""Failed attempts after which a person is to look (domain.md D.6)."""


@borrowing_kernel
def judge(tables: Tables, order: int, clock: int, verdict: Records) -> None:
    """Work out where an order stands.

    Args:
        tables: the order's history is read, the scratch is used.
        order: its row.
        clock: log time, us; ``NO_TIME`` before the first tick: then nothing is overdue.
        verdict: where the answer goes.
    """
    parcels, works, decided, cause = 0, 0, NONE, NOBODY
    is_ordered = is_paid = False
    promise, last = NO_TIME, NO_TIME
    installed, accepted, answered, bad = NO_TIME, NO_TIME, NO_TIME, NOBODY
    late = NO_PART
    at = tables.orders[order].first
    while at != NOBODY:
        entry = tables.entries[at]
        at = entry.next
        step = entry.step
        if step == RETRACTED:
            continue
        if step < MILESTONES:
            k = parcel_of(tables, parcels, entry.package, entry.node)
            parcels = max(parcels, k + 1)
            if entry.classifier != ACTUAL:
                continue
            move_parcel(tables.parcels[k], entry)
        elif step == PAID:
            is_paid = True
        elif step == ORDERED:
            is_ordered = True
        elif HELD <= step <= CANCELLED:
            if entry.cause >= cause:
                decided, promise, cause = _decided(step), entry.said, entry.cause
                late = entry.classifier
        elif OFFERED <= step <= SHORT_PICKED:
            w = work_of(tables, works, entry.node)
            works = max(works, w + 1)
            move_work(tables.works[w], entry)
        elif step == INSTALLED:
            installed = entry.at
        elif step == ACCEPTED:
            accepted = entry.at
        elif step == FEEDBACK:
            answered, bad = entry.at, entry.position if entry.reason else NOBODY
        last = max(last, entry.at)
    is_decided = decided != NONE
    for w in range(works):
        settle_work(tables.works[w])
        is_decided |= tables.works[w].offered_at != NO_TIME
    place_parcels(tables, parcels, works)
    if decided == NONE and (is_ordered or is_paid):
        decided = P_VALIDATED if is_paid else P_RECEIVED
    verdict.active, verdict.shown, verdict.due = np.uint64(0), 0, NEVER
    verdict.promise, verdict.closed_at, verdict.last = promise, NO_TIME, last
    verdict.parcels, verdict.works, verdict.late = parcels, works, late
    verdict.reminder, verdict.deadline = 0, NO_TIME
    verdict.is_over = tables.orders[order].was_forgotten and not is_decided
    phase = furthest_behind(tables, parcels, works, decided)
    verdict.is_known = phase != NONE or parcels > 0
    verdict.phase = phase
    if bad != NOBODY:
        show(tables, verdict, E_FEEDBACK, bad, NOBODY)
    if phase in (P_CANCELLED, P_RETURNED):
        verdict.closed_at = last
    services = (np.int64(tables.orders[order].wants), installed, accepted, answered)
    _after_delivery(tables, order, parcels, clock, services, verdict)
    _look_at_parcels(tables, order, parcels, clock, verdict)
    look_at_devices(tables, order, parcels, clock, verdict)
    look_at_times(tables, order, clock, verdict)


@borrowing_kernel
def _decided(step: int) -> int:
    if step == ROUTED:
        return P_ROUTED
    if step == BACKORDERED:
        return P_BACKORDERED
    return P_CANCELLED if step == CANCELLED else P_HELD


@borrowing_kernel
def _after_delivery(
    tables: Tables,
    order: int,
    parcels: int,
    clock: int,
    services: tuple[int, int, int, int],
    verdict: Records,
) -> None:
    """Signature, installation, acceptance and the customer's answer, each with its deadline.

    ``services``: what is wanted, and when it was installed, accepted and answered.
    """
    terms = tables.terms[tables.orders[order].network]
    wants, installed, accepted, answered = services
    if verdict.phase != P_DELIVERED and verdict.phase != P_SIGNED:
        return
    there = NO_TIME
    for k in range(parcels):
        if not is_gone(tables.parcels[k].phase) and tables.parcels[k].phase != NONE:
            there = max(there, tables.parcels[k].at)
    if verdict.phase == P_DELIVERED:
        done = max(installed, max(accepted, answered))
        if done == NO_TIME and not expect(verdict, there + terms[T_SIGN], clock):
            return
        there = there if done != NO_TIME else there + terms[T_SIGN]
        verdict.phase = P_SIGNED
    if wants & WANTS_INSTALLATION:
        if installed == NO_TIME:
            if _is_over(
                verdict, INSTALLATION_DUE, there + terms[T_INSTALL], terms[T_REMIND], clock
            ):
                show(tables, verdict, E_INSTALL, NOBODY, NOBODY)
            return
        there, verdict.phase = max(there, installed), P_INSTALLED
    if wants & WANTS_ACCEPTANCE:
        if accepted == NO_TIME:
            if _is_over(verdict, ACCEPTANCE_DUE, there + terms[T_ACCEPT], terms[T_REMIND], clock):
                show(tables, verdict, E_ACCEPT, NOBODY, NOBODY)
            return
        there, verdict.phase = max(there, accepted), P_ACCEPTED
    satisfied = answered != NO_TIME and not verdict.active >> np.uint64(E_FEEDBACK) & np.uint64(1)
    if satisfied or expect(verdict, there + terms[T_FEEDBACK], clock):
        verdict.phase = P_CLOSED
        verdict.closed_at = max(there, answered) if satisfied else there + terms[T_FEEDBACK]
    elif answered == NO_TIME:
        verdict.reminder, verdict.deadline = FEEDBACK_DUE, there + terms[T_FEEDBACK]


@borrowing_kernel
def _is_over(verdict: Records, topic: int, deadline: int, before: int, clock: int) -> bool:
    """Whether a service is overdue; if it is nearly so, the customer is to be reminded."""
    if expect(verdict, deadline, clock):
        return True
    if expect(verdict, deadline - before, clock):
        verdict.reminder, verdict.deadline = topic, deadline
    return False


@borrowing_kernel
def _look_at_parcels(
    tables: Tables, order: int, parcels: int, clock: int, verdict: Records
) -> None:
    """What carriers report, and how long customs take."""
    customs = tables.terms[tables.orders[order].network, T_CUSTOMS]
    for k in range(parcels):
        if not is_counted(tables, k, parcels):
            continue
        parcel = tables.parcels[k]
        code = 0
        if parcel.phase == P_ATTEMPT_FAILED:
            code = E_ATTEMPT_FAILED
        elif parcel.phase == P_CUSTOMS:
            is_held = parcel.step == CUSTOMS_HELD
            if is_held or (not verdict.is_over and expect(verdict, parcel.at + customs, clock)):
                code = E_CUSTOMS_HOLD
        elif parcel.phase == P_RETURNING:
            code = E_RETURNING
        elif parcel.phase == P_LOST:
            code = E_LOST
        elif parcel.phase == P_DAMAGED:
            code = E_DAMAGED
        for shown in (code, np.int64(parcel.reason)):
            if shown > 0:
                place = show(tables, verdict, shown, parcel.position, parcel.package)
                is_loud = shown == E_ATTEMPT_FAILED and parcel.attempts >= ATTEMPTS
                tables.shown[place].is_loud = is_loud
