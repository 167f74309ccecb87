"""A seeded network with scarce stock and skewed demand, as records that the router reads.

Two nodes hold every SKU, the others a part of them. Stock is laid out near the demand that is expected, but
not exactly there, and it is ``slack`` times what will be ordered of each SKU in all: who ships what is the
whole question. Costs are the shape of parcel networks, a part per package and a part per unit, both growing
with distance; a unit weighs a kilogram, so that tariffs say so.
Source: the small simulation that the targets of decision quality come from; where it is silent the
numbers below are assumptions, chosen so that the myopic router is about as far from the optimum as there.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.control import ClockTicked, PolicyActivated, PolicyActivation, Tick
from schemas.envelope import Event
from schemas.inventory import Count, CountedItem, InventoryCounted
from schemas.network import Lane, LaneSet, Node, NodeSet, TariffBand
from schemas.orders import Order, OrderLine, OrderReceived

NODES, FULL_RANGE, REGIONS, SKUS = 8, 2, 12, 100
RANGE = 0.55  # of the SKUs, at the other nodes
SIDE_KM = 100.0  # nodes and regions lie in a square
PACKAGE_MINOR, PACKAGE_KM_MINOR = 400.0, 8.0
UNIT_MINOR, UNIT_KM_MINOR = 30.0, 2.0
UNSERVED_MINOR = 4_000
LINE_SHARES = (0.4, 0.3, 0.2, 0.1)  # of orders with 1 to 4 lines; assumed
POPULARITY_POWER = 0.8  # of a SKU's rank; assumed
REGION_SPREAD = 2.0  # Dirichlet parameter of the regions' shares; assumed
TASTE_SHAPE = 4.0  # gamma shape of a region's liking for a SKU; assumed
PLACED_NEAR = 0.7  # share of stock that is laid out at the nearest nodes; assumed
PLACEMENT_LOG_ERROR = 0.2  # assumed
FORECAST_ERROR = 0.3
SPAN = timedelta(days=3)
START = datetime(2026, 1, 5, tzinfo=UTC)
TENANT, NETWORK = "world", "world"

POLICY = """\
version: world
author: seeded world
reason: freight and shadow prices alone
weights: {time: 0, late: 0, carbon: 0, handling: 0, split: 0}
promise: {rounding_hours: 24}
"""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class World:
    """A network and what will be asked of it.

    Attributes:
        distance_km: (NODES, REGIONS).
        stock: (SKUS, NODES) units.
        rates: (SKUS, REGIONS) share of all lines, true.
        foreseen: (SKUS, REGIONS) the same as a forecaster sees it, 30 % off either way.
        region: (orders,) of each order.
        skus: of each order, one unit each.
        at: when each is received.
    """

    distance_km: Floats
    stock: npt.NDArray[np.int64]
    rates: Floats
    foreseen: Floats
    region: npt.NDArray[np.int64]
    skus: list[npt.NDArray[np.int64]]
    at: list[datetime]


def draw_world(seed: int, slack: float, orders: int = 1_500) -> World:
    """A world; the same seed gives the same network and orders, whatever the slack."""
    generator = np.random.default_rng(seed)
    nodes, regions = (generator.uniform(0, SIDE_KM, (n, 2)) for n in (NODES, REGIONS))
    distance = np.hypot(*(nodes[:, None] - regions).transpose(2, 0, 1))
    holds = _ranges(generator)
    rates = _rates(generator)
    region = generator.choice(REGIONS, orders, p=rates.sum(axis=0))
    sizes = generator.choice(len(LINE_SHARES), orders, p=LINE_SHARES) + 1
    wanted = rates / rates.sum(axis=0)
    skus = [
        np.sort(generator.choice(SKUS, size, replace=False, p=wanted[:, r]))
        for size, r in zip(sizes, region, strict=True)
    ]
    seconds = np.sort(generator.uniform(0, SPAN.total_seconds(), orders))
    foreseen = rates * generator.uniform(1 - FORECAST_ERROR, 1 + FORECAST_ERROR, rates.shape)
    ordered = np.bincount(np.concatenate(skus), minlength=SKUS)
    total = np.ceil(slack * ordered - 1e-9).astype(np.int64)
    stock = _lay_out(total, rates, distance, holds, generator)
    at = [START + timedelta(seconds=float(s)) for s in seconds]
    return World(distance, stock, rates, foreseen / foreseen.sum(), region, skus, at)


def _ranges(generator: np.random.Generator) -> npt.NDArray[np.bool_]:
    """(SKUS, NODES) which node holds what."""
    holds = np.zeros((SKUS, NODES), bool)
    holds[:, :FULL_RANGE] = True
    for node in range(FULL_RANGE, NODES):
        holds[generator.permutation(SKUS)[: round(RANGE * SKUS)], node] = True
    return holds


def _rates(generator: np.random.Generator) -> Floats:
    """(SKUS, REGIONS) shares of demand: few SKUs and regions make most of it, and tastes differ."""
    popularity = np.arange(1, SKUS + 1) ** -POPULARITY_POWER
    regions = generator.dirichlet(np.full(REGIONS, REGION_SPREAD))
    taste = generator.gamma(TASTE_SHAPE, 1 / TASTE_SHAPE, (SKUS, REGIONS))
    rates = popularity[:, None] * regions * taste
    return np.asarray(rates / rates.sum(), np.float64)


def _lay_out(
    total: npt.NDArray[np.int64],
    rates: Floats,
    distance: Floats,
    holds: npt.NDArray[np.bool_],
    generator: np.random.Generator,
) -> npt.NDArray[np.int64]:
    """(SKUS, NODES) the units of each SKU over the nodes that hold it, largest remainders first."""
    stock = np.zeros((SKUS, NODES), np.int64)
    for sku in range(SKUS):
        able = np.flatnonzero(holds[sku])
        near = able[distance[able].argmin(axis=0)]
        share = np.bincount(near, rates[sku], NODES) / rates[sku].sum()
        share = PLACED_NEAR * share + (1 - PLACED_NEAR) * holds[sku] / len(able)
        share = share * np.exp(PLACEMENT_LOG_ERROR * generator.standard_normal(NODES))
        exact = total[sku] * share / share.sum()
        units = np.floor(exact).astype(np.int64)
        first = np.argsort(units - exact, kind="stable")[: total[sku] - units.sum()]
        units[first] += 1
        stock[sku] = units
    return stock


def records_of(world: World) -> Iterator[Event]:
    """The world as a log: the network, its stock, then orders with a clock tick every hour."""
    number = iter(range(1_000_000_000))

    def about(subject: str, at: datetime) -> dict[str, Any]:
        identity = {"id": f"w-{next(number)}", "source": "world", "subject": subject}
        return {**identity, "time": at, "tenant": TENANT, "network": NETWORK}

    yield PolicyActivated(**about("world", START), data=PolicyActivation(document=POLICY))
    for node in range(NODES):
        yield NodeSet(**about(f"N{node}", START), data=Node())
        for region in range(REGIONS):
            lane = _lane(f"N{node}", f"R{region}", float(world.distance_km[node, region]))
            yield LaneSet(**about(f"N{node}>R{region}", START), data=lane)
    for node in range(NODES):
        found = [
            CountedItem(sku=f"S{sku}", on_hand=int(units))
            for sku, units in enumerate(world.stock[:, node])
        ]
        yield InventoryCounted(**about(f"N{node}", START), data=Count(items=found))
    hour = START
    for order, at in enumerate(world.at):
        while hour <= at:
            yield ClockTicked(**about("world", hour), data=Tick(at=hour))
            hour += timedelta(hours=1)
        lines = [
            OrderLine(line_no=i, sku=f"S{sku}", qty=1, weight_g=1_000)
            for i, sku in enumerate(world.skus[order], start=1)
        ]
        data = Order(region=f"R{world.region[order]}", lines=lines)
        yield OrderReceived(**about(f"o-{order}", at), data=data)


def _lane(node: str, region: str, km: float) -> Lane:
    band = TariffBand(
        base_minor=PACKAGE_MINOR + PACKAGE_KM_MINOR * km,
        per_kg_minor=UNIT_MINOR + UNIT_KM_MINOR * km,
    )
    return Lane(node=node, region=region, distance_km=km, transit_hours=24.0, bands=[band])
