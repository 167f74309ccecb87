"""Raw topics become a journal: every message in it once or in the dead letters, and time keeps step."""

import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Producer

from flows.folding import run as run_route
from flows.ingest import IngestJob, run
from flows.ingest_clock import IngestClock, source_of
from flows.ingest_clock import tick as tell
from flows.journals import KafkaJournal
from flows.kafka.client import KafkaSettings
from flows.lake.query import connect_reader
from flows.logs.kafka import KafkaLog, KafkaSource
from flows.route import RouteJob
from flows.settings import Settings
from models.intake.clock import Clock
from schemas.codec import Refusal, decode_line, encode_event, to_slice
from schemas.envelope import Event
from tests.support.broker import MockBroker, all_of, write
from tests.support.builders import at, counted, lane, node, order, tick

PARTITIONS = 2


def ingest(
    cluster: KafkaSettings,
    until: Callable[[IngestJob], bool],
    tick_seconds: float = 60,
    **share: int,
) -> None:
    """Run the flow until something is true of its job."""
    settings = Settings(tick_seconds=tick_seconds, ingest="test", **share)  # type: ignore[arg-type]
    job = IngestJob(cluster, KafkaJournal(cluster), settings)

    def watch() -> None:
        deadline = time.monotonic() + 30
        while not until(job) and time.monotonic() < deadline:
            time.sleep(0.01)
        job.guard.stop()

    watcher = threading.Thread(target=watch)
    watcher.start()
    run(job)
    watcher.join()


def consumed(messages: int) -> Callable[[IngestJob], bool]:
    return lambda job: sum(job.reader.at.values()) >= messages


def is_tick(value: bytes) -> bool:
    """Whether it says that time has passed, and does not only register a process."""
    return b"clock.ticked" in value and b"2000-01-01" not in value


def clock_of(cluster: KafkaSettings) -> int:
    """What a fold's clock says at the end of the journal's first partition."""
    lines = [v for p, v in all_of(cluster, cluster.journal) if p == 0]
    events = [event for v in lines if not isinstance(event := decode_line(v, 0), Refusal)]
    clock = Clock()
    clock.hear(to_slice(events, 0, 0))
    return clock.time


def ticks_of(cluster: KafkaSettings) -> int:
    """How often time was told on the journal's first partition."""
    return sum(p == 0 and is_tick(v) for p, v in all_of(cluster, cluster.journal))


def a_day() -> list[Event]:
    """Two networks with a node each, and orders."""
    events: list[Event] = []
    for name in ("eu", "us"):
        events += [node("A", when=at(0, network=name)), lane("A", when=at(0, network=name))]
        events.append(counted("A", {"S1": 60}, when=at(1, network=name)))
        events += [order(f"{name}-{n}", ("S1", 2), when=at(2 + n, network=name)) for n in range(40)]
    return [msgspec.structs.replace(event, id=f"e{n}") for n, event in enumerate(events)]


def test_every_message_is_in_the_journal_or_in_the_dead_letters(cluster: KafkaSettings) -> None:
    good = [encode_event(event) for event in a_day()]
    bad = [b"{", b"null", b"\xff", encode_event(tick(9))]
    mixed = [*good, *bad]
    random.Random(3).shuffle(mixed)
    raw = [(n % PARTITIONS, value) for n, value in enumerate(mixed)]
    write(cluster.bootstrap, cluster.raw[0], raw)

    ingest(cluster, consumed(len(raw)))

    journal = all_of(cluster, cluster.journal)
    assert sorted(v for _, v in journal if b"clock.ticked" not in v) == sorted(good)
    assert sorted(v for _, v in all_of(cluster, cluster.dead_letters)) == sorted(bad)
    homes = {(p, msgspec.json.decode(v)["network"]) for p, v in journal}
    assert len({name for _, name in homes if name in {"eu", "us"}}) == 2
    assert len([h for h in homes if h[1] in {"eu", "us"}]) == 2, "a network lives in one partition"


