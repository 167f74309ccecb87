"""What an order's history and the clock come to: phases, exceptions, and when to look again.

The history is walked once, from what happened first. Parcels and offers are gathered in the scratch; then
the order's phase is that of the part of it that is furthest behind, and each exception that holds by now has
its bit. Nothing here is remembered from one time to the next, so nothing depends on the order of arrival.

What the router says counts in the order of its causes, not of its times: those are record times, which
may go back a little from one record of the journal to the next.
"""

import numba
import numpy as np

from models.intake.columns import NO_TIME, Wants
from models.lifecycle.steps import MILESTONES, Step
from models.lifecycle.transitions import NEXT, NONE, PROGRESS, number
from models.policy.answers import Occasion
from models.tracking.arrays import (
    NEVER,
    NO_PART,
    NOBODY,
    Limit,
    Records,
    Tables,
    Term,
)
from models.tracking.lane_book import find_lane, way_of
from models.tracking.lanes import HOUR_US
from models.tracking.topics import topic_of
from models.tracking.verdict import expect, show
from models.tracking.watch import look_at_devices
from schemas.codes import ExceptionCode, Phase

(
    PACKED, HANDED_OVER, SCANNED, DEPARTED, ARRIVED, CUSTOMS_PRESENTED, CUSTOMS_HELD, CUSTOMS_CLEARED,
    OUT_FOR_DELIVERY, AVAILABLE_FOR_PICKUP, ATTEMPT_FAILED, DELIVERED, SIGNED, RETURNING, RETURNED,
    LOST, DAMAGED, ORDERED, HELD, ROUTED, BACKORDERED, UNROUTABLE, CANCELLED, OFFERED, WITHDRAWN,
    WORK_ACCEPTED, WORK_REFUSED, PICKED, SHORT_PICKED, INSTALLED, VISITED, ACCEPTED, FEEDBACK,
    REPORTED, RETRACTED, PAID, BOUND, RELEASED, DEVIATED, STAYED, SENSED, LOCATED, TOLD,
) = (int(s) for s in Step)  # fmt: skip
P_RECEIVED, P_HELD, P_ROUTED = (number(p) for p in (Phase.RECEIVED, Phase.HELD, Phase.ROUTED))
P_VALIDATED = number(Phase.VALIDATED)
P_BACKORDERED, P_RELEASED = number(Phase.BACKORDERED), number(Phase.RELEASED)
P_PICKED, P_PACKED = number(Phase.PICKED), number(Phase.PACKED)
P_HANDED_OVER, P_CUSTOMS = number(Phase.HANDED_OVER), number(Phase.CUSTOMS)
P_ATTEMPT_FAILED, P_DELIVERED = number(Phase.ATTEMPT_FAILED), number(Phase.DELIVERED)
P_SIGNED, P_INSTALLED = number(Phase.SIGNED), number(Phase.INSTALLED)
P_ACCEPTED, P_CLOSED, P_CANCELLED = (
    number(p) for p in (Phase.ACCEPTED, Phase.CLOSED, Phase.CANCELLED)
)
P_RETURNING, P_RETURNED = number(Phase.RETURNING), number(Phase.RETURNED)
P_LOST, P_DAMAGED = number(Phase.LOST), number(Phase.DAMAGED)
T_SIGN, T_INSTALL, T_ACCEPT, T_FEEDBACK, T_SILENCE, T_EXPIRED, T_HAND_OVER = (
    int(t) for t in list(Term)[:7]
)
T_ROUTE, T_PICK, T_PACK = int(Term.ROUTE), int(Term.PICK), int(Term.PACK)
T_CUSTOMS = int(Term.CUSTOMS)
T_SILENCE_LEAST, T_SILENCE_MOST = int(Term.SILENCE_LEAST), int(Term.SILENCE_MOST)
L_SILENCE_GAPS = int(Limit.SILENCE_GAPS)
E_DELAY_BREACHED, E_SILENCE = int(ExceptionCode.DELAY_BREACHED), int(ExceptionCode.SILENCE)
E_EXPIRED, E_CUSTOMS_HOLD = int(ExceptionCode.EXPIRED), int(ExceptionCode.CUSTOMS_HOLD)
E_ATTEMPT_FAILED = int(ExceptionCode.ATTEMPT_FAILED)
E_RETURNING, E_LOST = int(ExceptionCode.RETURNING), int(ExceptionCode.LOST)
E_DAMAGED = int(ExceptionCode.DAMAGED)
E_MISSED_ROUTE = int(ExceptionCode.MILESTONE_MISSED_ROUTE)
E_MISSED_PICK = int(ExceptionCode.MILESTONE_MISSED_PICK)
E_MISSED_PACK = int(ExceptionCode.MILESTONE_MISSED_PACK)
E_MISSED_HAND_OVER = int(ExceptionCode.MILESTONE_MISSED_HANDOVER)
E_INSTALL, E_ACCEPT = int(ExceptionCode.INSTALL_OVERDUE), int(ExceptionCode.ACCEPTANCE_OVERDUE)
E_FEEDBACK = int(ExceptionCode.FEEDBACK_NEGATIVE)
T_REMIND = int(Term.REMIND)
INSTALLATION_DUE, ACCEPTANCE_DUE, FEEDBACK_DUE = (
    topic_of(o) for o in (Occasion.INSTALLATION_DUE, Occasion.ACCEPTANCE_DUE, Occasion.FEEDBACK_DUE)
)
WANTS_INSTALLATION, WANTS_ACCEPTANCE = int(Wants.INSTALLATION), int(Wants.ACCEPTANCE)

