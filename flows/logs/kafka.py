"""A Kafka topic as a log: one JSON CloudEvent per message, read as slices.

One consumer per process is assigned its partitions; nothing balances them. Where to begin comes from
checkpoints. Positions are shown to a consumer group afterwards, for lag tools only: nothing reads them.

A slice is what has arrived when the source is asked: a few records when it is quiet, thousands under
load. A message that is no record goes to the dead letters with its bytes; the slice has a gap there.
Records that expired before they were read, or a topic that was made anew, stop the job: never skipped.

The record time is the message's timestamp, unless the record brings one (a log that was replayed to
Kafka does, to the microsecond).
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
from bytewax.inputs import DynamicSource, StatelessSourcePartition
from confluent_kafka import Message

from flows.guard import Guard
from flows.kafka.client import KafkaSettings, bounds, consumer
from flows.kafka.positions import GroupPositions
from flows.kafka.reading import AT_ONCE, Place, TopicReader
from flows.kafka.topics import describe
from flows.logs.log import SLICE_RECORDS, Log, ReadSlice, home_of
from schemas.codec import Refusal, decode_line, to_slice_at
from schemas.codes import DeadLetterReason
from schemas.envelope import Event
from schemas.ids import LogId
from schemas.kinds import INSTANT, KIND_OF, Kind
from schemas.tables import SCHEMAS, Table
from schemas.topics import EVERYWHERE, LogOf, belongs, key_on

_SHOW_SECONDS = 1.0


class KafkaLog:
    """A topic of one cluster, as a log."""

    def __init__(self, settings: KafkaSettings, topic: str, of: LogOf = LogOf.JOURNAL) -> None:
        found = describe(settings, topic)
        self.of = of
        self.settings = settings
        self.name = topic
        self.id: LogId = found.id
        self.partitions = found.partitions
        self._client = consumer(settings, settings.group)

    def first(self, partition: int) -> int:
        """First position that is still there."""
        return bounds(self.settings, self._client, self.name, partition)[0]

    def end(self, partition: int) -> int:
        """Position after the last record."""
        return bounds(self.settings, self._client, self.name, partition)[1]


class KafkaSource(DynamicSource[tuple[str, ReadSlice]]):
    """Partitions of a topic from given positions on, without an end unless one is given."""

    def __init__(
        self,
        log: KafkaLog,
        starts: Mapping[int, int],
        *,
        ends: Mapping[int, int] | None = None,
        slice_records: int = SLICE_RECORDS,
        guard: Guard | None = None,
        done: Callable[[int], int] | None = None,
        pause_seconds: float = 0.0,
    ) -> None:
        """Read a topic.

        Args:
            log: the topic.
            starts: first position by partition.
            ends: position to stop before, by partition; all partitions must get there.
            slice_records: most messages taken at once.
            guard: of the flow.
            done: last position of a partition that is safe in the lake, to show to lag tools.
            pause_seconds: after a read of fewer messages, so that the next one is worth its slice; for
                where other sources of the same flow take the time meanwhile.
        """
        self.log = log
        self.starts = dict(starts)
        self.ends = ends
        self.slice_records = slice_records
        self.guard = guard or Guard()
        self.done = done
        self.pause_seconds = pause_seconds

    def build(self, step_id: str, worker_index: int, worker_count: int) -> "_Reader":
        """The one reader of this process."""
        return _Reader(self)


class _Reader(StatelessSourcePartition[tuple[str, ReadSlice]]):
    def __init__(self, source: KafkaSource) -> None:
        self.source = source
        self.shown_at = time.monotonic()
        self.due = 0.0
        log = source.log
        starts = {(log.name, partition): start for partition, start in source.starts.items()}
        client = consumer(log.settings, log.settings.group)
        self.reader = TopicReader(log.settings, client, starts)
        self.positions = GroupPositions(log.settings, log.settings.group)

    def next_batch(self) -> list[tuple[str, ReadSlice]]:
        if self.source.guard.is_over or self._is_at_end():
            raise StopIteration
        # not by ``next_awake``: while a source sleeps, no other one gets beyond its epoch
        if time.monotonic() >= self.due:
            with self.source.guard:
                return self._poll()
        return []

    def _poll(self) -> list[tuple[str, ReadSlice]]:
        messages = self.reader.poll(self.source.slice_records)
        read_at = time.monotonic()
        if len(messages) < self.source.slice_records:
            self.due = read_at + self.source.pause_seconds
        if self.source.done is not None and read_at - self.shown_at > _SHOW_SECONDS:
            self.shown_at = read_at
            self.positions.commit(self._done(self.source.done))
        by_partition: dict[int, list[Message]] = defaultdict(list)
        for message in messages:
            by_partition[message.partition() or 0].append(message)
        return [
            (f"{partition:04d}", read)
            for partition, taken in sorted(by_partition.items())
            if (read := self._read(partition, taken, read_at)) is not None
        ]

    def next_awake(self) -> datetime:
        return AT_ONCE

    def close(self) -> None:
        if self.source.done is not None:
            seconds = _SHOW_SECONDS if self.source.guard.may_wait() else 0
            self.positions.settle(self._done(self.source.done), seconds)
        self.reader.close()

    def _read(self, partition: int, messages: list[Message], read_at: float) -> ReadSlice | None:
        ends = self.source.ends
        if ends is not None:
            messages = [m for m in messages if (m.offset() or 0) < ends[partition]]
        if not messages:
            return None
        return read_messages(messages, partition, self.source.log, read_at)

    def _is_at_end(self) -> bool:
        ends = self.source.ends
        return ends is not None and all(at >= ends[p] for (_, p), at in self.reader.at.items())

    def _done(self, done: Callable[[int], int]) -> dict[Place, int]:
        """How far the lake is, for lag tools."""
        return {place: done(place[1]) + 1 for place in self.reader.at if done(place[1]) >= 0}


def read_messages(messages: list[Message], partition: int, log: Log, read_at: float) -> ReadSlice:
    """Messages of one partition, in order, as a slice and what was refused."""
    events: list[Event] = []
    positions: list[int] = []
    recorded: list[datetime] = []
    refused: list[tuple[Refusal, datetime]] = []
    for message in messages:
        offset, at = message.offset() or 0, timestamp(message)
        decoded = decode_message(message.value(), offset)
        if isinstance(decoded, Event):
            decoded = _at_home(decoded, partition, log, message, offset)
        if isinstance(decoded, Refusal):
            refused.append((decoded, at))
        else:
            events.append(decoded)
            positions.append(offset)
            recorded.append(decoded.recordedtime or at)
    piece = to_slice_at(events, partition, np.array(positions, np.int64), recorded)
    return ReadSlice(piece, read_at, _letters(refused, partition) if refused else None)


def decode_message(value: bytes | None, position: int) -> Event | Refusal:
    """The record of one message, or why it is none."""
    if not value:
        detail = "the message is empty"
        return Refusal(position, DeadLetterReason.SCHEMA_INVALID, detail, b"")
    return decode_line(value, position)


def _at_home(
    event: Event, partition: int, log: Log, message: Message, offset: int
) -> Event | Refusal:
    """The record, if it may be here: a network in two partitions would sell its stock twice."""
    raw = message.value() or b""
    if not belongs(event, log.of):
        detail = f"{KIND_OF[type(event)].tag} is not for the {log.of}"
        return Refusal(offset, DeadLetterReason.WRONG_LOG, detail, raw)
    everywhere = EVERYWHERE if log.of is LogOf.TRACKING else (Kind.CLOCK_TICKED,)
    key = key_on(event, log.of)
    if home_of(key, log.partitions).partition == partition or KIND_OF[type(event)] in everywhere:
        return event
    detail = f"{key} lives in another partition than {partition}"
    return Refusal(offset, DeadLetterReason.WRONG_PARTITION, detail, raw)


def timestamp(message: Message) -> datetime:
    """When the message was written, as its producer or the broker says."""
    _, at_ms = message.timestamp()
    return datetime.fromtimestamp(max(0, at_ms) / 1000, UTC)


def _letters(refused: Iterable[tuple[Refusal, datetime]], partition: int) -> pa.Table:
    rows: list[dict[str, Any]] = [
        {
            "partition": partition,
            "position": refusal.line_no,
            "index": 0,
            "tenant": "",
            "network": "",
            "kind": "",
            "subject": "",
            "reason": refusal.reason.name,
            "detail": refusal.detail,
            "at": pa.scalar(at, INSTANT).as_py(),
            "raw": refusal.raw,
        }
        for refusal, at in refused
    ]
    return pa.Table.from_pylist(rows, SCHEMAS[Table.DEAD_LETTERS])
