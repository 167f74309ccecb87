"""A topic archived as a recorded log, and a recorded log sent to a topic."""

from pathlib import Path

import pytest

from flows.guard import Guard
from flows.journals import KafkaJournal
from flows.kafka.client import KafkaSettings
from flows.lake.digest import digest
from flows.logs.kafka import KafkaLog
from flows.logs.parquet import ParquetLog, read_dead_letters, write_log
from flows.recording import record, send
from schemas.codec import to_lines
from schemas.errors import LogError
from schemas.topics import LogOf
from tests.support.broker import write
from tests.support.journeys import records, with_policies
from tests.support.runs import recorded_world, route

PARTITIONS = 2


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> ParquetLog:
    return recorded_world(tmp_path_factory.mktemp("log") / "log", 13, 600, PARTITIONS)


def lines(log: ParquetLog, partition: int) -> list[bytes]:
    return [line for piece in log.read(partition) for line in to_lines(piece)]


def archive(cluster: KafkaSettings, out: Path) -> int:
    return record(KafkaLog(cluster, cluster.journal), out, guard=Guard(), to_end=True)


def test_a_log_sent_and_recorded_again_leaves_the_same_lake(
    cluster: KafkaSettings, recording: ParquetLog, tmp_path: Path
) -> None:
    sent = send(recording, KafkaJournal(cluster), None)

    taken = archive(cluster, tmp_path / "archive")

    assert sent == taken == len(recording)
    again = ParquetLog(tmp_path / "archive")
    assert [lines(again, p) for p in range(PARTITIONS)] == [
        lines(recording, p) for p in range(PARTITIONS)
    ]
    route(recording, tmp_path / "one")
    route(again, tmp_path / "two")
    assert digest([tmp_path / "one"]) == digest([tmp_path / "two"])


def test_a_recording_goes_on_where_it_stopped(
    cluster: KafkaSettings, recording: ParquetLog, tmp_path: Path
) -> None:
    every = [(p, line) for p in range(PARTITIONS) for line in lines(recording, p)]
    bad = [(0, b"no record"), (1, b"{}")]
    for part in (every[:100], bad, every[100:250], [], bad[:1], every[250:]):
        write(cluster.bootstrap, cluster.journal, part)
        archive(cluster, tmp_path / "archive")

    again = ParquetLog(tmp_path / "archive")
    kept = [lines(again, p) for p in range(PARTITIONS)]
    letters = read_dead_letters(again.path)
    assert kept == [lines(recording, p) for p in range(PARTITIONS)]
    assert letters is not None
    assert sorted(letters["raw"].to_pylist()) == [b"no record", b"no record", b"{}"]


def test_a_recording_of_another_topic_is_refused(
    cluster: KafkaSettings, recording: ParquetLog, tmp_path: Path
) -> None:
    write(cluster.bootstrap, cluster.journal, [(0, lines(recording, 0)[0])])
    archive(cluster, tmp_path / "archive")
    other = cluster.model_copy(update={"journal": cluster.tracking})

    with pytest.raises(LogError, match="is no recording of topic"):
        archive(other, tmp_path / "archive")


def test_a_tracking_log_goes_to_its_topic_and_comes_back(
    cluster: KafkaSettings, tmp_path: Path
) -> None:
    events = with_policies(records(3), 3)
    log = write_log(tmp_path / "log", events, of=LogOf.TRACKING, partitions=PARTITIONS)

    send(log, KafkaJournal(cluster, of=LogOf.TRACKING), None)
    topic = KafkaLog(cluster, cluster.tracking, LogOf.TRACKING)
    record(topic, tmp_path / "archive", guard=Guard(), to_end=True)

    again = ParquetLog(tmp_path / "archive")
    assert again.of is LogOf.TRACKING
    assert [lines(again, p) for p in range(PARTITIONS)] == [
        lines(log, p) for p in range(PARTITIONS)
    ]
