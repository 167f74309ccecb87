"""Our assignment of the Brunel orders beside the historical one.

Usage: python examples/brunel/report.py LAKE DATA_DIR [--json]

LAKE is what ``crossdock replay`` made of this example's log; DATA_DIR holds the published tables.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer
from rich.console import Console
from rich.table import Table as View

from examples.brunel.assess import (
    Side,
    cheapest_possible,
    historical,
    measure,
    over_capacity,
)
from examples.brunel.demand import moments
from examples.brunel.tables import Tables, read_tables
from examples.script import DataDir, run_script
from flows.lake.query import connect_reader
from schemas.tables import Table

HOURS_PER_DAY = 24


def assignment_of(allocations: pl.DataFrame, lanes: pl.DataFrame) -> pl.DataFrame:
    """What stands after all placements and releases, as ``assess`` takes it.

    Args:
        allocations: rows of the lake's table. Consumption moves nothing: the units were placed
            before.
        lanes: rows of the lake's table; the last row of a lane says what it is.
    """
    signs = {"placed": 1, "released": -1}
    counted = allocations.filter(pl.col("event").is_in(list(signs)))
    signed = counted.with_columns(
        qty=pl.col("qty") * pl.col("event").replace_strict(signs, return_dtype=pl.Int64)
    )
    keys = ["order_id", "node", "lane_id", "ship_date"]
    net = signed.group_by(keys).agg(pl.col("qty").sum()).filter(pl.col("qty") > 0)
    ways = lanes.group_by("lane_id", maintain_order=True).last()
    days = (pl.col("transit_hours") / HOURS_PER_DAY).round().cast(pl.Int64)
    return (
        net.join(ways.drop("node"), on="lane_id", how="left")
        .select(
            pl.col("order_id").cast(pl.Int64),
            pl.col("node").alias("plant"),
            pl.col("origin_port").alias("port"),
            "carrier",
            "service",
            days.alias("days"),
            "ship_date",
            "qty",
        )
        .sort("order_id", "plant", "ship_date")
    )


def streamed(tables: Tables) -> pl.DataFrame:
    """The historical assignment if each order had left on the day it comes in here."""
    dates = [at.date() for at in moments(len(tables.orders))]
    arriving = (
        tables.orders.sort("order_id")
        .select("order_id")
        .with_columns(pl.Series("ship_date", dates, pl.Date))
    )
    return historical(tables).drop("ship_date").join(arriving, on="order_id")


def read_lake(lake: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(allocations, lanes) of a lake, in the order of their causes."""
    with connect_reader(lake) as connection:
        allocations, lanes = (
            connection.sql(f'SELECT * FROM {name} ORDER BY partition, position, "index"').pl()
            for name in (Table.ALLOCATIONS.value, Table.LANES.value)
        )
    return allocations, lanes


def sides_of(tables: Tables, ours: pl.DataFrame) -> list[Side]:
    """The columns of the report."""
    return [
        measure("Crossdock", tables, ours),
        measure("historical, one day", tables, historical(tables)),
        measure("historical, six days", tables, streamed(tables)),
    ]


def comparison(tables: Tables, sides: list[Side], bound_usd: float) -> View:
    """The sides next to each other."""
    view = View("", *(side.name for side in sides), title="Brunel: ours beside the historical")
    view.add_row("orders assigned", *(f"{s.assigned:,} of {len(tables.orders):,}" for s in sides))
    for rule in sides[0].broken:
        view.add_row(f"breaking: {rule}", *(f"{s.broken[rule]:,}" for s in sides))
    view.add_row("plant-days over capacity", *(f"{s.full_days:,}" for s in sides))
    view.add_row("orders over capacity", *(f"{s.excess:,}" for s in sides))
    view.add_section()
    view.add_row("handling, USD", *(f"{s.handling_usd:,.2f}" for s in sides))
    view.add_row("freight, USD", *(f"{s.freight_usd:,.2f}" for s in sides))
    view.add_row("orders at a substitute rate", *(f"{s.substituted:,}" for s in sides))
    view.add_row("total, USD", *(f"{s.total_usd:,.2f}" for s in sides))
    view.add_row("above the bound", *(f"{s.total_usd / bound_usd - 1:+.2%}" for s in sides))
    view.add_row("mean transport days", *(f"{s.transport_days:.2f}" for s in sides))
    view.caption = f"Bound: {bound_usd:,.2f} USD, each order at its cheapest, capacity ignored"
    return view


def excess_view(tables: Tables, assignments: dict[str, pl.DataFrame]) -> View:
    """Plant-days over capacity of every side."""
    view = View("side", "plant", "day", "orders", "capacity", title="Over capacity")
    for name, assignment in assignments.items():
        for row in over_capacity(tables, assignment).iter_rows(named=True):
            counts = (f"{row['orders']:,}", f"{row['daily_capacity']:,}")
            view.add_row(name, row["plant"], row["ship_date"].isoformat(), *counts)
    return view


def as_json(tables: Tables, sides: list[Side], bound_usd: float) -> str:
    """The same for programs."""
    body: dict[str, Any] = {"orders": len(tables.orders), "bound_usd": bound_usd}
    body["sides"] = [asdict(side) | {"total_usd": round(side.total_usd, 2)} for side in sides]
    return json.dumps(body, indent=1)


def main(
    lake: Annotated[Path, typer.Argument(help="What crossdock replay made of the example's log.")],
    data_dir: DataDir,
    as_text: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Set our assignment of the Brunel orders beside the historical one."""
    tables = read_tables(data_dir)
    ours = assignment_of(*read_lake(lake))
    sides, bound_usd = sides_of(tables, ours), cheapest_possible(tables)
    if as_text:
        sys.stdout.write(as_json(tables, sides, bound_usd) + "\n")
        return
    console = Console()
    console.print(comparison(tables, sides, bound_usd))
    names = [side.name for side in sides]
    frames = (ours, historical(tables), streamed(tables))
    console.print(excess_view(tables, dict(zip(names, frames, strict=True))))


if __name__ == "__main__":
    run_script(main)
