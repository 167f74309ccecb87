"""An ordinary network whose counts are wrong in one cell of fifty, and how seldom that matters.

Eight centres with a week of stock and a delivery each week, so that shelves run empty. The cells that
are wrong are found out when somebody picks, or by cycle counts that take a fortnight for all of them.
Nothing else goes wrong here, so that every order that had to be routed again was routed on a wrong count.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np

from models.simulation.crew import Habits
from models.simulation.scene import (
    Product,
    Scene,
    Setting,
    Way,
    in_order,
    wanted,
)
from models.simulation.world import World
from schemas.envelope import Event

ORDER_DAYS, DAYS = 14, 20
NODES = {f"dc-{i + 1}": (200.0 * (i % 4), 250.0 * (i // 4)) for i in range(8)}
REGIONS = {f"region-{i + 1}": (60.0 + 200 * (i % 4), 40.0 + 250 * (i // 4)) for i in range(8)}
WAYS = (Way("parcel"), Way("express", "next-day", hours=5, km_per_hour=60, base_minor=700))
ORDERS_PER_SKU = 20  # so that a shelf holds as few units in a large world as in a small one
PER_ORDER = 1.6 * 1.25  # lines x units, as ``baskets`` draws them
CHANNELS = {"web": 0.5, "app": 0.4, "marketplace": 0.1}
HABITS = Habits(pick=(0.5, 6), counts_every=24, counts_share=1 / 14)


def make(setting: Setting) -> World:
    """The world of a setting."""
    scene = Scene(setting, "everyday", "central", datetime(2026, 9, 7, tzinfo=UTC))
    for name, place in NODES.items():
        scene.add_node(name, place, handling_per_package_minor=70.0)
    scene.add_lanes(NODES, REGIONS, WAYS)
    products = [
        Product(f"item-{i:05d}", 200 + 15 * (i % 100), 900 + 40 * (i % 100))
        for i in range(max(10, setting.size // ORDERS_PER_SKU))
    ]
    demand = wanted(products, setting.size, PER_ORDER)
    generator = scene.generator("stock")
    for name in NODES:
        scene.add_stock(name, _units(demand, 0.6, generator))
    orders = scene.retail_orders(
        "e",
        products,
        days=ORDER_DAYS,
        regions=REGIONS,
        channels=CHANNELS,
        within=timedelta(days=5),
    )
    script = in_order([*_deliveries(scene, demand), *orders])
    return scene.world(script, dict.fromkeys(NODES, HABITS), days=DAYS, step_minutes=20)


def _units(
    demand: dict[str, float], share: float, generator: np.random.Generator
) -> dict[str, int]:
    """One centre's part of a share of the demand, never less than a unit."""
    return {s: int(generator.poisson(share * q / len(NODES))) + 1 for s, q in demand.items()}


def _deliveries(scene: Scene, demand: dict[str, float]) -> Iterator[Event]:
    generator = scene.generator("deliveries")
    for week in (0, 1):
        for name in NODES:
            units, due = _units(demand, 0.25, generator), scene.at(7 * week + 6, 6.0)
            supply = f"delivery-{name}-{week}"
            yield scene.supply(supply, name, scene.at(7 * week + 1, 8.0), due, units)
            yield scene.receipt(supply, name, due, units)
