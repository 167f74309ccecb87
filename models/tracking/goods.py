"""The parcels of an order and the work that nodes were offered of it, gathered from its history.

They lie in the scratch for as long as one order is judged. A parcel that is named like its node stands for all
that the node ships, until real ones of it are known: it is a *stand-in*.

Not every carrier knows which node a parcel left. Where the order's works and parcels name one node, its parcel
is of that one (``place_parcels``). Where they name several, its node stays unknown; but so that the order
can arrive, it is counted for one: for the first that says it packed, then for the one that was offered
first, of those of which no parcel is known. What is left over is counted by itself.
"""

import numpy as np
import numpy.typing as npt

from models.intake.columns import NO_TIME
from models.jit import borrowing_kernel
from models.lifecycle.steps import MILESTONES, Step
from models.lifecycle.transitions import NEXT, NONE, PROGRESS, number
from models.tracking.arrays import ACTUAL, NOBODY, Records, Tables
from schemas.codes import Phase

PACKED, DELIVERED, SIGNED = int(Step.PACKED), int(Step.DELIVERED), int(Step.SIGNED)
ATTEMPT_FAILED, CUSTOMS_HELD = int(Step.ATTEMPT_FAILED), int(Step.CUSTOMS_HELD)
OFFERED, WITHDRAWN, RETRACTED = int(Step.OFFERED), int(Step.WITHDRAWN), int(Step.RETRACTED)
WORK_ACCEPTED, PICKED = int(Step.WORK_ACCEPTED), int(Step.PICKED)
P_ROUTED, P_RELEASED = number(Phase.ROUTED), number(Phase.RELEASED)
P_PICKED, P_PACKED = number(Phase.PICKED), number(Phase.PACKED)
P_ATTEMPT_FAILED, P_RETURNING = number(Phase.ATTEMPT_FAILED), number(Phase.RETURNING)
P_DELIVERED, P_CANCELLED = number(Phase.DELIVERED), number(Phase.CANCELLED)
P_LOST, P_DAMAGED = number(Phase.LOST), number(Phase.DAMAGED)
P_HELD, P_BACKORDERED = number(Phase.HELD), number(Phase.BACKORDERED)


@borrowing_kernel
def parcel_of(tables: Tables, count: int, package: int, node: int) -> int:
    """The place of a parcel in the scratch; ``count`` if it is new, made ready there."""
    for k in range(count):
        if tables.parcels[k].package == package:
            if node != NOBODY:
                tables.parcels[k].node = node
            return k
    parcel = tables.parcels[count]
    parcel.package, parcel.node, parcel.ships_for, parcel.attempts = package, node, node, 0
    parcel.phase, parcel.step, parcel.reason = NONE, RETRACTED, 0
    parcel.position, parcel.at = NOBODY, NO_TIME
    parcel.carrier, parcel.handed_at, parcel.heard_at = NOBODY, NO_TIME, NO_TIME
    parcel.there_at = NO_TIME
    return count


@borrowing_kernel
def work_of(tables: Tables, count: int, node: int) -> int:
    """The same of what a node was offered."""
    for k in range(count):
        if tables.works[k].node == node:
            return k
    work = tables.works[count]
    work.node, work.units, work.cause, work.phase = node, 0, NOBODY, P_ROUTED
    work.ship_by, work.position, work.offered_at = NO_TIME, NOBODY, NO_TIME
    work.accepted_at, work.picked_at, work.lane = NO_TIME, NO_TIME, NOBODY
    return count


@borrowing_kernel
def carrier_of(entry: Records) -> int:
    """Who reported an actual milestone; ``NOBODY``: its source does not say, or positions showed it."""
    return np.int64(entry.said if entry.also == NO_TIME else NOBODY)


def name_carriers(entries: Records) -> npt.NDArray[np.bool_]:
    """Of each entry, whether ``carrier_of`` may be asked of it."""
    is_actual = (entries["step"] < MILESTONES) & (entries["classifier"] == ACTUAL)
    found: npt.NDArray[np.bool_] = is_actual & (entries["also"] == NO_TIME)
    return found


@borrowing_kernel
def parcel_named_by(entry: Records) -> int:
    """The parcel that an entry is about; ``NOBODY``: none, as of an offer, which names a lane in its place."""
    return np.int64(NOBODY if OFFERED <= entry.step <= WITHDRAWN else entry.package)


@borrowing_kernel
def move_parcel(parcel: Records, entry: Records) -> None:
    """Let an actual milestone happen to a parcel."""
    parcel.heard_at = entry.at
    carrier = carrier_of(entry)
    if carrier != NOBODY:
        parcel.carrier = carrier
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


@borrowing_kernel
def move_work(work: Records, entry: Records) -> None:
    """Let an offer, its withdrawal or an answer change what a node is to do."""
    if entry.step == OFFERED:
        work.units += entry.said
        if entry.cause >= work.cause:
            work.cause, work.offered_at = entry.cause, entry.at
            work.ship_by, work.position, work.lane = entry.also, entry.position, entry.package
    elif entry.step == WITHDRAWN:
        work.units -= entry.said
    elif entry.step == WORK_ACCEPTED:
        work.accepted_at = entry.at
    elif entry.step == PICKED:
        work.picked_at = entry.at


@borrowing_kernel
def settle_work(work: Records) -> None:
    """Which of its answers are to the offer that stands."""
    if work.picked_at != NO_TIME and work.picked_at >= work.offered_at:
        work.phase = P_PICKED
    elif work.accepted_at != NO_TIME and work.accepted_at >= work.offered_at:
        work.phase = P_RELEASED


