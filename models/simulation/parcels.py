"""Parcels on the road, with what goes wrong on purpose: a tracking log, and the truth that no log says.

Every order is one parcel or two: decided, offered, packed, handed over, scanned at hubs, delivered. Some are
held up at a hub for so long that they miss the date told; some cold ones get warm or freeze on the way. Beside
these faults are look-alikes, which must not be taken for one: parcels that are slow but in time, readings
outside the band for less than it allows, errors of the device. Carriers report late, twice, and in disorder.

What an alarm has to say is worked out here, from the draws themselves, and not by the rules of the tracker.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from models.simulation.loggers import Warming, readings
from models.simulation.records import Scribe, repeated
from models.simulation.scene import arrivals, busy_hours, in_order, shares
from schemas.codes import Milestone, TempClass
from schemas.decisions import Decision, DecisionRouted, OfferedLine, OfferedWork, WorkOffered
from schemas.envelope import Event
from schemas.orders import Order, OrderLine, OrderReceived
from schemas.shipments import Feedback, FeedbackReceived, ShipmentMilestone, ShipmentStep
from schemas.telemetry import Binding, DeviceBound
from schemas.work import Work, WorkAccepted, WorkHandedOver, WorkPacked, WorkPicked

Floats = npt.NDArray[np.float64]

TENANT, NETWORK = "road", "eu"
BEGIN = datetime(2026, 3, 2, tzinfo=UTC)
DAYS = 12
NODES = ("north", "south", "west")
REGIONS = {"city": 14.0, "coast": 30.0, "hills": 46.0, "island": 72.0}
"""Usual hours from hand-over to the door."""
AWAY = {"north": 1.0, "south": 1.3, "west": 0.8}
"""How much longer or shorter that takes from each node."""
FERRIED = "island"
"""A region whose carrier does not know which node a parcel left."""
LANE_LOG_SPREAD, HANDLING_HOURS, HANDLING_LOG_SPREAD = 0.22, 9.0, 0.3
PROMISE_Z = 2.4  # so few parcels are late by themselves that a late one was delayed
CHANNELS = {"web": 0.5, "marketplace": 0.3, "mini-program": 0.2}
TIERS = {"standard": 0.85, "vip": 0.15}
HELD_UP_HOURS = (8.0, 60.0)
"""How much later than the date told a delayed parcel comes."""
BESIDE = (0.85, 1.0)
"""Of the time of an order's first parcel, what the second takes, as long as nothing holds it up."""
LATE_SHARE, LATE_HOURS, TWICE_SHARE = 0.03, (0.5, 5.0), 0.02
"""Of the carriers' reports: those that come late, by how much, and those that come twice; assumed."""


@dataclass(frozen=True)
class Road:
    """What makes a world of parcels.

    Attributes:
        seed: of all chances.
        size: number of orders.
        delayed: share of them that is held up until it is late.
        cold: share that goes with a temperature logger.
        warmed: share of the cold ones whose goods leave their band for too long.
        teased: share of the other cold ones with a look-alike.
        split: share of orders of which a second parcel travels beside the first, with chances of its own.
    """

    seed: int
    size: int
    delayed: float = 0.08
    cold: float = 0.2
    warmed: float = 0.15
    teased: float = 0.3
    split: float = 0.15


@dataclass(frozen=True)
class Truth:
    """What became of an order.

    Attributes:
        order_id: which.
        ordered_at: when it was placed.
        promise_at: what the customer was told.
        delivered_at: when all of it had come.
        is_held_up: whether it was made late.
        proofs: by parcel the id of the reading that proves an excursion; empty: there was none.
        is_teased: whether there was a look-alike of one.
    """

    order_id: str
    ordered_at: datetime
    promise_at: datetime
    delivered_at: datetime
    is_held_up: bool
    proofs: Mapping[str, str]
    is_teased: bool

    @property
    def is_late(self) -> bool:
        """Whether it came after the date told."""
        return self.delivered_at > self.promise_at


