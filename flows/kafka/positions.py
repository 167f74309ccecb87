"""Positions of a consumer group, committed without ever waiting for brokers that are away.

By an admin client, since a consumer that has a commit under way cannot be closed, nor freed, before it
is answered or has run into its timeout: a minute while the brokers are away (measured). Nobody joins
our groups, so the cluster takes positions from anyone.
"""

import time
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

import structlog
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition

from flows.kafka.client import SECONDS, KafkaSettings, admin, may_pass
from flows.kafka.reading import Place
from schemas.errors import BrokerError

_PAUSE_SECONDS = 0.005
_log = structlog.get_logger(__name__)


class GroupPositions:
    """How far one group is; one request at a time is under way."""

    def __init__(self, settings: KafkaSettings, group: str) -> None:
        self._settings = settings
        self._group = group
        self._admin = admin(settings)
        self._asked: dict[Place, int] = {}
        self._answer: Future[Any] | None = None
        self._kept: dict[Place, int] = {}

    def commit(self, reached: Mapping[Place, int]) -> bool:
        """Ask that the group be here next time; whether the cluster said that it will be.

        Asked again with each call until the cluster says so.

        Raises:
            BrokerError: it refuses.
        """
        self._hear()
        if self._answer is None and reached != self._kept:
            self._asked = dict(reached)
            offsets = [TopicPartition(*place, at) for place, at in reached.items()]
            wanted = ConsumerGroupTopicPartitions(self._group, offsets)
            answers = self._admin.alter_consumer_group_offsets([wanted], request_timeout=SECONDS)
            self._answer = answers[self._group]
        return reached == self._kept

    def settle(self, reached: Mapping[Place, int], seconds: float) -> None:
        """Commit and wait for the answer, so long; without one the next run begins further back.

        Raises:
            BrokerError: the cluster refuses.
        """
        deadline = time.monotonic() + seconds
        while not self.commit(reached):
            if time.monotonic() > deadline:
                _log.warning("kafka", group=self._group, detail="away: positions are not committed")
                return
            time.sleep(_PAUSE_SECONDS)

    def _hear(self) -> None:
        if self._answer is None or not self._answer.done():
            return
        failed = _failure(self._answer)
        self._answer = None
        if failed is None:
            self._kept = self._asked
        elif not may_pass(failed):
            raise BrokerError(
                f"Kafka at {self._settings.bootstrap}: committing positions of {self._group}: "
                f"{failed.args[0].str()}"
            ) from failed


def _failure(answer: Future[Any]) -> Exception | None:
    """What kept the cluster from taking the positions, all of them or one."""
    try:
        taken = answer.result().topic_partitions
    except KafkaException as error:
        return error
    return next((KafkaException(p.error) for p in taken if p.error is not None), None)
