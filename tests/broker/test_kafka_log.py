"""A topic read as a log: the same lake as from a recording, whatever arrives in between."""

import threading
import time
from pathlib import Path

import pytest
from pydantic import ValidationError

from flows.folding import run
from flows.kafka.client import KafkaSettings
from flows.lake.digest import digest
from flows.lake.query import connect_reader
from flows.logs.kafka import KafkaLog, KafkaSource
from flows.logs.parquet import ParquetLog
from flows.route import RouteJob
from schemas.codec import to_lines
from schemas.errors import BrokerError, LogError
from schemas.tables import Table
from tests.support.broker import MockBroker, write
from tests.support.runs import recorded_world, route

PARTITIONS = 2
Messages = list[tuple[int, bytes | None]]
Digest = dict[Table, tuple[int, str]]


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> ParquetLog:
    return recorded_world(tmp_path_factory.mktemp("log") / "log", 11, 900, PARTITIONS)


@pytest.fixture(scope="module")
def expected(recording: ParquetLog, tmp_path_factory: pytest.TempPathFactory) -> Digest:
    """Digests of the lake that the recording leaves."""
    lake = tmp_path_factory.mktemp("expected") / "lake"
    route(recording, lake)
    return digest([lake])


def messages(log: ParquetLog) -> Messages:
    return [
        (partition, line)
        for partition in range(log.partitions)
        for piece in log.read(partition)
        for line in to_lines(piece)
    ]


def route_topic(
    cluster: KafkaSettings, lake: Path, slice_records: int = 256, pause_seconds: float = 0.0
) -> None:
    """Route what the journal holds now."""
    log = KafkaLog(cluster, cluster.journal)
    job = RouteJob.open(log, lake)
    ends = {p: log.end(p) for p in job.starts}
    source = KafkaSource(
        log, job.starts, ends=ends, slice_records=slice_records, guard=job.guard,
        done=job.writer.high_water, pause_seconds=pause_seconds,
    )  # fmt: skip
    try:
        run(source, job)
    except BaseException:
        job.abort()
        raise


@pytest.mark.parametrize(("slice_records", "pause_seconds"), [(7, 0.0), (100, 0.05), (4096, 0.0)])
def test_a_topic_leaves_the_lake_that_its_recording_leaves(
    cluster: KafkaSettings,
    recording: ParquetLog,
    expected: Digest,
    tmp_path: Path,
    slice_records: int,
    pause_seconds: float,
) -> None:
    write(cluster.bootstrap, cluster.journal, messages(recording))

    route_topic(cluster, tmp_path / "lake", slice_records, pause_seconds)

    assert digest([tmp_path / "lake"]) == expected


def test_after_a_read_of_less_than_a_slice_more_is_awaited(
    cluster: KafkaSettings, recording: ParquetLog
) -> None:
    first, second, *_ = [one for one in messages(recording) if one[0] == 0]
    log = KafkaLog(cluster, cluster.journal)
    reader = KafkaSource(log, {0: log.end(0)}, pause_seconds=3600.0).build("read", 0, 1)
    write(cluster.bootstrap, cluster.journal, [first, second])

    reader.due = 0.0
    while not (read := reader.next_batch()):
        reader.due = 0.0
    write(cluster.bootstrap, cluster.journal, [first])
    awaited = [reader.next_batch() for _ in range(100)]
    reader.close()

    assert read
    assert awaited == [[]] * 100


def test_a_topic_read_in_two_runs_leaves_the_same_lake(
    cluster: KafkaSettings, recording: ParquetLog, expected: Digest, tmp_path: Path
) -> None:
    every = messages(recording)
    half = [m for p in range(PARTITIONS) for m in [n for n in every if n[0] == p][:200]]
    rest = [m for p in range(PARTITIONS) for m in [n for n in every if n[0] == p][200:]]

    write(cluster.bootstrap, cluster.journal, half)
    route_topic(cluster, tmp_path / "lake")
    write(cluster.bootstrap, cluster.journal, rest)
    route_topic(cluster, tmp_path / "lake")

    assert digest([tmp_path / "lake"]) == expected


