"""All records of the example in log order.

Order: record time, then the rank below, then id. What shapes the network comes before what needs
it.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl

from examples.retail import demand, places, planner, stock
from examples.retail.matching import Part, class_by_row, match
from examples.retail.source import LineClass
from examples.retail.world import World
from examples.stamps import Origin
from schemas.control import (
    ModelActivated,
    ModelActivation,
    PolicyActivated,
    PolicyActivation,
)
from schemas.envelope import Event
from schemas.inventory import InventoryAdjusted, InventoryCounted, SupplyPlanned
from schemas.network import CapacitySet, LaneSet, NodeSet, SignalObserved
from schemas.orders import OrderCancelled, OrderReceived, ReturnReceived

_ORDER: tuple[type[Event], ...] = (
    PolicyActivated,
    ModelActivated,
    NodeSet,
    CapacitySet,
    LaneSet,
    SignalObserved,
    InventoryCounted,
    SupplyPlanned,
    InventoryAdjusted,
    OrderReceived,
    OrderCancelled,
    ReturnReceived,
)
_RANKS = {kind: rank for rank, kind in enumerate(_ORDER)}


@dataclass(frozen=True, slots=True)
class Recording:
    """The records in log order, and the source lines with their final class."""

    events: list[Event]
    lines: pl.DataFrame


def record(lines: pl.DataFrame, world: World, policy: str, model: Path) -> Recording:
    """Everything that goes onto the log, without clock ticks.

    Args:
        lines: classified lines of the source.
        world: the declarations.
        policy: text of the policy document.
        model: file of the routing model; left out of the log where it does not exist.
    """
    origin = Origin(world.source, world.tenant, world.network)
    spans = demand.spans_of(lines)
    start = _midnight(min(span.first for span in spans.values()), world.timezone)
    last = max(span.last for span in spans.values())
    parts = match(demand.trades_of(lines), timedelta(hours=world.cancellable_hours))
    events: list[Event] = [
        *_steering(policy, model, origin, start),
        *places.node_events(world, origin, start, last),
        *places.capacity_events(world, origin, start),
        *places.lane_events(world, origin, start),
        *places.signal_events(world, origin, start),
        *_stock(lines, parts, world, origin, start, last),
        *demand.order_events(lines, spans, world, origin),
        *demand.withdrawal_events(parts, spans, world, origin),
    ]
    events.sort(key=lambda e: (e.recordedtime or e.time, _RANKS[type(e)], e.id))
    return Recording(events, _final_classes(lines, parts))


def _midnight(at: datetime, timezone: str) -> datetime:
    local = at.astimezone(ZoneInfo(timezone))
    return local.replace(hour=0, minute=0, second=0, microsecond=0).astimezone(at.tzinfo)


def _steering(policy: str, model: Path, origin: Origin, at: datetime) -> list[Event]:
    version = hashlib.sha256(policy.encode()).hexdigest()[:16]
    data = PolicyActivation(document=policy)
    events: list[Event] = [
        PolicyActivated(**origin.stamp(f"policy:{version}", "online-retail", at), data=data)
    ]
    if model.exists():
        sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
        activation = ModelActivation(sha256=sha256)
        stamp = origin.stamp(f"model:{sha256[:16]}", model.stem, at)
        events.append(ModelActivated(**stamp, data=activation))
    return events


def _stock(
    lines: pl.DataFrame,
    parts: list[Part],
    world: World,
    origin: Origin,
    start: datetime,
    last: datetime,
) -> list[Event]:
    sold = lines.filter(pl.col("line_class") == LineClass.ORDER_LINE.value)
    back = pl.DataFrame(
        [(p.cancellation.sku, p.cancellation.at, p.qty) for p in parts],
        schema={"sku": pl.String, "at": sold.schema["at"], "quantity": pl.Int64},
        orient="row",
    )
    reviews = planner.reviews_of(world.stock, world.timezone, start, last)
    plan = planner.plan_stock(sold, back, world.stock, reviews)
    return [
        *stock.count_events(plan, world, origin, start),
        *stock.supply_events(plan, world, origin),
    ]


def _final_classes(lines: pl.DataFrame, parts: list[Part]) -> pl.DataFrame:
    classes = class_by_row(parts)
    found = pl.Series([classes.get(row) for row in lines["row"].to_list()], dtype=pl.String)
    return lines.with_columns(line_class=pl.coalesce(found, "line_class"))
