"""The deployed job as its operator runs it: in processes of its own, on a cluster; and its oracle."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from flows.guard import Guard
from flows.kafka.client import KafkaSettings
from flows.lake.digest import digest
from flows.lake.layout import Flow
from flows.lake.query import connect_reader
from flows.logs.kafka import KafkaLog
from flows.logs.parquet import ParquetLog
from flows.public_records import public_records
from flows.recording import record
from models.inference import load_model
from models.routing.fold import RouteState, advance
from schemas.codec import to_lines
from schemas.errors import LakeError
from schemas.topics import LogOf
from tests.support.broker import all_of
from tests.support.runs import recorded_world, route, track

BY_TRACKER = "crossdock-track/"
"""How the source of what the tracker wants begins."""
Job = subprocess.Popen[bytes]
_started: list[Job] = []


def kills(usual: int) -> int:
    """How often a test kills; a night has time for more (``make nightly``)."""
    return int(os.environ.get("CROSSDOCK_TEST_KILLS", usual))


def seed(usual: int) -> int:
    """Of all that is random in a test; printed, and given again to see the same."""
    found = int(os.environ.get("CROSSDOCK_TEST_SEED", usual))
    print(f"seed {found}: CROSSDOCK_TEST_SEED={found} repeats it")
    return found


def configured(cluster: KafkaSettings, folder: Path, *lines: str) -> Path:
    """A settings file as an operator writes it; the lake is ``folder/lake``."""
    file = folder / "crossdock.toml"
    first = [
        f'lake = "{folder / "lake"}"',
        "tick_seconds = 0.2",
        "checkpoint_seconds = 0.3",
        *lines,
    ]
    kafka = ["[kafka]", f'bootstrap = "{cluster.bootstrap}"', f"raw = {json.dumps(cluster.raw)}"]
    names = ("journal", "tracking", "dead_letters", "xref", "waiting", "group")
    kafka += [f'{name} = "{getattr(cluster, name)}"' for name in names]
    kafka += ["[kafka.client]", *(f'"{k}" = {json.dumps(v)}' for k, v in cluster.client.items())]
    file.write_text("\n".join([*first, *kafka]) + "\n")
    return file


def command(*words: str | Path, stdout: int | None = None) -> Job:
    """The command line as a user types it; its log is the test's own output, lest a pipe fill up."""
    job = subprocess.Popen(
        [sys.executable, "-m", "flows.cli", *map(str, words)],
        env=os.environ | {"COLUMNS": "200"},
        stdout=stdout,
        stderr=subprocess.PIPE,
    )
    _started.append(job)
    return job


def end_all() -> None:
    """End what a test that failed has left behind."""
    while _started:
        job = _started.pop()
        if job.poll() is None:
            job.terminate()
            job.send_signal(signal.SIGCONT)
            try:
                job.communicate(timeout=180)
            except subprocess.TimeoutExpired:
                job.kill()
        for stream in (job.stdout, job.stderr):
            if stream is not None:
                stream.close()


def started(*words: str | Path) -> Job:
    """The job, once it says that it runs."""
    process = command("run", *words)
    assert process.stderr is not None
    lines = iter(process.stderr.readline, b"")
    assert any(b"Ctrl-C ends it" in line for line in lines), "it ended while it started"
    return process


def said(*words: str | Path) -> tuple[int, str, str]:
    """Exit code and both outputs of a command that ends by itself."""
    process = command(*words, stdout=subprocess.PIPE)
    out, complaint = process.communicate(timeout=120)
    return process.returncode, out.decode(), complaint.decode()


def ended(process: Job) -> None:
    """Ask it to end; it must do so in order. (How soon is measured in ``bench``.)"""
    process.send_signal(signal.SIGTERM)
    _, complaint = process.communicate(timeout=120)
    assert process.returncode == 0, complaint.decode()


def given_up(process: Job) -> str:
    """Ask it to end while the brokers are away; it must not wait for them. What it said at last."""
    process.send_signal(signal.SIGTERM)
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == 2, complaint.decode()
    return complaint.decode().splitlines()[-1]


def killed(process: Job) -> None:
    """End it as a power cut would; it must have been running."""
    assert process.poll() is None, process.communicate()[1].decode()
    process.send_signal(signal.SIGKILL)
    process.communicate()


def wait(until: Callable[[], bool], seconds: float = 180) -> None:
    """Until it has come about."""
    deadline = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.2)


def positions(lake: Path) -> dict[int, int]:
    """How far the lake goes, by partition."""
    try:
        with connect_reader(lake) as reader:
            return dict(reader.execute("SELECT partition, position FROM positions").fetchall())
    except LakeError as error:
        if "is no lake" in str(error):
            return {}
        raise


def wait_for_lake(lake: Path, log: KafkaLog, flow: Flow = Flow.ROUTE) -> None:
    """Until the lake has everything that the flow's log holds now."""
    ends = [log.end(p) for p in range(log.partitions)]
    first = flow.first_partition

    def has_all() -> bool:
        found = positions(lake)
        return all(found.get(first + p, -1) >= end - 1 for p, end in enumerate(ends))

    wait(has_all)


