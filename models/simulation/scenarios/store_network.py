"""A city whose stores ship: they refuse, they do not answer, they do not find what was counted.

Stores are near and cheap, so they come first; the one distribution centre has everything. A refusal
keeps the order from coming back to that store, the third goes to a person, who may let the router choose
again, name the distribution centre, or cancel.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from models.simulation.crew import Desk, Habits
from models.simulation.scene import (
    Product,
    Scene,
    Setting,
    Way,
    arrivals,
    baskets,
    busy_hours,
    in_order,
    repeats,
    shares,
    wanted,
)
from models.simulation.world import World
from schemas.codes import LocationType
from schemas.envelope import Event
from schemas.orders import Order, OrderReceived

ORDER_DAYS, DAYS = 3, 7
CENTRE = "dc-city"
N_STORES, N_REGIONS = 12, 6
PRODUCTS = [Product(f"item-{i:02d}", 300 + 20 * i, 1_500 + 100 * i) for i in range(40)]
PER_ORDER = 1.6 * 1.25  # lines x units, as ``baskets`` draws them
CHANNELS = {"web": 0.5, "app": 0.35, "store": 0.15}
COURIER = (Way("courier", "same-day", hours=3, km_per_hour=15, base_minor=250, per_km_minor=12),)
PARCEL = (Way("parcel", "next-day", hours=20, km_per_hour=30, base_minor=650, per_km_minor=6),)
STORE_HABITS = Habits(
    answer=(0.1, 1.5), rejects=0.12, silent=0.06, loses=0.01, counts_every=24, counts_share=0.5
)
CENTRE_HABITS = Habits(rejects=0.002)


def make(setting: Setting) -> World:
    """The world of a setting."""
    scene = Scene(setting, "city-fashion", "stores", datetime(2026, 4, 13, tzinfo=UTC))
    generator = scene.generator("places")
    corners = generator.uniform(0, 30, (N_STORES, 2)).round(1).tolist()
    stores = {f"store-{i + 1:02d}": (x, y) for i, (x, y) in enumerate(corners)}
    regions = {
        f"district-{i + 1}": (5.0 + 10 * (i % 3), 7.0 + 15 * (i // 3)) for i in range(N_REGIONS)
    }
    scene.add_node(CENTRE, (60.0, 15.0), handling_per_package_minor=90.0)
    for name, (x, y) in stores.items():
        kind = LocationType.STORE
        scene.add_node(name, (x, y), location_type=kind, handling_per_package_minor=140.0)
    scene.add_lanes(stores, regions, COURIER)
    scene.add_lanes([CENTRE], regions, PARCEL)
    _stock(scene, list(stores))
    script = _orders(scene, list(regions))
    habits = dict.fromkeys(stores, STORE_HABITS) | {CENTRE: CENTRE_HABITS}
    desk = Desk(hours=(0.5, 4), answers=0.9, cancels=0.1, assigns=0.5, node=CENTRE)
    return scene.world(script, habits, days=DAYS, step_minutes=5, desk=desk)


def _stock(scene: Scene, stores: list[str]) -> None:
    """The stores together hold two thirds of what is wanted, the centre as much as all of it."""
    generator = scene.generator("stock")
    demand = wanted(PRODUCTS, scene.setting.size, PER_ORDER)
    for name in stores:
        units = {s: int(generator.poisson(0.66 * q / len(stores))) for s, q in demand.items()}
        scene.add_stock(name, units)
    scene.add_stock(CENTRE, {s: round(q) + 5 for s, q in demand.items()}, safety=2)


def _orders(scene: Scene, regions: list[str]) -> list[Event]:
    n, generator = scene.setting.size, scene.generator("orders")
    moments = arrivals(n, busy_hours([1.0] * ORDER_DAYS), generator).tolist()
    places = shares(dict.fromkeys(regions, 1.0), n, generator)
    channels = shares(CHANNELS, n, generator)
    contents = baskets(PRODUCTS, n, generator)
    orders: list[OrderReceived] = []
    for i, (moment, lines) in enumerate(zip(moments, contents, strict=True)):
        data = Order(region=places[i], lines=lines, channel=channels[i])
        orders.append(scene.order(f"s-{i:06d}", scene.moment(moment), data))
    again = repeats(orders, 0.02, scene.generator("repeats"))
    return in_order([*orders, *again, *_cancellations(scene, orders)])


def _cancellations(scene: Scene, orders: list[OrderReceived]) -> Iterator[Event]:
    generator = scene.generator("cancellations")
    for event in orders:
        if generator.random() < 0.015:
            yield scene.cancellation(
                event.subject, event.time + timedelta(hours=float(generator.uniform(0.2, 6)))
            )
