"""The invoice lines of the data set, each put into exactly one class before anything else happens.

Times are naive UK local time with a resolution of one minute. They become UTC by the zone's rules;
an ambiguous time (the hour that autumn repeats) is taken as the first of the two, one that spring
leaves out is read with winter time's offset, which lands an hour later on the clock. Both are
counted.
"""

from datetime import UTC
from enum import StrEnum
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl

from examples.retail.world import World
from examples.script import read_published

FILE = "order_lines.parquet"
COLUMNS = (
    "invoice_no",
    "stock_code",
    "quantity",
    "invoice_ts",
    "unit_price",
    "customer_id",
    "country",
)


class LineClass(StrEnum):
    """What becomes of an invoice line. The first that fits, from above, is its class."""

    NON_GOODS = "not goods: postage, fees, vouchers, manual entries"
    STOCK_CORRECTION = "no price, negative quantity: stock correction"
    NO_PRICE = "no price, positive quantity: free or found stock"
    ORDER_LINE = "order line"
    CANCELLED = "cancellation of an open order: order.cancelled"
    RETURNED = "cancellation of an order handed over: return.received"
    RETURNED_UNKNOWN = "cancellation without an order: return.received"
    IN_PARTS = "cancellation that falls into several of these"
    CANCELLATION = "cancellation, not matched yet"


def read_lines(data_dir: Path, world: World) -> pl.DataFrame:
    """All lines in source order, classified, with upper-case ``sku``, UTC ``at`` and ``pence``."""
    raw = read_published(data_dir / FILE, COLUMNS).with_row_index("row")
    return raw.with_columns(
        sku=pl.col("stock_code").str.to_uppercase(),
        pence=(pl.col("unit_price") * 100).round().cast(pl.Int64),
        at=in_utc(raw["invoice_ts"], world.timezone),
    ).with_columns(line_class=_line_class(world))


def in_utc(local: pl.Series, timezone: str) -> pl.Series:
    """Naive local times as UTC instants."""
    zone = ZoneInfo(timezone)
    instants = [moment.replace(tzinfo=zone).astimezone(UTC) for moment in local]
    return pl.Series("at", instants, pl.Datetime("us", "UTC"))


def _line_class(world: World) -> pl.Expr:
    non_goods = pl.col("sku").is_in([code.upper() for code in world.non_goods])
    for prefix in world.non_goods_prefixes:
        non_goods |= pl.col("sku").str.starts_with(prefix.upper())
    negative = pl.col("quantity") < 0
    return (
        pl.when(non_goods)
        .then(pl.lit(LineClass.NON_GOODS.value))
        .when((pl.col("unit_price") <= 0) & negative)
        .then(pl.lit(LineClass.STOCK_CORRECTION.value))
        .when(pl.col("unit_price") <= 0)
        .then(pl.lit(LineClass.NO_PRICE.value))
        .when(negative)
        .then(pl.lit(LineClass.CANCELLATION.value))
        .otherwise(pl.lit(LineClass.ORDER_LINE.value))
    )


def odd_times(local: pl.Series, timezone: str) -> tuple[int, int]:
    """How many local times are ambiguous, and how many do not exist."""
    zone = ZoneInfo(timezone)
    ambiguous = missing = 0
    for moment in local:
        first, second = (moment.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
        if first.utcoffset() != second.utcoffset():
            exists = first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == moment
            ambiguous, missing = ambiguous + exists, missing + (not exists)
    return ambiguous, missing
