"""The live job on one machine and nothing else: a broker in the process, and recorded orders fed to it.

The broker is librdkafka's own mock cluster. It keeps nothing, so it carries the raw topics alone; the
journal is a recorded log in ``HOME/journal`` and the lake is ``HOME/lake``. The feed knows how far it is
by what is in the journal, so a job that is ended or killed goes on where it was.
"""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import numpy as np
from confluent_kafka import Producer

from flows.guard import Guard
from flows.ingest import IngestJob
from flows.journals import RecordedJournal
from flows.kafka.client import QUIET, KafkaSettings
from flows.live import LiveJob
from flows.logs.parquet import LogWriter, ParquetLog
from flows.logs.source import LogSource
from flows.route import RouteJob
from flows.settings import Settings
from schemas.codec import to_lines
from schemas.kinds import Kind

PARTITIONS = 2
RAW = "crossdock.raw"


class EmbeddedBroker:
    """A broker on loopback that lives as long as this object."""

    def __init__(self) -> None:
        self._client = Producer({"test.mock.num.brokers": 1, "logger": QUIET})
        found = self._client.list_topics(RAW, timeout=10)  # asking for the topic makes it
        (broker, *_) = found.brokers.values()
        self.settings = KafkaSettings(bootstrap=f"{broker.host}:{broker.port}", raw=[RAW])

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
        self, log: ParquetLog, broker: EmbeddedBroker, skip: int, per_second: float, guard: Guard
    ) -> None:
        self._lines = _records(log, skip)
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
) -> tuple[LiveJob, int]:
    """The job, and how many records of the feed its journal holds already."""
    journal = home / "journal"
    writer = (
        LogWriter(journal)
        if (journal / "log.json").exists()
        else LogWriter.create(journal, PARTITIONS)
    )
    fed = _count_fed(writer.log)
    ingest = IngestJob(
        broker.settings, RecordedJournal(writer), settings.process, settings.tick_seconds, guard
    )
    job = RouteJob.open(writer.log, home / "lake", settings=settings, guard=guard)
    source = LogSource(writer.log, job.starts, guard=guard, follow=True)
    return LiveJob(guard, ingest, (job, source)), fed


def _count_fed(log: ParquetLog) -> int:
    pieces = (piece for p in range(log.partitions) for piece in log.read(p))
    return sum(int(np.count_nonzero(piece.kinds != Kind.CLOCK_TICKED)) for piece in pieces)


def _records(log: ParquetLog, skip: int) -> Iterator[bytes]:
    """Every record but clock ticks, as its producer would have sent it."""
    for piece in log.read(0):
        rows = np.flatnonzero(piece.kinds != Kind.CLOCK_TICKED)
        yield from to_lines(piece.take(rows[skip:]), recorded=False)
        skip = max(0, skip - len(rows))
