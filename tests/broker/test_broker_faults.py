"""The live job while its brokers are away, slow, or answer with errors."""

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, KafkaException

from flows.guard import Guard
from flows.kafka.client import KafkaSettings, asked
from flows.kafka.producer import ReliableProducer
from schemas.errors import BrokerError
from tests.broker.server.process import KafkaServer
from tests.support.broker import Feed, MockBroker, write
from tests.support.jobs import (
    check_clock,
    check_ingest,
    check_no_repeats,
    check_route,
    configured,
    ended,
    given_up,
    has_ingested,
    has_ticked_since,
    of_records,
    said,
    seed,
    started,
    wait,
    world_lines,
)

SEED = 20261125
RECORDS = 800
PRODUCE, FETCH, LIST_OFFSETS, OFFSET_COMMIT = 0, 1, 2, 8
OUT_OF_RANGE, NOT_LEADER, TIMED_OUT, NO_COORDINATOR = 1, 6, 7, 15
REQUEST_ERRORS = [
    (PRODUCE, NOT_LEADER),
    (PRODUCE, TIMED_OUT),
    (FETCH, NOT_LEADER),
    (FETCH, TIMED_OUT),
    (LIST_OFFSETS, NOT_LEADER),
    (LIST_OFFSETS, TIMED_OUT),
    (OFFSET_COMMIT, TIMED_OUT),
    (OFFSET_COMMIT, NO_COORDINATOR),
]
Disturb = Callable[[random.Random], None]


def survives(cluster: KafkaSettings, folder: Path, disturb: Disturb) -> None:
    """A job ingests and routes what is written meanwhile, and is not started again."""
    chosen = seed(SEED)
    good, config = world_lines(folder / "world", chosen, RECORDS), configured(cluster, folder)
    process = started("--config", config)
    with Feed(cluster, good, seconds=10.0) as feed:
        disturb(random.Random(chosen))
        calm = time.time()
    wait(lambda: process.poll() is not None or has_ticked_since(cluster, calm))
    wait(lambda: process.poll() is not None or has_ingested(cluster, good))
    assert process.poll() is None, process.communicate()
    ended(process)

    check_ingest(cluster, good, [])
    check_clock(cluster, feed.written_at)
    check_route(cluster, config, folder)


@pytest.mark.broker
def test_a_kafka_that_is_killed_and_one_that_hangs_cost_nothing(
    server: KafkaServer, served: KafkaSettings, tmp_path: Path
) -> None:
    def disturb(moments: random.Random) -> None:
        for _ in range(2):
            time.sleep(moments.uniform(0.2, 1.5))
            server.kill()
            time.sleep(moments.uniform(0.0, 1.0))
            server.start()
            time.sleep(moments.uniform(0.2, 1.5))
            server.pause()
            time.sleep(4.0)
            server.resume()

    survives(served, tmp_path, disturb)

    check_no_repeats(served)


def test_a_broker_that_goes_away_answers_late_or_with_errors_costs_nothing(
    mock: MockBroker, mocked: KafkaSettings, tmp_path: Path
) -> None:
    def disturb(moments: random.Random) -> None:
        for _ in range(3):
            time.sleep(moments.uniform(0.1, 0.6))
            mock.down()
            time.sleep(moments.uniform(0.5, 2.0))
            mock.up()
        mock.slow(200)
        time.sleep(1.5)
        mock.slow(0)
        for request, error in moments.sample(REQUEST_ERRORS, len(REQUEST_ERRORS)):
            mock.fail(request, [error] * moments.randint(1, 4))
            time.sleep(moments.uniform(0.1, 0.4))

    one_by_one = {"max.in.flight.requests.per.connection": 1}
    survives(mocked.model_copy(update={"client": one_by_one}), tmp_path, disturb)


