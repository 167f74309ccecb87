"""Medicine on its way: temperature classes, dangerous goods, four modes, stock kept for hospitals.

What needs two to eight degrees only goes where node and lane keep them; reagents are dangerous goods
and never fly. Far regions are reached by air in days or by sea in weeks, at a tenth of the carbon. There is
less vaccine than is wanted; every node keeps some that only hospitals get.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from models.simulation.crew import Habits
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
from schemas.codes import Mode, TempClass
from schemas.envelope import Event
from schemas.orders import Order, OrderReceived

ORDER_DAYS, DAYS = 10, 24
EVERYTHING = tuple(TempClass)
CHILLED = (TempClass.AMBIENT, TempClass.COOL, TempClass.REFRIGERATED)
PLAIN = (TempClass.AMBIENT, TempClass.CRT)
NODES: dict[str, tuple[tuple[float, float], tuple[TempClass, ...], bool]] = {
    "hub-frankfurt": ((0.0, 0.0), EVERYTHING, True),
    "depot-lyon": ((-200.0, -520.0), CHILLED, False),
    "depot-vienna": ((600.0, -150.0), PLAIN, True),
    "hub-singapore": ((8_800.0, -5_200.0), EVERYTHING, True),
}
NEAR = {
    "paris": (-440.0, -130.0),
    "milan": (50.0, -520.0),
    "berlin": (340.0, 260.0),
    "vienna": (590.0, -160.0),
    "madrid": (-900.0, -1_100.0),
}
FAR = {"nairobi": (3_300.0, -5_500.0), "jakarta": (9_300.0, -6_000.0)}
DRY_TRUCK = Way(
    "truck", "dry", hours=10, km_per_hour=45, temp_classes=PLAIN, hazmat=True, most_km=2_500
)
REEFER_TRUCK = Way(
    "truck", "reefer", hours=10, km_per_hour=45, base_minor=1_500, per_kg_minor=60,
    temp_classes=EVERYTHING, hazmat=True, most_km=2_500,
)  # fmt: skip
RAIL = Way(
    "rail", "dry", Mode.RAIL, 30, 25, 400, 0.15, 8, temp_classes=PLAIN, hazmat=True, most_km=2_500
)
AIR = Way("air", "reefer", Mode.AIR, 30, 600, 3_000, 0.4, 320, 1.1, temp_classes=EVERYTHING)
SEA = Way(
    "sea", "reefer", Mode.SEA, 160, 32, 900, 0.02, 25, 1.4, temp_classes=EVERYTHING, hazmat=True
)
PRODUCTS = [
    Product("vaccine", 60, 4_000, 200, TempClass.REFRIGERATED),
    Product("gloves", 900, 1_200, 4_000),
    Product("insulin", 80, 3_000, 250, TempClass.REFRIGERATED),
    Product("test-kit", 350, 2_500, 900, TempClass.COOL),
    Product("plasma", 700, 30_000, 1_000, TempClass.FROZEN),
    Product("reagent", 1_200, 9_000, 1_500, TempClass.CRT, hazmat=True),
    Product("disinfectant", 5_200, 1_800, 5_000, hazmat=True),
]
PER_ORDER = 1.6 * 3.0  # lines x units, as drawn below
UNITS = (0.3, 0.1, 0.2, 0.1, 0.3)
CHANNELS = {"hospital": 0.35, "clinic": 0.3, "pharmacy": 0.25, "relief": 0.1}
SCARCE = {"vaccine": 0.85}  # stocked share of what is wanted; of the others half as much again


def make(setting: Setting) -> World:
    """The world of a setting."""
    scene = Scene(setting, "medic", "world", datetime(2026, 2, 2, tzinfo=UTC))
    for name, (place, classes, hazmat) in NODES.items():
        scene.add_node(
            name,
            place,
            temp_classes=list(classes),
            hazmat=hazmat,
            handling_per_package_minor=180.0,
        )
    scene.add_lanes(NODES, NEAR, (DRY_TRUCK, REEFER_TRUCK, RAIL))
    scene.add_lanes(["hub-frankfurt"], FAR, (AIR, SEA))
    scene.add_lanes(["hub-singapore"], NEAR | FAR, (AIR, SEA))
    _stock(scene)
    script = in_order(_orders(scene))
    return scene.world(
        script, dict.fromkeys(NODES, Habits(pick=(1, 10))), days=DAYS, step_minutes=20
    )


def _stock(scene: Scene) -> None:
    """Each product lies where its class can be kept, most of it in the hubs."""
    demand = wanted(PRODUCTS, scene.setting.size, PER_ORDER)
    weights = {"hub-frankfurt": 4, "depot-lyon": 2, "depot-vienna": 2, "hub-singapore": 1}
    for name, (_, classes, hazmat) in NODES.items():
        units = {}
        for product in PRODUCTS:
            if product.temp_class not in classes or (product.hazmat and not hazmat):
                continue
            able = [
                other
                for other, (_, kept, dangerous) in NODES.items()
                if product.temp_class in kept and (dangerous or not product.hazmat)
            ]
            share = weights[name] / sum(weights[other] for other in able)
            level = SCARCE.get(product.sku, 1.5)
            units[product.sku] = round(level * share * demand[product.sku]) + 1
        scene.add_stock(name, units)


def _orders(scene: Scene) -> Iterator[Event]:
    n, generator = scene.setting.size, scene.generator("orders")
    moments = arrivals(n, busy_hours([1.0] * ORDER_DAYS), generator).tolist()
    regions = shares(dict.fromkeys(NEAR, 1.0) | dict.fromkeys(FAR, 0.5), n, generator)
    channels = shares(CHANNELS, n, generator)
    orders: list[OrderReceived] = []
    for i, lines in enumerate(baskets(PRODUCTS, n, generator, units=UNITS)):
        at, draw = scene.moment(moments[i]), float(generator.random())
        days = 6 if regions[i] in NEAR else 30
        data = Order(
            region=regions[i],
            lines=lines,
            channel=channels[i],
            tier="hospital" if channels[i] == "hospital" else "standard",
            priority=8 if channels[i] == "hospital" else 5,
            requested_by=at + timedelta(days=days) if draw < 0.5 else None,
        )
        orders.append(scene.order(f"m-{i:06d}", at, data))
    yield from orders
    yield from repeats(orders, 0.01, scene.generator("repeats"))
