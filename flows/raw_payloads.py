"""From a record, or a fact of the lake, to the payload that it was made of, as the platform sent it.

What ingest makes of a channel's payload has ``dataref`` (an extension of CloudEvents): topic, partition and
offset of the payload, which is there as long as the channel's ``keep_days`` say. A fact of the lake says which
position of which log it was caused by, and a decision on the tracking log which of the journal; so none of them
has to repeat the pointer.
"""

import msgspec
from confluent_kafka import Message

from flows.kafka.client import KafkaSettings, bounds, consumer
from flows.kafka.reading import headers_of, read_range
from flows.kafka.topics import describe
from flows.lake.layout import TRACK_PARTITIONS
from flows.public_records import source_of
from flows.vault.keys import Vault
from flows.vault.seals import HEADER
from schemas.errors import InputError


class _Pointing(msgspec.Struct):
    dataref: str = ""
    source: str = ""
    id: str = ""


_POINTING = msgspec.json.Decoder(_Pointing)


def with_pointer(line: bytes, source: str, offset: int) -> bytes:
    """A record, as JSON, that says of which payload it was made.

    Args:
        line: the record.
        source: topic and partition of the payload.
        offset: there.
    """
    return line[:-1] + f',"dataref":"{source}/{offset}"}}'.encode()


def raw_payload(
    settings: KafkaSettings, place: str, vault: Vault | None = None
) -> tuple[str, bytes]:
    """Where the payload of a record is, and what it is.

    Args:
        settings: of the cluster.
        place: ``TOPIC/PARTITION/OFFSET`` of the record, or of the payload itself; ``PARTITION/POSITION`` of a
            fact, as the lake has them.
        vault: by which a payload that we have sealed is opened; without, it stays so.

    Raises:
        InputError: there is no such place, its message is gone, or was made of no payload.
        BrokerError: no cluster or no topic there.
    """
    message = _message(settings, place)
    if message.topic() not in (settings.journal, settings.tracking):
        return place, _content(message, vault)
    record = _pointing(message)
    if record.source == source_of(describe(settings, settings.journal).id):
        record = _pointing(_message(settings, record.id.rpartition("/")[0]))
    if not record.dataref:
        raise InputError(f"{place} was made of no payload of a channel")
    return record.dataref, _content(_message(settings, record.dataref), vault)


def _content(message: Message, vault: Vault | None) -> bytes:
    raw = message.value() or b""
    return vault.opened(raw) if vault is not None and HEADER in headers_of(message) else raw


def _pointing(record: Message) -> _Pointing:
    try:
        return _POINTING.decode(record.value() or b"")
    except msgspec.DecodeError:
        return _Pointing()


def _message(settings: KafkaSettings, place: str) -> Message:
    topic, partition, offset = _parsed(settings, place)
    if partition >= describe(settings, topic).partitions:
        raise InputError(f"{topic} has no partition {partition}")
    client = consumer(settings, settings.group)
    try:
        first, end = bounds(settings, client, topic, partition)
        if not first <= offset < end:
            raise InputError(f"{place} is gone: the topic holds offsets {first} to {end - 1}")
        for message in read_range(settings, client, (topic, partition), offset, offset + 1):
            if message.offset() == offset:
                return message
    finally:
        client.close()
    raise InputError(f"{place} is no message")


def _parsed(settings: KafkaSettings, place: str) -> tuple[str, int, int]:
    try:
        *topic, partition, offset = place.split("/")
        number = int(partition)
        if topic:
            (name,) = topic
        elif number < TRACK_PARTITIONS:
            name = settings.journal
        else:
            name, number = settings.tracking, number - TRACK_PARTITIONS
        return name, number, int(offset)
    except ValueError:
        raise InputError(
            f"{place!r}: say TOPIC/PARTITION/OFFSET, or PARTITION/POSITION as the lake has them"
        ) from None
