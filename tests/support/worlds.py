"""Small hostile worlds: logs made from a seed, in which everything happens and stock is always short.

A world is a list of records. It has few SKUs and few nodes, so that orders meet; it repeats, delays and
contradicts itself; it names nodes, orders and lines that nobody knows. ``Shape`` says what may occur.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from random import Random
from typing import Any

import msgspec

from models.policy.document import Limits, Policy, Protection, Reevaluation, Windows
from schemas.codes import (
    CapacityMeasure,
    Mode,
    PaymentState,
    RerouteReason,
    SignalKind,
    TempClass,
    Verdict,
)
from schemas.envelope import Event
from schemas.orders import OrderAmended, OrderReceived
from schemas.reviews import PlanProposed
from tests.support import builders as b

SKUS = ("S1", "S2", "S3")
REGIONS = ("R1", "R2")
CUSTOMERS = ("", "c-1", "c-2")
NOBODY = "node-that-nobody-declared"


@dataclass(frozen=True)
class Shape:
    """What a world may hold.

    Attributes:
        records: length of the log after the network is set up.
        nodes: most nodes of a network.
        networks: names of the networks that share the partition.
        forgetful: closed orders and seen ids are forgotten within hours, their keys too or not.
        clock: whether ingest processes tick.
        dates: whether customers ask for dates, so that lateness depends on the time of the decision.
        changes: whether the network itself changes on the way.
        gaps: whether weights may fall between two bands of a tariff.
        most_lines: lines of the longest order.
        step: mean seconds between two records.
        stock: most units of a SKU that a node is counted to have.
    """

    records: int = 150
    nodes: int = 4
    networks: tuple[str, ...] = ("eu",)
    forgetful: bool = False
    clock: bool = True
    dates: bool = True
    changes: bool = True
    gaps: bool = True
    most_lines: int = 6
    step: float = 900.0
    stock: int = 9


PLAIN = Shape()


def world(seed: int, shape: Shape = PLAIN) -> list[Event]:
    """The log of a seed."""
    random = Random(seed)
    parts = [_World(random, shape, name) for name in shape.networks]
    events: list[Event] = []
    now = 0.0
    for part in parts:
        if shape.clock and random.random() < 0.3:
            events.append(b.tick(now, "ingest-0", part.when(now)))
        events += part.opening(now)
    for _ in range(shape.records):
        now += random.expovariate(1 / shape.step)
        part = random.choice(parts)
        part.position = len(events)
        events += part.step(now)
    return b.named(*events)


def new_world(random: Random, shape: Shape) -> "_World":
    """One network, whose records are asked for one by one."""
    return _World(random, shape, shape.networks[0])


class _World:
    """One network of a world."""

    def __init__(self, random: Random, shape: Shape, name: str) -> None:
        self.random = random
        self.shape = shape
        self.name = name
        self.nodes = [f"N{i}" for i in range(random.randint(2, shape.nodes))]
        self.told: list[Event] = []
        self.orders: list[str] = []
        self.revisions: dict[str, int] = {}
        self.supplies: list[tuple[str, str]] = []
        self.epoch = 0
        self.serial = 0
        self.position = 0
        self.decided: dict[str, int] = {}

    # Chance ---------------------------------------------------------------------------------------

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def when(self, now: float, late: float = 0.0) -> b.When:
        """Learnt about now, seldom in order; happened up to ``late`` seconds before."""
        learnt = max(0.0, now + self.random.uniform(-600, 600))
        happened = learnt - self.random.uniform(0, late) if late else learnt
        self.serial += 1
        return b.When(
            happened,
            learnt,
            event_id=f"{self.name}-{self.serial}",
            network=self.name,
        )

    def some_node(self) -> str:
        return NOBODY if self.chance(0.02) else self.random.choice(self.nodes)

    def some_order(self) -> str:
        """Usually a recent one, so that it is still open."""
        if not self.orders or self.chance(0.03):
            return f"o-{len(self.orders) + self.random.randint(0, 3)}"
        recent = self.orders[-12:] if self.chance(0.8) else self.orders
        return self.random.choice(recent)

    def some_items(self, least: int, most: int) -> dict[str, int]:
        chosen = self.random.sample(SKUS, self.random.randint(1, len(SKUS)))
        return {sku: self.random.randint(least, most) for sku in chosen}

    # The network ----------------------------------------------------------------------------------

    def opening(self, now: float) -> list[Event]:
        """Policy, nodes, lanes, capacity and a first count."""
        events: list[Event] = []
        if self.shape.forgetful or self.chance(0.7):
            events.append(self.policy(now))
        for name in self.nodes:
            events.append(self.node(name, now))
            events += [self.lane(name, region, now) for region in REGIONS if self.chance(0.9)]
            if self.chance(0.5):
                events.append(self.capacity(name, now))
            events.append(
                b.counted(
                    name,
                    {sku: self.random.randint(0, self.shape.stock) for sku in SKUS},
                    self.random.choice((0, 0, 1, 2)),
                    self.when(now),
                )
            )
        return events

    def policy(self, now: float) -> Event:
        random = self.random
        windows = Windows(
            dedupe_hours=2 if self.shape.forgetful else 24 * 30,
            closed_order_retention_hours=random.choice((0, 1, 4)) if self.shape.forgetful else 8784,
            forgotten_order_hours=random.choice((0, 2, 720)) if self.shape.forgetful else 720,
            stock_publish_minutes=random.choice((10, 60, 240)),
            accept_within_hours=random.choice((None, 2, 8)) if self.shape.clock else None,
            assume_handed_over_after_hours=random.choice((None, None, 6, 24)),
        )
        limits = Limits(
            max_packages=random.randint(1, 4),
            booking_horizon_days=random.choice((1, 2, 5, 14)),
            allow_partial=random.random() < 0.7,
            max_distance_km=random.choice((50_000, 50_000, 450)),
            max_attempts=random.choice((1, 2, 3)),
        )
        protection = Protection(
            units=random.choice((0, 0, 1)),
            skus={"S2": random.randint(0, 2)} if random.random() < 0.3 else {},
            tiers=["vip"],
            channels=["store"] if random.random() < 0.3 else [],
        )
        self.epoch += 1
        document = Policy(
            version=f"p-{self.epoch}",
            limits=limits,
            windows=windows,
            protection=protection,
            reevaluation=Reevaluation(minimum_saving_minor=random.choice((0, 0, 50))),
        )
        return b.policy(document, self.when(now))

    def node(self, name: str, now: float, *, is_open: float = 0.95) -> Event:
        random = self.random
        classes = [TempClass.AMBIENT]
        if random.random() < 0.6:
            classes.append(TempClass.FROZEN)
        return b.node(
            name,
            self.when(now),
            temp_classes=classes,
            hazmat=random.random() < 0.6,
            open=random.random() < is_open,
            handling_per_unit_minor=float(random.randint(0, 20)),
            handling_per_package_minor=float(random.randint(0, 50)),
            customers=["c-1"] if random.random() < 0.15 else [],
            utc_offset_minutes=random.choice((0, 0, 120, -300)),
        )

    def lane(self, name: str, region: str, now: float) -> Event:
        random = self.random
        bands = [b.band(to_kg=2.0, base_minor=random.randint(200, 900), per_kg_minor=50.0)]
        if not self.shape.gaps or random.random() < 0.85:
            bands.append(b.band(from_kg=2.001, base_minor=random.randint(300, 1500)))
        carrier = random.choice(("default", "default", "fast"))
        return b.lane(
            name,
            region,
            when=self.when(now),
            lane_id=f"{name}>{region}/{carrier}",
            carrier=carrier,
            bands=bands,
            distance_km=float(random.choice((100, 250, 400, 500))),
            transit_hours=float(random.choice((0, 12, 24, 48))),
            mode=random.choice(list(Mode)),
            temp_classes=[TempClass.AMBIENT, TempClass.FROZEN],
            hazmat=random.random() < 0.8,
            open=random.random() < 0.95,
            parcel_max_kg=random.choice((0.0, 0.0, 1.5)),
            parcel_max_litres=random.choice((0.0, 0.0, 2.0)),
            volumetric_kg_per_m3=random.choice((0.0, 0.0, 200.0)),
        )

    def capacity(self, name: str, now: float) -> Event:
        random = self.random
        # What a node counts must not change: bookings of the other measure would stay in its books.
        by_order = int(name[1:]) % 2 == 0
        day = None
        if random.random() < 0.4:
            ahead = timedelta(seconds=now, days=random.randint(0, 4))
            day = (b.START + ahead).date()
        return b.capacity(
            name,
            random.randint(1, 4) if by_order else random.randint(2, 12),
            CapacityMeasure.ORDERS if by_order else CapacityMeasure.UNITS,
            day,
            self.when(now),
            weekdays=[] if random.random() < 0.5 else random.sample(range(1, 8), 4),
            cut_off_minute=random.choice((1440, 1440, 840, 600)),
            open=random.random() < 0.85,
        )

    # What happens ---------------------------------------------------------------------------------

    def step(self, now: float) -> list[Event]:
        """One thing happens, or something is said again."""
        if self.told and self.chance(0.05):
            again = self.random.choice(self.told[-30:])
            return [msgspec.structs.replace(again, recordedtime=b.instant(now))]
        makers: list[tuple[float, Callable[[float], Event]]] = [
            (34, self.order),
            (6, self.amendment),
            (6, self.cancellation),
            (3, self.contradiction),
            (4, self.payment),
            (8, self.count),
            (9, self.adjustment),
            (6, self.supply),
            (4, self.receipt),
            (2, self.comeback),
            (10, self.hand_over),
            (6, self.refusal),
            (4, self.short_pick),
            (5, self.progress),
            (3, self.review),
            (3, self.wish),
            (8, self.proposal),
        ]
        if self.shape.clock:
            makers.append((12, self.tick))
        if self.shape.changes:
            makers += [(5, self.change), (1, self.price), (1, self.signal)]
        weights = [weight for weight, _ in makers]
        (maker,) = self.random.choices([m for _, m in makers], weights)
        event = maker(now)
        self.told.append(event)
        if isinstance(event, PlanProposed) and self.chance(
            0.6
        ):  # something that may make it better
            return [self.price(now), event]
        return [event]

    def content(self, now: float) -> dict[str, Any]:
        random = self.random
        fields: dict[str, Any] = {
            "region": "R9" if self.chance(0.02) else random.choice(REGIONS),
            "priority": random.choice((1, 5, 5, 9)),
            "no_split": self.chance(0.2),
            "customer": random.choice(CUSTOMERS),
            "carrier": "fast" if self.chance(0.08) else "",
            "tier": random.choice(("standard", "standard", "vip")),
            "channel": random.choice(("web", "store")),
            "payment": random.choices(list(PaymentState), (8, 90, 2))[0],
        }
        if self.shape.dates and self.chance(0.6):
            fields["requested_by"] = b.instant(now + random.uniform(10, 90) * b.HOUR)
        return fields

    def lines(self) -> list[b.LineOrPair]:
        random = self.random
        return [
            b.line(
                random.choice(SKUS),
                random.randint(1, 5),
                weight_g=random.choice((0, 100, 400, 1999)),
                volume_cm3=random.choice((0, 500, 3_000)),
                temp_class=TempClass.FROZEN if self.chance(0.15) else TempClass.AMBIENT,
                hazmat=self.chance(0.1),
            )
            for _ in range(min(self.shape.most_lines, random.choice((1, 1, 2, 2, 3, 4, 6))))
        ]

    def order(self, now: float) -> Event:
        name = f"o-{len(self.orders)}"
        self.orders.append(name)
        self.revisions[name], self.decided[name] = 1, self.position
        return b.order(name, *self.lines(), when=self.when(now), **self.content(now))

    def amendment(self, now: float) -> Event:
        name = self.some_order()
        self.revisions[name] = revision = self.revisions.get(name, 1) + 1
        if self.chance(0.2):
            revision = self.random.randint(1, revision)
        return b.amended(
            name, *self.lines(), when=self.when(now), revision=revision, **self.content(now)
        )

    def contradiction(self, now: float) -> Event:
        """An order is said again under another event id: alike, as a new revision, or otherwise."""
        said = [e for e in self.told if isinstance(e, OrderReceived | OrderAmended)]
        if not said:
            return self.order(now)
        again = self.random.choice(said[-10:])
        when = self.when(now)
        copy = msgspec.structs.replace(
            again, id=str(when.event_id), recordedtime=b.instant(when.at)
        )
        what = self.random.random()
        if what < 0.4:
            data = msgspec.structs.replace(copy.data, no_split=not copy.data.no_split)
        elif what < 0.5:
            was_pending = copy.data.payment is PaymentState.PENDING
            payment = PaymentState.AUTHORISED if was_pending else PaymentState.PENDING
            data = msgspec.structs.replace(copy.data, payment=payment)
        elif what < 0.75:
            self.revisions[again.subject] = revision = self.revisions.get(again.subject, 1) + 1
            data = msgspec.structs.replace(copy.data, revision=revision)
        else:
            data = copy.data
        return msgspec.structs.replace(copy, data=data)

    def cancellation(self, now: float) -> Event:
        if self.chance(0.4):
            return b.cancelled(self.some_order(), when=self.when(now))
        gone = {self.random.randint(1, 3): self.random.randint(1, 3)}
        return b.cancelled(self.some_order(), gone, self.when(now))

    def payment(self, now: float) -> Event:
        state = self.random.choices(list(PaymentState), (1, 8, 1))[0]
        return b.payment(self.some_order(), state, self.when(now))

    def count(self, now: float) -> Event:
        return b.counted(
            self.some_node(),
            self.some_items(0, self.shape.stock - 1),
            self.random.choice((0, 0, 1, 3)),
            self.when(now, 2 * b.HOUR),
        )

    def adjustment(self, now: float) -> Event:
        return b.adjusted(self.some_node(), self.some_items(-3, 6), when=self.when(now, 2 * b.HOUR))

    def supply(self, now: float) -> Event:
        if self.supplies and self.chance(0.3):
            name, node = self.random.choice(self.supplies)
        else:
            name, node = f"p-{len(self.supplies)}", self.some_node()
            self.supplies.append((name, node))
        due = now + self.random.uniform(1, 200) * b.HOUR
        return b.supply(name, node, self.some_items(0, 8), due, self.when(now))

    def receipt(self, now: float) -> Event:
        if not self.supplies:
            return self.adjustment(now)
        name, node = self.random.choice(self.supplies)
        return b.received(name, node, self.some_items(1, 8), self.when(now, b.HOUR))

    def comeback(self, now: float) -> Event:
        return b.returned(
            self.some_node(),
            self.some_items(1, 2),
            self.when(now),
            f"ret-{self.serial}",
            restock=self.chance(0.7),
        )

    def _some_lines(self) -> dict[int, int] | None:
        if self.chance(0.6):
            return None
        return {self.random.randint(1, 3): self.random.randint(1, 4)}

    def hand_over(self, now: float) -> Event:
        return b.handed_over(
            self.some_order(), self.some_node(), self._some_lines(), self.when(now)
        )

    def refusal(self, now: float) -> Event:
        blocking = self.chance(0.6)
        if self.chance(0.3):
            return b.timed_out(
                self.some_order(), self.some_node(), self.when(now), blocking=blocking
            )
        return b.rejected(
            self.some_order(),
            self.some_node(),
            self._some_lines(),
            self.when(now),
            blocking=blocking,
        )

    def short_pick(self, now: float) -> Event:
        return b.short_picked(
            self.some_order(), self.some_node(), self._some_lines(), self.when(now)
        )

    def progress(self, now: float) -> Event:
        maker = self.random.choice((b.accepted, b.accepted, b.picked, b.packed))
        return maker(self.some_order(), self.some_node(), self._some_lines(), self.when(now))

    def review(self, now: float) -> Event:
        verdict = self.random.choices(list(Verdict), (5, 4, 1))[0]
        return b.reviewed(self.some_order(), verdict, self.some_node(), self.when(now))

    def wish(self, now: float) -> Event:
        return b.reroute_wanted(
            self.some_order(),
            self.some_node() if self.chance(0.5) else "",
            self.random.choice(list(RerouteReason)),
            self.when(now),
            blocking=self.chance(0.4),
        )

    def proposal(self, now: float) -> Event:
        name = self.random.choice(self.orders[-2:] or ["o-0"])
        most = min(len(self.nodes), self.random.choice((1, 1, 1, 2)))
        chosen = self.random.sample(self.nodes, most)
        lines = [1, 2]
        self.random.shuffle(lines)
        split = {chosen[0]: lines[:1], chosen[-1]: lines[1:]} if len(chosen) > 1 else {}
        packages = split if self.chance(0.7) and split else {node: [] for node in chosen}
        return b.proposed(name, packages, self.decided.get(name, 0), self.when(now))

    def tick(self, now: float) -> Event:
        process = self.random.choice(("ingest-0", "ingest-0", "ingest-1"))
        lag = self.random.uniform(0, 1_800)
        retired = process == "ingest-1" and self.chance(0.1)
        return b.tick(max(0.0, now - lag), process, self.when(now), retired=retired)

    def change(self, now: float) -> Event:
        """The network itself changes."""
        what = self.random.randint(0, 4)
        name = self.random.choice(self.nodes)
        if what == 0:
            return self.node(name, now, is_open=0.5)
        if what == 1:
            return self.lane(self.some_node(), self.random.choice(REGIONS), now)
        if what == 2:
            return self.capacity(name, now)
        if what == 3:
            broken = b.policy("version: x\nlimits: {max_packages: 9}\n", self.when(now))
            return broken if self.chance(0.3) else self.policy(now)
        self.nodes.append(f"N{len(self.nodes)}")
        return self.node(self.nodes[-1], now)

    def price(self, now: float) -> Event:
        self.epoch += 1
        chosen = [self.some_node() for _ in SKUS] if self.chance(0.5) else [self.some_node()] * 3
        priced = {(n, s): self.random.randint(0, 400) for n, s in zip(chosen, SKUS, strict=True)}
        return b.prices(priced, self.epoch, self.when(now))

    def signal(self, now: float) -> Event:
        kind = self.random.choice(list(SignalKind))
        severity = round(self.random.random(), 2)
        lasts = self.random.uniform(1, 30) * b.HOUR
        return b.signal(self.random.choice(REGIONS), kind, severity, self.when(now), lasts)


def with_networks(shape: Shape, *names: str) -> Shape:
    """The shape with these networks on one partition."""
    return replace(shape, networks=names)