def test_a_restart_goes_on_where_the_last_run_stopped(cluster: KafkaSettings) -> None:
    good = [encode_event(event) for event in a_day()]
    write(cluster.bootstrap, cluster.raw[0], [(0, v) for v in good[:30]])
    ingest(cluster, consumed(30))
    write(cluster.bootstrap, cluster.raw[0], [(0, v) for v in good[30:]])

    ingest(cluster, consumed(len(good)))

    journal = [v for _, v in all_of(cluster, cluster.journal) if b"clock.ticked" not in v]
    assert sorted(journal) == sorted(good)


def test_record_time_is_not_theirs_to_say(cluster: KafkaSettings) -> None:
    claimed = msgspec.structs.replace(order(), recordedtime=order().time)
    write(cluster.bootstrap, cluster.raw[0], [(0, encode_event(claimed))])

    ingest(cluster, consumed(1))

    (value,) = [v for _, v in all_of(cluster, cluster.journal) if b"clock.ticked" not in v]
    assert msgspec.json.decode(value).get("recordedtime") is None


def test_ticks_follow_what_they_vouch_for_and_reach_every_partition(cluster: KafkaSettings) -> None:
    good = [encode_event(event) for event in a_day()]
    write(cluster.bootstrap, cluster.raw[0], [(0, v) for v in good])
    began = time.time()

    ingest(cluster, lambda _job: time.time() > began + 4, tick_seconds=0.2)

    journal = all_of(cluster, cluster.journal)
    for partition in range(PARTITIONS):
        mine = [v for p, v in journal if p == partition]
        ticks = [n for n, v in enumerate(mine) if is_tick(v)]
        records = [n for n, v in enumerate(mine) if b"clock.ticked" not in v]
        assert len(ticks) >= 2
        assert not records or min(ticks) > max(records), "a tick came before what it vouches for"


@pytest.mark.broker
def test_what_transactions_leave_behind_does_not_hold_the_clock(kafka: KafkaSettings) -> None:
    """A raw topic of a transactional producer ends in markers that are no messages."""
    upstream = Producer({"bootstrap.servers": kafka.bootstrap, "transactional.id": kafka.group})
    upstream.init_transactions()
    for n, keep in enumerate((True, False, True, False)):
        upstream.begin_transaction()
        upstream.produce(kafka.raw[0], encode_event(order(f"o-{n}")), partition=0)
        upstream.flush()
        (upstream.commit_transaction if keep else upstream.abort_transaction)()

    ingest(kafka, lambda job: job.reader.at[kafka.raw[0], 0] >= 8, tick_seconds=0.2)
    began = time.time()
    ingest(kafka, lambda _job: time.time() > began + 4, tick_seconds=0.2)

    journal = [v for _, v in all_of(kafka, kafka.journal)]
    told = [msgspec.json.decode(v)["subject"] for v in journal if b"clock.ticked" not in v]
    assert told == ["o-0", "o-2"]
    assert any(map(is_tick, journal)), "the clock waits for what will never come"


def test_an_input_that_cannot_be_reached_holds_the_clock_back(
    mock: MockBroker, mocked: KafkaSettings
) -> None:
    """Its news may wait there, so no tick may pass it."""
    write(mocked.bootstrap, mocked.raw[0], [(0, encode_event(node("A")))])
    seen: list[float] = []

    def lost_for_a_while(job: IngestJob) -> bool:
        if not seen and sum(job.reader.at.values()) >= 1:
            mock.down()
            seen.append(time.time())
        if len(seen) == 1 and time.time() > seen[0] + 1.0:
            seen.append(time.time())
            mock.up()
        return len(seen) == 2 and time.time() > seen[1] + 3.0

    ingest(mocked, lost_for_a_while, tick_seconds=0.1)

    ticks = [
        datetime.fromisoformat(msgspec.json.decode(v)["data"]["at"]).timestamp()
        for p, v in all_of(mocked, mocked.journal)
        if p == 0 and is_tick(v)
    ]
    down, up = seen
    assert any(t > up for t in ticks), "time goes on once everything is known again"
    assert [t for t in ticks if down + 0.3 < t < up - 0.1] == [], (
        "it went on while nothing was known"
    )


