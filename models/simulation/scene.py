"""What the scenarios are built with: places, ways between them, stock, and customers by the hour.

Places lie on a plane, in km. All randomness comes from generators that are named: one for each purpose,
made of the seed and the name, so that a change of one part of a world leaves the others as they were.
"""

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import hypot
from typing import Any

import numpy as np
import numpy.typing as npt

from models.simulation.crew import Crew, Desk, Habits, StockError
from models.simulation.records import Scribe, repeated
from models.simulation.world import World, recorded
from schemas.codes import AdjustmentReason, Mode, PaymentState, SupplySource, TempClass
from schemas.control import ModelActivated, ModelActivation, PolicyActivated, PolicyActivation
from schemas.envelope import Event
from schemas.inventory import (
    AdjustedItem,
    Adjustment,
    Count,
    CountedItem,
    InventoryAdjusted,
    InventoryCounted,
    Supply,
    SupplyItem,
    SupplyPlanned,
)
from schemas.network import (
    Capacity,
    CapacitySet,
    Lane,
    LaneSet,
    Node,
    NodeSet,
    TariffBand,
)
from schemas.orders import (
    Cancellation,
    Order,
    OrderAmended,
    OrderCancelled,
    OrderLine,
    OrderReceived,
    Payment,
    PaymentUpdated,
)

Moments = npt.NDArray[np.int64]
Place = tuple[float, float]
_MOST_SKUS_COUNTED = 1_000


@dataclass(frozen=True)
class Setting:
    """What makes a world: the same setting gives the same world.

    Attributes:
        seed: of all chances.
        size: number of orders.
        policy: text of the policy document.
        model_sha256: of the model that scores; empty: rules.
        stock_error: share of the stock cells in which the count is wrong.
    """

    seed: int
    size: int
    policy: str
    model_sha256: str = ""
    stock_error: float = 0.0


@dataclass(frozen=True)
class Way:
    """A way to travel: hours and money by distance, and what may travel so."""

    carrier: str
    service: str = "standard"
    mode: Mode = Mode.ROAD
    hours: float = 8.0
    km_per_hour: float = 40.0
    base_minor: float = 300.0
    per_km_minor: float = 0.5
    per_kg_minor: float = 20.0
    detour: float = 1.3
    most_km: float = 50_000.0
    temp_classes: tuple[TempClass, ...] = (TempClass.AMBIENT,)
    hazmat: bool = False


@dataclass(frozen=True)
class Product:
    """A SKU: units of it weigh and cost something, and need something."""

    sku: str
    weight_g: int = 500
    price_minor: int = 2_000
    volume_cm3: int = 0
    temp_class: TempClass = TempClass.AMBIENT
    hazmat: bool = False

    def line(self, number: int, qty: int) -> OrderLine:
        """So many units as a line of an order."""
        return OrderLine(
            line_no=number,
            sku=self.sku,
            qty=qty,
            weight_g=self.weight_g,
            volume_cm3=self.volume_cm3,
            unit_price_minor=self.price_minor,
            temp_class=self.temp_class,
            hazmat=self.hazmat,
        )


