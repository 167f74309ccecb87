"""Which order a cancellation meant. The data does not say, so it is inferred.

A cancellation line takes units back from the same customer's purchases of the same SKU, the newest
purchase first, each unit at most once. Units bought at most ``cancellable_hours`` before are
cancelled in their order. Older ones have left the building, as the example's policy assumes as
well, so they come back as goods of that order. What no purchase explains (bought before the data
begins, or by a customer without a number) comes back as goods of an unknown order.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from examples.retail.source import LineClass


@dataclass(frozen=True, slots=True)
class Trade:
    """A purchase (positive quantity) or a cancellation (negative), as one line of an invoice."""

    row: int
    invoice: str
    line_no: int
    customer: int | None
    sku: str
    quantity: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Part:
    """Units of one cancellation line and what they are taken from; ``order`` empty if unknown."""

    cancellation: Trade
    qty: int
    line_class: LineClass
    order: str = ""
    line_no: int = 0


@dataclass(slots=True)
class _Open:
    purchase: Trade
    left: int


def match(trades: Iterable[Trade], cancellable: timedelta) -> list[Part]:
    """The parts of every cancellation.

    Args:
        trades: purchases and cancellations in the order in which they happened.
        cancellable: how long after a purchase its units can still be cancelled in the order.
    """
    purchases: defaultdict[tuple[int | None, str], list[_Open]] = defaultdict(list)
    parts: list[Part] = []
    for trade in trades:
        known = purchases[trade.customer, trade.sku]
        if trade.quantity > 0:
            if trade.customer is not None:
                known.append(_Open(trade, trade.quantity))
        else:
            parts += _take(trade, known, cancellable)
    return parts


def _take(trade: Trade, known: list[_Open], cancellable: timedelta) -> list[Part]:
    wanted, parts = -trade.quantity, []
    while wanted and known:
        newest = known[-1]
        qty = min(wanted, newest.left)
        is_open = trade.at - newest.purchase.at <= cancellable
        line_class = LineClass.CANCELLED if is_open else LineClass.RETURNED
        purchase = newest.purchase
        parts.append(Part(trade, qty, line_class, purchase.invoice, purchase.line_no))
        wanted, newest.left = wanted - qty, newest.left - qty
        if not newest.left:
            known.pop()
    if wanted:
        parts.append(Part(trade, wanted, LineClass.RETURNED_UNKNOWN))
    return parts


def class_by_row(parts: Iterable[Part]) -> dict[int, LineClass]:
    """The one class of every cancellation line, by its row in the source."""
    classes: dict[int, LineClass] = {}
    for part in parts:
        row = part.cancellation.row
        known = classes.setdefault(row, part.line_class)
        if known is not part.line_class:
            classes[row] = LineClass.IN_PARTS
    return classes
