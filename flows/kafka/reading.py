"""Reading partitions of topics from given positions on, without ever skipping in silence.

Positions may have gaps: what a transaction left behind is no message, so how far a partition has been
read is also told by its end being reached, not by messages alone.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from flows.kafka.client import RETRIABLE, KafkaSettings, bounds
from schemas.errors import BrokerError, LogError

Place = tuple[str, int]
"""A topic and a partition of it."""

POLL_SECONDS = 0.001
AT_ONCE = datetime(2000, 1, 1, tzinfo=UTC)
"""When a Bytewax source that polls is to be asked again: the time to wait is spent inside ``poll``."""
_EXPIRED = {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE}
_RANGE_MESSAGES, _RANGE_SECONDS = 1_000, 0.1


class TopicReader:
    """Some partitions, read by one consumer.

    Attributes:
        at: position to be read next, by place.
    """

    def __init__(
        self, settings: KafkaSettings, client: Consumer, starts: Mapping[Place, int]
    ) -> None:
        """Assign the partitions.

        Raises:
            LogError: a topic does not hold its start, nor ends there.
            BrokerError: the cluster does not answer.
        """
        self._settings = settings
        self._client = client
        self.at = dict(starts)
        for place, start in starts.items():
            first, end = bounds(settings, client, *place)
            if not first <= start <= end:
                raise _gap(place, start, first, end)
        client.assign([TopicPartition(*place, start) for place, start in starts.items()])

    def poll(self, most: int, seconds: float = POLL_SECONDS) -> list[Message]:
        """What has arrived, at once; if nothing has, what arrives within so many seconds.

        Raises:
            LogError: records expired before they were read.
            BrokerError: something that neither the client nor waiting mends.
        """
        messages = []
        for message in self._client.consume(most, 0) or self._first(most, seconds):
            place = message.topic() or "", message.partition() or 0
            if (error := message.error()) is None:
                self.at[place] = (message.offset() or 0) + 1
                messages.append(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                self.at[place] = max(self.at[place], message.offset() or 0)
            else:
                self._hear(error, place)
        return messages

    def close(self) -> None:
        """Leave."""
        self._client.close()

    def _first(self, most: int, seconds: float) -> list[Message]:
        """What arrives next, as soon as it does; ``consume`` would wait for more to come."""
        first = self._client.poll(seconds) if seconds else None
        return [first, *self._client.consume(most - 1, 0)] if first is not None else []

    def _hear(self, error: KafkaError, place: Place) -> None:
        if error.code() in _EXPIRED:
            raise _gap(place, self.at[place], *bounds(self._settings, self._client, *place))
        if error.fatal() or (not error.retriable() and error.code() not in RETRIABLE):
            raise BrokerError(
                f"Kafka at {self._settings.bootstrap}: reading {place[0]}/{place[1]}: {error.str()}"
            )


def read_range(
    settings: KafkaSettings, client: Consumer, place: Place, start: int, end: int
) -> Iterator[Message]:
    """Messages of a partition from ``start`` until ``end`` was reached; some beyond it may follow.

    Raises:
        LogError: records expired before they were read.
        BrokerError: the cluster does not answer, or refuses.
    """
    if start < end:
        reader = TopicReader(settings, client, {place: start})
        while reader.at[place] < end:
            yield from reader.poll(_RANGE_MESSAGES, _RANGE_SECONDS)


def headers_of(message: Message) -> dict[str, str]:
    """Headers that are text, by name."""
    said = dict(message.headers() or [])
    return {name: value.decode() for name, value in said.items() if isinstance(value, bytes)}


def _gap(place: Place, start: int, first: int, end: int) -> LogError:
    topic, partition = place
    if start > end:
        return LogError(
            f"{topic}/{partition} ends at {end}, but position {start} was to be read next: the topic "
            "was emptied or cut; restore it, or begin anew without what was made of it"
        )
    return LogError(
        f"{topic}/{partition}: positions {start} to {first - 1} expired before they were read; "
        "lengthen the topic's retention, and go on from a recording (crossdock record) or anew"
    )