class Scene:
    """One network being set up, and the words for what happens in it."""

    def __init__(self, setting: Setting, tenant: str, network: str, start: datetime) -> None:
        """An empty network under the setting's policy and model."""
        self.setting = setting
        self.scribe = Scribe(tenant, network)
        self.start = start
        self.opening: list[Event] = []
        self.places: dict[str, Place] = {}
        document = PolicyActivation(document=setting.policy)
        self._open(PolicyActivated, "policy", document)
        if setting.model_sha256:
            self._open(ModelActivated, "route", ModelActivation(sha256=setting.model_sha256))

    def generator(self, purpose: str) -> np.random.Generator:
        """The generator of one purpose."""
        return np.random.default_rng([self.setting.seed, zlib.crc32(purpose.encode())])

    def at(self, days: float = 0.0, hours: float = 0.0) -> datetime:
        """An instant after the start, to the second."""
        return self.start + timedelta(seconds=round(days * 86_400 + hours * 3_600))

    def moment(self, microseconds: int) -> datetime:
        """An instant after the start."""
        return self.start + timedelta(microseconds=int(microseconds))

    # The network ----------------------------------------------------------------------------------

    def _open(self, kind: type[Event], subject: str, data: Any) -> None:
        self.opening.append(self.scribe.say(kind, subject, self.start, data))

    def add_node(self, name: str, place: Place, **fields: Any) -> None:
        """A node at a place."""
        self.places[name] = place
        self._open(NodeSet, name, Node(**fields))

    def add_capacity(self, name: str, **fields: Any) -> None:
        """What a node ships on a day."""
        self._open(CapacitySet, name, Capacity(**fields))

    def add_lanes(
        self, nodes: Iterable[str], regions: Mapping[str, Place], ways: Sequence[Way]
    ) -> list[LaneSet]:
        """Every way from each node to each region that is not too far for it."""
        made = []
        for node in nodes:
            for region, place in regions.items():
                for way in ways:
                    lane = self._lane(node, region, place, way)
                    if lane is not None:
                        name = f"{node}>{region}/{way.carrier}-{way.service}"
                        made.append(self.scribe.say(LaneSet, name, self.start, lane))
        self.opening += made
        return made

    def _lane(self, node: str, region: str, place: Place, way: Way) -> Lane | None:
        x, y = self.places[node]
        km = round(way.detour * hypot(x - place[0], y - place[1]) + 5, 1)
        if km > way.most_km:
            return None
        base = round(way.base_minor + way.per_km_minor * km, 2)
        return Lane(
            node=node,
            region=region,
            carrier=way.carrier,
            service=way.service,
            mode=way.mode,
            distance_km=km,
            transit_hours=round(way.hours + km / way.km_per_hour, 2),
            bands=[TariffBand(base_minor=base, per_kg_minor=way.per_kg_minor)],
            temp_classes=list(way.temp_classes),
            hazmat=way.hazmat,
        )

    def add_stock(self, node: str, units: Mapping[str, int], safety: int = 0) -> None:
        """The node's first count."""
        items = [CountedItem(sku=s, on_hand=q, safety_stock=safety) for s, q in units.items()]
        for first in range(0, len(items), _MOST_SKUS_COUNTED):
            part = items[first : first + _MOST_SKUS_COUNTED]
            self._open(InventoryCounted, node, Count(items=part))

    # What happens ---------------------------------------------------------------------------------

    def order(self, name: str, at: datetime, data: Order) -> OrderReceived:
        """A customer orders."""
        return self.scribe.say(OrderReceived, name, at, data, event_id=name)

    def retail_orders(
        self,
        prefix: str,
        products: Sequence["Product"],
        *,
        days: int,
        regions: Iterable[str],
        channels: Mapping[str, float],
        within: timedelta,
    ) -> Iterator[Event]:
        """Orders of everyday goods, and one of fifty said twice.

        Args:
            prefix: of the orders' names.
            products: the most wanted first.
            days: on which they come, by the hours of a shop.
            regions: as wanted as each other.
            channels: with their shares.
            within: what three of ten ask for.
        """
        n, generator = self.setting.size, self.generator("orders")
        moments = arrivals(n, busy_hours([1.0] * days), generator).tolist()
        to = shares(dict.fromkeys(regions, 1.0), n, generator)
        by = shares(channels, n, generator)
        orders: list[OrderReceived] = []
        for i, lines in enumerate(baskets(products, n, generator)):
            at = self.moment(moments[i])
            asked = at + within if generator.random() < 0.3 else None
            data = Order(region=to[i], lines=lines, channel=by[i], requested_by=asked)
            orders.append(self.order(f"{prefix}-{i:06d}", at, data))
        yield from orders
        yield from repeats(orders, 0.02, self.generator("repeats"))

    def amendment(self, name: str, at: datetime, data: Order) -> OrderAmended:
        """A customer changes an order."""
        return self.scribe.say(OrderAmended, name, at, data)

    def cancellation(self, name: str, at: datetime) -> OrderCancelled:
        """A customer cancels an order."""
        return self.scribe.say(OrderCancelled, name, at, Cancellation(reason="customer"))

    def payment(self, name: str, at: datetime, state: PaymentState) -> PaymentUpdated:
        """The payment of an order is authorised or fails."""
        return self.scribe.say(PaymentUpdated, name, at, Payment(state=state))

    def supply(
        self,
        name: str,
        node: str,
        at: datetime,
        due: datetime,
        units: Mapping[str, int],
        origin: SupplySource = SupplySource.INBOUND,
    ) -> SupplyPlanned:
        """Units will come; said again with another date, the date has changed."""
        items = [SupplyItem(sku=s, qty=q) for s, q in units.items()]
        data = Supply(node=node, due_at=due, items=items, origin=origin)
        return self.scribe.say(SupplyPlanned, name, at, data)

    def receipt(
        self, name: str, node: str, at: datetime, units: Mapping[str, int]
    ) -> InventoryAdjusted:
        """Planned units came."""
        items = [AdjustedItem(sku=s, delta=q) for s, q in units.items()]
        data = Adjustment(items=items, reason=AdjustmentReason.RECEIPT, supply_id=name)
        return self.scribe.say(InventoryAdjusted, node, at, data)

    # The world ------------------------------------------------------------------------------------

    def world(
        self,
        script: Iterable[Event],
        habits: Mapping[str, Habits],
        *,
        days: float,
        step_minutes: float = 10.0,
        desk: Desk | None = None,
    ) -> World:
        """The whole: the network, its script in order of record time, and its crew."""
        crew = Crew(
            self.scribe,
            self.generator("crew"),
            habits,
            desk=desk,
            stock_error=StockError(self.setting.stock_error),
        )
        return World(
            tenant=self.scribe.tenant,
            network=self.scribe.network,
            start=self.start,
            ends_at=self.at(days),
            step=timedelta(minutes=step_minutes),
            opening=self.opening,
            script=script,
            crew=crew,
        )


