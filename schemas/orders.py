"""Orders, their changes, payments and returns. ``subject`` is the order id (for a return, its own)."""

from typing import Annotated

import msgspec
from msgspec import Meta

from schemas.codes import OrderKind, PaymentState, TempClass
from schemas.envelope import Event, Id, Instant, Units


class OrderLine(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """One line of demand; ``weight_g`` and ``volume_cm3`` are per unit."""

    line_no: Annotated[int, Meta(ge=1, le=1_000_000)]
    sku: Id
    qty: Units
    weight_g: Annotated[int, Meta(ge=0, le=100_000_000)] = 0
    volume_cm3: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 0
    unit_price_minor: Annotated[int, Meta(ge=0, le=10**12)] = 0
    temp_class: TempClass = TempClass.AMBIENT
    hazmat: bool = False


class Order(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """The whole content of an order at one revision. ``customer`` is a token, never a name.

    The customer wants it between ``requested_from`` and ``requested_by``, either of which may be open.
    After delivery it may want ``installation``, and the customer's formal ``acceptance``.
    """

    region: Id
    lines: Annotated[list[OrderLine], Meta(min_length=1, max_length=5_000)]
    channel: Id = "web"
    revision: Annotated[int, Meta(ge=1, le=1_000_000)] = 1
    kind: OrderKind = OrderKind.REAL
    customer: Annotated[str, Meta(max_length=128)] = ""
    tier: Annotated[str, Meta(max_length=32)] = "standard"
    priority: Annotated[int, Meta(ge=0, le=9)] = 5
    payment: PaymentState = PaymentState.AUTHORISED
    requested_by: Instant | None = None
    requested_from: Instant | None = None
    no_split: bool = False
    carrier: Annotated[str, Meta(max_length=128)] = ""
    service: Annotated[str, Meta(max_length=128)] = ""
    installation: bool = False
    acceptance: bool = False
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")] = "EUR"


class CancelledLine(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """Units of one line that the customer no longer wants."""

    line_no: Annotated[int, Meta(ge=1, le=1_000_000)]
    qty: Units


class Cancellation(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """No lines: the whole order."""

    lines: Annotated[list[CancelledLine], Meta(max_length=5_000)] = []
    reason: Annotated[str, Meta(max_length=128)] = ""


class Payment(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """The new state of the order's payment."""

    state: PaymentState


class ReturnedItem(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """Units that came back; ``restock`` says whether they can be sold again."""

    sku: Id
    qty: Units
    restock: bool = True


class Return(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """Goods received back at a node; ``order_id`` is empty where nobody knows it."""

    node: Id
    items: Annotated[list[ReturnedItem], Meta(min_length=1, max_length=5_000)]
    order_id: Annotated[str, Meta(max_length=128)] = ""
    reason: Annotated[str, Meta(max_length=128)] = ""


class OrderReceived(Event, tag="order.received", kw_only=True, frozen=True, gc=False):
    """A customer ordered."""

    data: Order


class OrderAmended(Event, tag="order.amended", kw_only=True, frozen=True, gc=False):
    """The order as it now stands; a higher revision replaces a lower one."""

    data: Order


class OrderCancelled(Event, tag="order.cancelled", kw_only=True, frozen=True, gc=False):
    """The customer no longer wants all or part of the order."""

    data: Cancellation


class PaymentUpdated(Event, tag="payment.updated", kw_only=True, frozen=True, gc=False):
    """The payment of an order was authorised or failed."""

    data: Payment


class ReturnReceived(Event, tag="return.received", kw_only=True, frozen=True, gc=False):
    """Goods came back."""

    data: Return
