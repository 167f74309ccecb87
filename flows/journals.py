"""Where ingest writes: the journal as a Kafka topic, or as a recorded log on this machine."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

import msgspec

from flows.guard import Guard
from flows.kafka.client import KafkaSettings
from flows.kafka.producer import ReliableProducer
from flows.kafka.topics import describe
from flows.logs.log import Home
from flows.logs.parquet import LogWriter
from schemas.codec import Refusal, decode_line, encode_event
from schemas.envelope import Event
from schemas.topics import LogOf

Letter = tuple[str, Refusal]
"""What is no record of the journal, and the topic and partition that it came from."""
LEFT_OUT = "bytes-left-out"
"""Header of a dead letter without its message: how many bytes that has where it came from."""


def letter_headers(source: str, refusal: Refusal) -> dict[str, str | bytes | None]:
    """What a dead letter says of itself."""
    return {
        "reason": refusal.reason.name,
        "detail": refusal.detail,
        "source": source,
        "offset": str(refusal.line_no),
    }


class Journal(Protocol):
    """An ordered log that records and dead letters are added to."""

    @property
    def partitions(self) -> int:
        """Number of its partitions."""

    def put(self, home: Home, event: Event | None, raw: bytes, spare: Letter | None = None) -> None:
        """Add a record.

        Args:
            home: of its network, or of its order.
            event: what it says; without, ``raw`` is a record that says nothing of record time.
            raw: how it came.
            spare: what it becomes if it is too large for the journal.
        """

    def letter(self, source: str, refusal: Refusal) -> None:
        """Keep what is no record; ``source`` is the topic and partition it came from."""

    def is_settled(self) -> bool:
        """Whether everything added so far is durable, without waiting for it."""

    def flush(self) -> None:
        """Wait until everything added so far is durable."""

    def close(self) -> None:
        """Leave."""


class KafkaJournal:
    """A topic. The record time of a message is its timestamp."""

    def __init__(
        self,
        settings: KafkaSettings,
        guard: Guard | None = None,
        of: LogOf = LogOf.JOURNAL,
    ) -> None:
        self._topic = settings.journal if of is LogOf.JOURNAL else settings.tracking
        self._letters = settings.dead_letters
        self._producer = ReliableProducer(settings, guard)
        self.partitions = describe(settings, self._topic).partitions

    def put(self, home: Home, event: Event | None, raw: bytes, spare: Letter | None = None) -> None:
        """See ``Journal``."""
        if event is not None and event.recordedtime is not None:
            # when it was learnt is not theirs to say
            raw = encode_event(msgspec.structs.replace(event, recordedtime=None))
        too_large = None if spare is None else partial(self.letter, *spare)
        self._producer.put(self._topic, home.partition, home.key, raw, too_large=too_large)

    def replay(self, partition: int, key: bytes, line: bytes) -> None:
        """Add a record as it was recorded, with the record time that it brings."""
        self._producer.put(self._topic, partition, key, line)

    def letter(self, source: str, refusal: Refusal) -> None:
        """See ``Journal``; one too large for its topic is kept without its bytes."""
        headers = letter_headers(source, refusal)
        put = partial(self._producer.put, self._letters, -1, source.encode())
        told = {**headers, LEFT_OUT: str(len(refusal.raw))}
        put(refusal.raw, headers, partial(put, b"", told))

    def is_settled(self) -> bool:
        """See ``Journal``."""
        return self._producer.is_settled()

    def flush(self) -> None:
        """See ``Journal``."""
        self._producer.flush()

    def close(self) -> None:
        """See ``Journal``."""


class RecordedJournal:
    """A recorded log; one segment per partition and flush."""

    def __init__(
        self, writer: LogWriter, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._writer = writer
        self._clock = clock
        self._letters: dict[str, list[Refusal]] = {}
        self.partitions = writer.log.partitions

    def put(self, home: Home, event: Event | None, raw: bytes, spare: Letter | None = None) -> None:
        """See ``Journal``; nothing is too large for a file."""
        said = event or decode_line(raw, 0)
        assert isinstance(said, Event)
        learnt = msgspec.structs.replace(said, recordedtime=self._clock())
        self._writer.append_to(home.partition, learnt)

    def letter(self, source: str, refusal: Refusal) -> None:
        """See ``Journal``."""
        self._letters.setdefault(source, []).append(refusal)

    def is_settled(self) -> bool:
        """See ``Journal``."""
        self.flush()
        return True

    def flush(self) -> None:
        """See ``Journal``."""
        for source, refusals in self._letters.items():
            self._writer.dead_letters(source, refusals)
        self._letters = {}
        self._writer.flush()

    def close(self) -> None:
        """See ``Journal``."""
        self._writer.close()
