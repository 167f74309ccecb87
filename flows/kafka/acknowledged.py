"""A producer for those who wait: each message is known to be on its topic, or that it is not, in bounded time.

It lives on one event loop. The client is asked by a timer what was delivered, only while somebody waits, so
that no thread wakes up for each message: those that arrive within a millisecond or two share a batch and a
turn. What was not delivered in time may be on the topic all the same: who sends it again makes a repeat.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException

from flows.kafka.client import KafkaSettings, acknowledged_producer
from schemas.errors import BrokerError

_ASK_SECONDS = 0.001
_TOO_LARGE = {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE}
Headers = Mapping[str, str | bytes | None]


class NotDurableError(BrokerError):
    """A message that is not known to be on its topic.

    Attributes:
        is_too_large: whether it never will be, for its size.
    """

    def __init__(self, said: str, *, is_too_large: bool = False) -> None:
        super().__init__(said)
        self.is_too_large = is_too_large


class AcknowledgedProducer:
    """Writes messages and waits for the brokers' word.

    Attributes:
        failure: what keeps it from writing anything ever again.
        waiting: so many messages are on their way.
    """

    def __init__(self, settings: KafkaSettings, seconds: float) -> None:
        """Connect; ``seconds`` is how long a message may take."""
        self.failure: BrokerError | None = None
        self.waiting = 0
        self._bootstrap = settings.bootstrap
        self._seconds = seconds
        self._client = acknowledged_producer(settings, seconds)
        self._is_asking = False

    async def put(self, topic: str, value: bytes, headers: Headers) -> None:
        """Write a message; when this returns, it is on its topic.

        Raises:
            NotDurableError: it is not known to be.
        """
        loop = asyncio.get_running_loop()
        told: asyncio.Future[None] = loop.create_future()

        def delivered(error: KafkaError | None, _message: Any) -> None:
            if told.done():  # it took too long
                return
            if error is None:
                told.set_result(None)
            else:
                told.set_exception(self._error(error))

        try:
            self._client.produce(topic, value, headers=dict(headers), on_delivery=delivered)
        except BufferError as error:
            raise NotDurableError("too much is on its way to the brokers") from error
        except KafkaException as error:
            raise self._error(error.args[0]) from error
        self.waiting += 1
        if not self._is_asking:
            self._is_asking = True
            loop.call_later(_ASK_SECONDS, self._ask, loop)
        timer = loop.call_later(self._seconds, self._too_late, told)
        try:
            await told
        finally:
            timer.cancel()
            self.waiting -= 1

    def poll(self) -> None:
        """Let the client say what it has to say; what it raises is that it can never write again."""
        try:
            self._client.poll(0)
        except KafkaException as error:
            self._error(error.args[0])

    def _ask(self, loop: asyncio.AbstractEventLoop) -> None:
        self.poll()
        self._is_asking = self.waiting > 0
        if self._is_asking:
            loop.call_later(_ASK_SECONDS, self._ask, loop)

    def _too_late(self, told: "asyncio.Future[None]") -> None:
        if not told.done():
            said = f"Kafka at {self._bootstrap}: no answer in {self._seconds:g} s"
            told.set_exception(NotDurableError(said))

    def _error(self, error: KafkaError) -> NotDurableError:
        said = f"Kafka at {self._bootstrap}: {error.str()}"
        if error.fatal() or error.code() == KafkaError._FATAL:
            self.failure = self.failure or BrokerError(said)
        return NotDurableError(said, is_too_large=error.code() in _TOO_LARGE)