def world_lines(folder: Path, seed: int, records: int) -> list[bytes]:
    """So many messages of a hostile world, as producers would send them."""
    world = recorded_world(folder, seed=seed, records=records, partitions=1)
    lines = [line for piece in world.read(0) for line in to_lines(piece)]
    kept = [line for line in lines if b"clock.ticked" not in line]
    return kept[:records]


def of_records(cluster: KafkaSettings) -> list[bytes]:
    """What others sent to the journal, without the time it was learnt: no ticks, nor what the tracker wants."""
    lines = (value for _, value in all_of(cluster, cluster.journal))
    return [_plain(line) for line in lines if b"clock.ticked" not in line and not is_wish(line)]


def is_wish(line: bytes) -> bool:
    """Whether the tracker asks the router to decide again."""
    return f'"{BY_TRACKER}'.encode() in line


def wished(lake: Path) -> set[str]:
    """Ids of what the tracker wants decided again, by its actions."""
    with connect_reader(lake) as connection:
        found = connection.execute("SELECT record_id FROM actions WHERE action = 'REROUTE'")
        return {name for (name,) in found.fetchall()}


def has_ingested(cluster: KafkaSettings, good: Sequence[bytes]) -> bool:
    """Whether the journal has all of these."""
    return set(map(_plain, good)) <= set(of_records(cluster))


def check_ingest(cluster: KafkaSettings, good: Sequence[bytes], bad: Sequence[bytes]) -> None:
    """Each message is in exactly one of journal and dead letters, but for repeats."""
    assert set(of_records(cluster)) == set(map(_plain, good)), "every message is in the journal"
    assert {v for _, v in all_of(cluster, cluster.dead_letters)} == set(bad)


def check_route(cluster: KafkaSettings, config: Path, folder: Path) -> None:
    """Lake and tracking topic are those of a plain replay of the two logs that the run left.

    Routes and tracks the rest of them first; no job may be running.
    """
    log, lake = KafkaLog(cluster, cluster.journal), folder / "lake"
    record(log, folder / "archive", guard=Guard(), to_end=True)
    final = started("--config", config, "--only", "route")
    wait_for_lake(lake, log)
    ended(final)
    tracking = KafkaLog(cluster, cluster.tracking, LogOf.TRACKING)
    record(tracking, folder / "tracking", guard=Guard(), to_end=True)
    final = started("--config", config, "--only", "track")
    wait_for_lake(lake, tracking, Flow.TRACK)
    ended(final)
    archive = ParquetLog(folder / "archive")
    route(archive, folder / "replayed")
    track(ParquetLog(folder / "tracking"), folder / "replayed")
    assert digest([lake]) == digest([folder / "replayed"])
    published = {_identity(value): value for value in _published(cluster)}
    told = {_identity(value): value for value in _told(archive, log)}
    assert sorted(published) == sorted(told), "every decision is on the topic"
    assert published == told
    sent = (value for topic in cluster.raw for _, value in all_of(cluster, topic))
    asked = {_identity(value)[1] for value in sent if is_wish(value)}
    assert wished(lake) <= asked, "every wish to decide again is on its way to the journal"


def check_clock(cluster: KafkaSettings, written_at: Mapping[bytes, float]) -> None:
    """No tick came before a record that was on the raw topic at the time of the tick."""
    written = {_plain(line): at for line, at in written_at.items()}
    ticked: dict[int, float] = {}
    for partition, line in all_of(cluster, cluster.journal):
        if b"clock.ticked" in line:
            at = datetime.fromisoformat(msgspec.json.decode(line)["data"]["at"]).timestamp()
            ticked[partition] = max(at, ticked.get(partition, 0.0))
        elif (first := _plain(line)) in written:  # a repeat may come later
            assert ticked.get(partition, 0.0) <= written.pop(first), line
    assert len(ticked) > 0, "the clock never ticked"


def has_ticked_since(cluster: KafkaSettings, moment: float) -> bool:
    """Whether the clock has gone on after this moment of the wall clock."""
    return any(
        datetime.fromisoformat(msgspec.json.decode(line)["data"]["at"]).timestamp() > moment
        for _, line in all_of(cluster, cluster.journal)
        if b"clock.ticked" in line
    )


def check_no_repeats(cluster: KafkaSettings) -> None:
    """No decision is on the tracking topic twice."""
    found = [_identity(value) for value in _published(cluster)]
    assert len(found) == len(set(found))


def _published(cluster: KafkaSettings) -> list[bytes]:
    """What the router wrote to the tracking topic."""
    lines = [value for _, value in all_of(cluster, cluster.tracking)]
    return [line for line in lines if _identity(line)[0].startswith("crossdock-route/")]


def _identity(line: bytes) -> tuple[str, str]:
    body = msgspec.json.decode(line)
    return body["source"], body["id"]


def _plain(line: bytes) -> bytes:
    """A record without the time it was learnt, in one order of its fields."""
    body = msgspec.json.decode(line)
    body.pop("recordedtime", None)
    return msgspec.json.encode(body, order="sorted")


def _told(archive: ParquetLog, log: KafkaLog) -> list[bytes]:
    """What the tracking topic must hold."""
    found = []
    for partition in range(archive.partitions):
        state = RouteState(partition)
        for piece in archive.read(partition):
            effects = advance(state, piece, lambda sha256: load_model(None, sha256))
            found += [r.value for r in public_records(effects, log.id)]
    return found
