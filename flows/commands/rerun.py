"""Re-execution of decisions for ``crossdock replay``: one of them, or a sample."""

from pathlib import Path

import typer

from flows.commands.output import console, counting, error_console, print_json, table
from flows.decisions import find_decision, sample_decisions
from flows.lake.diagnosis import explained
from flows.lake.layout import Flow
from flows.lake.query import connect_reader
from flows.logs.parquet import ParquetLog
from flows.past import Past
from flows.rerun import Places, Report, places_of, rerun
from flows.warmup import warm_up
from schemas.errors import InputError

DIFFERENT = 1
"""Exit code if anything came out otherwise."""


def rerun_decision(
    log: Path, lake: Path, policy: Path | None, decision: str, *, as_json: bool
) -> None:
    """Re-execute the record of one decision."""
    with connect_reader(lake) as connection, explained(lake):
        found = find_decision(connection, decision)
    _rerun(log, lake, policy, places_of([found]), as_json=as_json)


def rerun_sample(
    log: Path, lake: Path, policy: Path | None, count: int, seed: int, *, as_json: bool
) -> None:
    """Re-execute a sample of the lake's decisions."""
    with connect_reader(lake) as connection, explained(lake):
        places = places_of(sample_decisions(connection, count, seed))
    if not places:
        raise InputError(f"{lake} holds no decision that could be re-executed")
    _rerun(log, lake, policy, places, as_json=as_json)


def _rerun(log: Path, lake: Path, policy: Path | None, places: Places, *, as_json: bool) -> None:
    past = Past.open(ParquetLog(log), lake, policy)
    with error_console().status("compiling the kernels (once per version)…"):
        warm_up([Flow.ROUTE])
    starts = {partition: past.start(partition, at[0]) for partition, at in places.items()}
    total = sum(at[-1] - starts[partition].position for partition, at in places.items())
    with (
        connect_reader(lake) as connection,
        explained(lake),
        counting("re-executing", total) as progress,
    ):
        report = rerun(past, connection, starts, places, progress)
    if as_json:
        print_json(report)
    else:
        _print(report)
    if report.different:
        raise typer.Exit(DIFFERENT)


def _print(report: Report) -> None:
    out = console()
    if report.differences:
        columns = ("table", "cause", "column", "in the lake", "again")
        rows = [
            (d.table, d.cause, d.column or "(row)", d.lake, d.again) for d in report.differences
        ]
        out.print(table("Differences", columns, rows))
    out.print(
        f"{report.identical:,} of {report.decisions:,} decisions are identical: "
        f"{report.records:,} records taken again, {report.rows:,} rows compared",
        markup=False,
    )
