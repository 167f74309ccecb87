"""A router in plain Python, one record at a time, as naive as it can be. Shares no code with ``models/``.

It says what ``models/routing`` must decide for orders of at most 4 lines, 20 nodes and no asked-for
dates, before the first refresh of the view (256 records): there the model's rules come to the lane's
transit, 8 hours of handling and a probability of lateness of 205/4096.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import combinations, product
from math import ceil, floor
from operator import itemgetter
from typing import Any

import msgspec
from ruamel.yaml import YAML

from schemas.codes import Verdict
from schemas.control import ClockTicked, PolicyActivated
from schemas.envelope import Event
from schemas.inventory import InventoryAdjusted, InventoryCounted, PricesPublished, SupplyPlanned
from schemas.kinds import KIND_OF
from schemas.network import CapacitySet, Lane, LaneSet, Node, NodeSet
from schemas.orders import (
    Order,
    OrderAmended,
    OrderCancelled,
    OrderLine,
    OrderReceived,
    PaymentUpdated,
    ReturnReceived,
)
from schemas.reviews import PlanProposed, RerouteRequested, ReviewDecided
from schemas.work import (
    WorkAccepted,
    WorkHandedOver,
    WorkPacked,
    WorkPicked,
    WorkRejected,
    WorkShortPicked,
    WorkTimedOut,
)

CARBON = {"road": 125.2, "rail": 34.7, "air": 667.0, "sea": 19.8}
DAY = timedelta(days=1)
LIMITS = {
    "max_packages": 3,
    "booking_horizon_days": 14,
    "allow_partial": True,
    "max_distance_km": 50_000,
    "max_attempts": 3,
}
EVER = datetime.min.replace(tzinfo=UTC)
Decision = tuple[int, str, str, list[str], int, int, int, int]
"""Position, order, outcome, nodes, total, units served, backordered and unserved."""


@dataclass
class Cell:
    on_hand: int = 0
    reserved: int = 0
    safety: int = 0
    price: int = 0
    counted_at: datetime | None = None

    @property
    def free(self) -> int:
        return self.on_hand - self.reserved - self.safety


@dataclass
class Supply:
    name: str
    node: str
    due: datetime
    qty: int
    promised: int = 0


@dataclass(eq=False)
class Held:
    """Units of a line at a node: reserved, or promised of a supply."""

    line: "Line"
    node: str
    qty: int
    day: date | None = None
    supply: Supply | None = None
    placed_at: datetime | None = None
    told: datetime | None = None
    lane: str = ""
    serial: int = 0
    stage: int = 0


@dataclass(eq=False)
class Line:
    order: "Book"
    said: OrderLine
    qty: int
    reserved: int = 0
    consumed: int = 0
    waiting: int = 0

    def same_goods(self, other: "Line") -> bool:
        return (self.said.line_no, self.said.sku) == (other.said.line_no, other.said.sku)

    @property
    def needs(self) -> set[str]:
        return {self.said.temp_class.value} | ({"hazmat"} if self.said.hazmat else set())


@dataclass(eq=False)
class Book:
    """An order; ``held`` has the newest first."""

    name: str
    state: str = "unknown"
    said: Order | None = None
    lines: list[Line] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    blocked: set[str] = field(default_factory=set)
    customer: str = ""  # if some node named it before the order came
    hold: str = ""
    attempts: int = 0
    pinned: str = ""
    decided_at: int = -1


@dataclass
class Package:
    node: str
    day: date
    cost: int
    pieces: list[tuple[Line, int]]
    arrives: datetime
    lane: str


Want = list[tuple[Line, int]]


class Reference:
    """The books of one network; ``decisions`` grows as records are taken."""

    def __init__(self) -> None:
        self.decisions: list[Decision] = []
        self.cells: dict[tuple[str, str], Cell] = defaultdict(Cell)  # sku, node
        self.nodes: dict[str, Node] = {}
        self.lanes: dict[str, Lane] = {}
        self.named: set[str] = set()  # customers of nodes
        self.weekdays: dict[tuple[str, int], CapacitySet] = {}
        self.days: dict[tuple[str, date], CapacitySet] = {}
        self.by_order: dict[str, bool] = {}
        self.booked: dict[tuple[str, date], int] = defaultdict(int)
        self.packages: dict[tuple[str, str, date | None], int] = defaultdict(int)  # of by_order
        self.supplies: dict[str, list[Supply]] = defaultdict(list)  # by sku, in order of due time
        self.books: dict[str, Book] = {}
        self.queues: dict[tuple[str, int], list[Line]] = defaultdict(list)
        self.clocks: dict[str, datetime] = {}
        self.retired: set[str] = set()
        self.clock: datetime | None = None
        self.assumed: datetime | None = None
        self.seen: set[tuple[str, str]] = set()
        self.limits: dict[str, Any] = dict(LIMITS)
        self.assume_hours: float | None = None
        self.accept_hours: float | None = None
        self.agenda: list[str] = []
        self.protection: dict[str, Any] = {}
        self.saving = 50.0
        self.serial = 0
        self.recalled: tuple[str, str] | None = None
        self.again: list[tuple[Book, bool]] = []  # and whether a node refused
        self.checked: datetime | None = None
        self.position, self.now = -1, EVER

    def take(self, position: int, event: Event) -> None:
        """One record, then the orders whose stock it freed."""
        learnt = event.recordedtime or event.time
        self.position, self.now = position, learnt
        if self.clock is not None:
            self.now = min(max(learnt, self.clock), self.clock + DAY)
        if (event.source, event.id) not in self.seen:
            self.seen.add((event.source, event.id))
            self.apply(event)
            self.take_back()
            self.decide_again()
            if isinstance(event, PlanProposed):
                self.propose(event)
        for sku in self.agenda:
            for priority in range(9, -1, -1):
                for line in list(self.queues[sku, priority]):
                    if line.waiting:
                        self.decide(line.order, only_waiting=True)
        self.agenda = []
        if isinstance(event, ClockTicked):
            self.assume_handed_over()

    def apply(self, event: Event) -> None:
        match event:
            case NodeSet():
                before = self.nodes.get(event.subject)
                if before and before.open and not event.data.open:
                    self.recalled = ("node", event.subject)
                self.nodes[event.subject] = event.data
                self.named.update(event.data.customers)
            case LaneSet() if event.data.node in self.nodes:
                was = self.lanes.get(event.subject)
                if was and was.open and not event.data.open:
                    self.recalled = ("lane", event.subject)
                self.lanes[event.subject] = event.data
            case CapacitySet() if event.subject in self.nodes:
                self.measure(event.subject, event.data.measure.value == "orders")
                if event.data.day is not None:
                    self.days[event.subject, event.data.day] = event
                for weekday in [] if event.data.day else event.data.weekdays or range(1, 8):
                    self.weekdays[event.subject, weekday] = event
                self.recalled = ("days", event.subject)
            case PolicyActivated():
                self.activate(YAML(typ="safe").load(event.data.document))
            case PricesPublished():
                for priced in event.data.items:
                    self.cells[priced.sku, priced.node].price = priced.price_minor
            case ClockTicked():
                self.tick(event)
            case InventoryCounted() if event.subject in self.nodes:
                for counted in event.data.items:
                    self.count(
                        counted.sku, event.subject, counted.on_hand, counted.safety_stock, event
                    )
            case InventoryAdjusted() if event.subject in self.nodes:
                for item in event.data.items:
                    self.adjust(item.sku, event.subject, item.delta, event.time)
                    for supply in self.supplies[item.sku] if item.delta > 0 else ():
                        if (supply.name, supply.node) == (event.data.supply_id, event.subject):
                            supply.qty = max(0, supply.qty - item.delta)
            case ReturnReceived() if event.data.node in self.nodes:
                for back in event.data.items:
                    if back.restock:
                        self.adjust(back.sku, event.data.node, back.qty, event.time)
            case SupplyPlanned() if event.data.node in self.nodes:
                self.plan(event)
            case OrderReceived() | OrderAmended():
                self.receive(event.subject, event.data)
            case OrderCancelled():
                self.cancel(event)
            case PaymentUpdated():
                self.pay(event)
            case WorkHandedOver() | WorkRejected() | WorkTimedOut() | WorkShortPicked():
                self.work(event)
            case WorkAccepted() | WorkPicked() | WorkPacked():
                self.progress(event)
            case ReviewDecided():
                self.review(event)
            case RerouteRequested():
                self.wish(event)
            case _:
                pass

    # Network and stock ----------------------------------------------------------------------------

    def activate(self, document: dict[str, Any]) -> None:
        limits = {**LIMITS, **document.get("limits", {})}
        if limits["max_packages"] <= 4:
            self.limits = limits
            windows = document.get("windows", {})
            self.assume_hours = windows.get("assume_handed_over_after_hours")
            self.accept_hours = windows.get("accept_within_hours")
            self.protection = document.get("protection", {})
            self.saving = document.get("reevaluation", {}).get("minimum_saving_minor", 50)

    def measure(self, node: str, by_order: bool) -> None:
        """What the node holds is booked in the measure that it counts from here on."""
        if self.by_order.get(node, False) != by_order:
            held = [
                h for b in self.books.values() for h in b.held if h.node == node and not h.supply
            ]
            packages = {line_key(h) for h in held}
            units = [(node, h.day, h.qty) for h in held]
            orders = [
                (node, day, self.packages.get((name, node, day), 0)) for name, _, day in packages
            ]
            for name, _, day in packages:
                self.packages[name, node, day] = 1
            ones = [(node, day, 1) for _, _, day in packages]
            for sign, parts in (
                (-1, units if by_order else orders),
                (1, ones if by_order else units),
            ):
                for place, day, amount in parts:
                    assert day is not None
                    self.booked[place, day] += sign * amount
        self.by_order[node] = by_order

    def tick(self, event: ClockTicked) -> None:
        before = self.clocks.get(event.subject)
        if before is not None and event.data.at < before:
            return
        self.clocks[event.subject] = event.data.at
        if event.data.retired:
            self.retired.add(event.subject)
        elif event.data.at != before:
            self.retired.discard(event.subject)
        in_service = [at for name, at in self.clocks.items() if name not in self.retired]
        if in_service:
            lowest = min(in_service)
            self.clock = lowest if self.clock is None else max(self.clock, lowest)
        minute = timedelta(minutes=1)
        if self.accept_hours and self.clock and self.clock - (self.checked or EVER) >= minute:
            self.checked, self.recalled = self.clock, ("answers", "")

    def count(self, sku: str, node: str, units: int, safety: int, event: Event) -> None:
        cell = self.cells[sku, node]
        before = cell.free
        if cell.counted_at is None or event.time >= cell.counted_at:
            cell.on_hand, cell.safety, cell.counted_at = units, safety, event.time
        self.look_at(sku, cell.free > before)
        self.look_for_oversell(sku, node)

    def adjust(self, sku: str, node: str, delta: int, at: datetime) -> None:
        cell = self.cells[sku, node]
        before = cell.free
        if cell.counted_at is None or at > cell.counted_at:
            cell.on_hand = max(0, cell.on_hand + delta)
        self.look_at(sku, cell.free > before)
        self.look_for_oversell(sku, node)

    def look_for_oversell(self, sku: str, node: str) -> None:
        if self.cells[sku, node].reserved > self.cells[sku, node].on_hand:
            self.recalled = ("stock", node)

    def look_at(self, sku: str, rose: object = True) -> None:
        waiting = any(self.queues[sku, priority] for priority in range(10))
        if rose and waiting and sku not in self.agenda:
            self.agenda.append(sku)

    def plan(self, event: SupplyPlanned) -> None:
        for item in event.data.items:
            chain = self.supplies[item.sku]
            same = [s for s in chain if (s.name, s.node) == (event.subject, event.data.node)]
            plan = same[0] if same else Supply(event.subject, event.data.node, event.data.due_at, 0)
            plan.qty, plan.due = item.qty, event.data.due_at
            others = [s for s in chain if s is not plan]
            before = [s for s in others if s.due <= plan.due]
            self.supplies[item.sku] = [*before, plan, *(s for s in others if s.due > plan.due)]

    # Orders ---------------------------------------------------------------------------------------

    def receive(self, name: str, said: Order) -> None:
        book = self.books.setdefault(name, Book(name))
        if book.state == "cancelled early":
            self.write(book, said)
            self.close(book)
            return
        if book.said is not None:
            if said.revision == book.said.revision:
                self.receive_again(book, said)
            if said.revision <= book.said.revision:
                return
            if said == msgspec.structs.replace(book.said, revision=said.revision):
                book.said = said
                return
            if book.state == "closed":
                return
            self.withdraw_all(book)
        self.write(book, said)
        if said.payment.value == "pending":
            book.state, book.hold = "held", "payment"
            self.say(book, [], 0, 0, hold=True)
        elif said.payment.value == "failed":
            self.close(book)
        else:
            self.decide(book)

    def receive_again(self, book: Book, said: Order) -> None:
        assert book.said is not None
        paid = msgspec.structs.replace(book.said, payment=said.payment)
        if book.said.payment.value == "pending" and said == paid:
            book.said = said
            self.settle_payment(book, said.payment.value)

    def write(self, book: Book, said: Order) -> None:
        old, book.said = book.lines, said
        book.hold, book.attempts, book.pinned = "", 0, ""
        book.customer = said.customer if said.customer in self.named else ""
        book.lines = []
        for each in said.lines:
            book.lines.append(Line(book, each, each.qty))
        for before in [line for line in old if line.consumed]:
            same = [x for x in book.lines[: len(said.lines)] if x.same_goods(before)]
            line = same[0] if same else Line(book, before.said, 0)
            line.consumed += before.consumed
            line.qty = max(line.qty, line.consumed)
            book.lines += [] if same else [line]

    def close(self, book: Book) -> None:
        self.withdraw_all(book)
        for line in book.lines:
            line.qty = line.consumed
        book.state = "closed"
        self.say(book, [], 0, 0)

    def settle(self, book: Book) -> None:
        if all(line.qty <= line.consumed for line in book.lines):
            book.state = "closed"

    def cancel(self, event: OrderCancelled) -> None:
        book = self.books.setdefault(event.subject, Book(event.subject))
        gone = event.data.lines
        if book.state in ("unknown", "cancelled early"):
            book.state = "cancelled early" if not gone else book.state
        elif book.state != "closed" and not gone:
            self.close(book)
        elif book.state != "closed":
            found = [(line, g.qty) for g in gone for line in self.first(book, g.line_no)]
            for line, qty in found:
                self.cancel_units(line, min(qty, line.qty - line.consumed))
            if found:
                for line in book.lines:
                    if line.waiting:
                        self.look_at(line.said.sku)
                self.settle(book)
                self.say(book, [], 0, 0, hold=book.state == "held")

    def first(self, book: Book, number: int) -> list[Line]:
        return [line for line in book.lines if line.said.line_no == number][:1]

    def cancel_units(self, line: Line, qty: int) -> None:
        unserved = line.qty - line.reserved - line.consumed - line.waiting
        line.qty -= qty
        qty -= min(qty, unserved)
        waiting = min(qty, line.waiting)
        line.waiting -= waiting
        if not line.waiting:
            self.stop_waiting(line)
        self.withdraw_some(line, waiting, planned=True)
        self.withdraw_some(line, qty - waiting, planned=False)

    def withdraw_some(self, line: Line, qty: int, *, planned: bool) -> None:
        for held in list(line.order.held):
            if held.line is line and (held.supply is not None) == planned and qty > 0:
                gone = min(qty, held.qty)
                self.withdraw(held, gone)
                qty -= gone

    def pay(self, event: PaymentUpdated) -> None:
        book = self.books.get(event.subject)
        if book is not None:
            self.settle_payment(book, event.data.state.value)

    def settle_payment(self, book: Book, state: str) -> None:
        waits = book.state == "held" and book.hold == "payment"
        if state == "authorised" and waits:
            self.again.append((book, False))
        elif state == "failed" and book.state in ("held", "open"):
            self.close(book)

    def work(self, event: WorkHandedOver | WorkRejected | WorkTimedOut | WorkShortPicked) -> None:
        book, node = self.books.get(event.subject), event.data.node
        if book is None or book.said is None or node not in self.nodes:
            return
        moved = False
        for line in book.lines:
            said = sum(w.qty for w in event.data.lines if w.line_no == line.said.line_no)
            left = said if event.data.lines else 10**9
            for held in list(book.held):
                if held.line is line and held.node == node and held.supply is None and left > 0:
                    qty = min(left, held.qty)
                    left, moved = left - qty, True
                    self.move(event, held, qty)
        if moved and isinstance(event, WorkHandedOver):
            self.settle(book)
        elif moved:
            if event.data.blocking and not isinstance(event, WorkShortPicked):
                book.blocked.add(node)
            book.attempts += 1
            self.again.append((book, True))

    def progress(self, event: WorkAccepted | WorkPicked | WorkPacked) -> None:
        book = self.books.get(event.subject)
        stage = {"work.accepted": 1, "work.picked": 2}.get(KIND_OF[type(event)].tag, 3)
        numbers = {line.line_no for line in event.data.lines}
        for held in book.held if book else ():
            named = not numbers or held.line.said.line_no in numbers
            if held.node == event.data.node and held.supply is None and named:
                held.stage = max(held.stage, stage)

    # Wishes ---------------------------------------------------------------------------------------

    def actionable(self, name: str) -> Book | None:
        book = self.books.get(name)
        if book is None or book.said is None or book.state == "closed" or book.hold == "payment":
            return None
        return book

    def review(self, event: ReviewDecided) -> None:
        book, verdict = self.actionable(event.subject), event.data.verdict
        if book is None or (verdict is Verdict.ASSIGN and event.data.node not in self.nodes):
            return
        if verdict is Verdict.CANCEL:
            self.close(book)
            return
        if verdict is Verdict.ASSIGN:
            self.withdraw_stages(book, "", 1)
            book.pinned = event.data.node
        book.state, book.hold, book.attempts = "open", "", 0
        self.again.append((book, False))

    def wish(self, event: RerouteRequested) -> None:
        book, node = self.actionable(event.subject), event.data.node
        if book is None or (node and node not in self.nodes):
            return
        if node and event.data.blocking:
            book.blocked.add(node)
        self.withdraw_stages(book, node, 1)
        if book.state == "open":
            self.again.append((book, False))

    def withdraw_stages(self, book: Book, node: str, most: int) -> None:
        for held in list(book.held):
            mine = not node or (held.node == node and held.supply is None)
            if mine and held.stage <= most:
                self.withdraw(held, held.qty)

    def propose(self, event: PlanProposed) -> None:
        """Weigh the proposal against what stands, as if the order held nothing."""
        book = self.books.get(event.subject)
        if book is None or book.state != "open" or book.decided_at != event.data.decision:
            return
        if any(line.reserved != line.qty for line in book.lines) or any(
            held.stage for held in book.held
        ):
            return
        assert book.said is not None
        self.lift(book, -1)
        want = [(line, line.qty - line.consumed) for line in book.lines if line.qty > line.consumed]
        total, reach = sum(qty for _, qty in want), self.reach(book, want)
        standing = self.weigh_by(book, want, self.standing(book), reach)
        offered = self.offered(event, [line for line, _ in want], reach)
        limit = 1 if book.said.no_split else self.limits["max_packages"]
        plan = self.weigh_by(book, want, offered, reach) if 0 < len(offered) <= limit else None
        told = max((held.told for held in book.held if held.told), default=self.now)
        better = (
            standing is not None
            and plan is not None
            and self.units(standing) == self.units(plan) == total
            and max(p.arrives for p in plan) <= told
            and self.cost(standing) - self.cost(plan) >= max(1, self.saving)
        )
        self.lift(book, 1)
        if better and plan is not None:
            self.withdraw_stages(book, "", 0)
            for package in plan:
                for line, qty in package.pieces:
                    self.reserve(line, package, qty)
            book.decided_at = self.position
            self.say(book, plan, total, 0)

    def lift(self, book: Book, sign: int) -> None:
        seen = set()
        for held in book.held:
            assert held.day is not None
            held.line.reserved += sign * held.qty
            self.cells[held.line.said.sku, held.node].reserved += sign * held.qty
            units = held.qty
            if self.by_order.get(held.node):
                units = 0 if line_key(held) in seen else self.packages[line_key(held)]
                seen.add(line_key(held))
            self.booked[held.node, held.day] += sign * units

    def standing(self, book: Book) -> list[tuple[str, list[Line]]]:
        lines: dict[str, list[Line]] = {}
        for held in book.held:
            lines.setdefault(held.node, []).append(held.line)
        return list(lines.items())

    def offered(
        self, event: PlanProposed, wanted: list[Line], reach: dict[str, set[str]]
    ) -> list[tuple[str, list[Line]]]:
        names = [package.node for package in event.data.packages]
        if len(set(names)) < len(names) or not set(names) <= set(reach):
            return []
        packages = event.data.packages
        parts = [(p.node, [x for x in wanted if x.said.line_no in p.lines]) for p in packages]
        empty = any(p.lines and not lines for p, (_, lines) in zip(packages, parts, strict=True))
        return [] if empty else parts

    def weigh_by(
        self,
        book: Book,
        want: Want,
        parts: list[tuple[str, list[Line]]],
        reach: dict[str, set[str]],
    ) -> list[Package] | None:
        """Packages of given lines each; no lines: what the node can."""
        left, plan = dict(want), []
        for node, lines in parts:
            pieces, taken = [], defaultdict[str, int](int)
            for line, _ in want:
                if (lines and line not in lines) or not line.needs <= reach.get(node, set()):
                    continue
                qty = min(left[line], self.free(line, node) - taken[line.said.sku])
                if qty > 0:
                    pieces.append((line, qty))
                    left[line] -= qty
                    taken[line.said.sku] += qty
            package = self.pack(book, node, pieces, want) if pieces else None
            if pieces and package is None:
                return None
            plan += [package] if package else []
        return plan

    # Taking back ----------------------------------------------------------------------------------

    def take_back(self) -> None:
        if self.recalled is None:
            return
        (what, of), self.recalled = self.recalled, None
        held = [h for b in self.books.values() for h in b.held if h.supply is None and h.stage < 2]
        held = [h for h in held if self.to_take(what, of, h) > 0]
        for each in sorted(held, key=lambda h: (priority_of(h), -h.serial)):
            book = each.line.order
            qty = self.to_take(what, of, each) if each in book.held else 0
            if qty <= 0:
                continue
            if what == "answers" and each.node not in book.blocked:
                book.blocked.add(each.node)
                book.attempts += 1
            self.withdraw(each, qty)
            if book.said and book.said.no_split:
                for rest in list(book.held):
                    self.withdraw(rest, rest.qty)
            if all(other is not book for other, _ in self.again):
                self.again.append((book, what == "answers"))

    def to_take(self, what: str, of: str, held: Held) -> int:
        assert held.day is not None
        assert held.placed_at is not None
        if what == "lane":
            return held.qty if held.lane == of else 0
        if what == "answers":
            assert self.clock is not None
            assert self.accept_hours is not None
            silent = self.clock - held.placed_at >= timedelta(hours=self.accept_hours)
            return held.qty if silent and held.stage == 0 else 0
        if held.node != of:
            return 0
        if what == "stock":
            cell = self.cells[held.line.said.sku, of]
            return max(0, min(held.qty, cell.reserved - cell.on_hand))
        if what == "days":
            local = self.now + timedelta(minutes=self.nodes[of].utc_offset_minutes)
            rule = self.days.get((of, held.day)) or self.weekdays.get((of, held.day.isoweekday()))
            if rule is None or held.day < local.date():
                return 0
            most = rule.data.capacity
            full = most is not None and self.booked[of, held.day] > most
            return held.qty if full or not rule.data.open else 0
        return held.qty

    def decide_again(self) -> None:
        while self.again:
            book, refused = self.again.pop()
            assert book.said is not None
            review = book.state == "held" and book.hold == "review"
            review |= refused and book.attempts >= self.limits["max_attempts"]
            self.stop_all(book)
            if book.said.no_split:
                self.withdraw_all(book)
            if review:
                book.state, book.hold = "held", "review"
                self.say(book, [], 0, 0, hold=True)
            else:
                self.decide(book)

    def move(self, event: Event, held: Held, qty: int) -> None:
        sku, node = held.line.said.sku, held.node
        if isinstance(event, WorkHandedOver):
            self.hand_over(held, qty)
        else:
            self.withdraw(held, qty)
            if isinstance(event, WorkShortPicked):
                cell = self.cells[sku, node]
                cell.on_hand = max(0, cell.on_hand - qty)
        self.look_for_oversell(sku, node)

    def assume_handed_over(self) -> None:
        if self.clock is None or not self.assume_hours:
            return
        if self.assumed is not None and self.clock - self.assumed < timedelta(hours=1):
            return
        self.assumed = self.clock
        for book in self.books.values():
            for held in list(book.held):
                age = self.clock - (held.placed_at or self.clock)
                if held.supply is None and age >= timedelta(hours=self.assume_hours):
                    self.hand_over(held, held.qty)
                    self.settle(book)

    # Books ----------------------------------------------------------------------------------------

    def reserve(self, line: Line, package: Package, qty: int) -> None:
        line.reserved += qty
        self.cells[line.said.sku, package.node].reserved += qty
        self.serial += 1
        held = Held(line, package.node, qty, package.day, placed_at=self.now)
        held.serial, held.told, held.lane = self.serial, package.arrives, package.lane
        self.booked_by(held, package, qty)
        line.order.held.insert(0, held)

    def booked_by(self, held: Held, package: Package, qty: int) -> None:
        if not self.by_order.get(package.node):
            self.booked[package.node, package.day] += qty
        elif package.pieces[0][0] is held.line:
            self.booked[package.node, package.day] += 1
            self.packages[line_key(held)] += 1

    def withdraw(self, held: Held, qty: int) -> None:
        line = held.line
        held.qty -= qty
        if held.supply is not None:
            held.supply.promised -= qty
        else:
            line.reserved -= qty
            self.cells[line.said.sku, held.node].reserved -= qty
            self.free_capacity(held, qty)
            self.look_at(line.said.sku)
        if held.qty == 0:
            line.order.held.remove(held)

    def free_capacity(self, held: Held, qty: int) -> None:
        """Units give back capacity; a package as a whole, and only if no part of it has left."""
        assert held.day is not None
        if not self.by_order.get(held.node):
            self.booked[held.node, held.day] -= qty
        elif held.qty == 0 and not any(
            other is not held and line_key(other) == line_key(held)
            for other in held.line.order.held
        ):
            self.booked[held.node, held.day] -= self.packages.pop(line_key(held), 0)

    def hand_over(self, held: Held, qty: int) -> None:
        self.packages.pop(line_key(held), None)
        cell = self.cells[held.line.said.sku, held.node]
        cell.on_hand, cell.reserved = max(0, cell.on_hand - qty), cell.reserved - qty
        held.line.reserved -= qty
        held.line.consumed += qty
        held.qty -= qty
        if held.qty == 0:
            held.line.order.held.remove(held)

    def withdraw_all(self, book: Book) -> None:
        self.stop_all(book)
        for held in list(book.held):
            self.withdraw(held, held.qty)

    def stop_all(self, book: Book) -> None:
        for line in book.lines:
            line.waiting = 0
            self.stop_waiting(line)
        for held in list(book.held):
            if held.supply is not None:
                self.withdraw(held, held.qty)

    def wait(self, line: Line, qty: int) -> None:
        assert line.order.said is not None
        line.waiting = qty
        self.queues[line.said.sku, line.order.said.priority].append(line)

    def stop_waiting(self, line: Line) -> None:
        for queue in self.queues.values():
            if line in queue:
                queue.remove(line)

    # Deciding -------------------------------------------------------------------------------------

    def decide(self, book: Book, *, only_waiting: bool = False) -> None:
        want: Want = [(line, line.waiting) for line in book.lines if line.waiting]
        if not only_waiting:
            left = [(line, line.qty - line.reserved - line.consumed) for line in book.lines]
            want = [(line, qty) for line, qty in left if qty > 0]
        total = sum(qty for _, qty in want)
        reach = self.reach(book, want)
        plan = self.choose(book, want, total, reach)
        served = sum(qty for package in plan for _, qty in package.pieces)
        if only_waiting:
            if served < total:
                return
            self.stop_all(book)
        for package in plan:
            for line, qty in package.pieces:
                self.reserve(line, package, qty)
        waiting = self.backorder(book, want, plan, reach) if served < total else 0
        book.state, book.hold, book.pinned, book.decided_at = "open", "", "", self.position
        self.say(book, plan, served, waiting)

    def lanes_of(self, book: Book, node: str, want: Want) -> Iterator[Lane]:
        """Lanes that may carry at least one line of the order."""
        said, here = book.said, self.nodes[node]
        assert said is not None
        for lane in self.lanes.values():
            offers = self.offers(lane) & self.offers(here)
            if (
                (lane.node, lane.region) == (node, said.region)
                and said.carrier in ("", lane.carrier)
                and said.service in ("", lane.service)
                and here.open
                and lane.open
                and (not here.customers or book.customer in here.customers)
                and (node == book.pinned if book.pinned else node not in book.blocked)
                and lane.distance_km <= self.limits["max_distance_km"]
                and not self.lacks(want, offers)
            ):
                yield lane

    def lacks(self, want: Want, offers: set[str]) -> set[str]:
        """What every line needs and the lane does not offer."""
        return set.intersection(*(line.needs for line, _ in want)) - offers

    def offers(self, place: Node | Lane) -> set[str]:
        return {t.value for t in place.temp_classes} | ({"hazmat"} if place.hazmat else set())

    def reach(self, book: Book, want: Want) -> dict[str, set[str]]:
        """What the lanes of each candidate can carry, nodes in order of declaration."""
        found: dict[str, set[str]] = {}
        for node in self.nodes if want else ():
            for lane in self.lanes_of(book, node, want):
                offers = self.offers(lane) & self.offers(self.nodes[node])
                found[node] = found.get(node, set()) | offers
        return found

    def choose(
        self, book: Book, want: Want, total: int, reach: dict[str, set[str]]
    ) -> list[Package]:
        """Most units, then least cost, then fewest packages, then the nodes declared first.

        Nodes alone and whole lines on several nodes are compared; lines are split where neither serves
        everything.
        """
        assert book.said is not None
        alone = {node: self.weigh(book, want, (node,), reach) for node in reach}
        useful = {n: plan for n, plan in alone.items() if plan}
        limit = 1 if book.said.no_split else self.limits["max_packages"]
        best: list[Package] = []
        for plan in [*useful.values(), *self.by_whole_lines(book, want, limit, reach)]:
            if self.units(plan) == total and self.rank(plan) < self.rank(best):
                best = plan
        if not best:
            best = self.by_split_lines(book, want, limit, reach, useful)
        whole = book.said.no_split or not self.limits["allow_partial"]
        return [] if whole and self.units(best) < total else best

    def by_whole_lines(
        self, book: Book, want: Want, limit: int, reach: dict[str, set[str]]
    ) -> Iterator[list[Package]]:
        """For each way to group the lines, the cheapest plan with a node for each group."""
        if len({line.said.sku for line, _ in want}) < len(want) or not want:
            return
        for labels in product(range(len(want)), repeat=len(want)):
            grows = all(x <= max(labels[:i], default=-1) + 1 for i, x in enumerate(labels))
            if not grows or not 1 <= max(labels) < limit:
                continue
            groups = [
                [want[i] for i, x in enumerate(labels) if x == k] for k in range(max(labels) + 1)
            ]
            choices = [self.sole_packages(book, group, want, reach) for group in groups]
            plans = [
                list(plan)
                for plan in product(*choices)
                if len({package.node for package in plan}) == len(plan)
            ]
            if plans:
                yield min(plans, key=self.cost)

    def sole_packages(
        self, book: Book, group: Want, want: Want, reach: dict[str, set[str]]
    ) -> list[Package]:
        """What each node would make of these lines alone, cheapest first."""
        found = []
        for node in reach:
            holds = all(self.free(line, node) >= qty for line, qty in group)
            if holds and all(line.needs <= reach[node] for line, _ in group):
                package = self.pack(book, node, group, want)
                found += [package] if package else []
        return sorted(found, key=lambda package: package.cost)

    def by_split_lines(
        self,
        book: Book,
        want: Want,
        limit: int,
        reach: dict[str, set[str]],
        useful: dict[str, list[Package]],
    ) -> list[Package]:
        """Nodes of the smallest number that serves the most, each giving what it has, cheapest first."""
        nodes = sorted(useful, key=lambda n: self.cost(useful[n]))
        best: list[Package] = []
        for size in range(1, min(limit, len(nodes)) + 1):
            sets = [
                plan
                for chosen in combinations(nodes, size)
                if (plan := self.weigh(book, want, chosen, reach)) and len(plan) == size
            ]
            for plan in sets:
                if self.units(plan) > self.units(best) or (
                    self.units(plan) == self.units(best)
                    and len(plan) == len(best)
                    and self.cost(plan) < self.cost(best)
                ):
                    best = plan
        return best

    def units(self, plan: list[Package]) -> int:
        return sum(qty for package in plan for _, qty in package.pieces)

    def rank(self, plan: list[Package]) -> tuple[int, int, int]:
        return -self.units(plan), self.cost(plan), len(plan)

    def cost(self, plan: list[Package]) -> int:
        return sum(p.cost for p in plan) + 150 * max(0, len(plan) - 1)

    def weigh(
        self, book: Book, want: Want, nodes: tuple[str, ...], reach: dict[str, set[str]]
    ) -> list[Package] | None:
        """Packages from these nodes in order, or None if one of them cannot leave."""
        left = dict(want)
        plan = []
        for node in nodes:
            taken: dict[str, int] = defaultdict(int)
            pieces = []
            for line, _ in want:
                sku = line.said.sku
                qty = min(left[line], self.free(line, node) - taken[sku])
                if qty > 0 and line.needs <= reach[node]:
                    pieces.append((line, qty))
                    left[line] -= qty
                    taken[sku] += qty
            if pieces:
                package = self.pack(book, node, pieces, want)
                if package is None:
                    return None
                plan.append(package)
        return plan

    def pack(
        self, book: Book, node: str, pieces: list[tuple[Line, int]], want: Want
    ) -> Package | None:
        units = sum(qty for _, qty in pieces)
        day = self.find_day(node, units)
        needs = set.union(*(line.needs for line, _ in pieces))
        lanes = [x for x in self.lanes_of(book, node, want) if needs <= self.offers(x)]
        if day is None:
            return None
        costs = [(self.price(lane, day, pieces), lane) for lane in lanes]
        fitting = [(cost, lane) for cost, lane in costs if cost is not None]
        if not fitting:
            return None
        cost, lane = min(fitting, key=itemgetter(0))
        (name,) = [name for name, each in self.lanes.items() if each is lane]
        return Package(node, day, cost, pieces, self.arrival(lane, day), name)

    def arrival(self, lane: Lane, day: date) -> datetime:
        hours = 8.0 + 1.5 * (lane.transit_hours or lane.distance_km / 50 + 12)
        starts = datetime.combine(day, datetime.min.time(), UTC)
        starts -= timedelta(minutes=self.nodes[lane.node].utc_offset_minutes)
        return max(self.now, starts) + timedelta(hours=hours)

    def free(self, line: Line, node: str) -> int:
        """Units that the line's order may take: protected stock is for some only."""
        said, sku, kept = line.order.said, line.said.sku, 0
        assert said is not None
        named = self.protection.get("tiers", []), self.protection.get("channels", [])
        if said.tier not in named[0] and said.channel not in named[1]:
            kept = self.protection.get("skus", {}).get(sku, self.protection.get("units", 0))
        return self.cells[sku, node].free - kept

    def price(self, lane: Lane, day: date | None, pieces: list[tuple[Line, int]]) -> int | None:
        assert day is not None
        node, grams = self.nodes[lane.node], sum(line.said.weight_g * qty for line, qty in pieces)
        volume = sum(line.said.volume_cm3 * qty for line, qty in pieces)
        parcels = max(
            1,
            -(-grams // round(lane.parcel_max_kg * 1000)) if lane.parcel_max_kg else 0,
            -(-volume // round(lane.parcel_max_litres * 1000)) if lane.parcel_max_litres else 0,
        )
        charged = -(-max(grams, ceil(volume * lane.volumetric_kg_per_m3 / 1000)) // parcels)
        fits = [x for x in lane.bands if x.from_kg * 1000 <= charged <= x.to_kg * 1000]
        if not fits:
            return None
        band, kg = fits[0], charged / 1000.0
        units = sum(qty for _, qty in pieces)
        starts = datetime.combine(day, datetime.min.time(), UTC)
        starts -= timedelta(minutes=node.utc_offset_minutes)
        waits = max(timedelta(), starts - self.now) / timedelta(hours=1)
        transit = lane.transit_hours or lane.distance_km / 50 + 12
        carbon = grams / 1e6 * lane.distance_km * CARBON[lane.mode.value]
        shadow = sum(self.cells[line.said.sku, lane.node].price * qty for line, qty in pieces)
        terms = (
            parcels * max(band.minimum_minor, band.base_minor + band.per_kg_minor * kg),
            node.handling_per_package_minor + node.handling_per_unit_minor * units,
            waits + 8.0 + transit,
            800 * 205 / 4096,
            10.0 * carbon / 1000.0,
            float(shadow),
        )
        return sum(floor(term + 0.5) for term in terms)

    def find_day(self, node: str, units: int) -> date | None:
        local = self.now + timedelta(minutes=self.nodes[node].utc_offset_minutes)
        need = 1 if self.by_order.get(node) else units
        for ahead in range(self.limits["booking_horizon_days"]):
            day = local.date() + ahead * DAY
            rule = self.days.get((node, day)) or self.weekdays.get((node, day.isoweekday()))
            if rule is None:
                return day
            past = ahead == 0 and local.hour * 60 + local.minute >= rule.data.cut_off_minute
            most = rule.data.capacity
            free = most is None or self.booked[node, day] + need <= most
            if rule.data.open and not past and free:
                return day
        return None

    # Backorders -----------------------------------------------------------------------------------

    def backorder(
        self, book: Book, want: Want, plan: list[Package], reach: dict[str, set[str]]
    ) -> int:
        assert book.said is not None
        if book.said.no_split:
            for node in self.nodes:
                if all(self.could(line, qty, [node], reach) for line, qty in want):
                    return self.wait_whole(want, [node], reach)
            return 0
        if not self.limits["allow_partial"]:
            nodes = list(self.nodes)
            if all(self.could(line, qty, nodes, reach) for line, qty in want):
                return self.wait_whole(want, nodes, reach)
            return 0
        served: dict[Line, int] = defaultdict(int)
        for package in plan:
            for line, qty in package.pieces:
                served[line] += qty
        units = 0
        for line, qty in want:
            promised = self.promise(line, qty - served[line], list(self.nodes), reach)
            if promised:
                self.wait(line, promised)
            units += promised
        return units

    def free_at(self, line: Line, nodes: list[str], reach: dict[str, set[str]]) -> int:
        able = [n for n in nodes if line.needs <= reach.get(n, set())]
        return sum(max(0, self.free(line, n)) for n in able)

    def plans_for(self, line: Line, nodes: list[str], reach: dict[str, set[str]]) -> list[Supply]:
        return [
            s
            for s in self.supplies[line.said.sku]
            if s.qty > s.promised and s.node in nodes and line.needs <= reach.get(s.node, set())
        ][:8]

    def could(self, line: Line, qty: int, nodes: list[str], reach: dict[str, set[str]]) -> bool:
        if not any(line.needs <= reach.get(n, set()) for n in nodes):
            return False
        coming = sum(s.qty - s.promised for s in self.plans_for(line, nodes, reach))
        return self.free_at(line, nodes, reach) + coming >= qty

    def wait_whole(self, want: Want, nodes: list[str], reach: dict[str, set[str]]) -> int:
        for line, qty in want:
            self.promise(line, qty - self.free_at(line, nodes, reach), nodes, reach)
            self.wait(line, qty)
        return sum(qty for _, qty in want)

    def promise(self, line: Line, qty: int, nodes: list[str], reach: dict[str, set[str]]) -> int:
        done = 0
        for supply in self.plans_for(line, nodes, reach):
            units = min(supply.qty - supply.promised, qty - done)
            if units > 0:
                supply.promised += units
                line.order.held.insert(0, Held(line, supply.node, units, supply=supply))
                done += units
        return done

    def say(
        self, book: Book, plan: list[Package], served: int, waiting: int, *, hold: bool = False
    ) -> None:
        wanted = sum(line.qty for line in book.lines)
        routed = sum(line.reserved + line.consumed for line in book.lines)
        waits = sum(line.waiting for line in book.lines)
        outcome = "UNROUTABLE"
        if hold:
            outcome = "HELD_FOR_REVIEW"
        elif wanted == 0:
            outcome = "CANCELLED"
        elif routed == wanted:
            outcome = "FULLY_ROUTED"
        elif routed:
            outcome = "PARTIALLY_ROUTED"
        elif waits:
            outcome = "BACKORDERED"
        nodes, unserved = [p.node for p in plan], wanted - routed - waits
        cost = self.cost(plan)
        self.decisions.append(
            (self.position, book.name, outcome, nodes, cost, served, waiting, unserved)
        )


def priority_of(held: Held) -> int:
    """Of the order that holds the units."""
    said = held.line.order.said
    assert said is not None
    return said.priority


def line_key(held: Held) -> tuple[str, str, date | None]:
    """The package that these units are in: order, node and day."""
    return held.line.order.name, held.node, held.day
