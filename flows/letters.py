"""Dead letters of the live job: what ingest could not take for a record, on a topic of its own.

Each is the message as it came, with the reason, where it came from and which process refused it; what is
personal in what a channel's platform sent is sealed. It can be sent again to its raw topic once its producer,
or we, have mended what was wrong; the topic keeps it, and a mark beside it says that it was sent, so that
nobody sends it twice without meaning to: letters stay for longer than the folds know records for repeats.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from confluent_kafka import Message

from flows.channels.engine import Channel
from flows.journals import LEFT_OUT
from flows.kafka.client import KafkaSettings, bounds, consumer
from flows.kafka.producer import ReliableProducer
from flows.kafka.reading import headers_of, read_range
from flows.kafka.topics import describe
from flows.logs.kafka import decode_message, timestamp
from flows.vault.keys import Vault
from flows.vault.seals import GONE, HEADER, is_sealed
from schemas.codec import Refusal
from schemas.crossref import foreign_of
from schemas.envelope import Event

RESENT = "resent"
"""Header of a mark on the topic of the letters: offset, in the same partition, of the one that was sent."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One message that was no record.

    Attributes:
        partition: of the dead-letter topic.
        offset: in it.
        at: when it was refused.
        reason: the class of the trouble.
        detail: what was wrong, in one line.
        source: raw topic and partition that it came from.
        source_offset: its offset there.
        raw: the message as it came, personal data sealed.
        bytes_left_out: size of the message, where it could not be kept and ``raw`` is empty.
        is_resent: whether it was sent again; if it was refused once more, there is another letter.
    """

    partition: int
    offset: int
    at: datetime
    reason: str
    detail: str
    source: str
    source_offset: int
    raw: bytes
    bytes_left_out: int = 0
    is_resent: bool = False

    def opened(self, vault: Vault | None) -> "Letter":
        """The letter with what is sealed in it, ``null`` where the key is destroyed."""
        return self if vault is None else replace(self, raw=vault.opened(self.raw))

    @property
    def is_here(self) -> bool:
        """Whether its message is: not left where it came from, nor purged as a whole."""
        return self.raw not in (b"", GONE)

    def would_pass(self, channels: Mapping[str, Channel]) -> bool:
        """Whether it is a record by today's rules and mappings, or would be looked up again; once opened.

        Args:
            channels: by topic.
        """
        if not self.is_here or is_sealed(self.raw):
            return False
        channel = channels.get(self.source.partition("/")[0])
        if channel is None:
            return _is_taken(decode_message(self.raw, 0))
        mapped = channel.take([self.raw])
        made = [_is_taken(record.decoded()) for record in mapped.records]
        return bool(made) and not mapped.troubles and all(made)


def _is_taken(event: Event | Refusal) -> bool:
    return not isinstance(event, Refusal) or foreign_of(event.raw) is not None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which letters; None leaves nothing out."""

    reason: str | None = None
    source: str | None = None

    def __contains__(self, letter: object) -> bool:
        return (
            isinstance(letter, Letter)
            and self.reason in (None, letter.reason)
            and (self.source is None or letter.source.partition("/")[0] == self.source)
        )


def read_letters(settings: KafkaSettings, wanted: Wanted) -> Iterator[Letter]:
    """Every letter that the topic holds now, oldest first within a partition.

    Raises:
        BrokerError: no cluster or no topic there.
    """
    client = consumer(settings, settings.group)
    try:
        for partition in range(describe(settings, settings.dead_letters).partitions):
            first, end = bounds(settings, client, settings.dead_letters, partition)
            place = settings.dead_letters, partition
            read = partial(read_range, settings, client, place, first, end)
            resent = {of for message in read() if (of := headers_of(message).get(RESENT))}
            for message in read():
                told = headers_of(message)
                if RESENT in told:
                    continue
                letter = _letter(message, told, is_resent=str(message.offset()) in resent)
                if letter in wanted:
                    yield letter
    finally:
        client.close()


def _letter(message: Message, told: Mapping[str, str], *, is_resent: bool) -> Letter:
    return Letter(
        message.partition() or 0,
        message.offset() or 0,
        timestamp(message),
        told.get("reason", "UNKNOWN"),
        told.get("detail", ""),
        told.get("source", ""),
        int(told.get("offset", "-1")),
        message.value() or b"",
        int(told.get(LEFT_OUT, "0")),
        is_resent,
    )


def resend(settings: KafkaSettings, letters: Iterator[Letter]) -> int:
    """Write letters to the raw topics that they came from, and mark them; returns how many.

    What is sealed in them stays so; ingest opens it. A letter whose message is not here is left out: it is
    where it came from, for a while.

    Raises:
        BrokerError: one can never be written.
    """
    producer, sent = ReliableProducer(settings), list[Letter]()
    for letter in letters:
        topic = letter.source.partition("/")[0]
        if topic in settings.raw and letter.is_here:
            headers: dict[str, str | bytes | None] = {HEADER: ""} if is_sealed(letter.raw) else {}
            producer.put(topic, -1, letter.source.encode(), letter.raw, headers)
            sent.append(letter)
    producer.flush()
    for letter in sent:  # only now: a mark without its message would be a loss
        mark: dict[str, str | bytes | None] = {RESENT: str(letter.offset)}
        key = letter.source.encode()
        producer.put(settings.dead_letters, letter.partition, key, b"", mark)
    producer.flush()
    return len(sent)