def test_a_position_out_of_range_is_a_loud_stop_and_nothing_is_skipped(
    mock: MockBroker, mocked: KafkaSettings, tmp_path: Path
) -> None:
    good, config = world_lines(tmp_path / "world", seed(SEED), 300), configured(mocked, tmp_path)
    write(mocked.bootstrap, mocked.raw[0], [(0, line) for line in good])
    ingesting = started("--config", config, "--only", "ingest")
    wait(lambda: has_ingested(mocked, good))
    ended(ingesting)

    mock.fail(FETCH, [OUT_OF_RANGE])
    code, _, complaint = said("run", "--config", config, "--only", "route")

    assert code == 2
    assert any(name in complaint.splitlines()[-1] for name in (mocked.journal, mocked.tracking))
    check_ingest(mocked, good, [])
    check_route(mocked, config, tmp_path)


def test_a_job_ends_while_nothing_that_it_read_can_be_written(
    mock: MockBroker, mocked: KafkaSettings, tmp_path: Path
) -> None:
    good = world_lines(tmp_path / "world", seed(SEED), 300)
    one_by_one = {"max.in.flight.requests.per.connection": 1}
    config = configured(mocked.model_copy(update={"client": one_by_one}), tmp_path)
    write(mocked.bootstrap, mocked.raw[0], [(0, line) for line in good])
    mock.fail(PRODUCE, [NOT_LEADER] * 10_000)
    process = started("--config", config)
    time.sleep(1.0)
    mock.down()

    line = given_up(process)

    assert "messages are not written; nothing is lost" in line
    mock.up()
    mock.mend(PRODUCE)
    assert of_records(mocked) == []
    process = started("--config", config)
    wait(lambda: has_ingested(mocked, good))
    ended(process)
    check_ingest(mocked, good, [])
    check_route(mocked, config, tmp_path)


def test_a_wait_for_brokers_is_no_hang_and_ends_when_the_flow_is_to_end(
    mock: MockBroker, mocked: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.guard.PATIENCE_SECONDS", 0.5)
    guard = Guard()
    producer = ReliableProducer(mocked, guard)
    mock.down()
    producer.put(mocked.journal, 0, b"key", b"value")
    asked = threading.Timer(1.0, guard.stop)
    began = time.monotonic()
    asked.start()

    with pytest.raises(BrokerError, match="is away: 1 messages are not written; nothing is lost"):
        producer.flush()

    asked.join()
    assert guard.entered_at is not None
    assert guard.entered_at > began + 1.4, "/health would say that nothing moves"
    assert time.monotonic() < began + 3.0


@pytest.mark.broker
@pytest.mark.parametrize("fault", ["killed", "paused"])
def test_a_job_ends_while_its_kafka_is_away(
    server: KafkaServer, served: KafkaSettings, tmp_path: Path, fault: str
) -> None:
    if fault == "killed":
        ends_without(served, tmp_path, server.kill, server.start)
    else:
        ends_without(served, tmp_path, server.pause, server.resume)
    check_no_repeats(served)


def ends_without(
    cluster: KafkaSettings, folder: Path, away: Callable[[], None], back: Callable[[], None]
) -> None:
    """Asked to end while it has much to write and nobody takes it; goes on when it is started again."""
    good, config = world_lines(folder / "world", seed(SEED), RECORDS), configured(cluster, folder)
    process = started("--config", config)
    with Feed(cluster, good, seconds=3.0):
        time.sleep(1.5)
        away()
        time.sleep(0.5)
        line = given_up(process)
        back()

    assert line.startswith(f"crossdock: Kafka at {cluster.bootstrap}")
    process = started("--config", config)
    wait(lambda: has_ingested(cluster, good))
    ended(process)
    check_ingest(cluster, good, [])
    check_route(cluster, config, folder)


@pytest.mark.parametrize("code", [KafkaError._DESTROY_BROKER, KafkaError._TRANSPORT])
def test_a_question_is_asked_again_while_a_connection_is_given_up(code: int) -> None:
    failures = [KafkaException(KafkaError(code))]

    def question() -> str:
        if failures:
            raise failures.pop()
        return "an answer"

    assert asked(KafkaSettings(bootstrap="nowhere:1"), "a question", question) == "an answer"
