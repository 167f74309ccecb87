"""Two weeks before and around a peak: promotions, limits of every day, cut-offs, a backlog and its end.

Demand grows over a fortnight, then comes ten times as strong for one night and a day. Each centre ships so many
units a day and takes orders for the same day until four; what comes later waits, within the booking
horizon of the policy. Promotions are observed as signals, so that the model sees what is coming.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from models.simulation.crew import Habits
from models.simulation.scene import (
    DAY_CURVE,
    Product,
    Scene,
    Setting,
    Way,
    arrivals,
    baskets,
    in_order,
    repeats,
    shares,
    wanted,
)
from models.simulation.world import World
from schemas.codes import SignalKind
from schemas.envelope import Event
from schemas.network import Signal, SignalObserved
from schemas.orders import Order, OrderReceived

NODES = {
    "dc-beijing": (620.0, 1530.0),
    "dc-shanghai": (1250.0, 630.0),
    "dc-guangzhou": (640.0, -310.0),
    "dc-chengdu": (-60.0, 590.0),
    "dc-wuhan": (700.0, 500.0),
    "dc-shenyang": (1100.0, 1800.0),
}
REGIONS = {f"region-{name[3:]}": (x + 40, y - 30) for name, (x, y) in NODES.items()}
WAYS = (
    Way("express", "air-ground", hours=14, km_per_hour=60, base_minor=900, per_km_minor=0.5),
    Way("parcel", "ground", hours=20, km_per_hour=32, base_minor=500, per_km_minor=0.35),
)
PRODUCTS = [Product(f"deal-{i:03d}", 250 + 10 * i, 1_000 + 90 * i) for i in range(120)]
PER_ORDER = 1.6 * 1.25  # lines x units, as ``baskets`` draws them
CHANNELS = {"app": 0.6, "web": 0.2, "livestream": 0.2}
LEVELS = (1, 1, 1, 1.1, 1.1, 1.2, 1.2, 1.3, 1.4, 1.5, 1.6, 1.8, 2.0, 10.0, 3.0, 1.5)
"""Of each day from 29 October; the fourteenth is 11 November."""
PEAK_DAY, DAYS = 13, 30
PEAK_HOURS = (40, 20, 8, 3, 1)  # instead of the curve's, right after midnight
CAPACITY = 2.2  # of a usual day's units, all centres together
STOCKED = 1.25  # of all that is wanted


def make(setting: Setting) -> World:
    """The world of a setting."""
    scene = Scene(setting, "festival", "china", datetime(2026, 10, 29, tzinfo=UTC))
    usual = PER_ORDER * setting.size / sum(LEVELS)
    limit = max(2, round(CAPACITY * usual / len(NODES)))
    for name, place in NODES.items():
        scene.add_node(name, place, handling_per_package_minor=60.0)
        scene.add_capacity(name, capacity=limit, cut_off_minute=960)
    scene.add_lanes(NODES, REGIONS, WAYS)
    generator = scene.generator("stock")
    demand = wanted(PRODUCTS, setting.size, PER_ORDER)
    for name in NODES:
        each = {s: int(generator.poisson(STOCKED * q / len(NODES))) + 1 for s, q in demand.items()}
        scene.add_stock(name, each)
    script = in_order([*_promotions(scene), *_orders(scene)])
    return scene.world(
        script, dict.fromkeys(NODES, Habits(pick=(0.5, 8))), days=DAYS, step_minutes=30
    )


def _promotions(scene: Scene) -> Iterator[Event]:
    """A warm-up of three days, then the peak; both seen in every region a day before they begin."""
    for severity, first, last in ((0.4, PEAK_DAY - 3, PEAK_DAY), (1.0, PEAK_DAY, PEAK_DAY + 2)):
        for region in REGIONS:
            data = Signal(
                kind=SignalKind.PROMOTION,
                severity=severity,
                starts_at=scene.at(first),
                ends_at=scene.at(last),
            )
            yield scene.scribe.say(SignalObserved, region, scene.at(first - 1), data)


def _by_hour() -> list[float]:
    hours = [level * hour for level in LEVELS for hour in DAY_CURVE]
    first = 24 * PEAK_DAY
    hours[first : first + len(PEAK_HOURS)] = [LEVELS[PEAK_DAY] * hour for hour in PEAK_HOURS]
    return hours


def _orders(scene: Scene) -> Iterator[Event]:
    n, generator = scene.setting.size, scene.generator("orders")
    moments = arrivals(n, _by_hour(), generator).tolist()
    regions = shares(dict.fromkeys(REGIONS, 1.0), n, generator)
    channels = shares(CHANNELS, n, generator)
    orders: list[OrderReceived] = []
    for i, lines in enumerate(baskets(PRODUCTS, n, generator)):
        data = Order(region=regions[i], lines=lines, channel=channels[i], currency="CNY")
        orders.append(scene.order(f"d-{i:07d}", scene.moment(moments[i]), data))
    yield from orders
    yield from repeats(orders, 0.01, scene.generator("repeats"))
    cancelling = scene.generator("cancellations")
    for event in orders:
        if cancelling.random() < 0.03:
            later = timedelta(hours=float(cancelling.uniform(0.2, 30)))
            yield scene.cancellation(event.subject, event.time + later)
