"""Several processes of the job, each with its partitions: one dies, one is paused, their number changes.

The lake is one, its catalogue in PostgreSQL. A paused owner that wakes up can add repeats to the
tracking topic, and nothing to the lake.
"""

import os
import random
import signal
import time
from functools import partial
from pathlib import Path

import pytest

from flows.ingest_clock import source_of
from flows.kafka.client import KafkaSettings
from flows.logs.kafka import KafkaLog
from tests.support.broker import on_kafka_alone, write
from tests.support.jobs import (
    Job,
    check_ingest,
    check_no_repeats,
    check_route,
    command,
    configured,
    ended,
    has_ingested,
    killed,
    positions,
    said,
    started,
    wait,
    wait_for_lake,
    world_lines,
)
from tests.support.postgres import PostgresServer

pytestmark = [pytest.mark.postgres, on_kafka_alone]
SEED = 20261125


@pytest.fixture
def config(cluster: KafkaSettings, tmp_path: Path, postgres_server: PostgresServer) -> Path:
    return configured(cluster, tmp_path, f'lake_catalogue = "{postgres_server.database()}"')


def one_of(config: Path, processes: int, ordinal: int, monkeypatch: pytest.MonkeyPatch) -> Job:
    """A process as a StatefulSet starts it."""
    monkeypatch.setenv("CROSSDOCK_PROCESSES", str(processes))
    monkeypatch.setenv("CROSSDOCK_ORDINAL", str(ordinal))
    job = command("run", "--config", config)
    monkeypatch.delenv("CROSSDOCK_PROCESSES")
    monkeypatch.delenv("CROSSDOCK_ORDINAL")
    return job


def feed(cluster: KafkaSettings, lines: list[bytes]) -> None:
    """Raw messages on both partitions of the raw topic."""
    write(cluster.bootstrap, cluster.raw[0], [(n % 2, line) for n, line in enumerate(lines)])


def test_one_dies_and_the_other_does_not_notice(
    cluster: KafkaSettings, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    print(f"seed {SEED}")
    moments, lake = random.Random(SEED), tmp_path / "lake"
    good = world_lines(tmp_path / "world", SEED, 1600)
    steady, unsteady = (one_of(config, 2, n, monkeypatch) for n in range(2))
    for n in range(4):
        feed(cluster, good[n * 400 : (n + 1) * 400])
        time.sleep(moments.uniform(2.0, 4.0))
        killed(unsteady)
        wait(partial(_is_beyond, lake, positions(lake).get(0, -1)))
        unsteady = one_of(config, 2, 1, monkeypatch)
    wait(lambda: has_ingested(cluster, good))
    wait(lambda: min(positions(lake).get(p, -1) for p in range(2)) > 0)
    ended(steady)
    ended(unsteady)

    check_ingest(cluster, good, [])
    check_route(cluster, config, tmp_path)
    check_no_repeats(cluster)


def test_a_paused_owner_that_wakes_up_commits_nothing(
    cluster: KafkaSettings, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = tmp_path / "lake"
    good = world_lines(tmp_path / "world", SEED, 1200)
    feed(cluster, good[:400])
    zombie = one_of(config, 1, 0, monkeypatch)
    wait(lambda: max(positions(lake).values(), default=-1) > 0)
    feed(cluster, good[400:800])
    zombie.send_signal(signal.SIGSTOP)
    heir = one_of(config, 1, 0, monkeypatch)
    log = KafkaLog(cluster, cluster.journal)
    wait(lambda: has_ingested(cluster, good[:800]))
    wait_for_lake(lake, log)

    zombie.send_signal(signal.SIGCONT)
    feed(cluster, good[800:])
    _, complaint = zombie.communicate(timeout=180)
    assert zombie.returncode == 2
    assert b"fenced: another process has taken over" in complaint
    assert b"Traceback" not in complaint
    wait(lambda: has_ingested(cluster, good))
    ended(heir)

    check_ingest(cluster, good, [])
    check_route(cluster, config, tmp_path)


def test_their_number_changes(
    cluster: KafkaSettings, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One, two, one: also the ingest process that is gone no longer holds the clock."""
    lake, good = tmp_path / "lake", world_lines(tmp_path / "world", SEED, 900)
    log = KafkaLog(cluster, cluster.journal)
    for n, processes in enumerate((1, 2, 1)):
        feed(cluster, good[n * 300 : (n + 1) * 300])
        jobs = [one_of(config, processes, ordinal, monkeypatch) for ordinal in range(processes)]
        wait(partial(has_ingested, cluster, good[: (n + 1) * 300]))
        wait(lambda: min(positions(lake).get(p, -1) for p in range(log.partitions)) > 0)
        for job in jobs:
            ended(job)
    code, _, complaint = said("retire", "1", "--config", config)

    assert (code, f"{source_of('ingest', 1)} is retired" in complaint) == (0, True)
    check_ingest(cluster, good, [])
    check_route(cluster, config, tmp_path)
    check_no_repeats(cluster)


def test_a_supervisor_starts_again_what_dies(
    cluster: KafkaSettings, config: Path, tmp_path: Path
) -> None:
    lake, good = tmp_path / "lake", world_lines(tmp_path / "world", SEED, 800)
    supervisor = started("--config", config, "--processes", "2")
    feed(cluster, good[:400])
    wait(lambda: min(positions(lake).get(p, -1) for p in range(2)) > 0)
    one = min(_children(supervisor.pid))
    killed_at = max(positions(lake).values())
    os.kill(one, signal.SIGKILL)
    feed(cluster, good[400:])
    wait(lambda: has_ingested(cluster, good))
    wait(lambda: min(positions(lake).values()) > killed_at / 2)
    children = _children(supervisor.pid)
    ended(supervisor)

    assert len(children) == 2
    assert one not in children
    check_ingest(cluster, good, [])
    check_route(cluster, config, tmp_path)
    check_no_repeats(cluster)


def test_what_cannot_work_is_refused(
    cluster: KafkaSettings, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    without = configured(cluster, alone)

    refusals: list[tuple[list[str | Path], str]] = [
        (["--config", config, "--processes", "3"], "has 2 partitions, and each process needs one"),
        (["--config", without, "--processes", "2"], "set lake_catalogue"),
        (["--embedded", "--processes", "2"], "leave out the others"),
    ]
    for words, remedy in refusals:
        code, _, complaint = said("run", *words)
        assert (code, remedy in complaint) == (2, True), complaint
    monkeypatch.setenv("CROSSDOCK_ORDINAL", "1")
    code, _, complaint = said("run", "--config", config)
    assert (code, "of 1 processes the first is 0" in complaint) == (2, True), complaint


def _is_beyond(lake: Path, position: int) -> bool:
    return positions(lake).get(0, -1) > position


def _children(pid: int) -> set[int]:
    """Of a process, on this machine."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.add(int(folder.name))
    return found
