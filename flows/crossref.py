"""Messages that name their subject by a foreign id: looked up, or kept until they can be.

Two compacted topics are tables: the cross-reference (foreign id → what it stands for; others write it, and
ingest what channels say of parcels), and the messages that wait (of each, the key is its ``source`` and
``id``). What others say of a foreign id is one message. What ingest says is one for each order, by a key that
has both, so that no process writes over what another says at the same time.

What cannot be resolved goes to the second. The process that has the partition reads it from there, resolves it
when the cross-reference says more, and removes it once the records are on the journal. At the end of its wait
it becomes a dead letter. Since both are topics, a restart forgets nothing; a crash in between repeats, and the
folds drop repeats.
"""

import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import structlog
from confluent_kafka import Message

from flows.guard import Guard
from flows.kafka.client import KafkaSettings, bounds, consumer
from flows.kafka.producer import ReliableProducer
from flows.kafka.reading import TopicReader, headers_of
from flows.kafka.topics import describe
from flows.settings import Settings
from schemas.codec import Refusal
from schemas.crossref import (
    Assignment,
    CrossReference,
    Foreign,
    cross_reference,
    foreign_of,
    key_of,
    name_of,
    resolved,
)

LOOK_SECONDS = 0.05
"""The two topics are looked at so often."""
_MESSAGES = 4_096
_START_SECONDS = 0.1
_END_SECONDS = 1.0
_NOTHING = CrossReference(assignments=[])
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that waits.

    Attributes:
        key: on its topic.
        raw: the message as it came.
        foreign: how to look it up.
        until: end of its wait, Unix seconds.
        source: raw topic and partition that it came from.
        offset: there.
    """

    key: bytes
    raw: bytes
    foreign: Foreign
    until: float
    source: str
    offset: int


@dataclass(frozen=True, slots=True)
class Settled:
    """What has become of a message that waited: its records, or none at the end of its wait."""

    waiting: Waiting
    records: list[bytes]


class _Said(NamedTuple):
    """What one message says of a foreign id."""

    key: bytes
    reference: CrossReference


class CrossReferences:
    """Both tables, as one process sees them."""

    def __init__(self, kafka: KafkaSettings, settings: Settings, guard: Guard) -> None:
        """Read the cross-reference, and what waits in this process's partitions.

        Raises:
            BrokerError: no cluster or no topic there.
        """
        self._kafka = kafka
        self._wait_seconds = settings.xref_wait_seconds
        self._producer = ReliableProducer(kafka, guard)
        self._partitions = describe(kafka, kafka.waiting).partitions
        self._reference_partitions = describe(kafka, kafka.xref).partitions
        self._said: dict[str, tuple[_Said, ...]] = {}
        self._unwritten: list[tuple[str, _Said]] = []
        self._waiting: dict[bytes, Waiting] = {}
        self._by_id: defaultdict[str, dict[bytes, None]] = defaultdict(dict)
        self._settled: set[bytes] = set()
        self._written: list[bytes] = []
        references = range(self._reference_partitions)
        self._references, there = self._opened(kafka.xref, references)
        for message in there:
            self._learn(message)
        self._messages, there = self._opened(kafka.waiting, settings.mine(self._partitions))
        self._came = [self._await(message) for message in there]
        self._look_at = self._end_at = 0.0

    @property
    def is_due(self) -> bool:
        """Whether it is time to ``look``."""
        return time.monotonic() >= self._look_at

    def resolve(self, raw: bytes, foreign: Foreign) -> list[bytes]:
        """The records that a message stands for; none where that is not known."""
        return resolved(raw, foreign, self._known(foreign.xref))

    def assign(self, name: str, assignment: Assignment) -> None:
        """Have a foreign id stand for this too from now on; ``write_assigned`` tells the others."""
        if not self._known(name).says(assignment):
            one = _Said(key_of(name, assignment), CrossReference(assignments=[assignment]))
            self._said[name] = (*self._said.get(name, ()), one)
            self._unwritten.append((name, one))

    def write_assigned(self) -> None:
        """Put what is new of foreign ids on their topic.

        Raises:
            BrokerError: it can never be written.
        """
        for name, one in self._unwritten:
            partition = zlib.crc32(name.encode()) % self._reference_partitions
            self._producer.put(
                self._kafka.xref, partition, one.key, msgspec.json.encode(one.reference)
            )
        self._unwritten = []

    def keep(
        self, foreign: Foreign, message: Refusal, source: str, too_large: Callable[[], None]
    ) -> None:
        """Let a message wait, which is no record as it came; or say that it is too large for that.

        Raises:
            BrokerError: it can never be written.
        """
        headers: dict[str, str | bytes | None] = {
            "until": str(time.time() + self._wait_seconds),
            "source": source,
            "offset": str(message.line_no),
        }
        key = msgspec.json.encode([foreign.source, foreign.id])
        self._put(key, message.raw, headers, too_large)

    def look(self) -> list[Settled]:
        """What can be settled by now; it stays on the topic until it ``is_written``."""
        self._look_at = time.monotonic() + LOOK_SECONDS
        news = [self._learn(message) for message in self._references.poll(_MESSAGES, 0)]
        self._came += [self._await(message) for message in self._messages.poll(_MESSAGES, 0)]
        concerned = dict.fromkeys(key for name in news for key in self._by_id.get(name, ()))
        concerned |= dict.fromkeys(self._came)
        self._came = []
        waiting = [self._waiting[key] for key in concerned if key in self._waiting]
        found = [Settled(w, self.resolve(w.raw, w.foreign)) for w in waiting]
        settled = [one for one in found if one.records]
        for one in settled:
            self._drop(one.waiting)
        return settled + self._over()

    def is_written(self, settled: Sequence[Settled]) -> None:
        """Take note that what has become of these was given to the journal."""
        self._written += [one.waiting.key for one in settled]

    def is_settled(self) -> bool:
        """Whether everything that is to wait is durable, without waiting for it.

        Raises:
            BrokerError: something never will be.
        """
        return self._producer.is_settled()

    def flush(self) -> None:
        """Wait until that is so, and remove what was written, which is on the journal by now.

        Raises:
            BrokerError: something can never be written.
        """
        self._producer.flush()
        for key in self._written:
            self._put(key, None)
        self._settled.difference_update(self._written)
        self._written = []

    def close(self) -> None:
        """Leave."""
        self._producer.flush()
        self._references.close()
        self._messages.close()

    def _put(
        self,
        key: bytes,
        raw: bytes | None,
        headers: dict[str, str | bytes | None] | None = None,
        too_large: Callable[[], None] | None = None,
    ) -> None:
        partition = zlib.crc32(key) % self._partitions
        self._producer.put(self._kafka.waiting, partition, key, raw, headers, too_large)

    def _opened(
        self, topic: str, partitions: Iterable[int]
    ) -> tuple[TopicReader, Iterator[Message]]:
        """A reader, and what the topic holds by now."""
        client = consumer(self._kafka, f"{self._kafka.group}.xref")
        found = {(topic, p): bounds(self._kafka, client, topic, p) for p in partitions}
        starts = {place: first for place, (first, _) in found.items()}
        reader = TopicReader(self._kafka, client, starts)

        def there() -> Iterator[Message]:
            while any(reader.at[place] < end for place, (_, end) in found.items()):
                yield from reader.poll(_MESSAGES, _START_SECONDS)

        return reader, there()

    def _over(self) -> list[Settled]:
        """Those whose wait is over; looked for each second."""
        now = time.time()
        if now < self._end_at:
            return []
        self._end_at = now + _END_SECONDS
        over = [Settled(w, []) for w in self._waiting.values() if w.until <= now]
        for one in over:
            self._drop(one.waiting)
        return over

    def _known(self, name: str) -> CrossReference:
        """What a foreign id stands for by all that was said of it, in the order in which it was said."""
        said = self._said.get(name)
        return CrossReference.of(one.reference for one in said) if said else _NOTHING

    def _learn(self, message: Message) -> str:
        """Take what is said of a foreign id; gives the id."""
        key, value = message.key() or b"", message.value()
        name = name_of(key)
        said = tuple(one for one in self._said.get(name, ()) if one.key != key)
        if value is not None:
            try:
                said += (_Said(key, cross_reference(value)),)
            except msgspec.DecodeError as error:
                _log.warning(
                    "cross-reference refused; what was known stands", key=name, error=str(error)
                )
                return name
        if said:
            self._said[name] = said
        else:
            self._said.pop(name, None)
        return name

    def _await(self, message: Message) -> bytes:
        """Take a message that waits, or that it waits no longer; gives its key."""
        key, raw = message.key() or b"", message.value()
        before = self._waiting.pop(key, None)
        if before is not None:
            self._by_id[before.foreign.xref].pop(key, None)
        foreign = foreign_of(raw) if raw is not None else None
        if raw is not None and foreign is not None and key not in self._settled:
            said = headers_of(message)
            self._waiting[key] = Waiting(
                key,
                raw,
                foreign,
                float(said.get("until", "0")),
                said.get("source", ""),
                int(said.get("offset", "-1")),
            )
            self._by_id[foreign.xref][key] = None
        return key

    def _drop(self, waiting: Waiting) -> None:
        del self._waiting[waiting.key]
        del self._by_id[waiting.foreign.xref][waiting.key]
        self._settled.add(waiting.key)
