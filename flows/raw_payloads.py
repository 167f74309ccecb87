"""From a record to the payload that it was made of, as the platform sent it.

What ingest makes of a channel's payload has ``dataref`` (an extension of CloudEvents): topic, partition and
offset of the payload, which is there as long as the channel's ``keep_days`` say.
"""

import msgspec
from confluent_kafka import Message

from flows.kafka.client import KafkaSettings, bounds, consumer
from flows.kafka.reading import read_range
from flows.kafka.topics import describe
from schemas.errors import InputError


class _Pointing(msgspec.Struct):
    dataref: str = ""


_POINTING = msgspec.json.Decoder(_Pointing)


def with_pointer(line: bytes, source: str, offset: int) -> bytes:
    """A record, as JSON, that says of which payload it was made.

    Args:
        line: the record.
        source: topic and partition of the payload.
        offset: there.
    """
    return line[:-1] + f',"dataref":"{source}/{offset}"}}'.encode()


def raw_payload(settings: KafkaSettings, place: str) -> tuple[str, bytes]:
    """Where the payload of a record is, and what it is.

    Args:
        settings: of the cluster.
        place: ``TOPIC/PARTITION/OFFSET`` of the record, or of the payload itself.

    Raises:
        InputError: there is no such place, its message is gone, or was made of no payload.
        BrokerError: no cluster or no topic there.
    """
    message = _message(settings, place)
    if message.topic() not in (settings.journal, settings.tracking):
        return place, message.value() or b""
    try:
        pointer = _POINTING.decode(message.value() or b"").dataref
    except msgspec.DecodeError:
        pointer = ""
    if not pointer:
        raise InputError(f"{place} was made of no payload of a channel")
    return pointer, _message(settings, pointer).value() or b""


def _message(settings: KafkaSettings, place: str) -> Message:
    topic, partition, offset = _parsed(place)
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


def _parsed(place: str) -> tuple[str, int, int]:
    try:
        topic, partition, offset = place.split("/")
        return topic, int(partition), int(offset)
    except ValueError:
        raise InputError(f"{place!r}: say TOPIC/PARTITION/OFFSET") from None