def travel(road: Road) -> tuple[list[Event], list[Truth]]:
    """The records by record time, without ticks, and the truth about each order."""
    generator = np.random.default_rng([road.seed, road.size])
    scribe = Scribe(TENANT, NETWORK)
    events: list[Event] = []
    truths = []
    moments = arrivals(road.size, busy_hours([1.0] * DAYS), generator)
    regions = shares(dict.fromkeys(REGIONS, 1.0), road.size, generator)
    nodes = shares(dict.fromkeys(NODES, 1.0), road.size, generator)
    channels, tiers = shares(CHANNELS, road.size, generator), shares(TIERS, road.size, generator)
    for n in range(road.size):
        at = BEGIN + timedelta(microseconds=int(moments[n]))
        order = _Order(scribe, generator, f"r-{n:06d}", nodes[n], regions[n], at)
        told, truth = order.journey(road, channels[n], tiers[n])
        events += told
        truths.append(truth)
    return in_order(events), truths


@dataclass(frozen=True)
class _Trip:
    """How a parcel travels: to the door by then, but held up on its way, and so much later; its goods."""

    package: str
    handed: datetime
    door: datetime
    held: datetime
    more: timedelta
    warming: Warming | None

    @property
    def came(self) -> datetime:
        return self.door + self.more


