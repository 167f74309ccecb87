"""Positions of a consumer group, committed without waiting for brokers that are away.

By a client of their own: one that has a commit under way can be neither closed nor freed before that is
answered or times out, which takes a reader's client a minute (measured). Not by an admin client, whose
AlterConsumerGroupOffsets aborts the process when a broker dies under it (librdkafka 2.16, measured).
"""

import time
from collections.abc import Mapping, Sequence
from functools import partial

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from flows.kafka.client import SECONDS, KafkaSettings, asked, bounds, committer, may_pass
from flows.kafka.reading import Place
from schemas.errors import BrokerError

_PAUSE_SECONDS = 0.01
_log = structlog.get_logger(__name__)


def committed(
    settings: KafkaSettings, client: Consumer, places: Sequence[Place]
) -> dict[Place, int]:
    """Where the group of a client reads on, by place: what it committed, else the beginning.

    Raises:
        BrokerError: the cluster does not answer.
    """
    if not places:
        return {}
    question = partial(client.committed, [TopicPartition(*at) for at in places], timeout=SECONDS)
    answers: list[TopicPartition] = asked(settings, "positions of the group", question)
    return {
        (at.topic, at.partition): at.offset
        if at.offset >= 0
        else bounds(settings, client, at.topic, at.partition)[0]
        for at in answers
    }


class GroupPositions:
    """How far one group is; one request at a time is under way."""

    def __init__(self, settings: KafkaSettings, group: str) -> None:
        self._bootstrap = settings.bootstrap
        self._group = group
        self._client = committer(settings, group, self._heard)
        self._asked: dict[Place, int] | None = None
        self._kept: dict[Place, int] = {}
        self._refusal: KafkaException | None = None

    def commit(self, reached: Mapping[Place, int], wait_seconds: float = 0.0) -> bool:
        """Ask that the group be here next time; whether the cluster said that it will be.

        Asked again with each call until the cluster says so.

        Raises:
            BrokerError: it refuses.
        """
        if self._asked is None and reached != self._kept:
            self._asked = dict(reached)
            offsets = [TopicPartition(*place, at) for place, at in reached.items()]
            self._client.commit(offsets=offsets, asynchronous=True)
        self._client.poll(wait_seconds)
        if self._refusal is not None:
            raise BrokerError(
                f"Kafka at {self._bootstrap}: committing positions of {self._group}: "
                f"{self._refusal.args[0].str()}"
            ) from self._refusal
        return reached == self._kept

    def settle(self, reached: Mapping[Place, int], seconds: float) -> None:
        """Commit and wait for the answer, so long; without one the next run begins further back.

        Raises:
            BrokerError: the cluster refuses.
        """
        deadline = time.monotonic() + seconds
        while not self.commit(reached, _PAUSE_SECONDS):
            if time.monotonic() > deadline:
                _log.warning("kafka", group=self._group, detail="away: positions are not committed")
                return

    def _heard(self, error: KafkaError | None, places: list[TopicPartition]) -> None:
        """What became of the request."""
        asked, self._asked = self._asked, None
        failed = error or next((p.error for p in places if p.error is not None), None)
        if failed is None:
            self._kept = asked or {}
        elif not may_pass(refusal := KafkaException(failed)):
            self._refusal = refusal
