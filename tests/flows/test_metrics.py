"""What an operator's tools are told of a process."""

import socket
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from flows.folding import run
from flows.guard import Guard
from flows.lake.query import connect_reader
from flows.logs.source import LogSource
from flows.metrics import HANGS_SECONDS, Metrics, serve
from flows.route import RouteJob
from schemas.errors import InputError
from tests.support.runs import recorded_world


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
    return port


def asked(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.read().decode()


def values(text: str) -> dict[str, float]:
    rows = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in rows}


def test_metrics_are_those_of_the_lake(tmp_path: Path) -> None:
    log = recorded_world(tmp_path / "log", seed=5, records=400, partitions=2)
    guard, metrics, port = Guard(), Metrics(), free_port()
    job = RouteJob.open(log, tmp_path / "lake", guard=guard)
    job.watch(metrics)
    serve(metrics, guard, "127.0.0.1", port)

    run(LogSource(log, job.starts, 64, guard=guard), job)

    status, text = asked(port, "/metrics")
    told = values(text)
    with connect_reader(tmp_path / "lake") as reader:
        decisions = dict(
            reader.execute("SELECT partition, count(*) FROM decisions GROUP BY ALL").fetchall()
        )
        exceptions = dict(
            reader.execute("SELECT code, count(*) FROM exceptions GROUP BY ALL").fetchall()
        )
    assert status == 200
    for partition, count in decisions.items():
        assert told[f'crossdock_decisions_total{{partition="{partition}"}}'] == count
        assert told[f'crossdock_position{{partition="{partition}"}}'] == log.end(partition) - 1
    for code, count in exceptions.items():
        assert told[f'crossdock_exceptions_total{{code="{code}"}}'] == count
    assert told["crossdock_uncommitted_records"] == 0


def test_probes_tell_a_flow_that_starts_turns_hangs_or_failed() -> None:
    guard, port = Guard(), free_port()
    serve(Metrics(), guard, "127.0.0.1", port)

    assert (asked(port, "/health")[0], asked(port, "/ready")[0]) == (200, 503)
    with guard:
        pass
    assert (asked(port, "/health")[0], asked(port, "/ready")[0]) == (200, 200)
    guard.entered_at = time.monotonic() - HANGS_SECONDS - 1
    assert asked(port, "/health")[0] == 503
    guard.failure = InputError("the disk is full")
    assert asked(port, "/health") == (503, "failed: the disk is full\n")
    assert asked(port, "/else")[0] == 404


def test_a_port_that_is_taken_is_one_clear_line() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        with pytest.raises(InputError, match="metrics cannot be served"):
            serve(Metrics(), Guard(), "127.0.0.1", held.getsockname()[1])
