"""What the model is asked: when each parcel of an order will be there, by all that is known now.

The walk asks and does not wait for the answers: nothing that it does depends on them. So all questions of a
slice are answered at once (scoring.py), and told in the order in which they were asked (telling.py).

A *round* is about one order: a question for each of its parcels that is under way, and one for all that is
not a parcel yet. A round is asked when a record bears on the order, when its promised date passes, and
otherwise as often as the policy says, on ticks. One question without a parcel ends what was told, where
there is no arrival to wait for any more.
"""

import numpy as np

from models.intake.columns import NO_TIME
from models.jit import borrowing_kernel
from models.lifecycle.steps import Step
from models.lifecycle.transitions import NONE, PROGRESS, number
from models.tracking.arrays import (
    BLOCK,
    NEVER,
    NO_PART,
    NOBODY,
    PARTS,
    Cursor,
    Records,
    Tables,
    Term,
)
from models.tracking.devices import BOUND, parcel_of_device
from models.tracking.features import REMAINING_P50, Group, fill
from models.tracking.goods import is_counted, is_shipped
from models.tracking.lane_book import (
    LEGS,
    RATIOS,
    Way,
    find_lane,
    handed_over_at,
    way_of,
)
from models.tracking.lanes import HOUR_US, Blend, chance_of_more, seen
from models.tracking.notices import begin_notice
from models.tracking.topics import EXCEPTIONS_FROM
from schemas.codes import ExceptionCode, Phase

QUESTION = np.dtype(
    [
        ("record", np.int32),
        ("index", np.int32),  # of the first of the two effects that its answer may have
        ("order", np.int32),
        ("network", np.int32),
        ("package", np.int32),  # ``NOBODY``: what is not a parcel yet
        ("lane", np.int32),  # its way, four words
        ("carrier", np.int32),
        ("node", np.int32),
        ("region", np.int32),
        ("now", np.int64),
        ("promise", np.int64),
        ("scale", np.float64),  # hours, see features.py
        ("late", np.float64),  # chance of coming after the promise, by the history of the lane
        ("step", np.uint8),  # the last that was known
        ("is_last", np.bool_),  # of its round
        ("is_over", np.bool_),  # no arrival is waited for
        ("is_breached", np.bool_),  # the promised date has passed
        ("is_shown", np.bool_),  # the record shows it; else time has passed
        ("is_blind", np.bool_),  # hardly a delivery of the network is known
    ],
    align=True,
)
EFFECTS = 2
"""Of a question: an estimate, and a change of an exception."""
LEAST_KNOWN = 10
"""Deliveries of a network below which its lanes predict no delay."""
LOOKS = 16
"""How often an arrival is estimated until half of the time that is left has passed, if that is long."""
TURNS, SPREAD = 256, 157
"""Turns in the time after which is asked again, and how far apart those of two neighbours are."""
MOST_ASKED = 32
"""Parcels of one order whose arrival is estimated."""

ASKED, INDEX, RECORD = int(Cursor.ASKED), int(Cursor.INDEX), int(Cursor.RECORD)
T_EVERY, T_OUT = int(Term.EVERY), int(Term.OUT)
DELAY = EXCEPTIONS_FROM + int(ExceptionCode.DELAY_PREDICTED)
E_DELAY_BREACHED = np.uint64(ExceptionCode.DELAY_BREACHED)
AT_ROUTED, AT_DELIVERED = PROGRESS[number(Phase.ROUTED)], PROGRESS[number(Phase.DELIVERED)]
BEFORE, OUT = int(Group.BEFORE), int(Group.OUT)


def _groups() -> np.ndarray:
    """(NONE + 1,) the ``Group`` of each phase."""
    groups = np.full(NONE + 1, BEFORE, np.int64)
    for phase, group in (
        (Phase.HANDED_OVER, Group.MOVING),
        (Phase.IN_TRANSIT, Group.MOVING),
        (Phase.CUSTOMS, Group.CUSTOMS),
        (Phase.OUT_FOR_DELIVERY, Group.OUT),
        (Phase.AVAILABLE_FOR_PICKUP, Group.DOOR),
        (Phase.ATTEMPT_FAILED, Group.DOOR),
    ):
        groups[number(phase)] = group
    return groups