def test_a_message_that_is_no_record_is_a_dead_letter_with_its_bytes(
    cluster: KafkaSettings, recording: ParquetLog, tmp_path: Path
) -> None:
    good = [value for partition, value in messages(recording) if partition == 0]
    bad = [b"", None, b"\xff\xfe", b'{"type": "order.received"}', b"[" * 100_000, b"null"]
    mixed: Messages = [(0, v) for v in (bad[0], *good[:50], *bad[1:4], *good[50:90], *bad[4:])]
    stray = next(v for v in good if v and b"order.received" in v)
    write(cluster.bootstrap, cluster.journal, [*mixed, (1, stray)])

    route_topic(cluster, tmp_path / "lake", slice_records=16)

    with connect_reader(tmp_path / "lake") as reader:
        found = reader.execute(
            "SELECT partition, position, reason, raw FROM dead_letters WHERE raw IS NOT NULL "
            "ORDER BY ALL"
        ).fetchall()
        positions = reader.execute("SELECT position FROM positions ORDER BY partition").fetchall()
    places = [0, 51, 52, 53, 94, 95]
    letters = zip(places, [value or b"" for value in bad], strict=True)
    assert found == [
        *((0, at, "SCHEMA_INVALID", raw) for at, raw in letters),
        (1, 0, "WRONG_PARTITION", stray),
    ]
    assert positions == [(95,), (0,)]


def test_a_broker_that_goes_away_and_comes_back_changes_nothing(
    mock: MockBroker, mocked: KafkaSettings, recording: ParquetLog, expected: Digest, tmp_path: Path
) -> None:
    write(mocked.bootstrap, mocked.journal, messages(recording))

    def disturb() -> None:
        for _ in range(3):
            time.sleep(0.05)
            mock.down()
            time.sleep(0.3)
            mock.up()
            mock.slow(20)

    disturber = threading.Thread(target=disturb)
    log = KafkaLog(mocked, mocked.journal)
    job = RouteJob.open(log, tmp_path / "lake")
    ends = {p: log.end(p) for p in job.starts}
    disturber.start()
    run(KafkaSource(log, job.starts, ends=ends, slice_records=8, guard=job.guard), job)
    disturber.join()

    assert digest([tmp_path / "lake"]) == expected


def test_a_topic_that_ends_too_early_stops_the_job_by_name(
    cluster: KafkaSettings, recording: ParquetLog
) -> None:
    of_first = [message for message in messages(recording) if message[0] == 0]
    write(cluster.bootstrap, cluster.journal, of_first[:40])
    log = KafkaLog(cluster, cluster.journal)

    with pytest.raises(LogError, match="journal/0 ends at 40, but position 77"):
        KafkaSource(log, {0: 77, 1: 0}).build("read_log", 0, 1)


def test_a_topic_that_is_not_there_is_one_clear_line(cluster: KafkaSettings) -> None:
    with pytest.raises(BrokerError, match="has no topic elsewhere"):
        KafkaLog(cluster, "elsewhere")


@pytest.mark.parametrize("raw", [[], [""]])
def test_there_is_a_raw_topic(raw: list[str]) -> None:
    with pytest.raises(ValidationError, match="raw"):
        KafkaSettings(bootstrap="127.0.0.1:1", raw=raw)


def test_an_option_that_promises_stand_on_is_not_to_be_set() -> None:
    with pytest.raises(ValidationError, match=r"enable\.idempotence: not to be set"):
        KafkaSettings(bootstrap="127.0.0.1:1", client={"enable.idempotence": False})


def test_a_refused_option_is_named_and_no_value_is_shown() -> None:
    wrong = KafkaSettings(
        bootstrap="127.0.0.1:1", client={"sasl.password": "hunter2", "security.protocol": "hunter2"}
    )

    with pytest.raises(BrokerError) as caught:
        KafkaLog(wrong, "any")

    assert "security.protocol" in str(caught.value)
    assert "hunter2" not in str(caught.value) + repr(wrong)
