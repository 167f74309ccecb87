"""Two processes with a partition each against one process with both.

Each process keeps more than one core busy (the flow, and the lake's writer), so that on few cores the
second figure says more: what an order costs in processor time, however many processes there are.
"""

import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench.figures import Figure
from flows.folding import run
from flows.logs.parquet import ParquetLog
from flows.logs.source import LogSource
from flows.route import RouteJob
from flows.warmup import warm_up

ORDERS = 100_000
"""In each of two networks, each on its partition."""
NETWORKS = ("one", "two")


def measure(log: ParquetLog, scratch: Path) -> list[Figure]:
    """Route a log of two partitions by one process, then by two."""
    orders = ORDERS * len(NETWORKS)
    alone, alone_cpu = _run(log, scratch / "by-one", [[0, 1]])
    shared, shared_cpu = _run(log, scratch / "by-two", [[0], [1]])
    return [
        Figure("two_processes_vs_one", orders / shared, "orders/s", orders / alone, alone / shared),
        Figure(
            "cpu_per_order_vs_one", shared_cpu / orders * 1e6, "us", alone_cpu / orders * 1e6,
            shared_cpu / alone_cpu,
        ),
    ]  # fmt: skip


def _run(log: ParquetLog, lakes: Path, shares: Sequence[Sequence[int]]) -> tuple[float, float]:
    """Seconds until the last is done, and processor seconds of all."""
    processes = []
    for n, share in enumerate(shares):
        words = [str(log.path), str(lakes / str(n)), *map(str, share)]
        processes.append(
            subprocess.Popen(
                [sys.executable, "-m", "bench.scale", *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate()[0].split() for process in processes]
    return max(float(seconds) for seconds, _ in said), sum(float(cpu) for _, cpu in said)


def _share(log: ParquetLog, lake: Path, partitions: Sequence[int]) -> None:
    """Route some partitions once told to; say how long it took."""
    warm_up()
    job = RouteJob.open(log, lake, partitions=partitions)
    print("ready", flush=True)
    sys.stdin.readline()
    began, cpu = time.perf_counter(), _cpu()
    run(LogSource(log, job.starts, guard=job.guard), job)
    print(time.perf_counter() - began, _cpu() - cpu)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    _share(ParquetLog(Path(sys.argv[1])), Path(sys.argv[2]), [int(word) for word in sys.argv[3:]])
