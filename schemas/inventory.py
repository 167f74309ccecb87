"""Stock: what was counted, what changed, what is coming, and what a unit is worth.

``subject`` is the node for counts and adjustments, the supply's own id for plans, the epoch for prices.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from schemas.codes import AdjustmentReason, SupplySource
from schemas.envelope import Event, Id, Instant, Stock


class CountedItem(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """Physical units on the shelf, reserved ones included; ``safety_stock`` is never promised."""

    sku: Id
    on_hand: Stock
    safety_stock: Stock = 0


class Count(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """A snapshot of some SKUs of a node, true at the event time."""

    items: Annotated[list[CountedItem], Meta(min_length=1, max_length=100_000)]


class AdjustedItem(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """A signed change of the units on hand."""

    sku: Id
    delta: Annotated[int, Meta(ge=-1_000_000_000, le=1_000_000_000)]


class Adjustment(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """Changes of one node for one reason; a receipt names the planned supply that it fulfils."""

    items: Annotated[list[AdjustedItem], Meta(min_length=1, max_length=100_000)]
    reason: AdjustmentReason = AdjustmentReason.CORRECTION
    supply_id: Annotated[str, Meta(max_length=128)] = ""


class SupplyItem(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """Units of one SKU that will come."""

    sku: Id
    qty: Stock


class Supply(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """Planned supply of a node; a new plan with the same id replaces the old one, 0 withdraws."""

    node: Id
    due_at: Instant
    items: Annotated[list[SupplyItem], Meta(min_length=1, max_length=100_000)]
    origin: SupplySource = SupplySource.INBOUND


class PricedItem(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """What it costs the future to take one unit of this SKU from this node now."""

    node: Id
    sku: Id
    price_minor: Annotated[int, Meta(ge=0, le=1_000_000_000)]


class Prices(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """One epoch of shadow prices; it replaces the prices of every SKU it names."""

    epoch: Annotated[int, Meta(ge=0)]
    items: Annotated[list[PricedItem], Meta(max_length=1_000_000)]


class InventoryCounted(Event, tag="inventory.counted", kw_only=True, frozen=True, gc=False):
    """Somebody counted."""

    data: Count


class InventoryAdjusted(Event, tag="inventory.adjusted", kw_only=True, frozen=True, gc=False):
    """Stock changed outside an order."""

    data: Adjustment


class SupplyPlanned(Event, tag="supply.planned", kw_only=True, frozen=True, gc=False):
    """Supply is on its way or in production."""

    data: Supply


class PricesPublished(Event, tag="prices.published", kw_only=True, frozen=True, gc=False):
    """The planner priced scarce stock."""

    data: Prices
