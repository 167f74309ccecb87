"""Simulated nodes and people: they hear what the router decided and answer with records.

A node keeps shelves of its own. What lies there is what was counted, but for the cells in which the
count was wrong, and that is only found out when somebody picks or counts. Work goes through the stages
of ``Stage``; each step is said with the lines and units that the node then holds for the order, so that
what was withdrawn in between is not spoken of. Held orders go to a desk of people.

An answer is never earlier than the hearing that it answers; randomness comes from one generator.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import IntEnum
from heapq import heappop, heappush

import numpy as np

from models.simulation.records import Scribe
from schemas.codes import Verdict
from schemas.envelope import Event
from schemas.inventory import Count, CountedItem, InventoryAdjusted, InventoryCounted
from schemas.orders import ReturnReceived
from schemas.reviews import Review, ReviewDecided
from schemas.tables import Effects, Table
from schemas.work import (
    Work,
    WorkAccepted,
    WorkHandedOver,
    WorkLine,
    WorkPacked,
    WorkPicked,
    WorkRejected,
    WorkShortPicked,
)

Hours = tuple[float, float]
"""Least and most, uniform between."""

_MOVES = ("order_id", "line_no", "sku", "node", "event", "qty", "ship_date", "position")
_DECIDED = ("order_id", "outcome", "hold_reason")
_MOST_UNITS = 1_000_000_000


@dataclass(frozen=True)
class Habits:
    """How a node works.

    Attributes:
        answer: from the offer to the answer.
        pick: from the answer, or the start of the day it is booked on, to the pick.
        pack: from the pick to the packed box, and from there to the carrier.
        rejects: share of offers that are refused.
        silent: share of offers that are never answered.
        loses: share of picks in which one unit is not found although it was counted.
        opens: hour of the day (UTC) from which a node picks.
        counts_every: hours between two cycle counts; 0: it never counts.
        counts_share: of the node's SKUs in each cycle count.
    """

    answer: Hours = (0.1, 1.0)
    pick: Hours = (0.5, 4.0)
    pack: Hours = (0.2, 2.0)
    rejects: float = 0.0
    silent: float = 0.0
    loses: float = 0.0
    opens: int = 7
    counts_every: float = 0.0
    counts_share: float = 0.25


@dataclass(frozen=True)
class Desk:
    """People who decide about orders that nodes refused too often.

    Attributes:
        hours: from the hold to the verdict.
        answers: share of the held orders that they get to.
        cancels: share of the verdicts that cancel.
        assigns: share of the verdicts that name ``node``; the others let the router choose again.
        node: see ``assigns``.
    """

    hours: Hours = (1.0, 6.0)
    answers: float = 1.0
    cancels: float = 0.0
    assigns: float = 0.0
    node: str = ""


@dataclass(frozen=True)
class StockError:
    """Where the count was wrong from the start.

    Attributes:
        share: of the cells.
        least: relative size of the error.
        most: likewise; an error is at least one unit.
        short: share of the errors in which less is there than was counted.
    """

    share: float = 0.0
    least: float = 0.05
    most: float = 0.5
    short: float = 0.7


class Stage(IntEnum):
    """How far a node has come with a piece of work."""

    OFFERED = 0
    ACCEPTED = 1
    PICKED = 2
    LEFT = 3


@dataclass(eq=False)
class _Job:
    """Units that one decision gave to one node for one order."""

    order_id: str
    node: str
    day: date | None
    lines: dict[int, int] = field(default_factory=dict)  # units by line number
    skus: dict[int, str] = field(default_factory=dict)
    stage: Stage = Stage.OFFERED


@dataclass(order=True)
class _Plan:
    """Something that will be done."""

    at: datetime
    number: int
    what: str = field(compare=False)
    job: _Job | None = field(compare=False, default=None)
    subject: str = field(compare=False, default="")


class Crew:
    """All nodes of a world, and its desk."""

    def __init__(
        self,
        scribe: Scribe,
        generator: np.random.Generator,
        habits: Mapping[str, Habits],
        *,
        desk: Desk | None = None,
        stock_error: StockError | None = None,
    ) -> None:
        """A crew that has heard nothing yet.

        Args:
            scribe: stamps what it says.
            generator: all its chances.
            habits: by node.
            desk: nobody decides about held orders without.
            stock_error: no count is wrong without.
        """
        self.scribe = scribe
        self.generator = generator
        self.habits = habits
        self.desk = desk
        self.stock_error = stock_error or StockError()
        self.shelf: dict[tuple[str, str], int] = {}  # by node and SKU: what is there
        self.staged: defaultdict[tuple[str, str], int] = defaultdict(int)  # picked, of the above
        self.safety: dict[tuple[str, str], int] = {}
        self.cells = 0
        self.wrong_cells = 0
        self._wrong_next = 0
        self._jobs: defaultdict[tuple[str, str], list[_Job]] = defaultdict(list)
        self._plans: list[_Plan] = []
        self._planned = 0
        self._held: set[str] = set()
        self._counting: dict[str, int] = {}  # by node: the SKU that is counted next

    # Hearing --------------------------------------------------------------------------------------

    def hear(self, records: Sequence[Event], effects: Effects, now: datetime) -> None:
        """What was said, and what the router made of it."""
        for event in records:
            if isinstance(event, InventoryCounted):
                self._take_count(event, now)
            elif isinstance(event, InventoryAdjusted):
                for item in event.data.items:
                    self._put(event.subject, item.sku, item.delta)
            elif isinstance(event, ReturnReceived):
                for back in event.data.items:
                    if back.restock:
                        self._put(event.data.node, back.sku, back.qty)
        self._take_moves(effects, now)
        if self.desk is not None:
            self._take_holds(self.desk, effects, now)

    def _take_count(self, event: InventoryCounted, now: datetime) -> None:
        """The first count of a cell says what was put there; later ones are the crew's own."""
        node = event.subject
        for item in event.data.items:
            if (node, item.sku) not in self.shelf:
                self.shelf[node, item.sku] = self._truth(item.on_hand)
                self.safety[node, item.sku] = item.safety_stock
        habits = self.habits.get(node)
        if node not in self._counting and habits is not None and habits.counts_every:
            self._counting[node] = 0
            first = float(self.generator.uniform(0, habits.counts_every))
            self._plan(now + timedelta(hours=first), "count", subject=node)

    def _truth(self, counted: int) -> int:
        """What is there: in one cell of each so many, drawn by chance, not what was counted."""
        error, draws = self.stock_error, self.generator.random(3)
        if not error.share:
            return counted
        block = max(1, round(1 / error.share))
        if self.cells % block == 0:
            self._wrong_next = self.cells + int(draws[0] * block)
        is_wrong = self.cells == self._wrong_next
        self.cells += 1
        if not counted or not is_wrong:
            return counted
        self.wrong_cells += 1
        relative = error.least + (error.most - error.least) * float(draws[1])
        size = max(1, round(counted * relative))
        return max(0, counted + (-size if draws[2] < error.short else size))

    def _put(self, node: str, sku: str, delta: int) -> None:
        self.shelf[node, sku] = max(0, self.shelf.get((node, sku), 0) + delta)

    def _take_moves(self, effects: Effects, now: datetime) -> None:
        fresh: dict[tuple[str, str, int], _Job] = {}
        for order, line, sku, node, event, qty, day, position in effects.plain(
            Table.ALLOCATIONS, _MOVES
        ):
            if event == "placed":
                job = fresh.get((order, node, position))
                if job is None:
                    job = _Job(order, node, date.fromisoformat(day) if day else None)
                    fresh[order, node, position] = job
                    self._jobs[order, node].append(job)
                job.lines[line] = job.lines.get(line, 0) + qty
                job.skus[line] = sku
            elif event in ("released", "consumed"):
                self._withdraw(order, node, line, qty, has_left=event == "consumed")
        for job in fresh.values():
            if job.lines:
                self._offer(job, now)

    def _withdraw(self, order: str, node: str, line: int, qty: int, *, has_left: bool) -> None:
        """Units that are no longer held: those that left first, or those least worked on."""
        jobs = self._jobs[order, node]
        for job in sorted(jobs, key=lambda j: j.stage, reverse=has_left):
            units = min(qty, job.lines.get(line, 0))
            if not units:
                continue
            if job.stage is Stage.PICKED:
                self.staged[node, job.skus[line]] -= units
            qty -= units
            job.lines[line] -= units
            if not job.lines[line]:
                del job.lines[line]
        jobs[:] = [job for job in jobs if job.lines]
        if not jobs:
            del self._jobs[order, node]

    def _take_holds(self, desk: Desk, effects: Effects, now: datetime) -> None:
        for order, outcome, reason in effects.plain(Table.DECISIONS, _DECIDED):
            if outcome != "HELD_FOR_REVIEW" or reason != "REPEATED_REJECTION":
                self._held.discard(order)
            elif order not in self._held and self._chance(desk.answers):
                self._held.add(order)
                self._plan(now + self._span(desk.hours), "review", subject=order)

    # Doing ----------------------------------------------------------------------------------------

    def due(self, until: datetime) -> list[Event]:
        """What is done and said before a time, in order."""
        said: list[Event] = []
        while self._plans and self._plans[0].at < until:
            plan = heappop(self._plans)
            said += self._do(plan)
        return said

    def _do(self, plan: _Plan) -> list[Event]:
        if plan.what == "count":
            return self._count(plan.subject, plan.at)
        if plan.what == "review":
            return self._review(plan.subject, plan.at)
        job = plan.job
        if job is None or not job.lines:
            return []  # withdrawn in the meantime
        match plan.what:
            case "reject":
                work = Work(node=job.node, lines=_lines(job.lines), reason="no capacity")
                return [self.scribe.say(WorkRejected, job.order_id, plan.at, work)]
            case "accept":
                return self._accept(job, plan.at)
            case "pick":
                return self._pick(job, plan.at)
            case "pack":
                self._plan(plan.at + self._span(self.habits[job.node].pack), "hand over", job)
                return [self._say(WorkPacked, job, plan.at)]
            case _:
                return self._hand_over(job, plan.at)

    def _offer(self, job: _Job, now: datetime) -> None:
        habits = self.habits[job.node]
        chance = float(self.generator.random())
        if chance < habits.silent:
            return
        refuses = chance < habits.silent + habits.rejects
        self._plan(now + self._span(habits.answer), "reject" if refuses else "accept", job)

    def _accept(self, job: _Job, at: datetime) -> list[Event]:
        habits = self.habits[job.node]
        job.stage = Stage.ACCEPTED
        opens = at
        if job.day is not None:
            opens = max(at, datetime.combine(job.day, time(habits.opens), UTC))
        self._plan(opens + self._span(habits.pick), "pick", job)
        return [self._say(WorkAccepted, job, at)]

    def _pick(self, job: _Job, at: datetime) -> list[Event]:
        habits = self.habits[job.node]
        missing: dict[int, int] = {}
        for line, qty in list(job.lines.items()):
            cell = job.node, job.skus[line]
            if self._chance(habits.loses):
                self._put(*cell, -1)
            found = max(0, min(qty, self.shelf.get(cell, 0) - self.staged[cell]))
            self.staged[cell] += found
            if found < qty:
                missing[line] = qty - found
            job.lines[line] = found
        job.lines = {line: qty for line, qty in job.lines.items() if qty}
        said: list[Event] = []
        if missing:
            # Said first: the units that are there are then the only ones of this work.
            self._jobs[job.order_id, job.node].append(self._lost(job, missing))
            work = Work(node=job.node, lines=_lines(missing), reason="not found")
            said.append(self.scribe.say(WorkShortPicked, job.order_id, at, work))
        if job.lines:
            job.stage = Stage.PICKED
            said.append(self._say(WorkPicked, job, at))
            self._plan(at + self._span(habits.pack), "pack", job)
        return said

    def _lost(self, job: _Job, missing: dict[int, int]) -> _Job:
        """Units that the router will take back when it hears that they were not found."""
        skus = {line: job.skus[line] for line in missing}
        return _Job(job.order_id, job.node, job.day, dict(missing), skus)

    def _hand_over(self, job: _Job, at: datetime) -> list[Event]:
        job.stage = Stage.LEFT
        for line, qty in job.lines.items():
            cell = job.node, job.skus[line]
            self.staged[cell] -= qty
            self._put(*cell, -qty)
        return [self._say(WorkHandedOver, job, at)]

    def _count(self, node: str, at: datetime) -> list[Event]:
        """A part of the node's SKUs, the next part next time."""
        habits = self.habits[node]
        self._plan(at + timedelta(hours=habits.counts_every), "count", subject=node)
        skus = [sku for name, sku in self.shelf if name == node]
        n = max(1, round(len(skus) * habits.counts_share))
        first = self._counting[node] % len(skus)
        self._counting[node] = first + n
        chosen = (skus + skus)[first : first + n]
        items = [
            CountedItem(
                sku=sku,
                on_hand=min(_MOST_UNITS, self.shelf[node, sku]),
                safety_stock=self.safety.get((node, sku), 0),
            )
            for sku in chosen
        ]
        return [self.scribe.say(InventoryCounted, node, at, Count(items=items))]

    def _review(self, order: str, at: datetime) -> list[Event]:
        if self.desk is None or order not in self._held:
            return []
        chance = float(self.generator.random())
        verdict, node = Verdict.ROUTE, ""
        if chance < self.desk.cancels:
            verdict = Verdict.CANCEL
        elif chance < self.desk.cancels + self.desk.assigns:
            verdict, node = Verdict.ASSIGN, self.desk.node
        data = Review(verdict=verdict, node=node, reviewer="desk-1")
        return [self.scribe.say(ReviewDecided, order, at, data)]

    # Small things ---------------------------------------------------------------------------------

    def _say(self, kind: type[Event], job: _Job, at: datetime) -> Event:
        work = Work(node=job.node, lines=_lines(job.lines))
        return self.scribe.say(kind, job.order_id, at, work)

    def _plan(self, at: datetime, what: str, job: _Job | None = None, subject: str = "") -> None:
        heappush(self._plans, _Plan(at, self._planned, what, job, subject))
        self._planned += 1

    def _span(self, hours: Hours) -> timedelta:
        low, high = hours
        seconds = 3_600 * (low + (high - low) * float(self.generator.random()))
        return timedelta(seconds=int(seconds))

    def _chance(self, share: float) -> bool:
        return share > 0 and float(self.generator.random()) < share


def _lines(units: Mapping[int, int]) -> list[WorkLine]:
    return [WorkLine(line_no=number, qty=qty) for number, qty in units.items()]