ACTUAL = 0
BAD_SCORE, BAD_STARS = 6, 2
"""NPS of detractors; CSAT of the dissatisfied (domain.md D.6)."""
ATTEMPTS = 3
"""Failed attempts after which a person is to look (domain.md D.6)."""


@numba.njit(cache=True)
def _parcel(tables: Tables, count: int, package: int, node: int) -> int:
    """The place of a parcel in the scratch; ``count`` if it is new, made ready there."""
    for k in range(count):
        if tables.parcels[k].package == package:
            if node != NOBODY:
                tables.parcels[k].node = node
            return k
    parcel = tables.parcels[count]
    parcel.package, parcel.node, parcel.attempts = package, node, 0
    parcel.phase, parcel.step, parcel.reason = NONE, RETRACTED, 0
    parcel.position, parcel.at = NOBODY, NO_TIME
    parcel.carrier, parcel.handed_at, parcel.heard_at = NOBODY, NO_TIME, NO_TIME
    parcel.there_at = NO_TIME
    return count


@numba.njit(cache=True)
def _work(tables: Tables, count: int, node: int) -> int:
    """The same of what a node was offered."""
    for k in range(count):
        if tables.works[k].node == node:
            return k
    work = tables.works[count]
    work.node, work.units, work.cause, work.phase = node, 0, NOBODY, P_ROUTED
    work.ship_by, work.position, work.offered_at = NO_TIME, NOBODY, NO_TIME
    work.accepted_at, work.picked_at, work.lane = NO_TIME, NO_TIME, NOBODY
    return count


@numba.njit(cache=True)
def _move_parcel(parcel: Records, entry: Records) -> None:
    parcel.heard_at = entry.at
    if entry.lane != NOBODY:
        parcel.carrier = entry.lane
    if parcel.handed_at == NO_TIME and entry.step != PACKED:
        parcel.handed_at = entry.at
    if parcel.there_at == NO_TIME and (entry.step == DELIVERED or entry.step == SIGNED):
        parcel.there_at = entry.at
    to = NEXT[parcel.phase, entry.step]
    if to == parcel.phase and entry.step != ATTEMPT_FAILED and entry.step != CUSTOMS_HELD:
        return
    if entry.step == ATTEMPT_FAILED and to == P_ATTEMPT_FAILED:
        parcel.attempts += 1
    parcel.phase, parcel.step, parcel.reason = to, entry.step, entry.reason
    parcel.position, parcel.at = entry.position, entry.at


@numba.njit(cache=True)
def _move_work(work: Records, entry: Records) -> None:
    if entry.step == OFFERED:
        work.units += entry.said
        if entry.cause >= work.cause:
            work.cause, work.offered_at = entry.cause, entry.at
            work.ship_by, work.position, work.lane = entry.also, entry.position, entry.lane
    elif entry.step == WITHDRAWN:
        work.units -= entry.said
    elif entry.step == WORK_ACCEPTED:
        work.accepted_at = entry.at
    elif entry.step == PICKED:
        work.picked_at = entry.at


@numba.njit(cache=True)
def _settle_work(work: Records) -> None:
    """Which of its answers are to the offer that stands."""
    if work.picked_at != NO_TIME and work.picked_at >= work.offered_at:
        work.phase = P_PICKED
    elif work.accepted_at != NO_TIME and work.accepted_at >= work.offered_at:
        work.phase = P_RELEASED


@numba.njit(cache=True)
def is_counted(tables: Tables, k: int, parcels: int) -> bool:
    """Whether a parcel is one: not only planned, and no stand-in beside real ones of its node."""
    parcel = tables.parcels[k]
    if parcel.phase == NONE:
        return False
    if parcel.package != parcel.node:
        return True
    for other in range(parcels):
        real = tables.parcels[other]
        if real.node == parcel.node and real.package != real.node and real.phase != NONE:
            return False
    return True


