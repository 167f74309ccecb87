"""What the tracker wants decided again: on the journal, whatever is killed, and decided once."""

import time
from pathlib import Path

import msgspec
import pytest

from flows.folding import run
from flows.kafka.client import KafkaSettings
from flows.lake.query import connect_reader
from flows.logs.kafka import KafkaLog, KafkaSource
from flows.logs.log import ReadSlice, partition_of
from flows.logs.parquet import LogWriter, ParquetLog, write_log
from flows.logs.source import LogSource
from flows.reroutes import KafkaReroutes, RecordedReroutes, Reroutes
from flows.route import RouteJob
from flows.settings import Settings
from flows.track import TrackJob
from schemas.codec import Refusal, decode_line, encode_event, to_slice
from schemas.envelope import Event
from schemas.kinds import Kind
from schemas.slices import Slice
from schemas.topics import LogOf
from tests.support import tracks
from tests.support.broker import all_of, write
from tests.support.builders import counted, instant, lane, named, node, order, tick

PARTITIONS = 2
JOURNAL = partition_of("acme/eu", PARTITIONS)
TRACKING = partition_of("acme/eu/o-1", PARTITIONS)
DAYS_LATER = 2 * 24 * 3_600.0
SETTINGS = Settings()


def route(cluster: KafkaSettings, lake: Path) -> None:
    """Route what the journal holds by now."""
    log = KafkaLog(cluster, cluster.journal)
    job = RouteJob.open(log, lake, settings=SETTINGS, tracking=cluster)
    ends = {p: log.end(p) for p in job.starts}
    run(KafkaSource(log, job.starts, ends=ends, guard=job.guard), job)


def opened(cluster: KafkaSettings, lake: Path) -> tuple[KafkaLog, TrackJob]:
    """The tracker of the deployed job."""
    log = KafkaLog(cluster, cluster.tracking, LogOf.TRACKING)
    wishes = KafkaReroutes(cluster)
    return log, TrackJob.open(log, lake, settings=SETTINGS, wishes=wishes)


def sent(cluster: KafkaSettings) -> list[bytes]:
    return [value for _, value in all_of(cluster, cluster.raw[0])]


def on_the_log(cluster: KafkaSettings) -> Slice:
    """The tracking log's partition of the order."""
    lines = [
        value for partition, value in all_of(cluster, cluster.tracking) if partition == TRACKING
    ]
    events = [decode_line(line, n) for n, line in enumerate(lines)]
    return to_slice([e for e in events if not isinstance(e, Refusal)], TRACKING, 0)


def decisions(lake: Path) -> list[tuple[str, str]]:
    with connect_reader(lake) as reader:
        query = "SELECT kind, trigger FROM decisions ORDER BY position, index"
        return reader.execute(query).fetchall()


def missed(cluster: KafkaSettings, lake: Path) -> None:
    """An order is routed, and its node lets the day of the hand-over pass."""
    world: list[Event] = [node(name) for name in "AB"] + [lane(name) for name in "AB"]
    world += [counted(name, {"S1": 5}) for name in "AB"] + [order("o-1"), tick(60)]
    lines = [encode_event(recorded(event, 0)) for event in named(*world)]
    write(cluster.bootstrap, cluster.journal, [(JOURNAL, line) for line in lines])
    route(cluster, lake)
    later = encode_event(recorded(named(tick(DAYS_LATER))[0], DAYS_LATER))
    write(cluster.bootstrap, cluster.tracking, [(TRACKING, later)])


def recorded(event: Event, seconds: float) -> Event:
    """The record as it was learnt at some time, whatever the time is now."""
    return msgspec.structs.replace(event, recordedtime=instant(seconds))


def test_a_missed_hand_over_is_decided_again_once_in_spite_of_a_kill(
    mocked: KafkaSettings, tmp_path: Path
) -> None:
    missed(mocked, tmp_path / "routed")

    _, first = opened(mocked, tmp_path / "tracked")
    first.advance(ReadSlice(on_the_log(mocked), time.monotonic()))
    before_the_kill = sent(mocked)
    first.abort()
    for _ in range(2):  # the second has nothing to make again
        log, job = opened(mocked, tmp_path / "tracked")
        ends = {p: log.end(p) for p in job.starts}
        run(KafkaSource(log, job.starts, ends=ends, guard=job.guard), job)
    wishes = sent(mocked)
    write(mocked.bootstrap, mocked.journal, [(JOURNAL, line) for line in wishes])
    route(mocked, tmp_path / "routed")

    assert len(before_the_kill) == 1
    assert wishes == before_the_kill * 2
    wish = msgspec.json.decode(wishes[0])
    assert (wish["type"], wish["subject"]) == ("reroute.requested", "o-1")
    assert wish["data"]["reason"] == "R_PROMISE_AT_RISK"
    assert wish["data"]["node"] in "AB"
    assert decisions(tmp_path / "routed") == [
        ("ROUTE", "NEW_ORDER"), ("REROUTE", "R_PROMISE_AT_RISK"),
    ]  # fmt: skip
    with connect_reader(tmp_path / "tracked") as reader:
        query = "SELECT record_id FROM actions WHERE action = 'REROUTE'"
        assert reader.execute(query).fetchall() == [(wish["id"],)]


@pytest.mark.parametrize("is_live", [True, False])
def test_a_recorded_journal_has_the_wish_only_of_a_live_job(is_live: bool, tmp_path: Path) -> None:
    late = [
        tracks.decided(0, "o-1"), tracks.offered(0, "A", "o-1", ship_date="2026-01-05"),
        tracks.tick(48),
    ]  # fmt: skip
    log = write_log(tmp_path / "tracking", late, of=LogOf.TRACKING)
    with LogWriter.create(tmp_path / "journal", 1) as journal:
        wishes: Reroutes | None = RecordedReroutes(journal) if is_live else None
        job = TrackJob.open(log, tmp_path / "lake", settings=SETTINGS, wishes=wishes)
        run(LogSource(log, job.starts, guard=job.guard), job)

    kinds = [kind for piece in ParquetLog(tmp_path / "journal").read(0) for kind in piece.kinds]
    assert kinds == [Kind.REROUTE_REQUESTED] * is_live
    with connect_reader(tmp_path / "lake") as reader:
        assert reader.execute("SELECT action FROM actions").fetchall() == [("REROUTE",)]