class _Order:
    """One order on its way."""

    def __init__(
        self, scribe: Scribe, generator: np.random.Generator, name: str, node: str, region: str,
        at: datetime,
    ) -> None:  # fmt: skip
        self.scribe, self.generator = scribe, generator
        self.name, self.node, self.region, self.at = name, node, region, at

    def journey(self, road: Road, channel: str, tier: str) -> tuple[list[Event], Truth]:
        """What is said of it, and the truth."""
        draw = self.generator.random(5)
        usual = REGIONS[self.region] * AWAY[self.node]
        promise = self._promise(usual)
        handed = self.at + self._hours(HANDLING_HOURS, HANDLING_LOG_SPREAD)
        door = handed + self._hours(usual, LANE_LOG_SPREAD)
        trips = [self._trip(road, f"{self.name}-1", draw, (handed, door, promise))]
        events = [*self._decided(channel, tier, promise), *self._at_node(handed)]
        if draw[4] < road.split:
            sooner = handed + (door - handed) * float(self.generator.uniform(*BESIDE))
            other = self.generator.random(4)
            trips.append(self._trip(road, f"{self.name}-2", other, (handed, sooner, promise)))
        proofs = {}
        for trip in trips:
            events += self._reported(trip)
            told, proofs[trip.package] = self._cold(trip)
            events += told
        came = max(trip.came for trip in trips)
        events += self._answered(promise, came, any(proofs.values()))
        is_held_up = any(trip.more > timedelta(0) for trip in trips)
        is_teased = any(trip.warming in (Warming.SHORT, Warming.ERROR) for trip in trips)
        return events, Truth(self.name, self.at, promise, came, is_held_up, proofs, is_teased)

    def _trip(
        self, road: Road, package: str, draw: Floats, times: tuple[datetime, datetime, datetime]
    ) -> _Trip:
        """How a parcel travels; ``times``: handed over, at the door if nothing holds it up, promised."""
        handed, door, promise = times
        stop = float(self.generator.uniform(0.2, 0.8))  # of the way, where it is held up
        more = timedelta(0)
        if draw[0] < road.delayed:
            late = timedelta(hours=float(self.generator.uniform(*HELD_UP_HOURS)))
            more = promise + late - door
        held = handed + (door - handed) * stop
        warming = None
        if draw[1] < road.cold:
            warming = _warming(road, float(draw[2]), float(draw[3]))
        return _Trip(package, handed, door, held, more, warming)

    def _promise(self, usual: float) -> datetime:
        """So late that hardly a parcel misses it by itself, at the end of an hour."""
        spread = float(np.hypot(LANE_LOG_SPREAD, HANDLING_LOG_SPREAD))
        hours = (HANDLING_HOURS + usual) * float(np.exp(PROMISE_Z * spread / 1.4))
        told = self.at + timedelta(hours=hours)
        return told.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)

    def _hours(self, usual: float, spread: float) -> timedelta:
        return timedelta(hours=usual * float(np.exp(spread * self.generator.standard_normal())))

    def _decided(self, channel: str, tier: str, promise: datetime) -> Iterator[Event]:
        """The order, and what the router made of it."""
        say, lane = self.scribe.say, f"{self.node}>{self.region}"
        price = int(self.generator.integers(20, 400)) * 50
        line = OrderLine(line_no=1, sku="goods", qty=1, unit_price_minor=price)
        customer = f"c-{self.name}"
        data = Order(
            region=self.region, lines=[line], channel=channel, tier=tier, customer=customer
        )
        yield say(OrderReceived, self.name, self.at, data, self.name)
        decision = Decision(
            outcome="FULLY_ROUTED", nodes=[self.node], lane_ids=[lane], region=self.region,
            channel=channel, original_commit_at=promise, latest_commit_at=promise,
        )  # fmt: skip
        decided_at = self.at + timedelta(milliseconds=20)
        yield say(DecisionRouted, self.name, decided_at, decision, f"decision-{self.name}")
        offer = OfferedWork(
            node=self.node, lane_id=lane, lines=[OfferedLine(line_no=1, sku="goods", qty=1)]
        )
        yield say(WorkOffered, self.name, decided_at, offer, f"offer-{self.name}")

    def _at_node(self, handed: datetime) -> Iterator[Event]:
        """The node's answers; the warehouse's system tells them within seconds."""
        spent = handed - self.at
        for kind, share in (
            (WorkAccepted, 0.1), (WorkPicked, 0.6), (WorkPacked, 0.8), (WorkHandedOver, 1.0)
        ):  # fmt: skip
            at = self.at + spent * share
            said: Event = self.scribe.say(kind, self.name, at, Work(node=self.node))
            yield repeated(said, at + timedelta(seconds=float(self.generator.uniform(0.2, 2))))

    def _scans(self, trip: _Trip) -> Iterator[tuple[Milestone, datetime]]:
        """Milestones of the carrier; what comes after the hold-up comes later by it."""
        for milestone, share in (
            (Milestone.SCANNED, 0.02), (Milestone.ARRIVED, 0.25), (Milestone.DEPARTED, 0.35),
            (Milestone.ARRIVED, 0.6), (Milestone.DEPARTED, 0.7), (Milestone.OUT_FOR_DELIVERY, 0.9),
            (Milestone.DELIVERED, 1.0),
        ):  # fmt: skip
            at = trip.handed + (trip.door - trip.handed) * share
            yield milestone, at if at <= trip.held else at + trip.more

    def _reported(self, trip: _Trip) -> Iterator[Event]:
        """The carrier's reports: within seconds, but for those that come late, and twice."""
        carrier, node = ("ferry", "") if self.region == FERRIED else ("van", self.node)
        for milestone, at in self._scans(trip):
            data = ShipmentStep(
                milestone=milestone, package=trip.package, node=node, carrier=carrier
            )
            said: Event = self.scribe.say(ShipmentMilestone, self.name, at, data)
            seconds = float(self.generator.exponential(3.0))
            if self.generator.random() < LATE_SHARE:
                seconds = float(self.generator.uniform(*LATE_HOURS)) * 3_600
            told = repeated(said, at + timedelta(seconds=seconds))
            yield told
            if self.generator.random() < TWICE_SHARE:
                yield repeated(told, at + timedelta(seconds=seconds + 40))

    def _cold(self, trip: _Trip) -> tuple[list[Event], str]:
        """The records of a cold parcel's logger, and the id of the reading that proves an excursion."""
        if trip.warming is None:
            return [], ""
        device, span = f"logger-{trip.package}", (trip.handed, trip.came)
        binding = Binding(device=device, package=trip.package, temp_class=TempClass.REFRIGERATED)
        bound = self.scribe.say(DeviceBound, self.name, trip.handed, binding)
        told, proof = readings(self.scribe, self.generator, (self.name, device), span, trip.warming)
        return [bound, *told], proof

    def _answered(self, promise: datetime, came: datetime, is_warm: bool) -> Iterator[Event]:
        """What a third of the customers say, a day later."""
        if self.generator.random() < 1 / 3:
            is_happy = came <= promise and not is_warm
            nps = int(self.generator.integers(7, 11) if is_happy else self.generator.integers(0, 8))
            at = came + timedelta(hours=float(self.generator.uniform(8, 40)))
            yield self.scribe.say(FeedbackReceived, self.name, at, Feedback(nps=nps))


def _warming(road: Road, draw: float, kind: float) -> Warming:
    """What happens to cold goods."""
    if draw < road.warmed:
        return Warming.FROZEN if kind < 0.2 else Warming.WARM
    if draw < road.warmed + (1 - road.warmed) * road.teased:
        return Warming.SHORT if kind < 0.5 else Warming.ERROR
    return Warming.NONE