@numba.njit(cache=True)
def _is_gone(phase: int) -> bool:
    return PROGRESS[phase] >= PROGRESS[P_RETURNING]


@numba.njit(cache=True)
def _furthest_behind(tables: Tables, parcels: int, works: int, decided: int) -> int:
    """The phase of the order as far as its goods are concerned."""
    least, gone = NONE, NONE
    for k in range(parcels):
        if is_counted(tables, k, parcels):
            phase = tables.parcels[k].phase
            if _is_gone(phase):
                gone = phase if gone == NONE or PROGRESS[phase] < PROGRESS[gone] else gone
            elif least == NONE or PROGRESS[phase] < PROGRESS[least]:
                least = phase
    for w in range(works):
        work = tables.works[w]
        if work.units <= 0:
            continue
        shipped = False
        for k in range(parcels):
            shipped |= tables.parcels[k].node == work.node and tables.parcels[k].phase != NONE
        if not shipped and (least == NONE or PROGRESS[work.phase] < PROGRESS[least]):
            least = work.phase
    if decided == P_CANCELLED and (least == NONE or PROGRESS[least] <= PROGRESS[P_PACKED]):
        return P_CANCELLED
    if least != NONE:
        return least
    return gone if gone != NONE else decided


@numba.njit(cache=True)
def judge(tables: Tables, order: int, clock: int, verdict: Records) -> None:
    """Work out where an order stands.

    Args:
        tables: the order's history is read, the scratch is used.
        order: its row.
        clock: log time, us; ``NO_TIME`` before the first tick: then nothing is overdue.
        verdict: where the answer goes.
    """
    parcels, works, decided, cause, is_paid = 0, 0, P_RECEIVED, NOBODY, False
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
            k = _parcel(tables, parcels, entry.package, entry.node)
            parcels = max(parcels, k + 1)
            if entry.classifier != ACTUAL:
                continue
            _move_parcel(tables.parcels[k], entry)
        elif step == PAID:
            is_paid = True
        elif HELD <= step <= CANCELLED:
            if entry.cause >= cause:
                decided, promise, cause = _decided(step), entry.said, entry.cause
                late = entry.classifier
        elif OFFERED <= step <= SHORT_PICKED:
            w = _work(tables, works, entry.node)
            works = max(works, w + 1)
            _move_work(tables.works[w], entry)
        elif step == INSTALLED:
            installed = entry.at
        elif step == ACCEPTED:
            accepted = entry.at
        elif step == FEEDBACK:
            answered, bad = entry.at, entry.position if entry.reason else NOBODY
        last = max(last, entry.at)
    for w in range(works):
        _settle_work(tables.works[w])
    if is_paid and decided == P_RECEIVED:
        decided = P_VALIDATED
    verdict.active, verdict.loud, verdict.due = np.uint64(0), np.uint64(0), NEVER
    verdict.promise, verdict.closed_at, verdict.last = promise, NO_TIME, last
    verdict.parcels, verdict.works, verdict.late = parcels, works, late
    verdict.reminder, verdict.deadline = 0, NO_TIME
    phase = _furthest_behind(tables, parcels, works, decided)
    verdict.phase = phase
    if bad != NOBODY:
        show(tables, verdict, E_FEEDBACK, bad, NOBODY)
    if phase in (P_CANCELLED, P_RETURNED):
        verdict.closed_at = last
    services = (np.int64(tables.orders[order].wants), installed, accepted, answered)
    _after_delivery(tables, order, parcels, clock, services, verdict)
    _look_at_parcels(tables, order, parcels, clock, verdict)
    look_at_devices(tables, order, parcels, clock, verdict)
    _look_at_times(tables, order, parcels, works, clock, promise, last, verdict)


@numba.njit(cache=True)
def _decided(step: int) -> int:
    if step == ROUTED:
        return P_ROUTED
    if step == BACKORDERED:
        return P_BACKORDERED
    return P_CANCELLED if step == CANCELLED else P_HELD


@numba.njit(cache=True)
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
        if not _is_gone(tables.parcels[k].phase) and tables.parcels[k].phase != NONE:
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


@numba.njit(cache=True)
def _is_over(verdict: Records, topic: int, deadline: int, before: int, clock: int) -> bool:
    """Whether a service is overdue; if it is nearly so, the customer is to be reminded."""
    if expect(verdict, deadline, clock):
        return True
    if expect(verdict, deadline - before, clock):
        verdict.reminder, verdict.deadline = topic, deadline
    return False


