"""Random tracking records of every kind: plausible and not, late, repeated, corrected; and what they come to.

``standing`` is the naive reference: one order at a time, all its records sorted, by the rules as they are
written down, without the tables of the fold.
"""

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from models.lifecycle.transitions import TABLE
from schemas import control, decisions, orders, shipments, work
from schemas.codes import Classifier, Milestone, Phase, Trouble
from schemas.envelope import Event
from tests.support import tracks
from tests.support.tracks import renamed

NODES = ("A", "B", "C")
OUTCOMES = ("FULLY_ROUTED", "FULLY_ROUTED", "BACKORDERED", "HELD_FOR_REVIEW", "CANCELLED")
CUSTOMERS = ("c-1", "c-2", "")
TIERS = ("standard", "vip")
WORK = (work.WorkAccepted, work.WorkRejected, work.WorkPicked, work.WorkPacked, work.WorkHandedOver)
SERVICES = (shipments.ServiceInstalled, shipments.ServiceAccepted, shipments.ServiceVisited)
BEHIND = (
    Phase.RECEIVED, Phase.HELD, Phase.BACKORDERED, Phase.ROUTED, Phase.RELEASED, Phase.PICKED,
    Phase.PACKED, Phase.HANDED_OVER, Phase.IN_TRANSIT, Phase.CUSTOMS, Phase.OUT_FOR_DELIVERY,
    Phase.AVAILABLE_FOR_PICKUP, Phase.ATTEMPT_FAILED, Phase.DELIVERED, Phase.SIGNED,
)  # fmt: skip
GONE = (Phase.RETURNING, Phase.LOST, Phase.DAMAGED, Phase.RETURNED)


def records(seed: int, count: int = 12, hours: int = 120) -> list[Event]:
    """What is said of so many orders, in the order in which it happened."""
    chance = random.Random(seed)
    events = [_record(chance, f"o{chance.randrange(count)}", n, hours) for n in range(count * 12)]
    named = [renamed(e, e.id if "/" in e.id else f"{e.id}#{n}") for n, e in enumerate(events)]
    for n in range(0, len(named), 9):
        wrong = named[chance.randrange(len(named))]
        if wrong.source == "carrier":
            kind = chance.choice([Classifier.RETRACTED, Classifier.ACTUAL])
            named.append(
                tracks.step(
                    chance.choice(list(Milestone)), chance.randrange(hours), wrong.subject,
                    package=chance.choice("12"), classifier=kind, retracts=wrong.id,
                    event_id=f"correction-{n}",
                )
            )  # fmt: skip
    return sorted(named, key=lambda e: e.time)


def _record(chance: random.Random, order: str, n: int, hours: int) -> Event:
    at, node = float(chance.randrange(hours)), chance.choice(NODES)
    match chance.randrange(16):
        case 0:
            wants = chance.random() < 0.3, chance.random() < 0.3
            return tracks.ordered(
                at, order, revision=n + 1, installation=wants[0], acceptance=wants[1],
                customer=chance.choice(CUSTOMERS), tier=chance.choice(TIERS), price=n,
            )  # fmt: skip
        case 1:
            promise = at + chance.randrange(60) if chance.random() < 0.8 else None
            outcome = chance.choice(OUTCOMES)
            if outcome == "FULLY_ROUTED" and n % 3 == 0:
                outcome = "PARTIALLY_ROUTED"
            if chance.random() < 0.2:
                routed = tracks.decided(at, order, outcome=outcome, promise=promise)
                return renamed(routed, f"elsewhere-{n}")
            says = {} if chance.random() < 0.2 else _content(chance, n)
            return tracks.decided(at, order, outcome=outcome, promise=promise, cause=n, **says)
        case 2 | 3:
            withdrawn = chance.random() < 0.3
            day = f"2026-01-0{chance.randrange(5, 9)}" if chance.random() < 0.5 else None
            return tracks.offered(
                at, node, order, ship_date=day, cause=n, withdrawn=withdrawn, lane=f"from-{node}"
            )
        case 4 | 5:
            return tracks.answered(chance.choice(WORK), at, node, order)
        case 6:
            return tracks.served(chance.choice(SERVICES), at, order, fixed=n % 3 > 0)
        case 7:
            return tracks.feedback(at, order, nps=chance.randrange(11))
    planned = at + 5 if chance.random() < 0.15 else None
    return tracks.step(
        chance.choice(list(Milestone)),
        at,
        order,
        package=chance.choice(["1", "2", node]),
        node=chance.choice(["", node]),
        planned=planned,
        reason=chance.choice([Trouble.NONE] * 5 + list(Trouble)),
    )


