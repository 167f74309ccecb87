"""Stock records: one count at the start, then each review's announcement and its arrival.

There is no count after the first. Nobody reports hand-overs in this log, so a later count could not
say which units on the shelf are already sold, and would contradict the ledger.
"""

from collections.abc import Iterator
from datetime import datetime

from examples.retail.planner import Ints, Plan, Review, split
from examples.retail.world import NodeSpec, World
from examples.stamps import Origin
from schemas.codes import AdjustmentReason
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


def count_events(
    plan: Plan, world: World, origin: Origin, at: datetime
) -> Iterator[InventoryCounted]:
    """Every node's shelves at the start."""
    parts = split(plan.initial, world.nodes, world.stock.pack_units)
    for node, units in zip(world.nodes, parts, strict=True):
        items = [
            CountedItem(sku=sku, on_hand=qty, safety_stock=min(qty, node.safety_stock))
            for sku, qty in _present(plan.skus, units)
        ]
        if items:
            stamp = origin.stamp(f"count:{node.node}:start", node.node, at)
            yield InventoryCounted(**stamp, data=Count(items=items))


def supply_events(
    plan: Plan, world: World, origin: Origin
) -> Iterator[SupplyPlanned | InventoryAdjusted]:
    """Per review and node: what is planned, and the receipt that fulfils it."""
    for review, ordered in zip(plan.reviews, plan.ordered, strict=True):
        parts = split(ordered, world.nodes, world.stock.pack_units)
        for node, units in zip(world.nodes, parts, strict=True):
            lines = _present(plan.skus, units)
            if lines:
                yield _planned(review, node, lines, origin)
                yield _received(review, node, lines, origin)


def _present(skus: list[str], units: Ints) -> list[tuple[str, int]]:
    return [(sku, qty) for sku, qty in zip(skus, units.tolist(), strict=True) if qty > 0]


def _supply_id(review: Review, node: NodeSpec) -> str:
    return f"PO-{review.held_at:%Y%m%d}-{node.node}"


def _planned(
    review: Review, node: NodeSpec, lines: list[tuple[str, int]], origin: Origin
) -> SupplyPlanned:
    supply_id = _supply_id(review, node)
    data = Supply(
        node=node.node,
        due_at=review.arrives_at,
        items=[SupplyItem(sku=sku, qty=qty) for sku, qty in lines],
    )
    return SupplyPlanned(**origin.stamp(f"plan:{supply_id}", supply_id, review.held_at), data=data)


def _received(
    review: Review, node: NodeSpec, lines: list[tuple[str, int]], origin: Origin
) -> InventoryAdjusted:
    supply_id = _supply_id(review, node)
    data = Adjustment(
        items=[AdjustedItem(sku=sku, delta=qty) for sku, qty in lines],
        reason=AdjustmentReason.RECEIPT,
        supply_id=supply_id,
    )
    stamp = origin.stamp(f"receipt:{supply_id}", node.node, review.arrives_at)
    return InventoryAdjusted(**stamp, data=data)
