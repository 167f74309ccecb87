"""A Kafka-speaking broker inside the test's process, with faults to order.

It is the mock cluster of librdkafka, whose functions the wheel of confluent-kafka exports. It keeps
5 MiB a partition, forgets everything at its end, and has no controller, so nothing about transactions,
retention or restarts is proved on it.
"""

import ctypes
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import confluent_kafka
import pytest
from confluent_kafka import KafkaError, Message, Producer

from flows.kafka.client import QUIET, KafkaSettings, bounds, consumer
from flows.kafka.reading import read_range
from flows.kafka.topics import describe, plans

on_kafka_alone = pytest.mark.parametrize(
    "cluster", [pytest.param("kafka", marks=pytest.mark.broker)], indirect=True
)
"""For what takes long, and proves little on a mock that keeps nothing."""

_PRODUCER = 0
_BROKER = 1
_ADDRESS, _NUMBER = ctypes.c_void_p, ctypes.c_int


def _library() -> ctypes.CDLL:
    wheel = Path(confluent_kafka.__file__).parents[1] / "confluent_kafka.libs"
    library = ctypes.CDLL(str(next(wheel.glob("librdkafka*.so*"))))
    library.rd_kafka_new.restype = _ADDRESS
    library.rd_kafka_new.argtypes = [_NUMBER, _ADDRESS, ctypes.c_char_p, ctypes.c_size_t]
    library.rd_kafka_destroy.argtypes = [_ADDRESS]
    library.rd_kafka_mock_cluster_new.restype = _ADDRESS
    library.rd_kafka_mock_cluster_new.argtypes = [_ADDRESS, _NUMBER]
    library.rd_kafka_mock_cluster_destroy.argtypes = [_ADDRESS]
    library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    library.rd_kafka_mock_cluster_bootstraps.argtypes = [_ADDRESS]
    library.rd_kafka_mock_topic_create.argtypes = [_ADDRESS, ctypes.c_char_p, _NUMBER, _NUMBER]
    for name in ("rd_kafka_mock_broker_set_down", "rd_kafka_mock_broker_set_up"):
        getattr(library, name).argtypes = [_ADDRESS, ctypes.c_int32]
    library.rd_kafka_mock_broker_set_rtt.argtypes = [_ADDRESS, ctypes.c_int32, _NUMBER]
    return library


class MockBroker:
    """One broker on loopback; other processes may connect."""

    def __init__(self) -> None:
        self._library = _library()
        complaint = ctypes.create_string_buffer(256)
        self._handle = self._library.rd_kafka_new(_PRODUCER, None, complaint, len(complaint))
        assert self._handle, complaint.value.decode()
        self._cluster = self._library.rd_kafka_mock_cluster_new(self._handle, 1)

    @property
    def bootstrap(self) -> str:
        """Its address."""
        found: bytes = self._library.rd_kafka_mock_cluster_bootstraps(self._cluster)
        return found.decode()

    def topic(self, name: str, partitions: int) -> None:
        """Make a topic."""
        refused = self._library.rd_kafka_mock_topic_create(
            self._cluster, name.encode(), partitions, 1
        )
        assert not refused, f"{name}: error {refused}"

    def topics(self, settings: KafkaSettings, partitions: int) -> None:
        """Make every topic of a deployment."""
        for plan in plans(settings):
            self.topic(plan.name, partitions)

    def down(self) -> None:
        """Close every connection and take no new ones."""
        self._library.rd_kafka_mock_broker_set_down(self._cluster, _BROKER)

    def up(self) -> None:
        """Be there again."""
        self._library.rd_kafka_mock_broker_set_up(self._cluster, _BROKER)

    def slow(self, milliseconds: int) -> None:
        """Answer every request so much later."""
        self._library.rd_kafka_mock_broker_set_rtt(self._cluster, _BROKER, milliseconds)

    def fail(self, request: int, errors: Sequence[int]) -> None:
        """Answer the next requests of a kind (Kafka's API key) with these errors.

        Only clients with one request in flight may be refused a batch: the mock takes the batch after
        it, which Kafka would not, and librdkafka then believes that both are written.
        """
        self._library.rd_kafka_mock_push_request_errors_array(
            ctypes.c_void_p(self._cluster),
            ctypes.c_int16(request),
            ctypes.c_size_t(len(errors)),
            (_NUMBER * len(errors))(*errors),
        )

    def mend(self, request: int) -> None:
        """Answer requests of this kind as they deserve again."""
        self._library.rd_kafka_mock_clear_request_errors(
            ctypes.c_void_p(self._cluster), ctypes.c_int16(request)
        )

    def close(self) -> None:
        """Be gone with all that was written."""
        self._library.rd_kafka_mock_cluster_destroy(self._cluster)
        self._library.rd_kafka_destroy(self._handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def write(
    bootstrap: str,
    topic: str,
    messages: Sequence[tuple[int, bytes | None]],
    most_bytes: int = 1_000_000,
) -> None:
    """Messages (partition, value) on a topic, in order."""
    habits = {"linger.ms": 5, "compression.type": "zstd", "message.max.bytes": most_bytes}
    client = Producer({"bootstrap.servers": bootstrap, **habits})
    for partition, value in messages:
        client.produce(topic, value, partition=partition)
        client.poll(0)
    assert client.flush(30) == 0


def write_keyed(bootstrap: str, topic: str, messages: Sequence[tuple[bytes, bytes | None]]) -> None:
    """Messages (key, value) on the first partition of a topic."""
    client = Producer({"bootstrap.servers": bootstrap})
    for key, value in messages:
        client.produce(topic, value, key, partition=0)
    assert client.flush(30) == 0


class Feed:
    """Writes messages to a raw topic bit by bit, however long the broker is away.

    Attributes:
        written_at: by message, wall-clock time when the broker had said that it holds it.
    """

    def __init__(self, settings: KafkaSettings, messages: Sequence[bytes], seconds: float) -> None:
        self.written_at: dict[bytes, float] = {}
        self._client = Producer(
            {
                **settings.client,
                "bootstrap.servers": settings.bootstrap,
                "enable.idempotence": True,
                "message.timeout.ms": 0,
                "reconnect.backoff.max.ms": 500,
                "logger": QUIET,
            }
        )
        self._topic, self._messages, self._seconds = settings.raw[0], messages, seconds
        self._thread = threading.Thread(target=self._write)

    def _write(self) -> None:
        pause = self._seconds / max(1, len(self._messages))
        for message in self._messages:
            self._client.produce(self._topic, message, partition=0, on_delivery=self._note)
            self._client.poll(pause)
        assert self._client.flush(60) == 0

    def _note(self, error: KafkaError | None, message: Message) -> None:
        assert error is None, error
        self.written_at.setdefault(message.value() or b"", time.time())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()


def all_of(settings: KafkaSettings, topic: str) -> list[tuple[int, bytes]]:
    """Every message of a topic: partition and value, in order per partition."""
    client, found = consumer(settings, "all"), []
    for partition in range(describe(settings, topic).partitions):
        first, end = bounds(settings, client, topic, partition)
        messages = read_range(settings, client, (topic, partition), first, end)
        found += [(partition, message.value() or b"") for message in messages]
    client.close()
    return found
