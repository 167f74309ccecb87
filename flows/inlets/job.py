"""The inlets as a process: one loop that turns all ways of all channels.

Each way takes its turn, waits, and takes the next. Asked to end, it lets go where it is: what is not durable
was not taken, and comes again. Killed, it loses no more.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Protocol

from flows.channels.settings import ChannelSettings
from flows.collector import collecting_seldom
from flows.guard import Guard
from flows.inlets.cursors import CursorFile
from flows.inlets.folder import FolderInlet
from flows.inlets.keeper import Keeper, Way
from flows.inlets.mqtt import MqttInlet
from flows.inlets.poll import PollInlet
from flows.kafka.client import KafkaSettings
from flows.kafka.topics import describe
from flows.metrics import Metrics
from flows.raw_topics import RawTopics
from flows.settings import Settings
from schemas.errors import InputError

_BEAT_SECONDS = 0.5


class Inlet(Protocol):
    """One way into one channel."""

    async def turn(self) -> float:
        """Take what is there; returns after how many seconds there may be more."""

    async def close(self) -> None:
        """Let connections go."""


_Work = Callable[[Inlet], Coroutine[None, None, None]]


class InletsJob:
    """One process that fetches.

    Attributes:
        ways: (channel, way, topic) of what it fetches.
    """

    def __init__(
        self, settings: Settings, kafka: KafkaSettings, guard: Guard, chosen: Sequence[str] = ()
    ) -> None:
        """Look for topics, folders and secrets.

        Args:
            settings: with the channels.
            kafka: the cluster.
            guard: of the process.
            chosen: names of channels; all that are fetched for without.

        Raises:
            CrossdockError: something cannot be used; the message says what.
        """
        self.guard = guard
        self.metrics = Metrics()
        self._settings = settings
        names = _fetched(settings, chosen)
        self._topics = RawTopics(settings, names, kafka, settings.inlets.keep_seconds)
        self._producer = self._topics.producer
        self._inlets: dict[tuple[str, Way], Inlet] = {}
        self.ways = list[tuple[str, Way, str]]()
        for name in names:
            self._inlets |= self._opened(name, settings.channels[name])
        for _, _, topic in self.ways:
            describe(kafka, topic)

    def run(self) -> None:
        """Fetch until asked to stop; raises what kept it from going on."""
        self._run(self._always)

    def run_once(self) -> None:
        """Fetch what is there, and end.

        Raises:
            InputError: there is a way that has no end.
        """
        if endless := [name for name, way in self._inlets if way is Way.MQTT]:
            raise InputError(
                f"channels.{endless[0]}.mqtt has no end: name other channels for --once"
            )
        self._run(self._once)

    def _run(self, work: _Work) -> None:
        with collecting_seldom():
            asyncio.run(self._turned(work))
        if self._producer.failure is not None:
            raise self._producer.failure

    def _opened(self, name: str, channel: ChannelSettings) -> dict[tuple[str, Way], Inlet]:
        found: dict[tuple[str, Way], Inlet] = {}
        for way in Way:
            try:
                inlet = self._inlet(name, way, channel)
            except InputError as error:
                raise InputError(f"channels.{name}.{way}: {error}") from error
            if inlet is not None:
                found[name, way] = inlet
                self.ways.append((name, way, channel.topic))
        return found

    def _inlet(self, name: str, way: Way, channel: ChannelSettings) -> Inlet | None:
        keeper = Keeper((name, way), self._topics, self.metrics)
        if way is Way.FOLDER and channel.folder is not None:
            return FolderInlet(channel.folder, keeper)
        if way is Way.POLL and channel.poll is not None:
            if self._settings.inlets.state is None:
                raise InputError("set state under [inlets]: a folder where the cursors are kept")
            cursors = CursorFile(self._settings.inlets.state, name, channel.poll.url)
            return PollInlet(channel.poll, cursors, keeper)
        if way is Way.MQTT and channel.mqtt is not None:
            return MqttInlet(channel.mqtt, channel.mqtt.client_id or f"crossdock-{name}", keeper)
        return None

    async def _turned(self, work: _Work) -> None:
        """All inlets at work, until one fails, all are done, or the process is asked to end."""
        tasks = [asyncio.create_task(work(inlet)) for inlet in self._inlets.values()]
        try:
            while not self.guard.is_over and self._producer.failure is None:
                with self.guard:
                    self._producer.poll()
                done, waiting = await asyncio.wait(
                    tasks, timeout=_BEAT_SECONDS, return_when=asyncio.FIRST_EXCEPTION
                )
                for task in done:
                    task.result()
                if not waiting:
                    return
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for inlet in self._inlets.values():
                await inlet.close()

    async def _always(self, inlet: Inlet) -> None:
        while True:
            await asyncio.sleep(await inlet.turn())

    async def _once(self, inlet: Inlet) -> None:
        await inlet.turn()


def _fetched(settings: Settings, chosen: Sequence[str]) -> list[str]:
    """Names of the channels that are fetched for.

    Raises:
        InputError: there are none, or one that is chosen is none of them.
    """
    fetched = [name for name, channel in settings.channels.items() if channel.is_fetched]
    for name in chosen:
        if name not in settings.channels:
            raise InputError(f"there is no [channels.{name}]")
        if name not in fetched:
            raise InputError(f"channels.{name} has no {' and no '.join(Way)}")
    if not fetched:
        raise InputError(f"nothing is fetched: add {' or '.join(Way)} to [channels.NAME]")
    return list(dict.fromkeys(chosen)) or fetched