def in_order(events: Iterable[Event]) -> list[Event]:
    """By record time; of the same time as they were given."""
    return sorted(events, key=recorded)


def arrivals(n: int, by_hour: Sequence[float], generator: np.random.Generator) -> Moments:
    """Moments of ``n`` arrivals in us after the start, increasing.

    Args:
        n: how many.
        by_hour: how busy each hour is, relative to the others.
        generator: of the chances.
    """
    weights = np.asarray(by_hour, np.float64)
    hours = generator.choice(len(weights), n, p=weights / weights.sum())
    moments = (hours + generator.random(n)) * 3_600e6
    return np.sort(moments.astype(np.int64))


DAY_CURVE = (1, 1, 1, 1, 1, 2, 3, 5, 7, 8, 9, 9, 8, 7, 7, 7, 8, 9, 10, 11, 11, 9, 6, 3)
"""How busy a shop is by the hour of the day; assumed."""


def busy_hours(days: Sequence[float]) -> list[float]:
    """Every hour of some days, each day with its own level."""
    return [level * hour for level in days for hour in DAY_CURVE]


def popularity(n: int, power: float = 0.8) -> npt.NDArray[np.float64]:
    """Shares of demand, the most wanted first."""
    weights = 1.0 / np.arange(2, n + 2) ** power
    return np.asarray(weights / weights.sum(), np.float64)


def shares(options: Mapping[str, float], n: int, generator: np.random.Generator) -> list[str]:
    """``n`` of the options, drawn by their weights."""
    names, weights = list(options), np.array(list(options.values()), np.float64)
    return [names[i] for i in generator.choice(len(names), n, p=weights / weights.sum()).tolist()]


def baskets(
    products: Sequence[Product],
    n: int,
    generator: np.random.Generator,
    *,
    lines: Sequence[float] = (0.6, 0.25, 0.1, 0.05),
    units: Sequence[float] = (0.8, 0.15, 0.05),
    power: float = 0.8,
) -> Iterator[list[OrderLine]]:
    """Lines of ``n`` orders, one after another.

    Args:
        products: the most wanted first.
        n: how many orders.
        generator: of the chances.
        lines: shares of the orders with one line, two lines, and so on.
        units: shares of the lines with one unit, two units, and so on.
        power: how much more wanted the first product is than the others.
    """
    p = popularity(len(products), power)
    sizes = generator.choice(len(lines), n, p=lines) + 1
    for size in np.minimum(sizes, len(products)).tolist():
        chosen = generator.choice(len(products), size, replace=False, p=p)
        counts = generator.choice(len(units), size, p=units) + 1
        yield [
            products[i].line(number, qty)
            for number, (i, qty) in enumerate(
                zip(chosen.tolist(), counts.tolist(), strict=True), start=1
            )
        ]


def wanted(
    products: Sequence[Product], orders: float, per_order: float, power: float = 0.8
) -> dict[str, float]:
    """Units that so many orders are expected to want, by SKU."""
    share = popularity(len(products), power) * orders * per_order
    return {product.sku: float(q) for product, q in zip(products, share, strict=True)}


def repeats(
    events: Sequence[OrderReceived], share: float, generator: np.random.Generator
) -> Iterator[Event]:
    """Some of the records said again, seconds to minutes later, as at-least-once sources do."""
    for i in np.flatnonzero(generator.random(len(events)) < share).tolist():
        later = timedelta(seconds=float(generator.uniform(1, 300)))
        yield repeated(events[i], recorded(events[i]) + later)
