"""The tracking topic: public records, written once, partitioned by order.

After a restart a partition of the journal is read on from a checkpoint, and effects are made again that
may be on the topic already. Each output partition holds them in the order of their causes, so it is
enough to know the last cause that it holds from each journal partition: that is read back from its end
(the *tail*), and what is not beyond it is left out. How far back the tail must go is kept with the
checkpoint: the ends of the topic when everything up to the checkpoint was on it. Without a checkpoint
the whole topic is the tail.

A paused owner that wakes up can add repeats of the same (``source``, ``id``); readers drop those.
"""

import re
import zlib
from collections.abc import Iterable, Mapping, Sequence

import msgspec
from confluent_kafka import Message

from flows.guard import Guard
from flows.kafka.client import KafkaSettings, bounds, consumer
from flows.kafka.producer import ReliableProducer
from flows.kafka.reading import read_range
from flows.kafka.topics import describe
from flows.public_records import public_records, source_of
from schemas.ids import LogId
from schemas.tables import Effects

Cause = tuple[int, int]
"""Position in the journal, and which of that record's effects."""

_CAUSE = re.compile(r"^(\d+)/(\d+)/(\d+)$")


class TrackingTopic:
    """Write side of the topic for some partitions of one journal."""

    def __init__(
        self,
        settings: KafkaSettings,
        log_id: LogId,
        floors: Iterable[Mapping[int, int]],
        guard: Guard | None = None,
    ) -> None:
        """Connect, and read back what is on the topic.

        Args:
            settings: of the cluster.
            log_id: of the journal.
            floors: per journal partition of this process the ends that its checkpoint kept.
            guard: of the flow, which stands still while the brokers are away.

        Raises:
            BrokerError: no cluster or no topic there.
        """
        self._settings = settings
        self._log_id = log_id
        self._topic = settings.tracking
        self._partitions = describe(settings, self._topic).partitions
        self._guard = guard or Guard()
        self._producer = ReliableProducer(settings, self._guard)
        self._client = consumer(settings, settings.group)
        self._seen = self._tail(tuple(floors))
        self._given: dict[int, int] = {}

    def put(self, effects: Effects) -> None:
        """Write the public records that are not on the topic yet.

        Raises:
            BrokerError: one can never be written.
        """
        put = self._producer.put
        for record in public_records(effects, self._log_id):
            partition = zlib.crc32(record.key) % self._partitions
            cause = record.position, record.effect
            if cause > self._seen.get((partition, effects.partition), (-1, -1)):
                put(self._topic, partition, record.key, record.value)
        self._given[effects.partition] = effects.position
        self._producer.poll()

    def given(self, partition: int) -> int:
        """Position of the journal's partition up to which effects were put; -1 before the first."""
        return self._given.get(partition, -1)

    def flush(self) -> None:
        """Wait until everything put so far is on the topic.

        Raises:
            BrokerError: something never will be, or the flow is to end and the brokers are away.
        """
        self._producer.flush()

    def ends(self) -> dict[int, int]:
        """Where the topic's partitions end now.

        Raises:
            BrokerError: the flow is to end and the brokers are away.
        """
        return {p: self._bounds(p, self._guard)[1] for p in range(self._partitions)}

    def close(self) -> None:
        """Leave."""
        self._client.close()

    def _bounds(self, partition: int, guard: Guard | None = None) -> tuple[int, int]:
        return bounds(self._settings, self._client, self._topic, partition, guard)

    def _tail(self, floors: Sequence[Mapping[int, int]]) -> dict[tuple[int, int], Cause]:
        """Last cause by (output partition, journal partition)."""
        seen: dict[tuple[int, int], Cause] = {}
        for partition in range(self._partitions):
            first, end = self._bounds(partition)
            kept = [floor.get(partition, 0) for floor in floors]
            at = max(first, min(kept, default=0))
            place = self._topic, partition
            for message in read_range(self._settings, self._client, place, at, end):
                found = self._cause_of(message)
                if found is not None:
                    source, cause = found
                    key = partition, source
                    seen[key] = max(cause, seen.get(key, (-1, -1)))
        self._client.unassign()
        return seen

    def _cause_of(self, message: Message) -> tuple[int, Cause] | None:
        """Journal partition and cause; None for what is not of this journal."""
        try:
            told = _DECODER.decode(message.value() or b"")
        except msgspec.DecodeError:
            return None
        match = _CAUSE.match(told.id)
        if told.source != source_of(self._log_id) or match is None:
            return None
        return int(match[1]), (int(match[2]), int(match[3]))


class _Told(msgspec.Struct):
    id: str
    source: str


_DECODER = msgspec.json.Decoder(_Told)