@numba.njit(cache=True)
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
            if is_held or expect(verdict, parcel.at + customs, clock):
                code = E_CUSTOMS_HOLD
        elif parcel.phase == P_RETURNING:
            code = E_RETURNING
        elif parcel.phase == P_LOST:
            code = E_LOST
        elif parcel.phase == P_DAMAGED:
            code = E_DAMAGED
        for shown in (code, np.int64(parcel.reason)):
            if shown > 0:
                show(tables, verdict, shown, parcel.position, parcel.package)
        if parcel.phase == P_ATTEMPT_FAILED and parcel.attempts >= ATTEMPTS:
            verdict.loud |= np.uint64(1) << np.uint64(E_ATTEMPT_FAILED)


@numba.njit(cache=True)
def _look_at_times(
    tables: Tables,
    order: int,
    parcels: int,
    works: int,
    clock: int,
    promise: int,
    last: int,
    verdict: Records,
) -> None:
    """What is overdue."""
    terms = tables.terms[tables.orders[order].network]
    phase = verdict.phase
    if PROGRESS[phase] >= PROGRESS[P_DELIVERED]:
        return
    if promise != NO_TIME and expect(verdict, promise + 1, clock):
        show(tables, verdict, E_DELAY_BREACHED, NOBODY, NOBODY)
    if phase in (P_RECEIVED, P_VALIDATED, P_HELD):
        first = _begun(tables, order)
        if first != NO_TIME and expect(verdict, first + terms[T_ROUTE], clock):
            show(tables, verdict, E_MISSED_ROUTE, NOBODY, NOBODY)
    for w in range(works):
        if tables.works[w].units > 0 and tables.works[w].ship_by != NO_TIME:
            _look_at_work(tables, order, tables.works[w], parcels, clock, verdict)
    if PROGRESS[phase] >= PROGRESS[P_HANDED_OVER]:
        if expect(verdict, last + _silence_us(tables, order, parcels, works), clock):
            show(tables, verdict, E_SILENCE, NOBODY, NOBODY)
        if expect(verdict, last + terms[T_EXPIRED], clock):
            show(tables, verdict, E_EXPIRED, NOBODY, NOBODY)
            verdict.closed_at = last + terms[T_EXPIRED]


@numba.njit(cache=True)
def _begun(tables: Tables, order: int) -> int:
    """When the first thing happened that is said of an order; what devices say has no time of its own."""
    at = tables.orders[order].first
    while at != NOBODY:
        entry = tables.entries[at]
        if entry.at != NO_TIME and entry.step != RETRACTED:
            return entry.at
        at = entry.next
    return NO_TIME


@numba.njit(cache=True)
def _look_at_work(
    tables: Tables, order: int, work: Records, parcels: int, clock: int, verdict: Records
) -> None:
    """What a node is to have done by now, counted back from the end of the day on which it is to ship.

    Of picking, packing and handing over only one is missed at a time: the last that time has come for,
    or what it waits for.
    """
    terms, reached = tables.terms[tables.orders[order].network], work.phase
    for k in range(parcels):
        if tables.parcels[k].node == work.node and tables.parcels[k].phase != NONE:
            if PROGRESS[tables.parcels[k].phase] > PROGRESS[reached]:
                reached = tables.parcels[k].phase
    if PROGRESS[reached] >= PROGRESS[P_HANDED_OVER]:
        return
    missed = 0
    if expect(verdict, work.ship_by + terms[T_HAND_OVER], clock):
        missed = E_MISSED_HAND_OVER
    elif PROGRESS[reached] < PROGRESS[P_PICKED]:
        missed = E_MISSED_PICK if expect(verdict, work.ship_by - terms[T_PICK], clock) else 0
    elif PROGRESS[reached] < PROGRESS[P_PACKED]:
        missed = E_MISSED_PACK if expect(verdict, work.ship_by - terms[T_PACK], clock) else 0
    if missed:
        show(tables, verdict, missed, work.position, NOBODY)
        tables.evidence[missed, 2] = work.node


@numba.njit(cache=True)
def _silence_us(tables: Tables, order: int, parcels: int, works: int) -> int:
    """How long the carriers of what is under way may be silent: as long as the slowest lane among them."""
    network = tables.orders[order].network
    terms, longest = tables.terms[network], NO_TIME
    for k in range(parcels):
        parcel, silence = tables.parcels[k], terms[T_SILENCE]
        is_there = PROGRESS[parcel.phase] >= PROGRESS[P_DELIVERED]
        if is_there or not is_counted(tables, k, parcels):
            continue
        way = way_of(tables, order, parcel.node, parcel.carrier, works)
        gap_hours = tables.lanes.rows[find_lane(tables, network, way)].gap_hours
        if gap_hours > 0:
            usual = np.int64(tables.limits[network, L_SILENCE_GAPS] * gap_hours * HOUR_US)
            silence = min(terms[T_SILENCE_MOST], max(terms[T_SILENCE_LEAST], usual))
        longest = max(longest, silence)
    return terms[T_SILENCE] if longest == NO_TIME else longest
