"""Invoices as records: orders, cancellations, returns.

An invoice is recorded in the minute of its last line and happened in the minute of its first (39 of
them straddle two). Order lines are numbered from 1 in source order.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

import polars as pl

from examples.retail.matching import Part, Trade
from examples.retail.source import LineClass
from examples.retail.world import WeightRule, World
from examples.stamps import Origin
from schemas.orders import (
    Cancellation,
    CancelledLine,
    Order,
    OrderCancelled,
    OrderLine,
    OrderReceived,
    Return,
    ReturnedItem,
    ReturnReceived,
)


class Span(NamedTuple):
    """First and last minute of an invoice."""

    first: datetime
    last: datetime


def trades_of(lines: pl.DataFrame) -> list[Trade]:
    """Purchases and cancellations in the order of their time, then of the source."""
    wanted = (LineClass.ORDER_LINE.value, LineClass.CANCELLATION.value)
    kept = lines.filter(pl.col("line_class").is_in(wanted))
    numbered = kept.with_columns(
        line_no=pl.int_range(1, pl.len() + 1).over("invoice_no", "line_class")
    )
    columns = ("row", "invoice_no", "line_no", "customer_id", "sku", "quantity", "at")
    return [Trade(*row) for row in numbered.sort("at", "row").select(columns).iter_rows()]


def spans_of(lines: pl.DataFrame) -> dict[str, Span]:
    """When each invoice happened and was complete."""
    spans = lines.group_by("invoice_no").agg(
        pl.col("at").min().alias("first"), pl.col("at").max().alias("last")
    )
    return {invoice: Span(first, last) for invoice, first, last in spans.iter_rows()}


def weights_of(lines: pl.DataFrame, rule: WeightRule) -> dict[str, int]:
    """Grams per unit by SKU: the median price times a rate, within bounds."""
    prices = lines.filter(pl.col("line_class") == LineClass.ORDER_LINE.value)
    median = prices.group_by("sku").agg(pl.col("pence").median())
    return {
        sku: min(max(round(pence * rule.g_per_gbp / 100), rule.least_g), rule.most_g)
        for sku, pence in median.iter_rows()
    }


def order_events(
    lines: pl.DataFrame, spans: dict[str, Span], world: World, origin: Origin
) -> Iterator[OrderReceived]:
    """One order per invoice with goods, in the order of the source."""
    weights = weights_of(lines, world.weight)
    regions = {spec.country: spec.region for spec in world.regions}
    goods = lines.filter(pl.col("line_class") == LineClass.ORDER_LINE.value)
    columns = ("invoice_no", "country", "customer_id", "sku", "quantity", "pence")
    invoices: dict[str, list[OrderLine]] = {}
    heads: dict[str, tuple[str, str]] = {}
    for invoice, country, customer, sku, quantity, pence in goods.select(columns).iter_rows():
        known = invoices.setdefault(invoice, [])
        line = OrderLine(
            line_no=len(known) + 1,
            sku=sku,
            qty=quantity,
            weight_g=weights[sku],
            unit_price_minor=pence,
        )
        known.append(line)
        region = regions.get(country, world.unknown_region)
        heads[invoice] = (region, customer_token(customer))
    for invoice, content in invoices.items():
        region, token = heads[invoice]
        data = Order(region=region, lines=content, customer=token, currency=world.currency)
        stamp = origin.stamp(invoice, invoice, spans[invoice].first, spans[invoice].last)
        yield OrderReceived(**stamp, data=data)


def customer_token(customer: int | None) -> str:
    """The customer's number as a token; empty where the source has none."""
    return "" if customer is None else f"c-{customer}"


def withdrawal_events(
    parts: Iterable[Part], spans: dict[str, Span], world: World, origin: Origin
) -> Iterator[OrderCancelled | ReturnReceived]:
    """One record per cancelling invoice and order: a cancellation, a return, or one of each."""
    grouped: defaultdict[tuple[str, str, LineClass], list[Part]] = defaultdict(list)
    for part in parts:
        grouped[part.cancellation.invoice, part.order, part.line_class].append(part)
    for (invoice, order, line_class), group in grouped.items():
        if line_class is LineClass.CANCELLED:
            yield _cancelled(invoice, order, group, spans, origin)
        else:
            yield _returned(invoice, order, group, spans, world, origin)


def _cancelled(
    invoice: str, order: str, group: list[Part], spans: dict[str, Span], origin: Origin
) -> OrderCancelled:
    units: defaultdict[int, int] = defaultdict(int)
    for part in group:
        units[part.line_no] += part.qty
    lines = [CancelledLine(line_no=number, qty=qty) for number, qty in sorted(units.items())]
    stamp = origin.stamp(f"cancel:{invoice}:{order}", order, *spans[invoice])
    return OrderCancelled(**stamp, data=Cancellation(lines=lines, reason=invoice))


def _returned(
    invoice: str,
    order: str,
    group: list[Part],
    spans: dict[str, Span],
    world: World,
    origin: Origin,
) -> ReturnReceived:
    units: defaultdict[str, int] = defaultdict(int)
    for part in group:
        units[part.cancellation.sku] += part.qty
    items = [ReturnedItem(sku=sku, qty=qty) for sku, qty in sorted(units.items())]
    name = f"return:{invoice}:{order or 'unknown'}"
    data = Return(node=world.returns_to, items=items, order_id=order, reason=invoice)
    return ReturnReceived(**origin.stamp(name, name, *spans[invoice]), data=data)
