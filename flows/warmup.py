"""Compiles the kernels before the first order is waiting for them.

A dozen records, one of each sort that a kernel treats apart, are routed and forgotten. The machine code
is cached on disk, so this takes a minute once and a moment ever after.
"""

from datetime import UTC, datetime

from models.routing.fold import RULES, RouteState, advance
from schemas.codec import to_slice
from schemas.control import ClockTicked, Tick
from schemas.envelope import Event
from schemas.inventory import Count, CountedItem, InventoryCounted
from schemas.network import Lane, LaneSet, Node, NodeSet, TariffBand
from schemas.orders import Order, OrderLine, OrderReceived

_AT = datetime(2000, 1, 1, tzinfo=UTC)


def warm_up() -> None:
    """Route a few made-up records, and throw the decisions away."""
    advance(RouteState(0), to_slice(_records(), 0, 0), lambda _sha256: RULES)


def _records() -> list[Event]:
    def about(subject: str) -> dict[str, object]:
        return {
            "id": subject,
            "source": "warm-up",
            "subject": subject,
            "time": _AT,
            "tenant": "warm-up",
            "network": "warm-up",
        }

    line = OrderLine(line_no=1, sku="sku", qty=1)
    lane = Lane(node="node", region="region", bands=[TariffBand()])
    return [
        NodeSet(**about("node"), data=Node()),  # type: ignore[arg-type]
        LaneSet(**about("lane"), data=lane),  # type: ignore[arg-type]
        InventoryCounted(**about("node "), data=Count(items=[CountedItem(sku="sku", on_hand=1)])),  # type: ignore[arg-type]
        OrderReceived(**about("order"), data=Order(region="region", lines=[line])),  # type: ignore[arg-type]
        ClockTicked(**about("clock"), data=Tick(at=_AT)),  # type: ignore[arg-type]
    ]
