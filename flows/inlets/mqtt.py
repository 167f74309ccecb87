"""Devices by MQTT: a message is acknowledged to its broker once it is durable on the topic of the channel.

The session outlives the process (QoS 1, a client id of its own, no clean session): what is not acknowledged
comes again, to this process or to the next. Each connection is a client of its own on our event loop, so an
acknowledgement can never be taken for that of another connection's message. When a connection ends, what it
has not acknowledged is let go: it comes again, and what was durable already has the same ids.
"""

import asyncio
import ssl
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from paho.mqtt.client import Client, MQTTMessage, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from flows.channels.ways import MqttSettings
from flows.inlets.keeper import Keeper, Reason
from schemas.errors import InputError

_PORTS = {"mqtt": 1883, "mqtts": 8883}
_CONNECT_SECONDS = 5.0
_PING_SECONDS = 1.0
"""It is looked so often whether the broker is to be pinged, or has not answered."""
_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 30.0
_NO_MQTT = (ValueError, IndexError, struct.error)
"""What the client fails with on what is no MQTT."""


class _Arrived(NamedTuple):
    message: MQTTMessage
    at: float


class MqttInlet:
    """The subscriptions of one channel."""

    def __init__(self, settings: MqttSettings, client_id: str, keeper: Keeper) -> None:
        """Look for password and certificates.

        Raises:
            InputError: one is missing or no good.
        """
        self._settings = settings
        self._client_id = client_id
        self._keeper = keeper
        self._away_since: float | None = time.monotonic()
        self._pause = _PAUSE_SECONDS
        self._waiting: dict[asyncio.Task[None], _Arrived] = {}
        _client(settings, client_id)
        keeper.watch(self.behind_seconds)

    def behind_seconds(self) -> float:
        """How long the oldest message waits for the brokers of the topic, or we for the devices' broker."""
        waiting = list(self._waiting.values())  # at once: it is asked on another thread
        moments = [waiting[0].at if waiting else None, self._away_since]
        now = time.monotonic()
        return max((now - moment for moment in moments if moment is not None), default=0.0)

    async def turn(self) -> float:
        """Connect, and take what comes until that ends; in so many seconds it is to be tried again."""
        try:
            await self._connected(_Connection(_client(self._settings, self._client_id)))
        except InputError as error:
            self._keeper.refuse(Reason.NO_SECRET, str(error))
        except _LostError as error:
            self._keeper.refuse(error.reason, str(error))
        self._away_since = self._away_since or time.monotonic()
        pause, self._pause = self._pause, min(self._pause * 2, _LONGEST_PAUSE_SECONDS)
        return pause

    async def close(self) -> None:
        """Nothing is open between turns."""

    async def _connected(self, connection: "_Connection") -> None:
        connection.client.on_message = lambda _c, _u, message: self._take(connection, message)
        try:
            await connection.open(self._settings)
            self._away_since, self._pause = None, _PAUSE_SECONDS
            await connection.lasts()
        finally:
            connection.close()
            for task in self._waiting:
                task.cancel()
            await asyncio.gather(*self._waiting, return_exceptions=True)

    def _take(self, connection: "_Connection", message: MQTTMessage) -> None:
        task = asyncio.create_task(self._keep(message))
        self._waiting[task] = _Arrived(message, time.monotonic())
        task.add_done_callback(lambda done: self._kept(connection, done))

    async def _keep(self, message: MQTTMessage) -> None:
        await self._keeper.keep_all([bytes(message.payload)], {"mqtt-topic": _topic(message)})

    def _kept(self, connection: "_Connection", task: "asyncio.Task[None]") -> None:
        """Acknowledge what is durable in the order in which it came, as the standard wants."""
        if not task.cancelled() and (error := task.exception()) is not None:
            connection.fail(error)
        while self._waiting and (first := next(iter(self._waiting))).done():
            connection.acknowledge(self._waiting.pop(first).message)


