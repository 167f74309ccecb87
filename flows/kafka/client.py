"""Settings of Kafka and the configurations made of them: the one place that knows librdkafka's options.

Whatever a cluster asks for (TLS, SASL, a client id) is passed through by its librdkafka name. Values
are never printed, only names: any of them may be a secret.
"""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar

import stamina
import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from pydantic import BaseModel, ConfigDict, Field, field_validator

from flows.guard import Guard
from schemas.codec import MAX_LINE_BYTES
from schemas.errors import BrokerError

Option = str | int | float | bool
MESSAGE_BYTES = MAX_LINE_BYTES + 1024 * 1024
"""Largest message: a record of the largest size, its key and headers."""
BATCH_BYTES = 1_000_000
"""Messages share a batch up to this size; a larger one is alone in its own, and alone refused."""
SECONDS = 10.0
"""How long one answer of the cluster may take."""
START_SECONDS = 30.0
"""How long a job asks before it gives up starting."""
COMMIT_MS = 2_000
"""How long a commit of positions may take: without an answer it holds up the end of a process."""
RUNNING_SECONDS = 2.0
"""How long one answer may take while a flow stands still for it; then it is asked again."""

Client = TypeVar("Client")
Answer = TypeVar("Answer")
RETRIABLE = {
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._TRANSPORT,
    KafkaError._TIMED_OUT,
    KafkaError._DESTROY_BROKER,
    KafkaError._WAIT_COORD,
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.OFFSET_NOT_AVAILABLE,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.NETWORK_EXCEPTION,
    KafkaError.KAFKA_STORAGE_ERROR,
}
"""What the client, or asking again, mends: a broker away, a leader or coordinator that moves.

``_DESTROY_BROKER``: the client gave up a connection for another one while a question was on its way.
"""
_UNKNOWN = {
    KafkaError._UNKNOWN_PARTITION,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
}
"""What a broker that has just started says of its topics, too."""

_log = structlog.get_logger(__name__)
QUIET_SECONDS = 10.0
"""The same complaint of the clients of a process is logged so often at most."""
_quiet_until: dict[str, float] = {}
QUIET = logging.getLogger("crossdock.librdkafka")
"""Takes the clients' own log lines; what matters in them comes through ``error_cb`` as well."""
QUIET.addHandler(logging.NullHandler())
QUIET.propagate = False


_READING = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",
    "enable.partition.eof": True,
}
_WRITING = {
    "enable.idempotence": True,
    "message.timeout.ms": 0,
    "delivery.report.only.error": True,
}
_PRODUCING = {
    "compression.type": "lz4",
    "message.max.bytes": MESSAGE_BYTES,
    "batch.size": BATCH_BYTES,
    "queue.buffering.max.kbytes": 262_144,
}
_OURS = {*_READING, *_WRITING, "group.id", "bootstrap.servers", "transactional.id"}
"""Options that our promises stand on: that nothing is lost, and nothing skipped."""


class KafkaSettings(BaseModel):
    """Where the topics are, and how to reach them."""

    model_config = ConfigDict(extra="forbid")

    bootstrap: str = Field(min_length=1, description="host:port, comma-separated.")
    raw: list[Annotated[str, Field(min_length=1)]] = Field(
        default=["crossdock.raw"],
        min_length=1,
        description="Topics that others write to; what is sent again goes to the first.",
    )
    journal: str = Field(default="crossdock.journal", description="The log of the route flow.")
    tracking: str = Field(default="crossdock.tracking", description="Decisions, for everyone.")
    dead_letters: str = Field(default="crossdock.dead-letters", description="What was no record.")
    xref: str = Field(default="crossdock.xref", description="What foreign ids stand for.")
    waiting: str = Field(default="crossdock.waiting", description="What cannot be looked up yet.")
    group: str = Field(default="crossdock", description="Where positions are shown to lag tools.")
    client: dict[str, Option] = Field(
        default={}, description="Any option of librdkafka but those we stand on.", repr=False
    )

    @property
    def topics(self) -> list[str]:
        """All that are named here."""
        ours = [self.journal, self.tracking, self.dead_letters, self.xref, self.waiting]
        return [*self.raw, *ours]

    @field_validator("client")
    @classmethod
    def _leaves_ours_alone(cls, client: dict[str, Option]) -> dict[str, Option]:
        if taken := sorted(_OURS & client.keys()):
            raise ValueError(
                f"{', '.join(taken)}: not to be set: that nothing is lost or skipped stands on it"
            )
        return client


def consumer(settings: KafkaSettings, group: str) -> Consumer:
    """A consumer that is assigned its partitions and never skips in silence."""
    habits = {
        "fetch.wait.max.ms": 100,
        "fetch.queue.backoff.ms": 2,  # its default of a second stalls a fast reader
        "queued.max.messages.kbytes": 65_536,
        "fetch.message.max.bytes": MESSAGE_BYTES,
    }
    return _made(Consumer, settings, habits, {**_READING, "group.id": group})


