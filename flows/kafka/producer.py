"""A producer that loses nothing: what it took is on the topic after ``flush``, or it raises.

Retries, order and repeats within one life of the process are librdkafka's (it is idempotent and never
gives up). Room is bounded: while the client's queue is full, ``put`` waits, and the flow stops reading.
Brokers may be away for as long as they like, unless the flow was asked to end.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException

from flows.guard import Guard
from flows.kafka.client import KafkaSettings, producer
from schemas.errors import BrokerError

LARGE_BYTES = 900_000
"""Only a value so large may be alone in its batch, and be refused for its size by a topic that takes
batches; for smaller ones nobody need say what becomes of them then."""
_WAIT_SECONDS = 0.05
_TOO_LARGE = {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE}


class ReliableProducer:
    """Writes messages to the partitions that it is told; the flow's guard hears of waits, and ends them."""

    def __init__(self, settings: KafkaSettings, guard: Guard | None = None) -> None:
        self._guard = guard or Guard()
        self._bootstrap = settings.bootstrap
        self._failure: str | None = None
        self._too_large: list[Callable[[], None]] = []
        self._client = producer(settings, self._failed)

    def put(
        self,
        topic: str,
        partition: int,
        key: bytes,
        value: bytes | None,
        headers: dict[str, str | bytes | None] | None = None,
        too_large: Callable[[], None] | None = None,
    ) -> None:
        """Take a message; waits while too many are on their way.

        Args:
            topic: where to.
            partition: of the topic.
            key: of the message.
            value: of the message.
            headers: of the message.
            too_large: what to do if this is more than the topic takes in one message; without, that is
                a failure. It may put another one.

        Raises:
            BrokerError: this one or an earlier one can never be written, or the flow is to end.
        """
        told = None if too_large is None else partial(self._alone, too_large)
        while True:
            if self._failure is not None:
                self._raise_failure()
            try:
                if headers is None:  # to name arguments takes as long as all else
                    self._client.produce(topic, value, key, partition, told)
                else:
                    self._client.produce(
                        topic, value, key, partition, on_delivery=told, headers=headers
                    )
            except BufferError:
                self._wait()
                self._client.poll(_WAIT_SECONDS)
            except KafkaException as error:
                if too_large is not None and error.args[0].code() in _TOO_LARGE:
                    return too_large()
                self._failure = f"topic {topic}: {error.args[0].str()}"
            else:
                return

    def poll(self) -> None:
        """Hear what became of earlier messages, without waiting.

        Raises:
            BrokerError: one of them can never be written.
        """
        self._client.poll(0)
        self._hear()

    def is_settled(self) -> bool:
        """Whether everything taken so far is on the topics, without waiting for it.

        Raises:
            BrokerError: something never will be.
        """
        self.poll()
        return len(self._client) == 0

    def flush(self) -> None:
        """Wait until everything taken so far is on the topics, however long the brokers are away.

        Raises:
            BrokerError: something never will be, or the flow is to end and they are still away.
        """
        while self._client.flush(_WAIT_SECONDS) or self._too_large:
            self._hear()
            self._wait()
        self._raise_failure()

    def _wait(self) -> None:
        if not self._guard.may_wait():
            raise BrokerError(
                f"Kafka at {self._bootstrap} is away: {len(self._client)} messages are not written; "
                "nothing is lost, the next start makes them again"
            )

    def _alone(self, too_large: Callable[[], None], error: KafkaError | None, message: Any) -> None:
        if error is not None and error.code() in _TOO_LARGE:
            self._too_large.append(too_large)  # what it puts may wait, which no callback should
        elif error is not None:
            self._failed(error, message)

    def _hear(self) -> None:
        while self._too_large:
            self._too_large.pop()()
        self._raise_failure()

    def _failed(self, error: KafkaError, message: Any) -> None:
        self._failure = self._failure or f"topic {message.topic()}: {error.str()}"

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise BrokerError(f"Kafka at {self._bootstrap}: a message was refused: {self._failure}")
