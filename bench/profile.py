"""The benchmark profile: 20 nodes, 50 regions, 5,000 SKUs, orders of 1 to 4 lines, 2 on average.

Stock is a tenth above what will be wanted in all, dealt to the nodes at random, so that some orders are
split and a few cannot be served. The shipped model scores all 20 candidates of each order. Everything
comes from one seed.
"""

import itertools
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from flows.logs.parquet import ParquetLog, write_log
from models.inference import shipped_model_sha256
from schemas.control import ClockTicked, ModelActivated, ModelActivation, Tick
from schemas.envelope import Event
from schemas.inventory import Count, CountedItem, InventoryCounted
from schemas.network import Lane, LaneSet, Node, NodeSet, TariffBand
from schemas.orders import Order, OrderLine, OrderReceived

NODES, REGIONS, SKUS = 20, 50, 5_000
MAP_KM = 1_500
BEGIN = datetime(2026, 1, 5, 8, tzinfo=UTC)
LINES_SHARE = (0.4, 0.3, 0.2, 0.1)  # 1 to 4 lines, 2 on average
UNITS = 2  # per line on average, 1 to 3
STOCK_SLACK = 1.1


def profile_log(
    path: Path, orders: int, per_second: int, networks: Sequence[str] = ("one",)
) -> ParquetLog:
    """The recorded log of a profile, a partition for each network; made once, then reused."""
    if (path / "log.json").exists():
        return ParquetLog(path)
    worlds = [
        _events(orders, per_second, np.random.default_rng(seed), network)
        for seed, network in enumerate(networks, start=1)
    ]
    return write_log(path, itertools.chain(*worlds), partitions=len(networks))


def _events(
    orders: int, per_second: int, random: np.random.Generator, network: str
) -> Iterator[Event]:
    numbers = itertools.count()

    def about(subject: str, at: datetime = BEGIN) -> dict[str, object]:
        identity = f"e{next(numbers):09d}"
        return {
            "id": identity,
            "source": "bench",
            "subject": subject,
            "time": at,
            "tenant": "bench",
            "network": network,
        }

    popularity = 1.0 / (np.arange(SKUS) + 20.0) ** 0.9
    popularity /= popularity.sum()
    yield from _network(about, random)
    wanted = popularity * orders * 2 * UNITS * STOCK_SLACK
    stock = random.poisson(np.maximum(wanted[:, None] / NODES, 0.2), (SKUS, NODES))
    for node in range(NODES):
        items = [CountedItem(sku=f"S{k:05d}", on_hand=int(stock[k, node])) for k in range(SKUS)]
        yield InventoryCounted(**about(f"N{node:02d}"), data=Count(items=items))  # type: ignore[arg-type]
    lines = random.choice(4, orders, p=LINES_SHARE) + 1
    skus = random.choice(SKUS, (orders, 4), p=popularity)
    units, regions = random.integers(1, 4, (orders, 4)), random.integers(0, REGIONS, orders)
    for i in range(orders):
        at = BEGIN + timedelta(seconds=i / per_second)
        if i % (60 * per_second) == 0:
            yield ClockTicked(**about("bench", at), data=Tick(at=at))  # type: ignore[arg-type]
        wants = [
            OrderLine(
                line_no=j + 1, sku=f"S{skus[i, j]:05d}", qty=int(units[i, j]), weight_g=400,
                unit_price_minor=1999,
            )
            for j in range(lines[i])
        ]  # fmt: skip
        order = Order(region=f"R{regions[i]:02d}", lines=wants)
        yield OrderReceived(**about(f"O{i:09d}", at), data=order)  # type: ignore[arg-type]


def _network(about, random: np.random.Generator) -> Iterator[Event]:  # type: ignore[no-untyped-def]
    places, towns = random.random((NODES, 2)) * MAP_KM, random.random((REGIONS, 2)) * MAP_KM
    for node in range(NODES):
        yield NodeSet(**about(f"N{node:02d}"), data=Node(handling_per_unit_minor=30.0))
    for node, region in itertools.product(range(NODES), range(REGIONS)):
        distance = float(np.hypot(*(places[node] - towns[region])) * 1.3)
        lane = Lane(
            node=f"N{node:02d}",
            region=f"R{region:02d}",
            distance_km=distance,
            transit_hours=12 + distance / 40,
            bands=[TariffBand(base_minor=350 + distance * 0.2, per_kg_minor=40)],
        )
        yield LaneSet(**about(f"N{node:02d}-R{region:02d}"), data=lane)
    activation = ModelActivation(sha256=shipped_model_sha256())
    yield ModelActivated(**about("route-1"), data=activation)
