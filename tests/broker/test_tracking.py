"""Decisions on the tracking topic: every one, once, in the order of their causes, after any restart."""

import shutil
import time
from collections import defaultdict
from pathlib import Path

import msgspec
import pytest

from flows.folding import run
from flows.kafka.client import KafkaSettings
from flows.lake.query import connect_reader
from flows.logs.kafka import KafkaLog, KafkaSource
from flows.logs.log import ReadSlice
from flows.logs.parquet import ParquetLog
from flows.public_records import public_records
from flows.route import RouteJob
from flows.settings import Settings
from flows.track import TrackJob
from models.inference import load_model
from models.routing.fold import RouteState, advance
from schemas.codec import to_lines
from schemas.topics import LogOf
from tests.support.broker import all_of, write
from tests.support.runs import recorded_world

PARTITIONS = 2


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> ParquetLog:
    return recorded_world(tmp_path_factory.mktemp("log") / "log", 12, 700, PARTITIONS)


@pytest.fixture
def journal(cluster: KafkaSettings, recording: ParquetLog) -> KafkaSettings:
    """A cluster whose journal is the recording."""
    for partition in range(PARTITIONS):
        lines = [v for piece in recording.read(partition) for v in to_lines(piece)]
        write(cluster.bootstrap, cluster.journal, [(partition, line) for line in lines])
    return cluster


def route(
    settings: KafkaSettings, lake: Path, share: float, checkpoint_seconds: float = 3600
) -> None:
    """Route the first part of the journal, publishing what is decided."""
    log = KafkaLog(settings, settings.journal)
    job = RouteJob.open(
        log, lake, settings=Settings(checkpoint_seconds=checkpoint_seconds), tracking=settings
    )
    ends = {p: int(log.end(p) * share) for p in job.starts}
    run(KafkaSource(log, job.starts, ends=ends, slice_records=32, guard=job.guard), job)


def published(settings: KafkaSettings) -> dict[int, list[bytes]]:
    """Every message of the tracking topic by journal partition, in topic order."""
    found: dict[int, list[bytes]] = defaultdict(list)
    for _, value in all_of(settings, settings.tracking):
        found[int(msgspec.json.decode(value)["id"].split("/")[0])].append(value)
    return found


def told_by_the_fold(settings: KafkaSettings, recording: ParquetLog) -> dict[int, list[bytes]]:
    log_id = KafkaLog(settings, settings.journal).id
    found = {}
    for partition in range(PARTITIONS):
        state = RouteState(partition)
        found[partition] = [
            record.value
            for piece in recording.read(partition)
            for record in public_records(
                advance(state, piece, lambda sha256: load_model(None, sha256)), log_id
            )
        ]
    return found


def test_every_decision_is_published_once_in_order(
    journal: KafkaSettings, recording: ParquetLog, tmp_path: Path
) -> None:
    route(journal, tmp_path / "lake", 1.0)

    found, expected = published(journal), told_by_the_fold(journal, recording)
    assert {p: sorted(v) for p, v in found.items()} == {p: sorted(v) for p, v in expected.items()}
    subjects: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for values in found.values():
        for event in map(msgspec.json.decode, values):
            partition, position, index = map(int, event["id"].split("/"))
            key = f"{partition}/{event['network']}/{event['subject']}"
            subjects[key].append((position, index))
    assert all(causes == sorted(causes) for causes in subjects.values())


@pytest.mark.parametrize("kept", ["checkpoints", "no checkpoint", "no lake"])
def test_a_restart_repeats_nothing_and_leaves_nothing_out(
    journal: KafkaSettings, recording: ParquetLog, tmp_path: Path, kept: str
) -> None:
    lake = tmp_path / "lake"
    route(journal, lake, 0.3, checkpoint_seconds=0.01)
    route(journal, lake, 0.6, checkpoint_seconds=0.01)
    if kept == "no checkpoint":
        shutil.rmtree(lake / "state")
    if kept == "no lake":
        shutil.rmtree(lake)

    route(journal, lake, 1.0)

    found, expected = published(journal), told_by_the_fold(journal, recording)
    assert {p: sorted(v) for p, v in found.items()} == {p: sorted(v) for p, v in expected.items()}


def test_no_checkpoint_is_ahead_of_the_topic(
    journal: KafkaSettings, recording: ParquetLog, tmp_path: Path
) -> None:
    state = tmp_path / "lake" / "state"
    job = RouteJob.open(
        recording, tmp_path / "lake", settings=Settings(checkpoint_seconds=0.01), tracking=journal
    )
    assert job.publisher is not None
    piece = next(recording.read(0))
    reads = [ReadSlice(piece.cut(at, at + 20), time.monotonic()) for at in range(0, 80, 20)]

    first = job.advance(reads[0])
    time.sleep(0.05)
    second = job.advance(reads[1])
    third = job.advance(reads[2])
    job.checkpoints.wait()
    early = list(state.rglob("*.checkpoint"))
    for effects in (first, second, third):
        job.publisher.put(effects)
    job.advance(reads[3])
    job.checkpoints.wait()
    (taken,) = state.rglob("*.checkpoint")
    job.abort()

    assert not early
    assert int(taken.name.split("-")[0]) == third.position


def test_whose_an_order_is_arrives_in_the_tracker(journal: KafkaSettings, tmp_path: Path) -> None:
    route(journal, tmp_path / "lake", 1.0)
    log = KafkaLog(journal, journal.tracking, LogOf.TRACKING)
    job = TrackJob.open(log, tmp_path / "tracked", settings=Settings(checkpoint_seconds=3600))
    ends = {p: log.end(p) for p in job.starts}

    run(KafkaSource(log, job.starts, ends=ends, guard=job.guard), job)

    found = {}
    for state in job.states.values():
        words = list(state.words)
        for key, row in zip(state.keys, state.orders, strict=False):
            if row["revision"]:  # of the others only a deviation was told
                customer = words[row["customer"]] if row["customer"] >= 0 else None
                found[key] = int(row["revision"]), customer, words[row["tier"]]
    with connect_reader(tmp_path / "lake") as connection:
        decided = connection.execute(
            """
            SELECT concat_ws('/', tenant, network, order_id), max(revision),
                last(customer ORDER BY revision, position), last(tier ORDER BY revision, position)
            FROM decisions WHERE kind <> 'SHADOW' GROUP BY 1
            """
        ).fetchall()
    assert {key: tuple(of) for key, *of in decided} == found
    assert len({customer for _, customer, _ in found.values()}) > 2
