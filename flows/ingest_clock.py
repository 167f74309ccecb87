"""The clock of an ingest process: what it may say of time, and how it says it.

A tick says that all raw inputs of its process are consumed up to its time. So it is asked how far the
raw topics reach, and when all of that is consumed, the time of asking becomes the tick. A process that
lags, or cannot reach its brokers, holds the clock back: no order times out because its news waits in a
queue. Each process registers all its peers by a tick of long ago, so that one that has not started yet
holds the clock back as well; ``retired`` is the last word about those that never will.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Any

from confluent_kafka import IsolationLevel, TopicPartition
from confluent_kafka.admin import OffsetSpec

from flows.journals import Journal
from flows.kafka.client import SECONDS, KafkaSettings, admin
from flows.kafka.reading import Place
from flows.logs.log import Home
from schemas.codec import encode_event
from schemas.control import ClockTicked, Tick

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
_LATEST = OffsetSpec.latest()  # type: ignore[no-untyped-call]


class IngestClock:
    """Up to when all inputs are consumed, by asking the brokers how far they reach."""

    def __init__(
        self,
        settings: KafkaSettings,
        places: Iterable[Place],
        every: float,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._admin = admin(settings)
        self._request = {TopicPartition(*place): _LATEST for place in places}
        self._every = every
        self._now = now
        self._asked_at: datetime | None = None
        self._next = time.monotonic()
        self._answers: dict[TopicPartition, Future[Any]] = {}
        self._goal: dict[Place, int] | None = None

    @property
    def is_due(self) -> bool:
        """Whether there is something to ask, to hear or to say."""
        return bool(self._answers) or self._goal is not None or time.monotonic() >= self._next

    def tick(self, consumed: Mapping[Place, int]) -> datetime | None:
        """The time that was asked at last, once all that was there then is consumed."""
        if self._goal is None and self._answers:
            self._take_answers()
        if self._goal is not None and all(consumed[p] >= end for p, end in self._goal.items()):
            self._goal = None
            return self._asked_at
        if self._goal is None and not self._answers and time.monotonic() >= self._next:
            self._ask()
        return None

    def _ask(self) -> None:
        now = self._now()
        self._asked_at = now if self._asked_at is None else max(now, self._asked_at)
        self._next = time.monotonic() + self._every
        if not self._request:
            self._goal = {}  # more processes than partitions: nothing to wait for
            return
        self._answers = self._admin.list_offsets(
            self._request, isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=SECONDS
        )

    def _take_answers(self) -> None:
        if not all(answer.done() for answer in self._answers.values()):
            return
        answers, self._answers = self._answers, {}
        if not all(map(_says_the_end, answers.values())):
            # No answer, no tick: asked again when the next one is due, by a new client. The old one
            # may go on for minutes by leaders that are none any more (librdkafka 2.16, measured).
            self._admin = admin(self._settings)
            return
        self._goal = {(p.topic, p.partition): a.result().offset for p, a in answers.items()}


def _says_the_end(answer: Future[Any]) -> bool:
    """Whether it says where the partition ends; if the broker dies, it is neither error nor position."""
    return answer.exception() is None and answer.result().offset >= 0


def source_of(ingest: str, ordinal: int) -> str:
    """What an ingest process signs as; the same after a restart."""
    return f"crossdock-ingest/{ingest}-{ordinal}"


def tick(journal: Journal, process: str, at: datetime, *, retired: bool = False) -> None:
    """Say on every partition up to when a process has consumed its inputs, or that it has left."""
    said = ClockTicked(
        id=f"tick-{at.isoformat(timespec='microseconds')}{'-retired' if retired else ''}",
        source=process,
        subject=process,
        time=at,
        tenant="crossdock",
        network="clock",
        data=Tick(at=at, retired=retired),
    )
    raw = encode_event(said)
    for partition in range(journal.partitions):
        journal.put(Home(partition, b"clock"), said, raw)
