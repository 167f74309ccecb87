"""Payloads on the raw topic of one channel: whoever gives some waits until they are durable.

Brokers that are away are waited for without an end, so nothing is given up and nothing is taken meanwhile.
What no topic takes, or cannot be read, becomes a dead letter without its bytes, so that it stops no channel.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import StrEnum
from functools import partial

import structlog

from flows.kafka.acknowledged import NotDurableError
from flows.metrics import Metrics
from flows.raw_topics import Missing, RawTopics
from schemas.codes import DeadLetterReason

AT_ONCE = 1_000
"""Payloads on their way at a time: the client holds ten thousand for all channels together."""
_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 5.0
_QUIET_SECONDS = 10.0
"""The same refusal of a channel is logged so often at most."""
_log = structlog.get_logger(__name__)


class Way(StrEnum):
    """How payloads come in."""

    FOLDER = "folder"
    POLL = "poll"
    MQTT = "mqtt"


class Reason(StrEnum):
    """Why something is not taken; counted and logged by this name, never with a word of a payload."""

    TOO_LARGE = "too_large"
    NOT_DURABLE = "not_durable"
    UNREADABLE_ROW = "unreadable_row"
    UNREADABLE_FILE = "unreadable_file"
    UNREADABLE_FOLDER = "unreadable_folder"
    NO_ANSWER = "no_answer"
    ANSWERED = "answered"
    NO_PAGE = "no_page"
    STUCK = "stuck"
    WRONG_ADDRESS = "wrong_address"
    NO_SECRET = "no_secret"


Behind = Callable[[], float]
"""How many seconds a way in is behind."""
Put = Callable[[], Awaitable[None]]


class Keeper:
    """Keeps what comes by one way for one channel, and counts it.

    Attributes:
        channel: its name.
        way: that it comes by.
    """

    def __init__(self, of: tuple[str, Way], topics: RawTopics, metrics: Metrics) -> None:
        """Keep for a channel ``of`` this name and way."""
        self.channel, self.way = of
        self._topics = topics
        self._metrics = metrics
        self._kept_at = time.monotonic()
        self._quiet_until: dict[Reason, float] = {}

    def watch(self, behind: Behind) -> None:
        """Show how long it has been silent, and how far it is behind."""
        self._metrics.watch_inlet(
            self.channel, self.way, lambda: time.monotonic() - self._kept_at, behind
        )

    async def keep(
        self, payloads: Sequence[bytes], headers: Mapping[str, str] | None = None
    ) -> list[int]:
        """Put payloads on the topic, and wait until they are there.

        Returns:
            Places of those that no topic takes, for their size.

        Raises:
            BrokerError: nothing can be written ever again.
        """
        puts = [partial(self._topics.put, self.channel, one, headers) for one in payloads]
        return await self._until_durable(puts, self._count)

    async def keep_all(
        self, payloads: Sequence[bytes], headers: Mapping[str, str] | None = None
    ) -> None:
        """The same; what no topic takes becomes a dead letter.

        Raises:
            BrokerError: nothing can be written ever again.
        """
        for place in await self.keep(payloads, headers):
            size = len(payloads[place])
            detail = f"{size} bytes are more than the topic takes in one message"
            self.refuse(Reason.TOO_LARGE, detail)
            await self.tell([Missing(DeadLetterReason.TOO_LARGE, detail, size)])

    async def tell(self, missing: Sequence[Missing]) -> None:
        """Keep dead letters for what no topic has, and wait until they are there.

        Raises:
            BrokerError: nothing can be written ever again.
        """
        letters = [one._replace(detail=f"{self.way}: {one.detail}") for one in missing]
        puts = [partial(self._topics.letter, self.channel, letter) for letter in letters]
        await self._until_durable(puts, lambda _: None)

    def refuse(self, reason: Reason, detail: str, count: int = 1) -> None:
        """Count what is not taken, and say so, but not all the time."""
        self._metrics.not_fetched(self.channel, self.way, reason, count)
        now = time.monotonic()
        if now >= self._quiet_until.get(reason, now):
            self._quiet_until[reason] = now + _QUIET_SECONDS
            _log.warning(
                "refused", channel=self.channel, way=self.way, reason=reason, detail=detail
            )

    def _count(self, kept: int) -> None:
        if kept:
            self._metrics.fetched(self.channel, self.way, kept)
            self._kept_at = time.monotonic()

    async def _until_durable(self, puts: Sequence[Put], count: Callable[[int], None]) -> list[int]:
        """Do all of them, however often it takes; gives places of those that are too large."""
        too_large = list[int]()
        for start in range(0, len(puts), AT_ONCE):
            left, pause = list(range(start, min(start + AT_ONCE, len(puts)))), _PAUSE_SECONDS
            while left:
                answers = await asyncio.gather(*(_answer(puts[i]) for i in left))
                failed = {i: error for i, error in zip(left, answers, strict=True) if error}
                count(len(left) - len(failed))
                too_large += [i for i, error in failed.items() if error.is_too_large]
                left = [i for i, error in failed.items() if not error.is_too_large]
                if left:
                    await self._wait(failed[left[0]], pause)
                    pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
        return too_large

    async def _wait(self, error: NotDurableError, seconds: float) -> None:
        if self._topics.producer.failure is not None:
            raise self._topics.producer.failure
        self.refuse(Reason.NOT_DURABLE, str(error))
        await asyncio.sleep(seconds)


async def _answer(put: Put) -> NotDurableError | None:
    try:
        await put()
    except NotDurableError as error:
        return error
    return None
