"""Order on the log to decision made, at a steady rate: the real flow, paced by event time."""

from pathlib import Path

from flows.folding import run
from flows.lake.query import connect_reader
from flows.logs.parquet import ParquetLog
from flows.logs.source import LogSource
from flows.route import RouteJob


def decision_ms(log: ParquetLog, lake: Path) -> tuple[float, float]:
    """p50 and p99, in ms, over the orders of a log that is read at the pace of its event times.

    The slices that set the network up come before any order and are not counted, as they hold none.
    """
    job = RouteJob.open(log, lake)
    run(LogSource(log, job.starts, speed=1.0, guard=job.guard), job)
    query = "SELECT p50_ms, p99_ms FROM decision_latency WHERE partition IS NULL"
    with connect_reader(lake) as reader:
        p50, p99 = reader.execute(query).fetchall()[0]
    return float(p50), float(p99)
