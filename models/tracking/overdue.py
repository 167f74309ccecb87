"""What is overdue: decisions, the work of nodes, the date told, the word of carriers.

Every deadline is counted from what the history says and compared with the clock of the log; where it has not
come yet, the verdict says when to look again.
"""

import numpy as np

from models.intake.columns import NO_TIME
from models.jit import borrowing_kernel
from models.lifecycle.steps import Step
from models.lifecycle.transitions import NONE, PROGRESS, number
from models.tracking.arrays import NOBODY, Limit, Records, Tables, Term
from models.tracking.goods import is_counted
from models.tracking.lane_book import find_lane, way_of
from models.tracking.lanes import HOUR_US
from models.tracking.verdict import expect, show, show_of_node
from schemas.codes import ExceptionCode, Phase

ORDERED, CANCELLED = int(Step.ORDERED), int(Step.CANCELLED)
P_RECEIVED, P_VALIDATED = number(Phase.RECEIVED), number(Phase.VALIDATED)
P_HELD, P_PICKED, P_PACKED = (number(p) for p in (Phase.HELD, Phase.PICKED, Phase.PACKED))
P_HANDED_OVER, P_DELIVERED = number(Phase.HANDED_OVER), number(Phase.DELIVERED)
T_ROUTE, T_PICK, T_PACK = int(Term.ROUTE), int(Term.PICK), int(Term.PACK)
T_HAND_OVER, T_SILENCE = int(Term.HAND_OVER), int(Term.SILENCE)
T_SILENCE_LEAST, T_SILENCE_MOST = int(Term.SILENCE_LEAST), int(Term.SILENCE_MOST)
T_EXPIRED, L_SILENCE_GAPS = int(Term.EXPIRED), int(Limit.SILENCE_GAPS)
E_DELAY_BREACHED, E_SILENCE = int(ExceptionCode.DELAY_BREACHED), int(ExceptionCode.SILENCE)
E_EXPIRED, E_MISSED_ROUTE = int(ExceptionCode.EXPIRED), int(ExceptionCode.MILESTONE_MISSED_ROUTE)
E_MISSED_PICK = int(ExceptionCode.MILESTONE_MISSED_PICK)
E_MISSED_PACK = int(ExceptionCode.MILESTONE_MISSED_PACK)
E_MISSED_HAND_OVER = int(ExceptionCode.MILESTONE_MISSED_HANDOVER)


@borrowing_kernel
def look_at_times(tables: Tables, order: int, clock: int, verdict: Records) -> None:
    """What is overdue of the order that is being judged."""
    terms, phase = tables.terms[tables.orders[order].network], verdict.phase
    parcels, works, promise = verdict.parcels, verdict.works, verdict.promise
    if verdict.is_over or PROGRESS[phase] >= PROGRESS[P_DELIVERED]:
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
    _look_for_silence(tables, order, clock, verdict)


@borrowing_kernel
def _begun(tables: Tables, order: int) -> int:
    """When an order was placed, or first decided on."""
    at = tables.orders[order].first
    while at != NOBODY:
        entry = tables.entries[at]
        if entry.at != NO_TIME and ORDERED <= entry.step <= CANCELLED:
            return entry.at
        at = entry.next
    return NO_TIME


@borrowing_kernel
def _look_at_work(
    tables: Tables, order: int, work: Records, parcels: int, clock: int, verdict: Records
) -> None:
    """What a node is to have done by now, counted back from the end of the day on which it is to ship.

    Of picking, packing and handing over only one is missed at a time: the last that time has come for,
    or what it waits for.
    """
    terms, reached = tables.terms[tables.orders[order].network], work.phase
    for k in range(parcels):
        if tables.parcels[k].ships_for == work.node and tables.parcels[k].phase != NONE:
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
        show_of_node(tables, verdict, missed, work.position, work.node)


@borrowing_kernel
def _look_for_silence(tables: Tables, order: int, clock: int, verdict: Records) -> None:
    """Parcels on their way that nobody has spoken of for long; once that is all of the order, it is over."""
    expired = tables.terms[tables.orders[order].network, T_EXPIRED]
    ended, waits = NO_TIME, PROGRESS[verdict.phase] < PROGRESS[P_HANDED_OVER]
    for k in range(verdict.parcels):
        parcel = tables.parcels[k]
        is_on_its_way = PROGRESS[P_HANDED_OVER] <= PROGRESS[parcel.phase] < PROGRESS[P_DELIVERED]
        if not is_on_its_way or not is_counted(tables, k, verdict.parcels):
            continue
        if expect(verdict, parcel.heard_at + _silence_us(tables, order, k, verdict.works), clock):
            show(tables, verdict, E_SILENCE, NOBODY, parcel.package)
        if expect(verdict, parcel.heard_at + expired, clock):
            show(tables, verdict, E_EXPIRED, NOBODY, parcel.package)
            ended = max(ended, parcel.heard_at + expired)
        else:
            waits = True
    if not waits:
        verdict.closed_at = ended


@borrowing_kernel
def _silence_us(tables: Tables, order: int, k: int, works: int) -> int:
    """How long the carrier of a parcel may be silent: by its lane, where that is known."""
    network, parcel = tables.orders[order].network, tables.parcels[k]
    terms = tables.terms[network]
    way = way_of(tables, order, parcel.node, parcel.carrier, works)
    gap_hours = tables.lanes.rows[find_lane(tables, network, way)].gap_hours
    if gap_hours <= 0:
        return terms[T_SILENCE]
    usual = np.int64(tables.limits[network, L_SILENCE_GAPS] * gap_hours * HOUR_US)
    return min(terms[T_SILENCE_MOST], max(terms[T_SILENCE_LEAST], usual))
