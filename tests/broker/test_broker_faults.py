"""The live job while its brokers are away, slow, or answer with errors."""

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.kafka.client import KafkaSettings
from tests.broker.server.process import KafkaServer
from tests.support.broker import Feed, MockBroker, write
from tests.support.jobs import (
    Job,
    check_clock,
    check_ingest,
    check_no_repeats,
    check_route,
    configured,
    ended,
    given_up,
    has_ingested,
    said,
    started,
    wait,
    world_lines,
)

SEED = 20261125
RECORDS = 1200
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


def survives(cluster: KafkaSettings, folder: Path, disturb: Disturb, records: int = RECORDS) -> Job:
    """A job that ingests and routes what is written meanwhile, and is not started again."""
    print(f"seed {SEED}")
    good, config = world_lines(folder / "world", SEED, records), configured(cluster, folder)
    process = started("--config", config)
    with Feed(cluster, good, seconds=6.0) as feed:
        disturb(random.Random(SEED))
    wait(lambda: has_ingested(cluster, good))
    assert process.poll() is None, process.communicate()
    ended(process)

    check_ingest(cluster, good, [])
    check_clock(cluster, feed.written_at)
    check_route(cluster, config, folder)
    return process


@pytest.mark.broker
def test_a_broker_that_is_killed_and_started_again_costs_nothing(
    server: KafkaServer, served: KafkaSettings, tmp_path: Path
) -> None:
    def disturb(moments: random.Random) -> None:
        for _ in range(2):
            time.sleep(moments.uniform(0.2, 2.0))
            server.kill()
            time.sleep(moments.uniform(0.0, 1.0))
            server.start()

    survives(served, tmp_path, disturb)

    check_no_repeats(served)


@pytest.mark.broker
def test_a_broker_that_hangs_for_a_while_costs_nothing(
    server: KafkaServer, served: KafkaSettings, tmp_path: Path
) -> None:
    def disturb(moments: random.Random) -> None:
        for _ in range(2):
            time.sleep(moments.uniform(0.2, 1.5))
            server.pause()
            time.sleep(4.0)
            server.resume()

    survives(served, tmp_path, disturb)

    check_no_repeats(served)


def test_a_broker_that_goes_away_and_comes_back_costs_nothing(
    mock: MockBroker, mocked: KafkaSettings, tmp_path: Path
) -> None:
    def disturb(moments: random.Random) -> None:
        for _ in range(3):
            time.sleep(moments.uniform(0.1, 1.0))
            mock.down()
            time.sleep(moments.uniform(0.5, 2.0))
            mock.up()

    survives(mocked, tmp_path, disturb)


def test_slow_answers_and_errors_cost_nothing(
    mock: MockBroker, mocked: KafkaSettings, tmp_path: Path
) -> None:
    def disturb(moments: random.Random) -> None:
        mock.slow(200)
        time.sleep(2.0)
        mock.slow(0)
        for request, error in moments.sample(REQUEST_ERRORS * 2, len(REQUEST_ERRORS) * 2):
            mock.fail(request, [error] * moments.randint(1, 4))
            time.sleep(moments.uniform(0.1, 0.4))

    one_by_one = {"max.in.flight.requests.per.connection": 1}
    survives(mocked.model_copy(update={"client": one_by_one}), tmp_path, disturb)


def test_a_position_out_of_range_is_a_loud_stop_and_nothing_is_skipped(
    mock: MockBroker, mocked: KafkaSettings, tmp_path: Path
) -> None:
    good, config = world_lines(tmp_path / "world", SEED, 300), configured(mocked, tmp_path)
    write(mocked.bootstrap, mocked.raw[0], [(0, line) for line in good])
    ingesting = started("--config", config, "--only", "ingest")
    wait(lambda: has_ingested(mocked, good))
    ended(ingesting)

    mock.fail(FETCH, [OUT_OF_RANGE])
    code, _, complaint = said("run", "--config", config, "--only", "route")

    assert code == 2
    assert mocked.journal in complaint.splitlines()[-1]
    check_ingest(mocked, good, [])
    check_route(mocked, config, tmp_path)


def test_a_job_ends_while_its_broker_is_gone(
    mock: MockBroker, mocked: KafkaSettings, tmp_path: Path
) -> None:
    ends_without(mocked, tmp_path, mock.down, mock.up)


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
    good, config = world_lines(folder / "world", SEED, RECORDS), configured(cluster, folder)
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
