"""Compiles the kernels before the first order is waiting for them.

A dozen records, one of each sort that a kernel treats apart, are routed and forgotten. The machine code
is cached on disk, so this takes a minute for each flow once and a moment ever after.
``python -m flows.warmup route`` does it ahead of time.
"""

import gc
import sys
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from flows.lake.layout import Flow
from models.routing.fold import RouteState, advance
from models.routing.scoring import RULES
from models.tracking.fold import advance as track
from models.tracking.state import YEAR_US, TrackState
from schemas.codec import to_slice
from schemas.codes import Milestone
from schemas.control import ClockTicked, Tick
from schemas.envelope import Event
from schemas.inventory import (
    AdjustedItem,
    Adjustment,
    Count,
    CountedItem,
    InventoryAdjusted,
    InventoryCounted,
    Supply,
    SupplyItem,
    SupplyPlanned,
)
from schemas.network import Lane, LaneSet, Node, NodeSet, TariffBand
from schemas.orders import Order, OrderLine, OrderReceived
from schemas.shipments import ShipmentMilestone, ShipmentStep

_AT = datetime(2000, 1, 2, tzinfo=UTC)


def warm_up(flows: Collection[Flow] = tuple(Flow)) -> None:
    """Route and track a few made-up records, and throw away what comes of them.

    What is loaded by then stays, so the collector is told to leave it alone: looking through it took
    80 ms at a time, in which no order was decided.

    Args:
        flows: that are to run; of the others nothing is compiled.
    """
    if Flow.ROUTE in flows:
        _route()
    if Flow.TRACK in flows:
        _track()
    gc.collect()
    gc.freeze()


def _route() -> None:
    state = RouteState(0)
    advance(state, to_slice(_records(), 0, 0), lambda _sha256: RULES)
    for network in state.networks.values():
        network.refresh_view()
        network.forget_closed()


def _track() -> None:
    state = TrackState(0)
    track(state, to_slice(_tracked(), 0, 0))
    state.forget_closed(round(_AT.timestamp() * 1e6) + YEAR_US)


def _records() -> list[Event]:
    lane = Lane(node="node", region="region", bands=[TariffBand()])
    order = Order(region="region", lines=[OrderLine(line_no=1, sku="sku", qty=1)])
    supply = Supply(node="node", due_at=_AT, items=[SupplyItem(sku="sku", qty=1)])
    return [
        NodeSet(**_about("1", "node"), data=Node()),
        LaneSet(**_about("2", "lane"), data=lane),
        InventoryCounted(
            **_about("3", "node"), data=Count(items=[CountedItem(sku="sku", on_hand=1)])
        ),
        SupplyPlanned(**_about("4", "supply"), data=supply),
        OrderReceived(**_about("5", "served"), data=order),
        OrderReceived(**_about("6", "waiting"), data=order),
        InventoryAdjusted(
            **_about("7", "node"), data=Adjustment(items=[AdjustedItem(sku="sku", delta=1)])
        ),
        ClockTicked(**_about("8", "clock"), data=Tick(at=_AT)),
    ]


def _tracked() -> list[Event]:
    on_its_way = ShipmentStep(milestone=Milestone.HANDED_OVER)
    back = ShipmentStep(milestone=Milestone.RETURNED)
    return [
        ShipmentMilestone(**_about("1", "order"), data=on_its_way),
        ShipmentMilestone(**_about("2", "closed"), data=back),
        ClockTicked(**_about("3", "clock"), data=Tick(at=_AT)),
    ]


def _about(identity: str, subject: str) -> dict[str, Any]:
    return {
        "id": identity,
        "source": "warm-up",
        "subject": subject,
        "time": _AT,
        "tenant": "warm-up",
        "network": "warm-up",
    }


if __name__ == "__main__":
    warm_up([Flow(name) for name in sys.argv[1:]])
