"""A state of 1 million open orders over 50 nodes and 100,000 SKUs: what a checkpoint and a resume cost."""

import itertools
import resource
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from bench.figures import Figure
from flows.checkpoint_store import Directory
from flows.checkpoints import COST_SHARE, ROUTE_FORM, Checkpoint, Checkpoints, Origin
from models.routing.fold import RouteState, advance
from models.routing.scoring import RULES
from schemas.codec import to_slice
from schemas.envelope import Event
from schemas.ids import LogId
from schemas.inventory import Count, CountedItem, InventoryCounted
from schemas.network import Lane, LaneSet, Node, NodeSet, TariffBand
from schemas.orders import Order, OrderLine, OrderReceived

ORDERS, NODES, SKUS, REGIONS, STOCKED = 1_000_000, 50, 100_000, 20, 10
PIECE = 50_000
_AT = {"source": "bench", "tenant": "bench", "network": "large", "time": None}


def measure(scratch: Path) -> list[Figure]:
    """Build the state, keep it, take it up again."""
    state = _state()
    rss_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    origin = Origin(LogId("bench"), "", "bench")
    store, checkpoint = Checkpoints(Directory(scratch), origin, 10.0, ROUTE_FORM), Checkpoint(state)
    stops = []
    for _ in range(2):
        began = time.perf_counter()
        store.take(checkpoint, state.position)
        stops.append(time.perf_counter() - began)
        store.wait()
    began = time.perf_counter()
    store.save(checkpoint, state.position)
    write = time.perf_counter() - began
    size_mb = max(file.stat().st_size for file in scratch.rglob("*.checkpoint")) / 1e6
    del state, checkpoint
    began = time.perf_counter()
    taken_up = store.load(0, 10**12, None)
    resume = time.perf_counter() - began
    assert taken_up.state.position >= ORDERS
    cost = stops[-1] + write
    every = max(10.0, COST_SHARE * cost)
    return [
        Figure("resume_s", resume, "s"),
        Figure("checkpoint_cost_ratio", cost / every, "of the time", every, None),
        Figure("checkpoint_stop_ms", max(stops) * 1e3, "ms"),
        Figure("checkpoint_mb", size_mb, "MB"),
        Figure("state_peak_rss_mb", rss_mb, "MiB"),
    ]


def _state() -> RouteState:
    state, position = RouteState(0), 0
    events = _events(np.random.default_rng(7))
    while piece := list(itertools.islice(events, PIECE)):
        advance(state, to_slice(piece, 0, position), lambda _sha256: RULES)
        position += len(piece)
    return state


def _events(random: np.random.Generator) -> Iterator[Event]:
    numbers, at = itertools.count(), datetime(2026, 1, 5, 8, tzinfo=UTC)

    def about(subject: str) -> dict[str, object]:
        return {**_AT, "id": f"e{next(numbers)}", "subject": subject, "time": at}

    for node in range(NODES):
        yield NodeSet(**about(f"N{node}"), data=Node())  # type: ignore[arg-type]
    for node, region in itertools.product(range(NODES), range(REGIONS)):
        lane = Lane(
            node=f"N{node}", region=f"R{region}", distance_km=float(50 + 7 * node),
            bands=[TariffBand(base_minor=400 + node)],
        )  # fmt: skip
        yield LaneSet(**about(f"N{node}-R{region}"), data=lane)  # type: ignore[arg-type]
    for node in range(STOCKED):
        for first in range(0, SKUS, 5_000):
            items = [CountedItem(sku=f"S{k}", on_hand=20) for k in range(first, first + 5_000)]
            yield InventoryCounted(**about(f"N{node}"), data=Count(items=items))  # type: ignore[arg-type]
    for n in range(ORDERS):
        line = OrderLine(line_no=1, sku=f"S{random.integers(SKUS)}", qty=1, weight_g=300)
        order = Order(region=f"R{n % REGIONS}", lines=[line])
        yield OrderReceived(**about(f"O{n}"), data=order)  # type: ignore[arg-type]
