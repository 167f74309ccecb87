"""A flash sale: thousands of orders within seconds for stock that is almost nothing.

One SKU has a single unit in the whole network; of the others there is a hundredth of what is wanted.
Orders come twice, under the same id and under another; some contradict themselves; one in fifty is
cancelled within the minute, and what it held goes to the next who asks.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec
import numpy as np

from models.simulation.crew import Habits
from models.simulation.records import repeated
from models.simulation.scene import Moments, Product, Scene, Setting, Way
from models.simulation.world import World
from schemas.envelope import Event
from schemas.orders import Order

NODES = {"dc-1": (0.0, 0.0), "dc-2": (300.0, 100.0), "dc-3": (100.0, 400.0)}
REGIONS = {"r1": (20.0, 20.0), "r2": (280.0, 60.0), "r3": (120.0, 350.0), "r4": (200.0, 200.0)}
WAYS = (Way("parcel"),)
LAST = Product("flash-00", 400, 99_900)
OTHERS = tuple(Product(f"flash-{i:02d}", 600, 19_900) for i in range(1, 20))
LAST_SHARE = 0.3  # of the orders are for the last unit
STOCKED = 0.01  # of what is wanted of the others
ORDERS_PER_SECOND = 20_000
LEAST_SECONDS = 5.0
REPEATED, RENAMED, CONTRADICTED, CANCELLED = 0.03, 0.01, 0.002, 0.02
_ORDER, _REPEAT, _RENAMED, _CONTRADICTION, _CANCELLATION = range(5)
CHANNELS = ("app", "web", "livestream")


def make(setting: Setting) -> World:
    """The world of a setting."""
    scene = Scene(setting, "flash", "city", datetime(2026, 5, 20, 20, tzinfo=UTC))
    for name, place in NODES.items():
        scene.add_node(name, place, handling_per_package_minor=50.0)
    scene.add_lanes(NODES, REGIONS, WAYS)
    _stock(scene)
    return scene.world(_script(scene), dict.fromkeys(NODES, Habits()), days=2, step_minutes=5)


def _stock(scene: Scene) -> None:
    generator = scene.generator("stock")
    each = scene.setting.size * (1 - LAST_SHARE) * STOCKED / len(OTHERS) / len(NODES)
    holder = list(NODES)[int(generator.integers(len(NODES)))]
    for name in NODES:
        units = {product.sku: int(generator.poisson(each)) for product in OTHERS}
        scene.add_stock(name, units | {LAST.sku: int(name == holder)})


def _script(scene: Scene) -> Iterator[Event]:
    """In order of record time, made as it is asked for: a million orders are never there at once."""
    n, generator = scene.setting.size, scene.generator("orders")
    seconds = max(LEAST_SECONDS, n / ORDERS_PER_SECOND)
    placed = np.sort(generator.uniform(60e6, (60 + seconds) * 1e6, n).astype(np.int64))
    codes, numbers, moments = [np.zeros(n, np.int64)], [np.arange(n)], [placed]
    for code, share, span in (
        (_REPEAT, REPEATED, 20e6),
        (_RENAMED, RENAMED, 20e6),
        (_CONTRADICTION, CONTRADICTED, 20e6),
        (_CANCELLATION, CANCELLED, 60e6),
    ):
        chosen = np.flatnonzero(generator.random(n) < share)
        codes.append(np.full(len(chosen), code, np.int64))
        numbers.append(chosen)
        moments.append(placed[chosen] + generator.uniform(1, span, len(chosen)).astype(np.int64))
    kind, number, moment = (np.concatenate(parts) for parts in (codes, numbers, moments))
    contents = _Contents(n, generator)
    for i in np.argsort(moment, kind="stable").tolist():
        yield _event(scene, contents, int(kind[i]), int(number[i]), int(moment[i]), placed)


def _event(
    scene: Scene,
    contents: "_Contents",
    code: int,
    number: int,
    moment: int,
    placed: Moments,
) -> Event:
    name, at = f"f-{number:07d}", scene.moment(moment)
    if code == _CANCELLATION:
        return scene.cancellation(name, at)
    data = contents.of(number)
    if code == _ORDER:
        return scene.order(name, at, data)
    if code == _CONTRADICTION:
        data = msgspec.structs.replace(data, no_split=True)
    first = scene.order(name, scene.moment(int(placed[number])), data)
    return repeated(first, at, "" if code == _REPEAT else f"{name}-{code}")


class _Contents:
    """What each order says, drawn at once."""

    def __init__(self, n: int, generator: np.random.Generator) -> None:
        self.last = generator.random(n) < LAST_SHARE
        self.sku = generator.integers(len(OTHERS), size=(n, 2))
        self.qty = 1 + (generator.random(n) < 0.1)
        self.lines = 1 + (generator.random(n) < 0.05)
        self.region = generator.integers(len(REGIONS), size=n)
        self.channel = generator.integers(len(CHANNELS), size=n)
        self._regions = list(REGIONS)

    def of(self, i: int) -> Order:
        """The order of a number."""
        if self.last[i]:
            lines = [LAST.line(1, 1)]
        else:
            lines = [OTHERS[self.sku[i, 0]].line(1, int(self.qty[i]))]
            if self.lines[i] > 1:
                lines.append(OTHERS[self.sku[i, 1]].line(2, 1))
        return Order(
            region=self._regions[self.region[i]], lines=lines, channel=CHANNELS[self.channel[i]]
        )