class _LostError(Exception):
    """A connection that could not be had, or has ended."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class _Connection:
    """One connection, from its beginning to its end."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._loop = asyncio.get_running_loop()
        self._is_open = self._loop.create_future()
        self._end: asyncio.Future[None] = self._loop.create_future()

    async def open(self, settings: MqttSettings) -> None:
        """Connect and subscribe.

        Raises:
            _LostError: it cannot be done.
        """
        client, parts = self.client, urlsplit(settings.url)
        client.on_socket_open = lambda _c, _u, sock: self._soon(self._opened, sock)
        client.on_socket_close = lambda _c, _u, sock: self._closed(sock)
        client.on_socket_register_write = lambda _c, _u, sock: self._soon(self._writes, sock)
        client.on_socket_unregister_write = lambda _c, _u, sock: self._is_written(sock)
        client.on_connect = lambda _c, _u, _f, code, _p: self._answered(settings.topics, code)
        client.on_subscribe = lambda _c, _u, _m, codes, _p: self._subscribed(settings.topics, codes)
        client.on_disconnect = lambda _c, _u, _f, code, _p: self._lost(f"it ended: {code}")
        port = parts.port or _PORTS[parts.scheme]
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                await asyncio.to_thread(
                    client.connect, parts.hostname or "", port, settings.keepalive_seconds
                )
                await asyncio.wait([self._is_open, self._end], return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            said = f"no answer in {_CONNECT_SECONDS:g} s"
            raise _LostError(Reason.NO_ANSWER, said) from None
        except (OSError, ValueError) as error:
            said = error.strerror if isinstance(error, OSError) and error.strerror else ""
            said = f"no connection: {said or type(error).__name__}"
            raise _LostError(Reason.NO_ANSWER, said) from None
        if self._end.done():
            self._end.result()

    async def lasts(self) -> None:
        """Until it ends.

        Raises:
            _LostError: always; or what ``fail`` was told.
        """
        while not self._end.done():
            await asyncio.wait([self._end], timeout=_PING_SECONDS)
            self._guarded(self.client.loop_misc)
        self._end.result()

    def acknowledge(self, message: MQTTMessage) -> None:
        """Say that a message has been taken; nobody hears it where the connection has ended."""
        if message.qos and not self._end.done():
            self.client.ack(message.mid, message.qos)

    def fail(self, error: BaseException) -> None:
        """End it for this."""
        if not self._end.done():
            self._end.set_exception(error)

    def close(self) -> None:
        """Say goodbye, if it can still be said; nothing is acknowledged from then on."""
        self._lost("we ended it")
        self.client.disconnect()
        self._guarded(self.client.loop_write)
        if (left := self.client.socket()) is not None:
            self._closed(left)
            left.close()
        self._end.exception()  # it was told already

    def _lost(self, detail: str, reason: Reason = Reason.NO_ANSWER) -> None:
        self.fail(_LostError(reason, detail))

    def _guarded(self, step: Callable[[], MQTTErrorCode]) -> None:
        """Let the client work; what it cannot do ends the connection."""
        try:
            code = step()
        except _NO_MQTT:
            self._lost("what came is no MQTT")
        else:
            if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
                self._lost(f"it ended: {code.name}")

    def _soon(self, step: Callable[[Any], None], sock: Any) -> None:
        """On the loop's own thread: a connection is begun on another one, which may wait."""
        self._loop.call_soon_threadsafe(step, sock)

    def _opened(self, sock: Any) -> None:
        if self._end.done():  # it was not waited for
            sock.close()
        elif sock.fileno() >= 0:
            self._loop.add_reader(sock, self._reads, sock)

    def _writes(self, sock: Any) -> None:
        if sock.fileno() >= 0:
            self._loop.add_writer(sock, self._guarded, self.client.loop_write)

    def _is_written(self, sock: Any) -> None:
        self._loop.remove_writer(sock)

    def _closed(self, sock: Any) -> None:
        if sock.fileno() >= 0:
            self._loop.remove_reader(sock)
            self._loop.remove_writer(sock)

    def _reads(self, sock: Any) -> None:
        """All that is there: what TLS has unpacked already makes no socket readable."""
        self._guarded(self.client.loop_read)
        while isinstance(sock, ssl.SSLSocket) and sock.fileno() >= 0 and sock.pending():
            self._guarded(self.client.loop_read)

    def _answered(self, topics: list[str], code: Any) -> None:
        if code.is_failure:
            self._lost(f"refused: {code}", Reason.ANSWERED)
        else:
            self.client.subscribe([(topic, 1) for topic in topics])

    def _subscribed(self, topics: list[str], codes: list[Any]) -> None:
        wrong = [topic for topic, code in zip(topics, codes, strict=False) if code.is_failure]
        if wrong:
            self._lost(f"refused: {', '.join(wrong)}", Reason.ANSWERED)
        elif not self._is_open.done():
            self._is_open.set_result(None)


def _client(settings: MqttSettings, client_id: str) -> Client:
    """A client that has not connected yet.

    Raises:
        InputError: a secret or a certificate is missing or no good.
    """
    client = Client(
        CallbackAPIVersion.VERSION2,
        client_id,
        clean_session=False,
        protocol=MQTTv311,
        manual_ack=True,
    )
    client.connect_timeout = _CONNECT_SECONDS
    if settings.username is not None:
        client.username_pw_set(settings.username, settings.password())
    if urlsplit(settings.url).scheme == "mqtts":
        trusted, ours, key = settings.ca_file, settings.certificate, settings.key
        try:
            client.tls_set(_path(trusted), _path(ours), _path(key))
        except (OSError, ValueError) as error:
            raise InputError(f"certificates cannot be used: {error}") from error
    return client


def _path(file: Path | None) -> str | None:
    return None if file is None else str(file)


def _topic(message: MQTTMessage) -> str:
    with suppress(UnicodeDecodeError):
        return message.topic
    return ""
