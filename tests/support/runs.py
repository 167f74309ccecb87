"""Runs of the route flow for tests: in this process, or as the command a user would type."""

import os
import subprocess
import sys
from pathlib import Path

from flows.folding import run
from flows.lake.connection import open_lake
from flows.logs.parquet import ParquetLog, write_log
from flows.logs.source import LogSource
from flows.route import RouteJob
from flows.settings import Settings
from flows.track import TrackJob
from models.inference import shipped_model_sha256
from schemas.envelope import Event
from tests.support.builders import at, model
from tests.support.worlds import Shape, with_networks, world

NETWORKS = ("eu", "us", "asia", "north")  # two on each of two partitions


def recorded_world(path: Path, seed: int, records: int = 1200, partitions: int = 2) -> ParquetLog:
    """A hostile world of four networks, scored by the shipped model from half-way on."""
    shape = with_networks(Shape(records=records, nodes=4, forgetful=True), *NETWORKS)
    events = list(world(seed, shape))
    half = len(events) // 2
    return write_log(
        path, [*events[:half], *_activations(half), *events[half:]], partitions=partitions
    )


def _activations(seconds: int) -> list[Event]:
    sha256 = shipped_model_sha256()
    return [model(sha256, at(float(seconds), network=name)) for name in NETWORKS]


def route(
    log: ParquetLog,
    lake: Path,
    *,
    slice_records: int = 4096,
    partitions: list[int] | None = None,
    checkpoint_seconds: float = 3600.0,
) -> None:
    """Route a log in this process."""
    settings = Settings(checkpoint_seconds=checkpoint_seconds)
    job = RouteJob.open(log, lake, partitions=partitions, settings=settings)
    run(LogSource(log, job.starts, slice_records, guard=job.guard), job)


def track(log: ParquetLog, lake: Path) -> None:
    """Track a log in this process."""
    job = TrackJob.open(log, lake, settings=Settings(checkpoint_seconds=3600.0))
    run(LogSource(log, job.starts, guard=job.guard), job)


def spoil(lake: Path, table: str, statement: str) -> None:
    """Change the rows of a table behind the back of the lake's writer; ``{}`` is its name."""
    with open_lake(lake) as connection:
        names = connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
        for (name,) in names:
            if name.startswith((f"{table}_recent_", f"{table}_settled")):
                connection.execute(statement.format(name)).fetchall()


def start_replay(log: Path, lake: Path, *options: str) -> "subprocess.Popen[bytes]":
    """Start ``crossdock replay`` in a process of its own, with frequent checkpoints."""
    return subprocess.Popen(
        [sys.executable, "-m", "flows.cli", "replay", str(log), "--lake", str(lake), *options],
        env={**os.environ, "CROSSDOCK_CHECKPOINT_SECONDS": "0.05"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
