"""Build the recorded log of this example from the UCI Online Retail data.

Usage: python examples/online-retail/build.py DATA_DIR OUT

DATA_DIR holds ``order_lines.parquet`` with the columns of ../shared/data/online_retail; OUT must be
absent or empty. The same input gives the same bytes.
"""

import uuid
from collections import Counter
from pathlib import Path

import polars as pl
from rich.console import Console
from rich.table import Table

from examples.retail.recording import Recording, record
from examples.retail.source import LineClass, odd_times, read_lines
from examples.retail.world import World, read_world
from examples.script import DataDir, Out, run_script
from flows.logs.parquet import ParquetLog, write_log
from flows.ticks import with_ticks

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def build(data_dir: Path, out: Path) -> Recording:
    """Write the log and return what went into it."""
    world = read_world(HERE / "network.yaml")
    policy = (HERE / world.policy).read_text(encoding="utf-8")
    recording = record(read_lines(data_dir, world), world, policy, ROOT / world.model)
    ticked = with_ticks(recording.events, world.source, world.tenant, world.network)
    write_log(out, ticked, log_id=str(uuid.uuid5(uuid.NAMESPACE_URL, world.log_name)))
    return recording


def line_table(lines: pl.DataFrame) -> Table:
    """What became of every invoice line."""
    table = Table("invoice lines", "lines", "units", title="Every line has exactly one class")
    classes = lines.group_by("line_class").agg(pl.len(), pl.col("quantity").sum())
    found = {name: (count, units) for name, count, units in classes.iter_rows()}
    for line_class in LineClass:
        count, units = found.get(line_class.value, (0, 0))
        if count or line_class is not LineClass.CANCELLATION:
            table.add_row(line_class.value, f"{count:,}", f"{units:,}")
    table.add_section()
    table.add_row("all", f"{len(lines):,}", f"{lines['quantity'].sum():,}")
    return table


def oddity_table(lines: pl.DataFrame, world: World) -> Table:
    """Quirks of the source that change no class."""
    ambiguous, missing = odd_times(lines["invoice_ts"], world.timezone)
    codes = lines["stock_code"] != lines["sku"]
    table = Table("quirk", "lines", title="Handled on the way")
    table.add_row("no customer number: empty token", f"{lines['customer_id'].null_count():,}")
    table.add_row("stock code not in upper case: folded", f"{codes.sum():,}")
    table.add_row("ambiguous local time: the first of the two", f"{ambiguous:,}")
    table.add_row("local time that does not exist: an hour later", f"{missing:,}")
    named = lines["country"].is_in([spec.country for spec in world.regions])
    table.add_row(f"country not declared: region {world.unknown_region}", f"{(~named).sum():,}")
    return table


def record_table(recording: Recording, log: ParquetLog) -> Table:
    """Records by kind, and the size of the log."""
    kinds = Counter(str(type(e).__struct_config__.tag) for e in recording.events)
    kinds["clock.ticked"] = len(log) - sum(kinds.values())
    table = Table("records", "count", title="The log")
    for kind, count in sorted(kinds.items()):
        table.add_row(kind, f"{count:,}")
    size = sum(path.stat().st_size for path in log.path.rglob("*.parquet"))
    table.add_section()
    table.add_row("bytes", f"{size:,}")
    return table


def main(data_dir: DataDir, out: Out) -> None:
    """Build the recorded log of this example from the UCI Online Retail data."""
    recording, console = build(data_dir, out), Console()
    world = read_world(HERE / "network.yaml")
    if not (ROOT / world.model).exists():
        console.print(f"No {world.model}: this log activates no model, rules decide.")
    console.print(line_table(recording.lines))
    console.print(oddity_table(recording.lines, world))
    console.print(record_table(recording, ParquetLog(out)))


if __name__ == "__main__":
    run_script(main)
