"""The live job on one machine and nothing else: a broker in the process, and recorded orders fed to it.

The broker is librdkafka's own mock cluster. It keeps nothing, so it carries the raw topics alone;
journal and tracking log are recorded logs in ``HOME/journal`` and ``HOME/tracking``, and the lake is
``HOME/lake``. The feed knows how far it is
by what is in the journal, so a job that is ended or killed goes on where it was.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
from confluent_kafka import Producer

from flows.guard import Guard
from flows.ingest import IngestJob
from flows.journals import RecordedJournal
from flows.kafka.client import QUIET, KafkaSettings
from flows.lake.layout import Flow
from flows.live import LiveJob
from flows.logs.parquet import LogWriter, ParquetLog
from flows.logs.source import LogSource
from flows.recorded_tracking import RecordedPublisher
from flows.reroutes import RecordedReroutes
from flows.route import RouteJob
from flows.settings import Settings
from flows.shared_lake import ending_on_failure, open_for_both
from flows.track import TrackJob
from schemas.codec import to_lines
from schemas.kinds import Kind
from schemas.slices import Slice
from schemas.topics import LogOf

PARTITIONS = 2
_IDENTITY = ("tenant", "network", "source", "id")
Fed = Counter[tuple[str, ...]]
"""Records by tenant, network, source and id: of one network they are in one partition, in order."""

RAW = "crossdock.raw"


class EmbeddedBroker:
    """A broker on loopback that lives as long as this object."""

    def __init__(self) -> None:
        self._client = Producer({"test.mock.num.brokers": 1, "logger": QUIET})
        found = self._client.list_topics(RAW, timeout=10)  # asking for the topic makes it
        (broker, *_) = found.brokers.values()
        self.settings = KafkaSettings(
            bootstrap=f"{broker.host}:{broker.port}",
            raw=[RAW],
            client={
                "fetch.wait.max.ms": 10
            },  # unlike Kafka it answers no sooner when something comes
        )

    def send(self, value: bytes) -> None:
        """Write to the raw topic."""
        self._client.produce(RAW, value, partition=0)
        self._client.poll(0)

    def close(self) -> None:
        """Deliver what was sent."""
        self._client.flush(5)


class Feed:
    """Writes the records of a log to the raw topic, so many a second, on a thread of its own."""

    def __init__(
        self, log: ParquetLog, broker: EmbeddedBroker, fed: Fed, per_second: float, guard: Guard
    ) -> None:
        self._lines = records_to_feed(log, fed)
        self._broker = broker
        self._pause = 1 / per_second
        self._guard = guard
        self._thread = threading.Thread(target=self._work, name="feed", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(5)

    def _work(self) -> None:
        due = time.monotonic()
        for line in self._lines:
            due += self._pause
            while (wait := due - time.monotonic()) > 0 and not self._guard.is_over:
                time.sleep(min(wait, 0.1))
            if self._guard.is_over:
                return
            self._broker.send(line)


def embedded_job(
    home: Path, broker: EmbeddedBroker, settings: Settings, guard: Guard
) -> tuple[LiveJob, Fed]:
    """The job, and which records of the feed its journal holds already."""
    journal, tracking = (_writer(home / of.value, of) for of in LogOf)
    fed, lake = fed_records(journal.log), home / "lake"
    ingest = IngestJob(
        broker.settings,
        RecordedJournal(journal),
        settings,
        guard,
        tracking=RecordedJournal(tracking),
    )
    logs = {Flow.ROUTE: journal.log, Flow.TRACK: tracking.log}
    job = LiveJob(guard, ingest, writer=open_for_both(lake, logs, settings))
    publisher = RecordedPublisher(tracking, journal.log.id)
    with ending_on_failure(job.writer):
        routing = RouteJob.open(
            journal.log,
            lake,
            publisher=publisher,
            settings=settings,
            guard=guard,
            writer=job.writer,
        )
        following = TrackJob.open(
            tracking.log,
            lake,
            settings=settings,
            wishes=RecordedReroutes(journal),
            guard=guard,
            writer=job.writer,
        )
    job.route = routing, LogSource(journal.log, routing.starts, guard=guard, follow=True)
    job.track = following, LogSource(tracking.log, following.starts, guard=guard, follow=True)
    return job, fed


def _writer(path: Path, of: LogOf) -> LogWriter:
    if (path / "log.json").exists():
        return LogWriter(path)
    return LogWriter.create(path, PARTITIONS, of=of)


def fed_records(log: ParquetLog) -> Fed:
    """What the journal holds. No count would do: a kill may come between two partitions' segments."""
    held: Fed = Counter()
    for partition in range(log.partitions):
        for piece in log.read(partition):
            held.update(_keys(piece.take(_rows(piece))))
    return held


def records_to_feed(log: ParquetLog, fed: Fed) -> Iterator[bytes]:
    """Every record but clock ticks, as its producer would have sent it, that is not fed yet."""
    left = fed.copy()
    for piece in log.read(0):
        missing = []
        for row, key in zip(rows := _rows(piece), _keys(piece.take(rows)), strict=True):
            if left[key] > 0:
                left[key] -= 1
            else:
                missing.append(row)
        yield from to_lines(piece.take(np.array(missing, np.intp)), recorded=False)


def _rows(piece: Slice) -> npt.NDArray[np.intp]:
    return np.flatnonzero(piece.kinds != Kind.CLOCK_TICKED)


def _keys(piece: Slice) -> list[tuple[str, ...]]:
    names = (piece.envelope[name].to_pylist() for name in _IDENTITY)
    return list(zip(*names, strict=True))
