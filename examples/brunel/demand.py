"""The orders as a stream: six working days, and weights that are right to the gram.

A record's weight is whole grams per unit, and chips weigh about five: one line would be off by up
to half a gram a unit, which is kilograms an order. So an order of q units and g grams in all has
two lines of its product, g mod q units of the heavier and the rest of the lighter whole weight:
exactly g grams. Only g itself is rounded, to the nearest gram that lies in the same weight bands as
the exact weight.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from math import ceil, floor
from typing import NamedTuple

import polars as pl

from examples.brunel.tables import Tables
from schemas.orders import Order, OrderLine

FIRST_DAY = date(2013, 5, 27)
"""The Monday after the one date in the data, Sunday 2013-05-26."""

WORKING_DAYS = 6
OPENS_AT, CLOSES_AT = timedelta(hours=8), timedelta(hours=18)
UNITS_MAX = 1_000_000
GRAMS_PER_KG = 1000


class Arrival(NamedTuple):
    """One order and when it comes in."""

    order_id: str
    at: datetime
    order: Order


def arrivals(tables: Tables) -> Iterator[Arrival]:
    """Orders by id, one sixth of them a day, evenly over the opening hours.

    Raises:
        ValueError: an order has more units than a line may have.
    """
    borders = _borders(tables.rates)
    rows = tables.orders.sort("order_id").iter_rows(named=True)
    for row, at in zip(rows, moments(len(tables.orders)), strict=True):
        if row["unit_quantity"] > UNITS_MAX:
            found = f"{row['unit_quantity']} units, a line holds {UNITS_MAX}"
            raise ValueError(f"order {row['order_id']}: {found}")
        grams = grams_of(row["weight"], borders)
        order = Order(
            region=row["destination_port"],
            lines=lines_of(str(row["product_id"]), row["unit_quantity"], grams),
            channel="b2b",
            customer=row["customer"],
            service=row["service_level"],
            no_split=True,
            currency="USD",
        )
        yield Arrival(str(row["order_id"]), at, order)


def moments(count: int) -> Iterator[datetime]:
    """When each of ``count`` orders comes in."""
    opening = datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, tzinfo=UTC) + OPENS_AT
    per_day = max(1, ceil(count / WORKING_DAYS))
    span = int((CLOSES_AT - OPENS_AT).total_seconds())
    for i in range(count):
        day, place = divmod(i, per_day)
        yield opening + timedelta(days=day, seconds=place * span // per_day)


def lines_of(sku: str, units: int, grams: int) -> list[OrderLine]:
    """One or two lines with so many units that weigh so many grams in all."""
    light, heavy = divmod(grams, units)
    parts = [(units - heavy, light), (heavy, light + 1)]
    kept = [(qty, weight_g) for qty, weight_g in parts if qty]
    return [
        OrderLine(line_no=number, sku=sku, qty=qty, weight_g=weight_g)
        for number, (qty, weight_g) in enumerate(kept, start=1)
    ]


def grams_of(weight_kg: float, borders: list[tuple[float, float]]) -> int:
    """Whole grams, on the same side of every border of a band as the exact weight.

    Raises:
        ValueError: no gram near the weight lies in the same bands.
    """
    exact = weight_kg * GRAMS_PER_KG
    near = sorted({floor(exact), ceil(exact)}, key=lambda grams: abs(grams - exact))
    for grams in near:
        rounded_kg = grams / GRAMS_PER_KG
        if all((a <= weight_kg <= b) == (a <= rounded_kg <= b) for a, b in borders):
            return grams
    raise ValueError(f"weight {weight_kg} kg: {near} g lie in other bands")


def _borders(rates: pl.DataFrame) -> list[tuple[float, float]]:
    bands = rates.select("minm_wgh_qty", "max_wgh_qty").unique()
    return sorted((low, high) for low, high in bands.iter_rows())
