"""The receiver as a process: its socket, its application, how it starts and ends.

It ends in order: no new connections, what was begun is answered. Killed, it has lost nothing that was
acknowledged, for it keeps nothing.
"""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI, Response
from starlette.routing import Route

from flows.collector import collecting_seldom
from flows.guard import PATIENCE_SECONDS, Guard
from flows.hooks.receiver import Receiver
from flows.hooks.settings import HooksSettings
from flows.kafka.client import KafkaSettings
from flows.kafka.topics import describe
from flows.metrics import Metrics, state_of
from flows.raw_topics import RawTopics
from flows.settings import Settings
from schemas.errors import InputError

_BEAT_SECONDS = 0.5
_IDLE_SECONDS = 75
"""A connection may be silent for so long; platforms and gateways keep theirs for a minute."""
_HEAD_BYTES = 32 * 1024
"""Of a request line and its headers."""


class HooksJob:
    """One process that receives."""

    def __init__(self, settings: Settings, kafka: KafkaSettings, guard: Guard) -> None:
        """Look for the topics, read the secrets, listen.

        Raises:
            CrossdockError: something cannot be used; the message says what.
        """
        self.guard = guard
        self.metrics = Metrics()
        self.channels = {n: c for n, c in settings.channels.items() if c.signature is not None}
        if not self.channels:
            raise InputError("nothing can be posted: add [channels.NAME] with a signature")
        self._topics = RawTopics(settings, self.channels, kafka, settings.hooks.keep_seconds)
        self._producer = self._topics.producer
        self.metrics.watch(
            "hooks_waiting", "Requests that wait for the brokers.", lambda: self._producer.waiting
        )
        receiver = Receiver(self.channels, self._topics, settings.hooks, self.metrics)
        for channel in self.channels.values():
            describe(kafka, channel.topic)
        self._socket = listening(settings.hooks)
        self._server = uvicorn.Server(self._configured(receiver, settings.hooks))

    @property
    def address(self) -> str:
        """Where it listens."""
        host, port = self._socket.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def run(self) -> None:
        """Receive until asked to stop; raises what kept it from going on."""
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # others' garbage is no news
        try:
            with collecting_seldom():
                self._server.run(sockets=[self._socket])
        finally:
            self._socket.close()
        if self._producer.failure is not None:
            raise self._producer.failure

    def _configured(self, receiver: Receiver, settings: HooksSettings) -> uvicorn.Config:
        return uvicorn.Config(
            self._application(receiver),
            http="h11",
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=settings.connections,
            timeout_keep_alive=_IDLE_SECONDS,
            timeout_graceful_shutdown=int(PATIENCE_SECONDS),
            h11_max_incomplete_event_size=_HEAD_BYTES,
        )

    def _application(self, receiver: Receiver) -> FastAPI:
        @asynccontextmanager
        async def lifespan(_application: FastAPI) -> AsyncIterator[None]:
            beats = asyncio.create_task(self._beat())
            yield
            beats.cancel()

        application = FastAPI(openapi_url=None, redirect_slashes=False, lifespan=lifespan)
        application.router.routes.append(Route("/hooks/{channel}", receiver, methods=["POST"]))

        @application.get("/health")
        @application.get("/ready")
        async def probe() -> Response:
            status, text = state_of("/ready", self.guard)
            return Response(text, status, media_type="text/plain")

        return application

    async def _beat(self) -> None:
        """Show that the loop turns, until the process is asked to end or can write nothing any more."""
        while not self.guard.is_over and self._producer.failure is None:
            with self.guard:
                self._producer.poll()
            await asyncio.sleep(_BEAT_SECONDS)
        self._server.should_exit = True


def listening(settings: HooksSettings) -> socket.socket:
    """The socket.

    Raises:
        InputError: the address cannot be had.
    """
    try:
        family, *_, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM
        )[0]
        return socket.create_server(address[:2], family=family, backlog=2048)
    except OSError as error:
        where = f"{settings.host}:{settings.port}"
        raise InputError(f"hooks cannot listen at {where}: {error.strerror}") from error
