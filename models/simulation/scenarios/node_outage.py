"""Things break: a node closes at midday and opens again, a carrier stands still, capacity is cut.

Six distribution centres, two carriers each, five days. On the second day at noon the first centre
closes for thirty hours; on the third day one carrier drives nowhere for a day; on the fourth afternoon the
second centre falls to a tenth of what it ships. What is not picked is routed again, and nothing is lost.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec

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
from schemas.network import Capacity, CapacitySet, LaneSet, Node, NodeSet

ORDER_DAYS, DAYS = 5, 12
NODES = {
    "dc-1": (0.0, 0.0),
    "dc-2": (250.0, 50.0),
    "dc-3": (500.0, 0.0),
    "dc-4": (50.0, 300.0),
    "dc-5": (300.0, 350.0),
    "dc-6": (520.0, 280.0),
}
REGIONS = {f"region-{name[-1]}": (x + 30, y + 20) for name, (x, y) in NODES.items()}
WAYS = (
    Way("swift", "express", hours=6, km_per_hour=45, base_minor=420, per_km_minor=0.6),
    Way("steady", "parcel", hours=14, km_per_hour=35, base_minor=400, per_km_minor=0.55),
)
PRODUCTS = [Product(f"item-{i:02d}", 400 + 30 * i, 2_000 + 50 * i) for i in range(50)]
PER_ORDER = 1.6 * 1.25  # lines x units, as ``baskets`` draws them
CHANNELS = {"web": 0.6, "app": 0.3, "phone": 0.1}
CLOSES, OPENS = (1, 12.0), (2, 18.0)  # day and hour after the start
STOPS, DRIVES = (2, 9.0), (3, 9.0)
CUT_DAYS = (3, 4)
CUT_AT = (3, 14.0)
CUT_TO = 0.1


def make(setting: Setting) -> World:
    """The world of a setting."""
    scene = Scene(setting, "homeware", "north", datetime(2026, 6, 8, tzinfo=UTC))
    daily = max(3, round(0.4 * PER_ORDER * setting.size / ORDER_DAYS))
    for name, place in NODES.items():
        scene.add_node(name, place, handling_per_package_minor=70.0)
        scene.add_capacity(name, capacity=daily, cut_off_minute=1_080)
    lanes = scene.add_lanes(NODES, REGIONS, WAYS)
    generator = scene.generator("stock")
    for name in NODES:
        demand = wanted(PRODUCTS, setting.size, PER_ORDER)
        scene.add_stock(name, {s: int(generator.poisson(0.35 * q)) + 2 for s, q in demand.items()})
    orders = scene.retail_orders(
        "n",
        PRODUCTS,
        days=ORDER_DAYS,
        regions=REGIONS,
        channels=CHANNELS,
        within=timedelta(days=4),
    )
    script = in_order([*_trouble(scene, lanes, daily), *orders])
    return scene.world(script, dict.fromkeys(NODES, Habits(pick=(1, 8))), days=DAYS)


def _trouble(scene: Scene, lanes: list[LaneSet], daily: int) -> Iterator[Event]:
    say = scene.scribe.say
    for is_open, (day, hour) in ((False, CLOSES), (True, OPENS)):
        data = Node(open=is_open, handling_per_package_minor=70.0)
        yield say(NodeSet, "dc-1", scene.at(day, hour), data)
    for is_open, (day, hour) in ((False, STOPS), (True, DRIVES)):
        for event in lanes:
            if event.data.carrier == "swift":
                lane = msgspec.structs.replace(event.data, open=is_open)
                yield say(LaneSet, event.subject, scene.at(day, hour), lane)
    for day in CUT_DAYS:
        cut = Capacity(
            day=scene.at(day).date(), capacity=max(1, round(CUT_TO * daily)), cut_off_minute=1_080
        )
        yield say(CapacitySet, "dc-2", scene.at(*CUT_AT), cut)
