"""A car brand that sells directly: four channels, regional stock, a production schedule.

Four weeks of orders. A third of the cars stands in the regions, the others come off the line week by
week: each batch is announced with its date, some are late and say so. Customers pick a window. The car
that nobody has yet is promised from the schedule and goes out when it is finished.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np

from models.simulation.crew import Habits
from models.simulation.scene import (
    Product,
    Scene,
    Setting,
    Way,
    arrivals,
    busy_hours,
    in_order,
    popularity,
    shares,
)
from models.simulation.world import World
from schemas.codes import LocationType, Mode, PaymentState, SupplySource
from schemas.envelope import Event
from schemas.orders import Order

ORDER_DAYS, DAYS = 28, 84
FACTORY = "factory"
DEPOTS = {"depot-north": (600.0, 1500.0), "depot-east": (1200.0, 700.0), "depot-west": (0.0, 600.0)}
STORES = {
    "store-beijing": (620.0, 1540.0),
    "store-shanghai": (1250.0, 640.0),
    "store-guangzhou": (650.0, -300.0),
}
REGIONS = {
    "beijing": (620.0, 1530.0),
    "shanghai": (1250.0, 630.0),
    "guangzhou": (640.0, -310.0),
    "chengdu": (-60.0, 590.0),
    "wuhan": (700.0, 500.0),
    "shenyang": (1100.0, 1800.0),
    "xian": (200.0, 900.0),
    "hangzhou": (1180.0, 540.0),
}
CHANNELS = {
    "official-site": 0.45,
    "mini-program": 0.2,
    "experience-store": 0.2,
    "marketplace": 0.15,
}
WAYS = (
    Way("car-truck", "truck", hours=24, km_per_hour=25, base_minor=20_000, per_km_minor=150),
    Way("car-rail", "rail", Mode.RAIL, 60, 18, 60_000, 45, detour=1.2),
)
LOCAL = (
    Way(
        "car-drive",
        "drive",
        hours=4,
        km_per_hour=20,
        base_minor=9_000,
        per_km_minor=200,
        most_km=300,
    ),
)
MODELS = {
    "city": (1_350_000, 12_900_000),
    "tour": (1_750_000, 18_900_000),
    "peak": (2_100_000, 27_900_000),
}
COLOURS = ("white", "black", "blue", "red")
STOCKED = 0.35  # of the demand stands in the regions at the start
PRODUCED = 0.85  # of the demand comes off the line: a fifth more than is wanted in all
WEEKS = 8


def products() -> list[Product]:
    """Every model in every colour, the most wanted first."""
    return [
        Product(f"{name}-{colour}", weight_g=grams, price_minor=price)
        for colour in COLOURS
        for name, (grams, price) in MODELS.items()
    ]


def make(setting: Setting) -> World:
    """The world of a setting."""
    scene = Scene(setting, "aurora-cars", "china", datetime(2026, 3, 2, tzinfo=UTC))
    cars = products()
    _network(scene)
    _stock(scene, cars)
    script = in_order([*_production(scene, cars), *_orders(scene, cars)])
    habits = Habits(answer=(1, 6), pick=(4, 20), pack=(4, 20))
    return scene.world(script, dict.fromkeys(scene.places, habits), days=DAYS, step_minutes=60)


def _network(scene: Scene) -> None:
    scene.add_node(FACTORY, (680.0, 300.0), location_type=LocationType.FACTORY)
    for name, place in DEPOTS.items():
        scene.add_node(name, place, handling_per_package_minor=8_000.0)
    for name, place in STORES.items():
        kind = LocationType.STORE
        scene.add_node(name, place, location_type=kind, handling_per_package_minor=15_000.0)
    daily = scene.setting.size / ORDER_DAYS
    limits = {FACTORY: 3.0} | dict.fromkeys(DEPOTS, 0.4) | dict.fromkeys(STORES, 0.15)
    for name, share in limits.items():  # what car carriers fetch in a day
        scene.add_capacity(name, capacity=max(1, round(share * daily)), weekdays=[1, 2, 3, 4, 5, 6])
        scene.add_capacity(name, capacity=0, weekdays=[7], open=False)
    scene.add_lanes([FACTORY, *DEPOTS], REGIONS, WAYS)
    scene.add_lanes(STORES, REGIONS, LOCAL)


def _stock(scene: Scene, cars: list[Product]) -> None:
    places = [*DEPOTS, *STORES]
    weights = np.array([0.24] * len(DEPOTS) + [0.28 / len(STORES)] * len(STORES))
    generator = scene.generator("stock")
    demand = scene.setting.size * STOCKED * popularity(len(cars))
    units = generator.poisson(np.outer(weights, demand))
    for name, row in zip(places, units.tolist(), strict=True):
        scene.add_stock(name, {car.sku: q for car, q in zip(cars, row, strict=True)})


def _production(scene: Scene, cars: list[Product]) -> Iterator[Event]:
    """A batch a week, announced five weeks ahead; one in five is three days late and says so."""
    generator = scene.generator("production")
    weekly = np.ceil(scene.setting.size * PRODUCED * popularity(len(cars)) / WEEKS).astype(int)
    units = {car.sku: int(q) for car, q in zip(cars, weekly, strict=True)}
    for week in range(WEEKS):
        name, due = f"batch-{week + 1}", scene.at(days=7 * week + 4, hours=18)
        said = max(scene.at(hours=1), due - timedelta(days=35))
        yield scene.supply(name, FACTORY, said, due, units, SupplySource.PRODUCTION)
        if generator.random() < 0.2:
            later = due + timedelta(days=3)
            told = due - timedelta(days=2)
            yield scene.supply(name, FACTORY, told, later, units, SupplySource.PRODUCTION)
            due = later
        yield scene.receipt(name, FACTORY, due, units)


def _orders(scene: Scene, cars: list[Product]) -> Iterator[Event]:
    n, generator = scene.setting.size, scene.generator("orders")
    moments = arrivals(n, busy_hours([1.0] * ORDER_DAYS), generator).tolist()
    wanted = generator.choice(len(cars), n, p=popularity(len(cars))).tolist()
    regions = shares(dict.fromkeys(REGIONS, 1.0), n, generator)
    channels = shares(CHANNELS, n, generator)
    for i, moment in enumerate(moments):
        name, at = f"car-{i:06d}", scene.moment(moment)
        draws = generator.random(6).tolist()
        first = at + timedelta(days=14 + 16 * draws[1]) if draws[0] < 0.2 else None
        last = at + timedelta(days=10 + 35 * draws[1]) if 0.2 <= draws[0] < 0.7 else None
        paid = draws[2] >= 0.08
        data = Order(
            region=regions[i],
            lines=[cars[wanted[i]].line(1, 1)],
            channel=channels[i],
            payment=PaymentState.AUTHORISED if paid else PaymentState.PENDING,
            requested_from=first,
            requested_by=last,
            currency="CNY",
        )
        yield scene.order(name, at, data)
        if not paid:
            state = PaymentState.FAILED if draws[2] < 0.01 else PaymentState.AUTHORISED
            yield scene.payment(name, at + timedelta(hours=1 + 30 * draws[3]), state)
        elif draws[4] < 0.03:
            other = replace_car(data, cars[(wanted[i] + 3) % len(cars)])
            yield scene.amendment(name, at + timedelta(hours=1 + 20 * draws[5]), other)
        elif draws[4] < 0.06:
            yield scene.cancellation(name, at + timedelta(hours=1 + 90 * draws[5]))


def replace_car(order: Order, car: Product) -> Order:
    """The same order for another car."""
    return msgspec.structs.replace(order, revision=2, lines=[car.line(1, 1)])
