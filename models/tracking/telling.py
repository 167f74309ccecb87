"""What is told of arrivals: the answers to the walk's questions, less what would only unsettle.

An estimate that was told stands until another one is worth telling: it lies further away than the policy's
``change_hours`` and share of the time that is left, and has done so, on the same side, for ``confirm_hours``;
or it lies ``GRAVE`` times as far away; or what was told has passed; or a delay begins or ceases to be
predicted. For that there are two borders, beyond the promised date and before it: an estimate between them
changes nothing.

DELAY_PREDICTED is raised of an order once, however many of its parcels come late, since the date is the
order's; until its end it goes by the parcel that came latest then. It is resolved when none
does, when there is no arrival to wait for, and when the date has passed: DELAY_BREACHED, which the walk
raises, takes over.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from models.intake.columns import NO_TIME
from models.jit import borrowing_kernel
from models.tracking.arrays import NOBODY, Change, Ints, Limit, Raised, Records, Term
from models.tracking.lanes import HOUR_US
from models.tracking.room import make_room, own
from schemas.codes import ExceptionCode

TOLD = np.dtype(
    [
        ("package", np.int32),
        ("next", np.int32),  # of the same order
        ("p50_at", np.int64),
        ("p90_at", np.int64),
        ("since", np.int64),  # when it was first found elsewhere; ``NO_TIME``: it is not
        ("is_earlier", np.bool_),  # on which side
        ("is_late", np.bool_),
        ("is_asked", np.bool_),  # in the round under way
    ],
    align=True,
)
"""What was told of a parcel, or of what is not a parcel yet."""
EXPECTED = np.dtype([("first", np.int32), ("late", np.int32)], align=True)
"""Of an order: the first of its ``TOLD``, and the parcel by which a delay is predicted."""
NO_DELAY = -2
"""In place of that parcel: none is. What is not a parcel yet is ``NOBODY``."""
ESTIMATE = np.dtype(
    [
        ("question", np.int32),
        ("p50_at", np.int64),
        ("p90_at", np.int64),
        ("is_late", np.bool_),
    ],
    align=True,
)
GRAVE = 2
"""Times the change that has to last: told at once."""
MINUTE_US = 60_000_000
"""Estimates are whole minutes, so that the last bit of a score does not matter."""
FREE, USED = 0, 1
"""Of the counts: the first free row of ``TOLD``, and how many were ever used."""
T_CHANGE, T_CONFIRM = int(Term.CHANGE), int(Term.CONFIRM)
T_MARGIN, T_WITHDRAWN = int(Term.MARGIN), int(Term.WITHDRAWN)
L_CHANGE_SHARE, L_LATE, L_SAFE = int(Limit.CHANGE_SHARE), int(Limit.LATE), int(Limit.SAFE)
DELAY_PREDICTED = int(ExceptionCode.DELAY_PREDICTED)
IS_RAISED, IS_RESOLVED = int(Change.RAISED), int(Change.RESOLVED)
R_RECORD, R_INDEX, R_ORDER, R_CODE, R_CHANGE, _, R_PACKAGE, R_EVIDENCE, R_AT, R_NODE = (
    int(r) for r in Raised
)


class Memory(NamedTuple):
    """What was told, as the kernel sees it."""

    orders: Records
    told: Records
    counts: Ints


class Heard(NamedTuple):
    """Questions with their answers, and the policy."""

    questions: Records
    hours: npt.NDArray[np.float64]  # (questions, 2) from now to the arrival, see features.py
    positions: Ints  # of the records
    terms: Ints
    limits: npt.NDArray[np.float64]


class News(NamedTuple):
    """What is told: rows, as many as were counted."""

    estimates: Records
    raised: Ints
    delays: Ints  # (raised, 2): the question that ended the round, and when it is expected then
    counts: Ints


@borrowing_kernel
def tell(heard: Heard, memory: Memory, news: News) -> None:
    """Take the answers one after another, in the order of their questions."""
    for q in range(len(heard.questions)):
        question = heard.questions[q]
        if not question.is_over:
            row = _row_of(memory, question.order, question.package)
            memory.told[row].is_asked = True
            _take(heard, q, memory.told[row], news)
        if question.is_last:
            _say_delay(heard, q, _end_round(memory, question.order), memory, news)


@borrowing_kernel
def _row_of(memory: Memory, order: int, package: int) -> int:
    """The row of a parcel, made if there is none."""
    expected, told, counts = memory.orders[order], memory.told, memory.counts
    at = expected.first
    while at != NOBODY:
        if told[at].package == package:
            return at
        at = told[at].next
    new = counts[FREE]
    if new != NOBODY:
        counts[FREE] = told[new].next
    else:
        new = counts[USED]
        counts[USED] += 1
    row = told[new]
    row.package, row.next, row.p50_at, row.p90_at = package, expected.first, NO_TIME, NO_TIME
    row.since, row.is_earlier, row.is_late, row.is_asked = NO_TIME, False, False, False
    expected.first = new
    return new


@borrowing_kernel
def _instant(now: int, hours: float) -> int:
    return np.int64(np.rint((now + max(0.0, hours) * HOUR_US) / MINUTE_US)) * MINUTE_US


@borrowing_kernel
def _take(heard: Heard, q: int, row: Records, news: News) -> None:
    """Take an answer, and tell it if that is worth it."""
    question = heard.questions[q]
    p50_at = _instant(question.now, heard.hours[q, 0])
    p90_at = max(p50_at, _instant(question.now, heard.hours[q, 1]))
    terms, was_late = heard.terms[question.network], row.is_late
    is_open = question.promise != NO_TIME and not question.is_blind
    limits = heard.limits[question.network]
    is_safe = p50_at < question.promise - terms[T_WITHDRAWN] or question.late < limits[L_SAFE]
    if not is_open or is_safe:
        row.is_late = False
    elif p50_at > question.promise + terms[T_MARGIN] and question.late >= limits[L_LATE]:
        row.is_late = True
    share = limits[L_CHANGE_SHARE]
    left = np.int64(share * (p50_at - question.now))
    is_news = _is_news(row, p50_at, question.now, max(terms[T_CHANGE], left), terms[T_CONFIRM])
    if is_news or row.is_late != was_late:
        row.p50_at, row.p90_at, row.since = p50_at, p90_at, NO_TIME
        told = news.estimates[news.counts[0]]
        told.question, told.p50_at, told.p90_at, told.is_late = q, p50_at, p90_at, row.is_late
        news.counts[0] += 1


@borrowing_kernel
def _is_news(row: Records, p50_at: int, now: int, change_us: int, confirm_us: int) -> bool:
    """Whether an estimate is to be told; if not yet, the row remembers since when it is another one."""
    if row.p50_at == NO_TIME:
        return True
    moved = p50_at - row.p50_at
    if abs(moved) < change_us:
        row.since = NO_TIME
        return False
    if abs(moved) >= GRAVE * change_us or row.p50_at < now:
        return True
    if row.since == NO_TIME or row.is_earlier != (moved < 0):
        row.since, row.is_earlier = now, moved < 0
    return now - row.since >= confirm_us


@borrowing_kernel
def _end_round(memory: Memory, order: int) -> int:
    """Drop what was not asked about; returns the row that comes latest of those that come late."""
    expected, told, latest = memory.orders[order], memory.told, NOBODY
    before, at = NOBODY, expected.first
    while at != NOBODY:
        row, following = told[at], told[at].next
        if row.is_asked:
            row.is_asked, before = False, at
            if row.is_late and (latest == NOBODY or row.p50_at > told[latest].p50_at):
                latest = at
        else:
            if before == NOBODY:
                expected.first = following
            else:
                told[before].next = following
            row.next = memory.counts[FREE]
            memory.counts[FREE] = at
        at = following
    return latest


@borrowing_kernel
def _say_delay(heard: Heard, q: int, late: int, memory: Memory, news: News) -> None:
    """Raise or resolve, at the end of a round; ``late``: see ``_end_round``."""
    question, expected = heard.questions[q], memory.orders[heard.questions[q].order]
    is_predicted = late != NOBODY and not question.is_breached
    if is_predicted == (expected.late != NO_DELAY):
        return
    row = news.raised[news.counts[1]]
    row[R_RECORD], row[R_INDEX], row[R_ORDER] = question.record, question.index + 1, question.order
    row[R_CODE], row[R_AT], row[R_CHANGE] = DELAY_PREDICTED, question.now, IS_RESOLVED
    row[R_PACKAGE], row[R_NODE], row[R_EVIDENCE] = expected.late, NOBODY, NOBODY
    delay = news.delays[news.counts[1]]
    delay[0], delay[1] = q, NO_TIME
    if is_predicted:
        row[R_CHANGE], row[R_PACKAGE] = IS_RAISED, memory.told[late].package
        delay[1] = memory.told[late].p50_at
        if question.is_shown:
            row[R_EVIDENCE] = heard.positions[question.record]
    expected.late = memory.told[late].package if is_predicted else NO_DELAY
    news.counts[1] += 1


@borrowing_kernel
def _copy(old: Memory, new: Memory, orders: Records, numbers: Records) -> None:
    """Copy what was told of some orders into what is empty."""
    for n in range(len(orders)):
        expected = old.orders[orders[n]]
        late = expected.late
        new.orders[n].late = numbers[late] if late >= 0 else late
        before, at = NOBODY, expected.first
        while at != NOBODY:
            to = new.counts[USED]
            new.told[to] = old.told[at]
            new.told[to].package, new.told[to].next = numbers[old.told[at].package], NOBODY
            if before == NOBODY:
                new.orders[n].first = to
            else:
                new.told[before].next = to
            new.counts[USED] += 1
            before, at = to, old.told[at].next


class Told:
    """What was told of the orders of a partition; the rows are those of the fold's orders."""

    def __init__(self) -> None:
        self.orders: npt.NDArray[Any] = _nothing_of(64)
        self.told: npt.NDArray[Any] = np.zeros(64, TOLD)
        self.counts: Ints = np.array([NOBODY, 0])

    def take(self, heard: Heard, orders: int) -> News:
        """Take the answers to the questions of a slice; says what is news."""
        questions = len(heard.questions)
        self._grow(orders, int(self.counts[USED]) + questions)
        news = News(
            np.zeros(questions, ESTIMATE),
            np.zeros((questions, len(Raised)), np.int64),
            np.zeros((questions, 2), np.int64),
            np.zeros(2, np.int64),
        )
        tell(heard, Memory(self.orders, self.told, self.counts), news)
        estimates, raised = news.counts.tolist()
        return News(
            news.estimates[:estimates], news.raised[:raised], news.delays[:raised], news.counts
        )

    def _grow(self, orders: int, told: int) -> None:
        have = len(self.orders)
        make_room(self.orders, orders)
        self.orders[have:] = _nothing_of(len(self.orders) - have)
        make_room(self.told, told)

    def keep(self, orders: npt.NDArray[np.int32], numbers: npt.NDArray[np.int32]) -> None:
        """Remember these orders alone, in this order; words have other numbers from here on."""
        self._grow(int(orders.max(initial=-1)) + 1, 0)
        counts = np.array([NOBODY, 0])
        kept = Memory(_nothing_of(len(orders)), np.zeros(len(self.told), TOLD), counts)
        _copy(Memory(self.orders, self.told, self.counts), kept, orders, numbers)
        self.orders, self.counts = kept.orders, counts
        self.told = kept.told[: int(counts[USED]) + 64].copy()

    def words(self) -> npt.NDArray[np.int32]:
        """Parcels by which delays are predicted."""
        late: npt.NDArray[np.int32] = self.orders["late"]
        return late[late >= 0]

    def to_arrays(self, orders: int) -> dict[str, npt.NDArray[Any]]:
        """What a checkpoint keeps."""
        self._grow(orders, 0)
        told = self.told[: int(self.counts[USED])]
        return {"orders": self.orders[:orders], "told": told, "counts": self.counts}

    def restore(self, kept: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take up what ``to_arrays`` gave."""
        self.orders, self.told = own(kept["orders"]), own(kept["told"])
        self.counts = kept["counts"].copy()


def _nothing_of(orders: int) -> npt.NDArray[Any]:
    nothing = np.zeros(orders, EXPECTED)
    nothing["first"], nothing["late"] = NOBODY, NO_DELAY
    return nothing