def committer(
    settings: KafkaSettings, group: str, committed: Callable[[KafkaError | None, Any], None]
) -> Consumer:
    """A consumer that reads nothing and says what became of a commit, soon; see positions.py."""
    limits = {"socket.timeout.ms": COMMIT_MS, "session.timeout.ms": COMMIT_MS}
    unused = {"fetch.wait.max.ms": 10}  # a longer one is refused beside a short timeout
    fixed = {**_READING, **limits, **unused, "group.id": group, "on_commit": committed}
    return _made(Consumer, settings, {}, fixed)


def producer(settings: KafkaSettings, failed: Callable[[KafkaError, Any], None]) -> Producer:
    """An idempotent producer that tries for ever; ``failed`` hears of what can never be written."""

    def delivered(error: KafkaError | None, message: Any) -> None:
        if error is not None:
            failed(error, message)

    habits = {**_PRODUCING, "linger.ms": 0.1, "queue.buffering.max.messages": 100_000}
    return _made(Producer, settings, habits, {**_WRITING, "on_delivery": delivered})


def acknowledged_producer(settings: KafkaSettings, seconds: float) -> Producer:
    """An idempotent producer that tries for so long, and says of each message what became of it."""
    habits = {
        **_PRODUCING,
        "linger.ms": 2,
        "queue.buffering.max.messages": 10_000,
        "topic.metadata.refresh.interval.ms": 10_000,  # a topic once refused is asked for again
    }
    promises = {
        **_WRITING,
        "message.timeout.ms": int(seconds * 1000),
        "delivery.report.only.error": False,
    }
    return _made(Producer, settings, habits, promises)


def admin(settings: KafkaSettings) -> AdminClient:
    """A client for questions about the cluster."""
    return _made(AdminClient, settings, {}, {})


def asked(
    settings: KafkaSettings,
    what: str,
    question: Callable[[], Answer],
    guard: Guard | None = None,
) -> Answer:
    """The cluster's answer; asked again while it may yet come.

    Args:
        settings: of the cluster.
        what: the question is about.
        question: raises ``KafkaException`` where there is no answer.
        guard: of a flow that stands still meanwhile, for as long as the guard lets it; without, the
            question is one that a job begins with.

    Raises:
        BrokerError: it refuses, has not answered after ``START_SECONDS``, or the flow is to end.
    """
    began = time.monotonic()

    def is_asked_again(error: Exception) -> bool:
        if isinstance(error, KafkaException) and error.args[0].code() in _UNKNOWN:
            passes = time.monotonic() < began + START_SECONDS
        else:
            passes = may_pass(error)
        return passes and (guard is None or guard.may_wait())

    try:
        for attempt in stamina.retry_context(
            on=is_asked_again,
            attempts=None,
            timeout=START_SECONDS if guard is None else None,
            wait_initial=0.1,
            wait_max=2.0 if guard is None else 0.5,
        ):
            with attempt:
                return question()
    except KafkaException as error:
        raise BrokerError(
            f"Kafka at {settings.bootstrap}: {what}: {error.args[0].str()}"
        ) from error
    raise AssertionError("a retry ends with an answer or an error")


def bounds(
    settings: KafkaSettings,
    client: Consumer,
    topic: str,
    partition: int,
    guard: Guard | None = None,
) -> tuple[int, int]:
    """First position of a partition that is still there, and the one after the last; see ``asked``."""
    place = TopicPartition(topic, partition)

    def question() -> tuple[int, int]:
        seconds = SECONDS if guard is None else RUNNING_SECONDS
        found = client.get_watermark_offsets(place, timeout=seconds)
        if found is None or min(found) < 0:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        return found[0], found[1]

    return asked(settings, f"{topic}/{partition}", question, guard)


def may_pass(error: Exception) -> bool:
    """Whether what went wrong may be right a moment later."""
    if not isinstance(error, KafkaException):
        return False
    fault = error.args[0]
    return bool(fault.retriable()) or fault.code() in RETRIABLE


def _made(
    kind: Callable[[dict[str, Any]], Client],
    settings: KafkaSettings,
    habits: Mapping[str, Any],
    promises: Mapping[str, Any],
) -> Client:
    """A client. The user's options count for more than our habits; what we promise stands on the rest."""
    common = {"client.id": settings.group, "reconnect.backoff.max.ms": 2_000}
    fixed = {"bootstrap.servers": settings.bootstrap, "error_cb": _heard, "logger": QUIET}
    try:
        return kind({**common, **habits, **settings.client, **fixed, **promises})
    except KafkaException as error:
        said = _without_values(settings, error.args[0].str())
        raise BrokerError(f"an option under kafka.client is refused: {said}") from error


def _without_values(settings: KafkaSettings, text: str) -> str:
    for value in settings.client.values():
        if isinstance(value, str) and value:
            text = text.replace(value, "***")
    return text


def _heard(error: KafkaError) -> None:
    """What a client says of its connections; it goes on trying by itself.

    Said again only after a while: with the brokers away, our clients complain 80 times a second.
    """
    now, code = time.monotonic(), error.name()
    if error.fatal() or now >= _quiet_until.get(code, now):
        _quiet_until[code] = now + QUIET_SECONDS
        _log.warning("kafka", code=code, fatal=error.fatal(), detail=error.str())
