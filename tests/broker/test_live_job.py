"""The deployed job as its operator runs it: in processes of its own, on a cluster, killed and resumed.

The oracle: each raw message is in exactly one of journal and dead letters but for repeats, the lake is
what a plain replay of that journal leaves, and the tracking topic holds every decision of it once.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from flows.guard import Guard
from flows.kafka.client import KafkaSettings
from flows.lake.digest import digest
from flows.lake.query import connect_reader
from flows.logs.kafka import KafkaLog
from flows.logs.parquet import ParquetLog
from flows.public_records import public_records
from flows.recording import record
from models.inference import load_model
from models.routing.fold import RouteState, advance
from schemas.codec import to_lines
from tests.support.broker import all_of, write
from tests.support.runs import recorded_world, route

KILLS = 4
SEED = 20261124
BAD = [b"{", b"no record", b'{"type": "order.received"}']


@pytest.fixture
def config(cluster: KafkaSettings, tmp_path: Path) -> Path:
    """A settings file as an operator writes it."""
    file = tmp_path / "crossdock.toml"
    lines = [f'lake = "{tmp_path / "lake"}"', "tick_seconds = 0.2", "checkpoint_seconds = 0.3"]
    lines += ["[kafka]", f'bootstrap = "{cluster.bootstrap}"', f"raw = {json.dumps(cluster.raw)}"]
    for name in ("journal", "tracking", "dead_letters", "group"):
        lines.append(f'{name} = "{getattr(cluster, name)}"')
    file.write_text("\n".join(lines) + "\n")
    return file


def command(*words: str | Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "flows.cli", *map(str, words)],
        env=os.environ | {"COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def started(*words: str | Path) -> "subprocess.Popen[bytes]":
    """The job, once it says that it runs."""
    process = command("run", *words)
    assert process.stderr is not None
    lines = iter(process.stderr.readline, b"")
    assert any(b"Ctrl-C ends it" in line for line in lines), "it ended while it started"
    return process


def said(*words: str | Path) -> tuple[int, str, str]:
    process = command(*words)
    out, complaint = process.communicate(timeout=120)
    return process.returncode, out.decode(), complaint.decode()


def ended(process: "subprocess.Popen[bytes]") -> None:
    """Ask it to end; it must do so in order and soon."""
    asked = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, complaint = process.communicate(timeout=30)
    assert process.returncode == 0, complaint.decode()
    assert time.monotonic() - asked < 10


def wait(until: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.2)


def positions(lake: Path) -> dict[int, int]:
    if not (lake / "catalog.sqlite").exists():
        return {}
    with connect_reader(lake) as reader:
        return dict(reader.execute("SELECT partition, position FROM positions").fetchall())


def test_a_job_that_is_killed_and_resumed_keeps_its_word(
    cluster: KafkaSettings, config: Path, tmp_path: Path
) -> None:
    print(f"seed {SEED}")
    moments, lake = random.Random(SEED), tmp_path / "lake"
    world = recorded_world(tmp_path / "world", seed=SEED, records=2400, partitions=1)
    good = [
        line for piece in world.read(0) for line in to_lines(piece) if b"clock.ticked" not in line
    ]
    raw = [*good, *BAD]
    for part in _cut(raw, KILLS):
        write(cluster.bootstrap, cluster.raw[0], [(0, value) for value in part])
        process = command("run", "--config", config)
        time.sleep(moments.uniform(2.5, 6.0))
        assert process.poll() is None, process.communicate()[1].decode()
        process.send_signal(signal.SIGKILL)
        process.communicate()
    process = started("--config", config)
    log = KafkaLog(cluster, cluster.journal)
    wait(lambda: len(_of_records(cluster)) >= len(good))
    wait(lambda: all(positions(lake).get(p, -1) > 0 for p in range(log.partitions)))
    ended(process)

    journal = _of_records(cluster)
    assert set(journal) == set(map(_plain, good)), "every message is in the journal"
    assert {v for _, v in all_of(cluster, cluster.dead_letters)} == set(BAD)
    archive = tmp_path / "archive"
    record(log, archive, guard=Guard(), to_end=True)
    final = started("--config", config, "--only", "route")
    wait(lambda: all(positions(lake).get(p, -1) == log.end(p) - 1 for p in range(log.partitions)))
    ended(final)
    route(ParquetLog(archive), tmp_path / "replayed")
    assert digest([lake]) == digest([tmp_path / "replayed"])
    published = sorted(v for _, v in all_of(cluster, cluster.tracking))
    assert published == sorted(_told(ParquetLog(archive), log))


def test_an_operator_sees_and_mends(cluster: KafkaSettings, config: Path, tmp_path: Path) -> None:
    write(cluster.bootstrap, cluster.raw[0], [(0, value) for value in BAD])
    process = started("--config", config)
    wait(lambda: len(all_of(cluster, cluster.dead_letters)) == len(BAD))
    wait(lambda: len(positions(tmp_path / "lake")) > 0)
    ended(process)

    code, out, _ = said("dead-letters", "list", "--config", config, "--json")
    assert code == 0
    assert sum(msgspec.json.decode(line)["letters"] for line in out.splitlines()) == len(BAD)
    code, out, _ = said("dead-letters", "show", "--config", config, "--limit", "2")
    assert code == 0
    assert "SCHEMA_INVALID" in out
    code, _, complaint = said("dead-letters", "resend", "--config", config, "--dry-run")
    assert (code, "0 of 3 dead letters would be sent" in complaint) == (0, True)
    code, _, complaint = said("dead-letters", "resend", "--config", config, "--all")
    assert (code, "3 of 3 dead letters sent" in complaint) == (0, True)
    code, out, _ = said("status", "--config", config, "--json")
    assert code == 0
    lag = {(r["topic"], r["partition"]): r["lag"] for r in msgspec.json.decode(out)["lag"]}
    assert sum(n for (topic, _), n in lag.items() if topic in cluster.raw) == len(BAD)


def _cut(values: list[bytes], parts: int) -> list[list[bytes]]:
    size = -(-len(values) // parts)
    return [values[n : n + size] for n in range(0, len(values), size)]


def _plain(line: bytes) -> bytes:
    """A record without the time it was learnt, in one order of its fields."""
    body = msgspec.json.decode(line)
    body.pop("recordedtime", None)
    return msgspec.json.encode(body, order="sorted")


def _of_records(cluster: KafkaSettings) -> list[bytes]:
    """The records of the journal but for ticks."""
    return [_plain(v) for _, v in all_of(cluster, cluster.journal) if b"clock.ticked" not in v]


def _told(archive: ParquetLog, log: KafkaLog) -> list[bytes]:
    """What the tracking topic must hold."""
    found = []
    for partition in range(archive.partitions):
        state = RouteState(partition)
        for piece in archive.read(partition):
            effects = advance(state, piece, lambda sha256: load_model(None, sha256))
            found += [r.value for r in public_records(effects, log.id)]
    return found