def _steps() -> np.ndarray:
    """(NONE + 1,) the step that stands for each phase before there is a parcel."""
    steps = np.full(NONE + 1, Step.ROUTED, np.uint8)
    steps[number(Phase.RELEASED)], steps[number(Phase.PICKED)] = Step.WORK_ACCEPTED, Step.PICKED
    return steps


GROUPS, STEPS = _groups(), _steps()


@borrowing_kernel
def ask(tables: Tables, order: int, verdict: Records, clock: int, is_shown: bool) -> None:
    """Ask a round about the order that was judged last.

    Args:
        tables: there is room for ``MOST_ASKED`` questions and one more.
        order: its row.
        verdict: of it.
        clock: log time; ``NO_TIME``: before the first tick, the newest of what is known is now.
        is_shown: the record under way is about it.
    """
    row, cursor = tables.orders[order], tables.cursor
    now = verdict.last if clock == NO_TIME else clock
    first = cursor[ASKED]
    is_on_its_way = AT_ROUTED <= PROGRESS[verdict.goods] < AT_DELIVERED
    if is_on_its_way and verdict.closed_at == NO_TIME:
        _ask_about_goods(tables, order, verdict, now)
        row.ask_at = _next_turn(tables, order, first, now)
    elif row.ask_at != NEVER:
        row.ask_at = NEVER
        _next(tables, order, now, verdict)
        tables.asked.questions[first].is_over = True
    if cursor[ASKED] > first:
        last = cursor[ASKED] - 1
        tables.asked.questions[last].is_last = True
        tables.asked.notices[last].topic = 0
        if tables.answered[row.network, DELAY]:  # somebody is to hear of it, if the answer says so
            begin_notice(tables, tables.asked.notices[last], order, DELAY, verdict, now)
        for q in range(first, cursor[ASKED]):
            tables.asked.questions[q].is_shown = is_shown


@borrowing_kernel
def _next_turn(tables: Tables, order: int, first: int, now: int) -> int:
    """When to ask again: the sooner, the nearer the first arrival is by the history of its lane.

    Orders of a block take turns together, so that a tick need not look at the others.
    """
    every, asked = tables.terms[tables.orders[order].network, T_EVERY], tables.asked
    left = np.inf
    for q in range(first, tables.cursor[ASKED]):
        left = min(left, asked.features[q, REMAINING_P50] * asked.questions[q].scale)
    turns = max(1, np.int64(left * HOUR_US / (every * LOOKS)))
    turn = order // BLOCK * SPREAD % TURNS * (every // TURNS)
    return now - (now - turn) % every + turns * every


@borrowing_kernel
def _next(tables: Tables, order: int, now: int, verdict: Records) -> Records:
    """A new question, about nothing yet."""
    cursor = tables.cursor
    question = tables.asked.questions[cursor[ASKED]]
    question.record, question.index, question.order = cursor[RECORD], cursor[INDEX], order
    question.network, question.package = tables.orders[order].network, NOBODY
    question.now, question.promise, question.scale = now, verdict.promise, 0.0
    question.step = STEPS[verdict.goods]
    question.is_last, question.is_over = False, False
    question.is_breached = verdict.active >> E_DELAY_BREACHED & np.uint64(1) != 0
    cursor[ASKED] += 1
    cursor[INDEX] += EFFECTS
    return question


