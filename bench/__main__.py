"""``make bench``: the figures of the flows, each with its baseline from the same call."""

import json
import os
import resource
import shutil
import sys
import time
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table as RichTable

from bench import hooks, kafka, lookup, loops, memory, recovery, scale, track, visible
from bench.figures import Figure
from bench.latency import decision_ms
from bench.profile import profile_log
from flows.folding import run
from flows.logs.parquet import ParquetLog
from flows.logs.source import LogSource
from flows.route import RouteJob
from flows.warmup import warm_up

OUT = Path(__file__).parent / "out"
ORDERS, PLAIN_ORDERS, PACED_ORDERS = 300_000, 5_000, 10_000
KAFKA_ORDERS, KAFKA_PACED_ORDERS = 100_000, 30_000
RUNS, FOLD_RUNS = 3, 5


def log_to_lake(log: ParquetLog, lake: Path) -> float:
    """Seconds from log to lake through the flow."""
    began = time.perf_counter()
    job = RouteJob.open(log, lake)
    run(LogSource(log, job.starts, guard=job.guard), job)
    return time.perf_counter() - began


def measure(scratch: Path) -> list[Figure]:
    """Run everything; the flow and its baselines in turn, the best of some runs each."""
    log = profile_log(OUT / f"log-{ORDERS}", ORDERS, per_second=1_000)
    paced = profile_log(OUT / f"paced-{PACED_ORDERS}", PACED_ORDERS, per_second=1_000)
    shared = profile_log(OUT / "shared", scale.ORDERS, per_second=1_000, networks=scale.NETWORKS)
    warm_up()
    fold = min(loops.fold_alone(log) for _ in range(FOLD_RUNS))
    flow, tuned = [], []
    for turn in range(RUNS):
        flow.append(log_to_lake(log, scratch / f"flow-{turn}"))
        tuned.append(loops.hand_tuned(log, scratch / f"tuned-{turn}"))
    plain = PLAIN_ORDERS / loops.plain(log, scratch / "plain.duckdb", PLAIN_ORDERS)
    p50, p99 = decision_ms(paced, scratch / "paced")
    rate, best = ORDERS / min(flow), ORDERS / min(tuned)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return [
        Figure("fold_orders_per_s", ORDERS / fold, "orders/s"),
        Figure("log_to_lake_orders_per_s", rate, "orders/s"),
        Figure("log_to_lake_vs_hand_tuned", rate, "orders/s", best, rate / best),
        Figure("log_to_lake_vs_plain_loop", rate, "orders/s", plain, rate / plain),
        Figure("decision_ms_p50", p50, "ms"),
        Figure("decision_ms_p99", p99, "ms"),
        Figure("peak_rss_mb", peak_mb, "MiB"),
        *scale.measure(shared, scratch),
        *track.measure(OUT, scratch),
        *visible.measure(scratch),
        *lookup.measure(OUT),
        *memory.measure(scratch / "memory"),
        *hooks.measure(scratch / "hooks"),
    ]


def _on_kafka(scratch: Path) -> list[Figure]:
    """The live job's figures, where there is a cluster."""
    bootstrap = os.environ.get("CROSSDOCK_TEST_BOOTSTRAP")
    if not bootstrap:
        Console(stderr=True).print("No Apache Kafka: the live job is not measured.")
        return []
    log = profile_log(OUT / f"log-{KAFKA_ORDERS}", KAFKA_ORDERS, per_second=1_000)
    paced = profile_log(OUT / f"paced-{KAFKA_PACED_ORDERS}", KAFKA_PACED_ORDERS, per_second=1_000)
    rate = KAFKA_ORDERS / min(log_to_lake(log, scratch / f"parquet-{n}") for n in range(RUNS))
    return kafka.measure(bootstrap, log, paced, scratch, rate)


def main() -> int:
    """Measure, print, keep."""
    OUT.mkdir(exist_ok=True)
    scratch = OUT / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    figures = [*measure(scratch), *_on_kafka(scratch), *recovery.measure(scratch / "recovery")]
    shutil.rmtree(scratch)
    with (OUT / "results.jsonl").open("w") as file:
        file.writelines(json.dumps(asdict(figure)) + "\n" for figure in figures)
    table = RichTable(
        title=f"{ORDERS:,} orders, 20 candidates each, and what became of others",
        title_justify="left",
    )
    for name in ("name", "value", "unit", "baseline", "ratio"):
        table.add_column(name, justify="left" if name in ("name", "unit") else "right")
    for f in figures:
        cells = [f"{v:,.2f}" if v is not None else "" for v in (f.value, f.baseline, f.ratio)]
        table.add_row(f.name, cells[0], f.unit, cells[1], cells[2])
    Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
