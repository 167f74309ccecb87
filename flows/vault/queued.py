"""Payloads of channels with ``sealed``, sealed as a whole before they are on a topic.

On another thread, since the vault waits for its disk where a person is new; what comes meanwhile is sealed
together, in one query and one commit.
"""

import asyncio
from collections.abc import Mapping
from typing import NamedTuple

from flows.channels.engine import Channel
from flows.vault.keys import Vault
from flows.vault.payloads import Kept, Sealer
from schemas.errors import StoreError


class _Waiting(NamedTuple):
    topic: str
    payload: bytes
    sealed: "asyncio.Future[bytes]"


class QueuedSealer:
    """Seals for whoever waits on one event loop."""

    def __init__(self, vault: Vault | None, channels: Mapping[str, Channel]) -> None:
        """Seal by the keys of a vault; ``channels`` are by topic."""
        self._channels = channels
        self._sealer = Sealer(vault)
        self._waiting: list[_Waiting] = []
        self._turns: asyncio.Task[None] | None = None

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

    async def _take_turns(self) -> None:
        """Seal whatever waits, until nothing does; by one thread at a time, as the mappings need."""
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                made = await asyncio.to_thread(self._sealed, batch)
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