@borrowing_kernel
def _ask_about_goods(tables: Tables, order: int, verdict: Records, now: int) -> None:
    cursor, parcels = tables.cursor, verdict.parcels
    full = cursor[ASKED] + MOST_ASKED
    for k in range(parcels):
        parcel = tables.parcels[k]
        is_there = PROGRESS[parcel.phase] >= AT_DELIVERED
        if cursor[ASKED] < full and not is_there and is_counted(tables, k, parcels):
            question = _next(tables, order, now, verdict)
            question.package, question.step = parcel.package, parcel.step
            way = way_of(tables, order, parcel.node, parcel.carrier, verdict.works)
            handed = handed_over_at(tables, k, parcels)
            ship_by = _ship_by(tables, parcel.node, verdict.works)
            group = GROUPS[parcel.phase]
            place = _position_of(tables, order, parcel.package)
            _fill(tables, way, group, (handed, ship_by, parcel.heard_at), place, verdict)
    node, ship_by, waits = NOBODY, NO_TIME, False
    for w in range(verdict.works):
        work = tables.works[w]
        if work.units > 0 and not is_shipped(tables, parcels, work.node):
            waits = True
            if node == NOBODY or work.ship_by > ship_by:
                node, ship_by = work.node, work.ship_by
    if waits or cursor[ASKED] + MOST_ASKED == full:
        _next(tables, order, now, verdict)
        way = way_of(tables, order, node, NOBODY, verdict.works)
        times = (np.int64(NO_TIME), ship_by, verdict.last)
        _fill(tables, way, BEFORE, times, (np.int64(NO_TIME), np.nan), verdict)


@borrowing_kernel
def _ship_by(tables: Tables, node: int, works: int) -> int:
    for w in range(works):
        if tables.works[w].node == node:
            return tables.works[w].ship_by
    return NO_TIME


@borrowing_kernel
def _position_of(tables: Tables, order: int, package: int) -> tuple[int, float]:
    """When a parcel was last located, and how far along its way it was then."""
    located, share = np.int64(NO_TIME), np.int64(NO_PART)
    at = tables.orders[order].first
    while at != NOBODY and tables.entries[at].at == NO_TIME:
        entry = tables.entries[at]
        at = entry.next
        if entry.step != BOUND or entry.position <= located or entry.reason == NO_PART:
            continue
        if parcel_of_device(tables, order, entry) in (NOBODY, package):
            located, share = entry.position, np.int64(entry.reason)
    return located, share / PARTS


@borrowing_kernel
def _fill(
    tables: Tables,
    way: Way,
    group: int,
    times: tuple[int, int, int],
    place: tuple[int, float],
    verdict: Records,
) -> None:
    """Put what is known into the newest question.

    ``times``: handed over, to be handed over by, and the newest word; ``place``: see ``_position_of``.
    """
    q = tables.cursor[ASKED] - 1
    question, asked, lanes = tables.asked.questions[q], tables.asked, tables.lanes
    question.lane, question.carrier, question.node, question.region = way
    lane, network = find_lane(tables, question.network, way), question.network
    usual, ratios = lanes.networks[network, LEGS], lanes.networks[network, RATIOS]
    handed, ship_by, heard = times
    question.is_blind = seen(usual) < LEAST_KNOWN
    question.late = 0.0
    late = np.nan if verdict.late == NO_PART else verdict.late / PARTS
    question.scale = fill(
        asked.features[q],
        asked.blended,
        (lanes.counts[lane, LEGS], usual, ratios),
        group,
        question.now,
        handed,
        ship_by,
        heard,
        question.promise,
        place,
        late,
    )
    is_at_hand = group == OUT and question.now < heard + tables.terms[network, T_OUT]
    if question.promise != NO_TIME and not is_at_hand:
        question.late = _chance_of_late(asked.blended, question, group, handed, ship_by)


@borrowing_kernel
def _chance_of_late(
    blended: Blend, question: Records, group: int, handed: int, ship_by: int
) -> float:
    """By the blend of its lane that ``fill`` left."""
    since = max(question.now, ship_by) if group == BEFORE else handed
    if since == NO_TIME:
        return 0.0
    elapsed = max(0.0, (question.now - since) / HOUR_US)
    return chance_of_more(blended, elapsed, (question.promise - max(question.now, since)) / HOUR_US)
