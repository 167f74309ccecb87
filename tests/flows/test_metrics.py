"""What an operator's tools are told of a process."""

import socket
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from flows.folding import run
from flows.guard import Guard
from flows.lake.query import connect_reader
from flows.logs.parquet import write_log
from flows.logs.source import LogSource
from flows.metrics import HANGS_SECONDS, Metrics, serve
from flows.route import RouteJob
from flows.track import TrackJob
from schemas.errors import InputError
from schemas.topics import LogOf
from tests.support.journeys import disturbed, records, with_ticks
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
        position = told[f'crossdock_position{{flow="route",partition="{partition}"}}']
        assert position == log.end(partition) - 1
    for code, count in exceptions.items():
        assert told[f'crossdock_exceptions_total{{code="{code}",flow="route"}}'] == count
    assert told['crossdock_uncommitted_records{flow="route"}'] == 0


def test_metrics_of_the_tracker_stand_beside_those_of_the_router(tmp_path: Path) -> None:
    events = with_ticks(disturbed(records(7, 60), 7), range(0, 500, 20))
    log = write_log(tmp_path / "log", events, of=LogOf.TRACKING)
    journal = recorded_world(tmp_path / "journal", seed=5, records=20, partitions=1)
    router = RouteJob.open(journal, tmp_path / "routed")
    job = TrackJob.open(log, tmp_path / "lake")
    metrics = Metrics()
    for each in (router, job):
        each.watch(metrics)

    run(LogSource(log, job.starts, 64), job)

    told = values(generate_latest(metrics.registry).decode())
    with connect_reader(tmp_path / "lake") as reader:
        changes = reader.execute("SELECT code, change FROM exceptions").fetchall()
    raised = Counter(code for code, change in changes if change == "raised")
    counted = {name: value for name, value in told.items() if "exceptions_total" in name}
    assert len(changes) > raised.total() > 0
    assert counted == {
        f'crossdock_exceptions_total{{code="{code}",flow="track"}}': count
        for code, count in raised.items()
    }
    assert told['crossdock_records_total{flow="track",partition="10000"}'] == log.end(0)
    assert told['crossdock_uncommitted_records{flow="track"}'] == 0
    assert told['crossdock_uncommitted_records{flow="route"}'] == 0
    router.abort()


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
