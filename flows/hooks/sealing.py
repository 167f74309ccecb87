"""What is posted to a channel with ``sealed``, sealed as a whole before it is on a topic.

A payload at a time, on a thread of its own: the vault waits for its disk when a person is new.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from flows.channels.book import channels_of
from flows.channels.engine import Channel
from flows.settings import Settings
from flows.vault.opening import vault_of
from flows.vault.payloads import Kept, Sealer


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

    def is_for(self, topic: str) -> bool:
        """Whether what goes there is to be sealed."""
        return topic in self._channels

    async def sealed(self, topic: str, payload: bytes) -> bytes:
        """A payload as it may be on the topic.

        Raises:
            StoreError: the vault cannot be used any more.
        """
        channel = self._channels[topic]
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._sealed, channel, payload)

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown()

    def _sealed(self, channel: Channel, payload: bytes) -> bytes:
        (sealed,) = self._sealer.sealed(channel, [Kept(payload, is_known=False)])
        return sealed
