"""The live job on its embedded broker: killed at random moments, asked to end, and started again.

The oracle: every record of the feed is in the journal once, and the lake, once it has read to the end of
what the run left, is the one that a plain replay leaves.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from flows.lake.digest import digest
from flows.logs.parquet import ParquetLog
from schemas.kinds import Kind
from tests.support.jobs import BY_TRACKER, kills, seed, wished
from tests.support.runs import recorded_world, route, track

SEED = 20261123


def start(feed: Path, home: Path) -> "subprocess.Popen[bytes]":
    """The job as a user starts it, fed fast."""
    command = [sys.executable, "-m", "flows.cli", "run", "--embedded"]
    options = ["--home", str(home), "--feed", str(feed), "--per-second", "150"]
    surroundings = {"CROSSDOCK_CHECKPOINT_SECONDS": "0.2", "CROSSDOCK_TICK_SECONDS": "0.2"}
    return subprocess.Popen(
        [*command, *options],
        env=os.environ | surroundings,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def fed(log: ParquetLog) -> list[tuple[str, str]]:
    """Of every record but what the tracker wants decided again."""
    return [name for name in told(log) if not _is_wish(name[0])]


def _is_wish(source: str) -> bool:
    return source.startswith(BY_TRACKER)


def told(log: ParquetLog) -> list[tuple[str, str]]:
    """(source, id) of every record but clock ticks."""
    found: list[tuple[str, str]] = []
    for partition in range(log.partitions):
        for piece in log.read(partition):
            rows = np.flatnonzero(piece.kinds != Kind.CLOCK_TICKED)
            envelope = piece.take(rows).envelope
            found += zip(envelope["source"].to_pylist(), envelope["id"].to_pylist(), strict=True)
    return sorted(found)


def count_fed(home: Path) -> int:
    return len(fed(ParquetLog(home / "journal"))) if (home / "journal/log.json").exists() else 0


def test_kills_lose_nothing_and_repeat_nothing(tmp_path: Path) -> None:
    chosen, times = seed(SEED), kills(10)
    moments = random.Random(chosen)
    feed = recorded_world(tmp_path / "feed", chosen, records=300 * times, partitions=1)
    expected, home = fed(feed), tmp_path / "home"

    for _ in range(times):
        process = start(feed.path, home)
        time.sleep(moments.uniform(1.5, 5.0))
        assert process.poll() is None, process.communicate()[1].decode()
        process.send_signal(signal.SIGKILL)
        process.communicate()
    process, deadline = start(feed.path, home), time.monotonic() + 300
    assert process.stderr is not None
    assert b"Ctrl-C ends it" in process.stderr.readline()
    while count_fed(home) < len(expected) and time.monotonic() < deadline:
        time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=180)

    assert process.returncode == 0, said.decode()
    journal = ParquetLog(home / "journal")
    assert fed(journal) == expected
    asked_again = {name for source, name in told(journal) if _is_wish(source)}
    assert wished(home / "lake") <= asked_again
    for lake in (home / "lake", tmp_path / "replayed"):  # the first has nearly everything
        route(journal, lake)
        track(ParquetLog(home / "tracking"), lake)
    assert digest([home / "lake"]) == digest([tmp_path / "replayed"])