def _content(chance: random.Random, n: int) -> dict[str, Any]:
    """What a decision says of its order."""
    return {
        "revision": chance.randrange(1, n + 2),
        "customer": chance.choice(CUSTOMERS),
        "tier": chance.choice(TIERS),
        "channel": chance.choice(["web", None]),
        "region": "Q",
        "currency": "USD",
        "value_minor": n,
        "installation": chance.random() < 0.3,
        "acceptance": chance.random() < 0.3,
    }


def disturbed(events: Sequence[Event], seed: int) -> list[Event]:
    """The same, shuffled, with repeats."""
    chance = random.Random(seed)
    more = [*events, *chance.choices(events, k=len(events) // 4)]
    chance.shuffle(more)
    return more


def with_policies(events: Sequence[Event], seed: int) -> list[Event]:
    """Other deadlines now and then, one of them in a document that is none."""
    chance, rows = random.Random(seed), list(events)
    for n in range(4):
        silence = chance.choice([12, 48, 200])
        document = (
            f"version: p-{n}\ntracking:\n  silence_hours: {silence}\n  sign_within_hours: 5\n"
            f"notifications:\n  phases:\n    {chance.choice(GONE)}: []\n"
            "    PACKED: [{to: partner, template: SHIPPED}]\n"
        )
        wrong = "tracking: [" if n == 2 else document
        rows.insert(chance.randrange(len(rows)), tracks.policy(wrong, f"p-{n}"))
    return rows


def with_ticks(events: Iterable[Event], hours: Iterable[float]) -> list[Event]:
    """Ticks put between the records, evenly, in order."""
    rows, ticks = list(events), [tracks.tick(h) for h in hours]
    gap = max(1, len(rows) // len(ticks))
    for n, tick in enumerate(ticks):
        rows.insert(min(len(rows), (n + 1) * gap + n), tick)
    return rows


# The reference ------------------------------------------------------------------------------------


Cause = tuple[str, str]
"""Code of an exception, and the parcel or the node that it is about; empty: the order itself."""


def standing(events: Iterable[Event], now: datetime) -> dict[str, tuple[str, frozenset[Cause]]]:
    """Phase and exceptions that hold, by order."""
    mine: dict[str, dict[tuple[str, str], Event]] = defaultdict(dict)
    for event in events:
        if not isinstance(event, control.ClockTicked):
            mine[event.subject][event.source, event.id] = event
    return {order: _Order(list(said.values())).stand(now) for order, said in mine.items()}


def contents(events: Iterable[Event]) -> dict[str, tuple[Any, ...]]:
    """What the order itself is, by order: revision, value and words, as its highest revision says."""
    said: dict[str, list[tuple[int, int, tuple[Any, ...]]]] = defaultdict(list)
    for event in events:
        match event:
            case orders.OrderReceived(data=data):
                worth = sum(line.qty * line.unit_price_minor for line in data.lines)
                said[event.subject].append((data.revision, -1, (worth, *_words(data))))
            case decisions.DecisionRouted(data=data) if data.currency is not None:
                of = data.value_minor, *_words(data)
                said[event.subject].append((data.revision, _cause(event), of))
    highest = {order: max(told, key=lambda t: t[:2]) for order, told in said.items()}
    return {order: (revision, *rest) for order, (revision, _, rest) in highest.items()}


def _words(data: orders.Order | decisions.Decision) -> tuple[str | None, ...]:
    of = data.customer, data.tier, data.channel, data.region, data.currency
    return tuple(word or None for word in of)


_NEVER = datetime.min.replace(tzinfo=UTC)


class _Parcel:
    def __init__(self) -> None:
        self.node = self.ships_for = ""
        self.phase: Phase | None = None
        self.step = Milestone.PACKED
        self.reason = Trouble.NONE
        self.at = self.heard = self.there_at = _NEVER

    def take(self, milestone: Milestone, reason: Trouble, at: datetime) -> None:
        self.heard = at
        if self.there_at == _NEVER and milestone in (Milestone.DELIVERED, Milestone.SIGNED):
            self.there_at = at
        to = TABLE[self.phase].get(milestone, self.phase)
        again = (Milestone.ATTEMPT_FAILED, Milestone.CUSTOMS_HELD)
        if to != self.phase or milestone in again:
            self.phase, self.step, self.reason, self.at = to, milestone, reason, at


class _Work:
    def __init__(self) -> None:
        self.units = 0
        self.offer: tuple[int, datetime, str | None] | None = None
        self.answers: dict[Phase, datetime] = {}

    @property
    def ship_by(self) -> datetime | None:
        return _after(self.offer[2]) if self.offer else None

    @property
    def phase(self) -> Phase:
        for phase in (Phase.PICKED, Phase.RELEASED):
            if phase in self.answers and (not self.offer or self.answers[phase] >= self.offer[1]):
                return phase
        return Phase.ROUTED


class _Order:
    def __init__(self, events: list[Event]) -> None:
        steps = [e for e in events if isinstance(e, shipments.ShipmentMilestone)]
        gone = {(e.source, e.data.retracts) for e in steps if e.data.retracts}
        left = [e for e in events if (e.source, e.id) not in gone and not _is_taken_back(e)]
        self.events = sorted(left, key=_place)
        self.parcels: dict[str, _Parcel] = defaultdict(_Parcel)
        self.works: dict[str, _Work] = defaultdict(_Work)
        self.decided: Phase | None = None
        self.cause = self.withdrawn = -1
        self.placed: list[datetime] = []
        self.promise: datetime | None = None
        self.wants = (0, -2, False, False)
        self.done: dict[str, datetime] = {}
        self.is_bad = self.is_begun = False
        for event in self.events:
            self._take(event)
        self._place()
        arrived = [p.there_at for p in self.parcels.values() if p.phase not in GONE]
        if self.done.get("answered", _NEVER) < max(arrived, default=_NEVER):
            self.done.pop("answered", None)

    def _place(self) -> None:
        """Parcels of no known node: of the only one that there is, or one for each that has none."""
        nodes = {node for node, w in self.works.items() if w.units > 0}
        nodes |= {p.node for p in self.parcels.values() if self._stands(p.node)}
        for parcel in self.parcels.values():
            if len(nodes) == 1:
                parcel.node = parcel.node or min(nodes)
            parcel.ships_for = parcel.node
        if len(nodes) < 2:
            return
        packed = [name for name, p in self.parcels.items() if p.phase and name == p.node]
        for node in [n for n in packed if self._stands(n)] + [
            n for n, w in self.works.items() if w.units > 0
        ]:
            lost = [p for p in self.parcels.values() if p.phase and not p.ships_for]
            if lost and not self._own(node):
                lost[0].ships_for = node

    def _stands(self, node: str) -> bool:
        if node not in self.works:
            return node != ""
        mine = self.works[node]
        return mine.units > 0 or (mine.units == 0 and mine.offer is None)

    def _own(self, node: str) -> bool:
        return any(
            p.ships_for == node and name != p.node and p.phase for name, p in self.parcels.items()
        )

    def _take(self, event: Event) -> None:
        match event:
            case orders.OrderReceived(data=data):
                wants = data.revision, -1, data.installation, data.acceptance
                self.wants = max(self.wants, wants)
                self.placed.append(event.time)
            case decisions.DecisionRouted(data=data):
                if data.currency is not None:
                    wants = data.revision, _cause(event), data.installation, data.acceptance
                    self.wants = max(self.wants, wants)
                self.placed.append(event.time)
                named = {"FULLY_ROUTED": Phase.ROUTED, "BACKORDERED": Phase.BACKORDERED}
                named |= {"PARTIALLY_ROUTED": Phase.BACKORDERED, "CANCELLED": Phase.CANCELLED}
                if _cause(event) >= self.cause:
                    self.decided, self.cause = named.get(data.outcome, Phase.HELD), _cause(event)
                    self.promise = data.latest_commit_at
            case decisions.WorkOffered(data=data):
                mine = self.works[data.node]
                mine.units += sum(line.qty for line in data.lines)
                offer = (_cause(event), event.time, data.ship_date)
                mine.offer = max(mine.offer, offer, key=lambda o: o[0]) if mine.offer else offer
            case decisions.WorkWithdrawn(data=data):
                self.works[data.node].units -= sum(line.qty for line in data.lines)
                self.withdrawn = max(self.withdrawn, _cause(event))
            case work.WorkAccepted(data=data):
                self.works[data.node].answers[Phase.RELEASED] = event.time
            case work.WorkRejected(data=data):
                self.works[data.node].units += 0
            case work.WorkPicked(data=data):
                self.works[data.node].answers[Phase.PICKED] = event.time
            case work.WorkPacked(data=data):
                self._step(data.node, data.node, Milestone.PACKED, event)
            case work.WorkHandedOver(data=data):
                self._step(data.node, data.node, Milestone.HANDED_OVER, event)
            case shipments.ShipmentMilestone(data=data):
                if data.classifier is Classifier.ACTUAL:
                    self._step(data.package, data.node, data.milestone, event, data.reason)
                else:
                    planned = self.parcels[data.package]
                    planned.node = data.node or planned.node
            case shipments.ServiceInstalled(data=data) | shipments.ServiceVisited(data=data):
                is_follow_up = self.is_begun and "installed" not in self.done
                if isinstance(event, shipments.ServiceInstalled) or is_follow_up:
                    self.is_begun = True
                    self.done |= {"installed": event.time} if data.fixed else {}
            case shipments.ServiceAccepted():
                self.done["accepted"] = event.time
            case shipments.FeedbackReceived(data=data):
                self.done["answered"] = event.time
                self.is_bad = data.nps is not None and data.nps <= 6

    def _step(
        self, name: str, node: str, milestone: Milestone, event: Event,
        reason: Trouble = Trouble.NONE,
    ) -> None:  # fmt: skip
        parcel = self.parcels[name]
        parcel.node = node or parcel.node
        parcel.take(milestone, reason, event.time)

    def stand(self, now: datetime) -> tuple[str, frozenset[Cause]]:
        there = {name: p for name, p in self.parcels.items() if self._is_one(name, p)}
        goods = self._goods(list(there.values()))
        phase = goods
        is_undecided = self.decided is Phase.ROUTED and self.withdrawn >> 20 > self.cause >> 20
        if is_undecided or self.decided in (Phase.HELD, Phase.BACKORDERED):
            is_behind = goods in BEHIND and BEHIND.index(goods) < BEHIND.index(self.decided)
            phase = goods if is_behind else self.decided
        found = {("FEEDBACK_NEGATIVE", "")} if self.is_bad else set()
        phase, found = self._after_delivery(phase, found, now)
        for name, parcel in there.items():
            named = {
                Phase.ATTEMPT_FAILED: "ATTEMPT_FAILED",
                Phase.RETURNING: "RETURNING",
                Phase.LOST: "LOST",
                Phase.DAMAGED: "DAMAGED",
            }
            codes = {named[parcel.phase]} if parcel.phase in named else set()
            if parcel.phase is Phase.CUSTOMS:
                is_slow = now >= parcel.at + timedelta(hours=48)
                held = parcel.step is Milestone.CUSTOMS_HELD
                codes |= {"CUSTOMS_HOLD"} if held or is_slow else set()
            codes |= {parcel.reason.value} - {""}
            found |= {(code, name) for code in codes}
        if phase in (None, *BEHIND[: BEHIND.index(Phase.DELIVERED)]):
            found |= self._overdue(goods, now)
        return phase.value if phase else "", frozenset(found)

    def _is_one(self, name: str, parcel: _Parcel) -> bool:
        return parcel.phase is not None and not (name == parcel.node and self._own(name))

    def _goods(self, there: Sequence[_Parcel]) -> Phase | None:
        shipped = {p.ships_for for p in self.parcels.values() if p.phase}
        waits = [w.phase for node, w in self.works.items() if w.units > 0 and node not in shipped]
        stay = [p for p in there if p.phase is Phase.PACKED and not self._is_wanted(p)]
        least = [p.phase for p in there if p.phase and p.phase not in GONE and p not in stay]
        if self.decided is not Phase.CANCELLED:
            least += waits
        elif not least:
            return Phase.CANCELLED
        if least:
            found = min(least, key=BEHIND.index)
            amiss = [p.phase for p in there if self._is_amiss(p)]
            is_through = BEHIND.index(found) >= BEHIND.index(Phase.DELIVERED)
            return min(amiss, key=GONE.index) if amiss and is_through else found
        gone = [p.phase for p in there if p.phase in GONE]
        if gone:
            return min(gone, key=GONE.index)
        return self.decided or (Phase.RECEIVED if self.placed else None)

    def _is_amiss(self, parcel: _Parcel) -> bool:
        names = ["accepted"] if self.is_bad else ["accepted", "answered"]
        content = [self.done[name] for name in names if name in self.done]
        is_settled = parcel.at <= max(content, default=_NEVER)
        is_lost = parcel.phase in (Phase.LOST, Phase.DAMAGED)
        return is_lost and self._is_wanted(parcel) and not is_settled

    def _is_wanted(self, parcel: _Parcel) -> bool:
        is_withdrawn = parcel.ships_for != "" and not self._stands(parcel.ships_for)
        return self.decided is not Phase.CANCELLED and not is_withdrawn

    def _after_delivery(
        self, phase: Phase | None, found: set[Cause], now: datetime
    ) -> tuple[Phase | None, set[Cause]]:
        if phase not in (Phase.DELIVERED, Phase.SIGNED):
            return phase, found
        at = max(p.at for p in self.parcels.values() if p.phase and p.phase not in GONE)
        if phase is Phase.DELIVERED and not self.done:
            at += timedelta(hours=72)
            if now < at:
                return phase, found
        phase = Phase.SIGNED
        *_, installation, acceptance = self.wants
        for is_wanted, name, to, code, days in (
            (installation, "installed", Phase.INSTALLED, "INSTALL_OVERDUE", 14),
            (acceptance, "accepted", Phase.ACCEPTED, "ACCEPTANCE_OVERDUE", 7),
        ):
            if is_wanted and name not in self.done:
                overdue = {(code, "")} if now >= at + timedelta(days=days) else set()
                return phase, found | overdue
            if is_wanted:
                at, phase = max(at, self.done[name]), to
        is_glad = "answered" in self.done and not self.is_bad
        is_over = now >= at + timedelta(days=14)
        return (Phase.CLOSED if is_glad or is_over else phase), found

    def _overdue(self, phase: Phase | None, now: datetime) -> set[Cause]:
        found = set()
        if self.promise is not None and now > self.promise:
            found.add(("DELAY_BREACHED", ""))
        if phase in (Phase.RECEIVED, Phase.VALIDATED, Phase.HELD):
            is_slow = now >= min(self.placed) + timedelta(hours=24)
            found |= {("MILESTONE_MISSED_ROUTE", "")} if is_slow else set()
        for node, offer in self.works.items():
            if offer.units > 0 and offer.ship_by is not None:
                missed = self._missed(node, offer, offer.ship_by, now)
                found |= {(code, node) for code in missed}
        under_way = BEHIND[BEHIND.index(Phase.HANDED_OVER) : BEHIND.index(Phase.DELIVERED)]
        for name, parcel in self.parcels.items():
            if self._is_one(name, parcel) and parcel.phase in under_way:
                found |= {("SILENCE", name)} if now >= parcel.heard + timedelta(hours=72) else set()
                found |= {("EXPIRED", name)} if now >= parcel.heard + timedelta(days=30) else set()
        return found

    def _missed(self, node: str, offer: _Work, ship_by: datetime, now: datetime) -> set[str]:
        mine = [p.phase for p in self.parcels.values() if p.ships_for == node and p.phase]
        if any(phase in GONE for phase in mine):
            return set()
        reached = max([offer.phase, *mine], key=BEHIND.index)
        if BEHIND.index(reached) >= BEHIND.index(Phase.HANDED_OVER):
            return set()
        if now >= ship_by + timedelta(hours=6):
            return {"MILESTONE_MISSED_HANDOVER"}
        if BEHIND.index(reached) < BEHIND.index(Phase.PICKED):
            return {"MILESTONE_MISSED_PICK"} if now >= ship_by - timedelta(hours=4) else set()
        is_packed = reached is Phase.PACKED
        is_late = now >= ship_by - timedelta(hours=2)
        return {"MILESTONE_MISSED_PACK"} if is_late and not is_packed else set()


def _after(day: str | None) -> datetime | None:
    return None if day is None else datetime.fromisoformat(f"{day}T00:00Z") + timedelta(days=1)


def _is_step(event: Event) -> bool:
    return isinstance(event, shipments.ShipmentMilestone)


def _is_taken_back(event: Event) -> bool:
    return _is_step(event) and event.data.classifier is Classifier.RETRACTED  # type: ignore[attr-defined]


def _cause(event: Event) -> int:
    """Where in the journal the cause of what the router says is."""
    if "/" not in event.id:
        return -1
    _, position, effect = event.id.split("/")
    return (int(position) << 20) + int(effect)


def _place(event: Event) -> tuple[datetime, int, int]:
    """What comes first, as ``models/lifecycle/steps.py`` lists it; the router's last."""
    parts = event.id.split("/")
    if len(parts) == 3:
        return event.time, _cause(event), 0
    return event.time, -1, _STEPS.index(_word(event))


def _word(event: Event) -> str:
    if isinstance(event, shipments.ShipmentMilestone):
        return event.data.milestone.value
    if isinstance(event, work.WorkPacked | work.WorkHandedOver):
        return "packed" if isinstance(event, work.WorkPacked) else "handed_over"
    if isinstance(event, decisions.DecisionRouted):
        return event.data.outcome
    return type(event).__name__


_STEPS = [
    *(m.value for m in Milestone), "OrderReceived", "HELD_FOR_REVIEW", "FULLY_ROUTED", "BACKORDERED",
    "CANCELLED", "PARTIALLY_ROUTED", "WorkAccepted", "WorkRejected", "WorkPicked",
    "ServiceInstalled", "ServiceVisited", "ServiceAccepted", "FeedbackReceived",
]  # fmt: skip