@borrowing_kernel
def place_parcels(tables: Tables, parcels: int, works: int) -> None:
    """Say of every parcel whose work it is counted for, and of what node it is where only one can be."""
    only, several = NOBODY, False
    for w in range(works):
        if tables.works[w].units > 0:
            several |= only != NOBODY and only != tables.works[w].node
            only = tables.works[w].node
    for k in range(parcels):
        node = tables.parcels[k].node
        tables.parcels[k].ships_for = node
        if node != NOBODY and not _is_withdrawn(tables, works, node):
            several |= only != NOBODY and only != node
            only = node
    if several:
        _share_out(tables, parcels, works)
        return
    for k in range(parcels):
        if tables.parcels[k].node == NOBODY:
            tables.parcels[k].node = tables.parcels[k].ships_for = only


@borrowing_kernel
def _share_out(tables: Tables, parcels: int, works: int) -> None:
    """Count one parcel of no known node for each node of which no parcel is known."""
    k = _next_unplaced(tables, 0, parcels)
    for s in range(parcels):
        node = tables.parcels[s].node
        is_stand_in = node != NOBODY and node == tables.parcels[s].package
        if k < parcels and is_stand_in and tables.parcels[s].phase != NONE:
            if not _is_withdrawn(tables, works, node) and not _has_own(tables, parcels, node):
                tables.parcels[k].ships_for = node
                k = _next_unplaced(tables, k, parcels)
    for w in range(works):
        node = tables.works[w].node
        if k < parcels and tables.works[w].units > 0 and not _has_own(tables, parcels, node):
            tables.parcels[k].ships_for = node
            k = _next_unplaced(tables, k, parcels)


@borrowing_kernel
def _next_unplaced(tables: Tables, k: int, parcels: int) -> int:
    """The first parcel from here on that is of no known node and counted for none."""
    while k < parcels and (
        tables.parcels[k].ships_for != NOBODY or tables.parcels[k].phase == NONE
    ):
        k += 1
    return k


@borrowing_kernel
def _is_withdrawn(tables: Tables, works: int, node: int) -> bool:
    """Whether nothing is left of what a node was offered; no if nobody knows of an offer."""
    for w in range(works):
        work = tables.works[w]
        if work.node == node:
            return work.units < 0 or (work.units == 0 and work.offered_at != NO_TIME)
    return False


@borrowing_kernel
def _has_own(tables: Tables, parcels: int, node: int) -> bool:
    """Whether a parcel is counted for a node, beside its stand-in."""
    for k in range(parcels):
        parcel = tables.parcels[k]
        if parcel.ships_for == node and parcel.package != parcel.node and parcel.phase != NONE:
            return True
    return False


@borrowing_kernel
def is_shipped(tables: Tables, parcels: int, node: int) -> bool:
    """Whether a node has packed anything of the order."""
    for k in range(parcels):
        if tables.parcels[k].ships_for == node and tables.parcels[k].phase != NONE:
            return True
    return False


@borrowing_kernel
def is_counted(tables: Tables, k: int, parcels: int) -> bool:
    """Whether a parcel is one: not only planned, and no stand-in beside real ones of its node."""
    parcel = tables.parcels[k]
    if parcel.phase == NONE:
        return False
    return parcel.package != parcel.node or not _has_own(tables, parcels, parcel.node)


@borrowing_kernel
def is_gone(phase: int) -> bool:
    """Whether a parcel in this phase is not on its way to the customer any more."""
    return PROGRESS[phase] >= PROGRESS[P_RETURNING]


@borrowing_kernel
def _lesser(one: int, other: int) -> int:
    """Of two phases the one further behind; ``NONE`` is none."""
    if one == NONE or other == NONE:
        return other if one == NONE else one
    return one if PROGRESS[one] < PROGRESS[other] else other


@borrowing_kernel
def furthest_behind(tables: Tables, parcels: int, works: int, decided: int, settled_at: int) -> int:
    """The phase of the order as far as its goods are concerned, those that a node has or had.

    What was lost or damaged is behind everything that has arrived, until the loss is settled: its work is
    withdrawn, so that others ship it or nobody does; or the customer is content all the same. What is packed
    and was withdrawn stays where it is. So an order is cancelled if nothing has left.

    Args:
        tables: the scratch is read.
        parcels: of the order.
        works: of its nodes.
        decided: phase by the decision that stands.
        settled_at: when the customer last was content.
    """
    least, gone, amiss, is_cancelled = NONE, NONE, NONE, decided == P_CANCELLED
    for k in range(parcels):
        if not is_counted(tables, k, parcels):
            continue
        parcel = tables.parcels[k]
        phase = np.int64(parcel.phase)
        is_wanted = not is_cancelled and not _is_withdrawn(tables, works, parcel.ships_for)
        if not is_gone(phase):
            if is_wanted or phase != P_PACKED:
                least = _lesser(phase, least)
            continue
        gone = _lesser(phase, gone)
        if phase in (P_LOST, P_DAMAGED) and is_wanted and parcel.at > settled_at:
            amiss = _lesser(phase, amiss)
    for w in range(works):
        work = tables.works[w]
        is_wanted = not is_cancelled and work.units > 0
        if is_wanted and not is_shipped(tables, parcels, work.node):
            least = _lesser(np.int64(work.phase), least)
    if least == NONE:
        return decided if gone == NONE or is_cancelled else gone
    return amiss if amiss != NONE and PROGRESS[least] >= PROGRESS[P_DELIVERED] else least


@borrowing_kernel
def with_what_waits(goods: int, decided: int, is_undecided: bool) -> int:
    """The phase of the order: units that no node has are part of it.

    They wait for stock, or for a person; or (``is_undecided``) the router took them from a node, and its
    decision on them, which comes after that, is not known yet.
    """
    is_part = decided in (P_HELD, P_BACKORDERED) or (is_undecided and decided == P_ROUTED)
    return _lesser(decided, goods) if is_part else goods
