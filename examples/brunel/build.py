"""Build the recorded log of this example from the Brunel supply chain tables.

Usage: python examples/brunel/build.py DATA_DIR OUT

DATA_DIR holds the tables with the columns of ../shared/data/brunel_supply_chain; OUT must be absent
or empty. The same input gives the same bytes.
"""

import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
from rich.console import Console
from rich.table import Table

from examples.brunel.demand import FIRST_DAY, arrivals
from examples.brunel.freight import CENTS, lanes
from examples.brunel.tables import Tables, read_tables
from examples.script import DataDir, Out, run_script
from examples.stamps import Origin
from flows.logs.parquet import ParquetLog, write_log
from flows.ticks import with_ticks
from schemas.codes import CapacityMeasure, LocationType
from schemas.control import PolicyActivated, PolicyActivation
from schemas.envelope import Event
from schemas.inventory import Count, CountedItem, InventoryCounted
from schemas.network import Capacity, CapacitySet, LaneSet, Node, NodeSet
from schemas.orders import OrderReceived

HERE = Path(__file__).parent
ORIGIN = Origin("crossdock-import/brunel", "brunel", "outbound")
LOG_ID = str(uuid.uuid5(uuid.NAMESPACE_URL, "crossdock.examples.brunel"))
START = datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, tzinfo=UTC)
MONDAY_TO_SATURDAY, SUNDAY = [1, 2, 3, 4, 5, 6], [7]
PLENTY = 100_000_000
"""Units on hand where a plant may ship a product: the published problem has no stock."""


def build(data_dir: Path, out: Path) -> Tables:
    """Write the log and return the tables it was made from."""
    tables = read_tables(data_dir)
    events = with_ticks(records(tables), ORIGIN.source, ORIGIN.tenant, ORIGIN.network)
    write_log(out, events, log_id=LOG_ID)
    return tables


def records(tables: Tables) -> Iterator[Event]:
    """Policy, plants, capacities, lanes and stock at the start; then the orders."""
    document = (HERE / "policy.yaml").read_text(encoding="utf-8")
    policy = PolicyActivation(document=document)
    yield PolicyActivated(**ORIGIN.stamp("policy:brunel", "brunel", START), data=policy)
    yield from _plants(tables)
    yield from _capacities(tables)
    for lane_id, lane in lanes(tables):
        yield LaneSet(**ORIGIN.stamp(f"lane:{lane_id}", lane_id, START), data=lane)
    yield from _products(tables)
    for order_id, at, order in arrivals(tables):
        yield OrderReceived(**ORIGIN.stamp(order_id, order_id, at), data=order)


def _plants(tables: Tables) -> Iterator[NodeSet]:
    for plant, cost_unit in tables.plants.select("plant", "cost_unit").iter_rows():
        customers = tables.vmi.filter(pl.col("plant") == plant)["customer"].to_list()
        data = Node(
            location_type=LocationType.FACTORY,
            handling_per_unit_minor=round(cost_unit * CENTS, 9),
            customers=customers,
        )
        yield NodeSet(**ORIGIN.stamp(f"node:{plant}", plant, START), data=data)


def _capacities(tables: Tables) -> Iterator[CapacitySet]:
    for plant, daily in tables.plants.select("plant", "daily_capacity").iter_rows():
        week = Capacity(weekdays=MONDAY_TO_SATURDAY, capacity=daily, measure=CapacityMeasure.ORDERS)
        rest = Capacity(weekdays=SUNDAY, capacity=0, measure=CapacityMeasure.ORDERS, open=False)
        for name, rule in (("week", week), ("sunday", rest)):
            stamp = ORIGIN.stamp(f"capacity:{plant}:{name}", plant, START)
            yield CapacitySet(**stamp, data=rule)


def _products(tables: Tables) -> Iterator[InventoryCounted]:
    for plant in tables.plants["plant"].to_list():
        products = tables.products.filter(pl.col("plant") == plant)["product_id"].to_list()
        items = [CountedItem(sku=str(product), on_hand=PLENTY) for product in products]
        if items:
            stamp = ORIGIN.stamp(f"count:{plant}", plant, START)
            yield InventoryCounted(**stamp, data=Count(items=items))


def print_counts(tables: Tables, log: ParquetLog, console: Console) -> None:
    """Records by kind, and what of the tables is not on the log."""
    kinds: Counter[str] = Counter()
    for piece in log.read(0):
        for kind in piece.data:
            kinds[kind.tag] += len(piece.of_kind(kind)[0])
    table = Table("records", "count", title="The log")
    for name, count in sorted(kinds.items()):
        table.add_row(name, f"{count:,}")
    size = sum(path.stat().st_size for path in log.path.rglob("*.parquet"))
    table.add_row("bytes", f"{size:,}")
    console.print(table)
    unknown = tables.products.join(tables.plants, on="plant", how="anti")
    console.print(f"{len(unknown)} product row(s) name a plant that has no capacity and no cost.")


def main(data_dir: DataDir, out: Out) -> None:
    """Build the recorded log of this example from the Brunel supply chain tables."""
    tables = build(data_dir, out)
    print_counts(tables, ParquetLog(out), Console())


if __name__ == "__main__":
    run_script(main)
