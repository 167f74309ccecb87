"""What is posted to a channel with ``sealed``, sealed as a whole before it is on a topic.

On a thread of its own, since the vault waits for its disk where a person is new; what comes meanwhile is sealed
together, in one query and one commit.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from flows.channels.book import channels_of
from flows.settings import Settings
from flows.vault.opening import vault_of
from flows.vault.payloads import Kept, Sealer
from schemas.errors import StoreError


class _Waiting(NamedTuple):
    topic: str
    payload: bytes
    sealed: "asyncio.Future[bytes]"


class PostSealer:
    """The channels whose payloads are sealed, by their topics."""

    def __init__(self, settings: Settings) -> None:
        """Open the vault and the mappings, if there is any such channel.

        Raises:
            InputError: the master key is missing or wrong, or a mapping is.
            StoreError: the vault cannot be used.
        """
        chosen = {n: c for n, c in settings.channels.items() if c.sealed}
        self._channels = channels_of(settings.model_copy(update={"channels": chosen}))
        self._sealer = Sealer(vault_of(settings) if chosen else None)
        self._thread = ThreadPoolExecutor(1, "vault")
        self._waiting: list[_Waiting] = []
        self._turns: asyncio.Task[None] | None = None

    def is_for(self, topic: str) -> bool:
        """Whether what goes there is to be sealed."""
        return topic in self._channels

    async def sealed(self, topic: str, payload: bytes) -> bytes:
        """A payload as it may be on the topic.

        Raises:
            StoreError: the vault cannot be used any more.
        """
        loop = asyncio.get_running_loop()
        one = _Waiting(topic, payload, loop.create_future())
        self._waiting.append(one)
        if self._turns is None or self._turns.done():
            self._turns = loop.create_task(self._take_turns())
        return await one.sealed

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown()

    async def _take_turns(self) -> None:
        """Seal whatever waits, until nothing does."""
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                made = await loop.run_in_executor(self._thread, self._sealed, batch)
            except StoreError as error:
                for one in batch:
                    if not one.sealed.done():
                        one.sealed.set_exception(error)
                continue
            for one, sealed in zip(batch, made, strict=True):
                if not one.sealed.done():  # who waits may have gone
                    one.sealed.set_result(sealed)

    def _sealed(self, batch: list[_Waiting]) -> list[bytes]:
        made = [b""] * len(batch)
        for topic in dict.fromkeys(one.topic for one in batch):
            places = [n for n, one in enumerate(batch) if one.topic == topic]
            kept = [Kept(batch[n].payload, is_known=False) for n in places]
            for n, sealed in zip(
                places, self._sealer.sealed(self._channels[topic], kept), strict=True
            ):
                made[n] = sealed
        return made
