"""Raw topics of channels, for those who bring payloads: all of them keep one in the same way.

A message is the payload as it came, with headers that say of which channel, when it came and what it is. Of a
channel with ``sealed`` it is sealed first, by whichever way it came.
"""

import asyncio
from base64 import b64encode
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import NamedTuple

from flows.channels.book import channels_of
from flows.journals import LEFT_OUT, letter_headers
from flows.kafka.acknowledged import AcknowledgedProducer, NotDurableError
from flows.kafka.client import KafkaSettings
from flows.settings import Settings
from flows.vault.opening import vault_of
from flows.vault.queued import QueuedSealer
from flows.vault.seals import HEADER
from schemas.codec import Refusal
from schemas.codes import DeadLetterReason
from schemas.errors import StoreError


class Missing(NamedTuple):
    """What came and is on no topic: its dead letter is without it.

    Attributes:
        reason: why.
        detail: where it is, and what is wrong with it, in one line.
        size: so many bytes; 0 where nobody knows.
    """

    reason: DeadLetterReason
    detail: str
    size: int = 0


class RawTopics:
    """The topics of some channels.

    Attributes:
        producer: that writes them.
    """

    def __init__(
        self, settings: Settings, channels: Iterable[str], kafka: KafkaSettings, seconds: float
    ) -> None:
        """Open the vault and the mappings, if any of the channels is sealed.

        Args:
            settings: with the channels.
            channels: names of those that payloads come for.
            kafka: the cluster.
            seconds: how long the brokers may take, and the vault, before a payload counts as not kept.

        Raises:
            InputError: the master key is missing or wrong, or a mapping is.
            StoreError: the vault cannot be used.
        """
        chosen = {name: settings.channels[name] for name in channels}
        sealed = {name: one for name, one in chosen.items() if one.sealed}
        self._topics = {name: one.topic for name, one in chosen.items()}
        self._sealed = set(sealed)
        self._sealer = QueuedSealer(
            vault_of(settings) if sealed else None,
            channels_of(settings.model_copy(update={"channels": sealed})),
        )
        self.producer = AcknowledgedProducer(kafka, seconds)
        self._letters = kafka.dead_letters
        self._seconds = seconds

    async def put(
        self, channel: str, payload: bytes, more: Mapping[str, str] | None = None
    ) -> None:
        """Keep a payload; when this returns, it is on its topic.

        Args:
            channel: name of its channel.
            payload: as it came.
            more: headers besides.

        Raises:
            NotDurableError: it is not known to be.
        """
        topic, sealed_by_us = self._topics[channel], dict[str, str]()
        if channel in self._sealed:
            payload, sealed_by_us = await self._seal(topic, payload), {HEADER: ""}
        headers = {
            "channel": channel,
            "received": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "content-digest": f"sha-256=:{b64encode(sha256(payload).digest()).decode()}:",
            **(more or {}),
            **sealed_by_us,
        }
        await self.producer.put(topic, payload, headers)

    async def letter(self, channel: str, about: Missing) -> None:
        """Keep a dead letter for what is on no topic.

        Raises:
            NotDurableError: it is not known to be kept.
        """
        told = letter_headers(self._topics[channel], Refusal(-1, about.reason, about.detail, b""))
        await self.producer.put(self._letters, b"", told | {LEFT_OUT: str(about.size)})

    async def _seal(self, topic: str, payload: bytes) -> bytes:
        try:
            async with asyncio.timeout(self._seconds):
                return await self._sealer.sealed(topic, payload)
        except TimeoutError as error:
            raise NotDurableError(f"the vault did not seal it in {self._seconds:g} s") from error
        except StoreError as error:
            raise NotDurableError(str(error)) from error