def test_a_process_that_has_not_started_holds_the_clock_back_until_it_is_retired(
    cluster: KafkaSettings,
) -> None:
    """Of two processes one starts; the other's half of the raw topic may hold news."""
    good = [encode_event(event) for event in a_day()]
    write(cluster.bootstrap, cluster.raw[0], [(n % 2, v) for n, v in enumerate(good)])
    ingest(cluster, lambda _job: ticks_of(cluster) > 2, 0.1, processes=2, ordinal=0)
    alone, taken = clock_of(cluster), [v for _, v in all_of(cluster, cluster.journal)]
    ingest(cluster, lambda _job: clock_of(cluster) > alone, 0.1, processes=2, ordinal=1)
    both, ticks = clock_of(cluster), ticks_of(cluster)
    ingest(cluster, lambda _job: ticks_of(cluster) > ticks + 2, 0.1)
    behind, began = clock_of(cluster), time.time()
    journal_of = KafkaJournal(cluster)
    tell(journal_of, source_of("test", 1), datetime.now(UTC), retired=True)
    journal_of.flush()
    ingest(cluster, lambda _job: clock_of(cluster) / 1e6 > began, 0.1)

    journal = [v for _, v in all_of(cluster, cluster.journal)]
    assert len([v for v in taken if b"clock.ticked" not in v]) == len(good[::2])
    assert sorted(v for v in journal if b"clock.ticked" not in v) == sorted(good)
    assert datetime.fromtimestamp(alone / 1e6, UTC).year == 2000, "nothing is known of the other"
    assert alone < both
    assert behind / 1e6 < began - 0.1, "the one that is gone holds it back"
    assert clock_of(cluster) / 1e6 > began, "the one that is left goes on alone"


def test_a_broker_that_dies_before_it_answers_says_nothing_about_the_time(
    mock: MockBroker, mocked: KafkaSettings
) -> None:
    write(mocked.bootstrap, mocked.raw[0], [(0, encode_event(node("A")))])
    place = mocked.raw[0], 0
    clock = IngestClock(mocked, [place], every=0.0)
    while clock.tick({place: 1}) is None:
        time.sleep(0.01)
    unread, ticks = {place: 0}, []
    mock.slow(1000)
    ticks.append(clock.tick(unread))
    time.sleep(0.5)  # the question is on its way
    mock.down()

    deadline = time.monotonic() + 2.0
    while time.monotonic() < deadline:
        ticks.append(clock.tick(unread))
        time.sleep(0.01)

    assert set(ticks) == {None}, "a tick passed a message that nobody has read"


def test_a_wall_clock_that_steps_back_neither_turns_time_back_nor_stops_it(
    cluster: KafkaSettings,
) -> None:
    """Time stands still until the wall clock is where it was, and goes on from there."""
    noon = datetime(2026, 11, 2, 12, tzinfo=UTC)
    seconds = [0, 1, 2, *range(2 - 3600, 3, 900), 3, 4]
    wall = iter([noon + timedelta(seconds=n) for n in seconds])
    place = cluster.raw[0], 0
    clock = IngestClock(cluster, [place], every=0.0, now=lambda: next(wall))

    ticks: list[datetime] = []
    deadline = time.monotonic() + 30
    while len(ticks) < len(seconds) and time.monotonic() < deadline:
        found = clock.tick({place: 0})
        ticks += [] if found is None else [found]

    assert [(at - noon).total_seconds() for at in ticks] == [0, 1, *[2] * 6, 3, 4]


def test_what_was_ingested_is_routed(cluster: KafkaSettings, tmp_path: Path) -> None:
    write(cluster.bootstrap, cluster.raw[0], [(0, encode_event(e)) for e in a_day()])
    ingest(cluster, consumed(len(a_day())))
    log = KafkaLog(cluster, cluster.journal)
    job = RouteJob.open(log, tmp_path / "lake")
    ends = {p: log.end(p) for p in job.starts}

    run_route(KafkaSource(log, job.starts, ends=ends, guard=job.guard), job)

    with connect_reader(tmp_path / "lake") as reader:
        found = reader.execute(
            "SELECT network, outcome, count(*) FROM orders GROUP BY ALL ORDER BY ALL"
        ).fetchall()
    assert found == [
        ("eu", "FULLY_ROUTED", 30), ("eu", "UNROUTABLE", 10),
        ("us", "FULLY_ROUTED", 30), ("us", "UNROUTABLE", 10),
    ]  # fmt: skip
