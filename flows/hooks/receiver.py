"""``POST /hooks/CHANNEL``: what was posted is durable on the raw topic of the channel before 200 is said.

A request is read within bounds, its signature and its payload are looked at, and the payload is kept as it
came; sealed, if its channel says so. This is a plain ASGI application: all that it does, brokers included,
takes no longer than what FastAPI does for a route of its own that only answers (``bench/hooks.py``).
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec
import structlog

from flows.channels.settings import Channels, Scheme
from flows.hooks.payloads import check, unpacked
from flows.hooks.refusals import Reason, RefusedError
from flows.hooks.settings import HooksSettings
from flows.hooks.signatures import Posted, Verifier
from flows.kafka.acknowledged import NotDurableError
from flows.metrics import Metrics
from flows.raw_topics import RawTopics
from schemas.errors import InputError

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

RETRY_SECONDS = 5
"""Told to whom is to come again."""
_DISCARD_SECONDS = 2.0
"""What is too large is read on for so long: a sender that still writes would not hear the answer."""
_QUIET_SECONDS = 10.0
"""The same refusal of a channel is logged so often at most."""
_JSON_TYPES = {b"", b"application/json", b"text/json"}
_FORM_TYPE = b"application/x-www-form-urlencoded"
_NEVER_PACKED = {Scheme.KUAIDI100, Scheme.STANDARD}
_PING = re.compile(rb"webhook_id=\d{1,20}")
"""Of WooCommerce, when a webhook is saved: unsigned, it tells nothing and wants a 2xx."""
_log = structlog.get_logger(__name__)


class _GoneError(Exception):
    """The sender went away within its request."""


class _Channel(NamedTuple):
    name: str
    verifier: Verifier


class Receiver:
    """What answers for all channels that have a signature."""

    def __init__(
        self,
        channels: Channels,
        topics: RawTopics,
        settings: HooksSettings,
        metrics: Metrics,
    ) -> None:
        """Read the secrets.

        Raises:
            InputError: one is missing or no good; the message names the channel.
        """
        self._topics = topics
        self._settings = settings
        self._metrics = metrics
        self._quiet_until: dict[tuple[str, Reason], float] = {}
        self._channels: dict[str, _Channel] = {}
        for name, channel in channels.items():
            if channel.signature is not None:
                try:
                    verifier = Verifier(channel.signature)
                except InputError as error:
                    raise InputError(f"channels.{name}.signature: {error}") from error
                self._channels[name] = _Channel(name, verifier)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """One request."""
        channel = self._channels.get(scope["path_params"]["channel"])
        headers = dict(scope["headers"])
        try:
            body = await self._read(headers, receive)
            if channel is None:
                raise RefusedError(Reason.UNKNOWN_CHANNEL, "there is no such channel")  # noqa: TRY301
            began = time.perf_counter()
            payload = self._payload(channel, Posted(headers, body))
            if payload is not None:
                await self._keep(channel, payload)
                self._metrics.posted(channel.name, time.perf_counter() - began)
            await _answer(send, HTTPStatus.OK, _taken(channel))
        except _GoneError:
            return
        except RefusedError as refusal:
            self._note("" if channel is None else channel.name, refusal)
            await _answer(send, refusal.status, _not_taken(channel, refusal), _more(refusal))

    async def _read(self, headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
        """The body, as far as it may be."""
        most = self._settings.max_bytes
        declared = headers.get(b"content-length", b"")
        if declared.isdigit() and int(declared[:20]) > most:
            raise await _too_large(most, receive)
        pieces, size, has_more = list[bytes](), 0, True
        try:
            async with asyncio.timeout(self._settings.read_seconds):
                while has_more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _GoneError
                    pieces.append(message.get("body", b""))
                    size += len(pieces[-1])
                    has_more = message.get("more_body", False)
                    if size > most:
                        raise await _too_large(most, receive if has_more else None)
        except TimeoutError as error:
            said = f"no whole body in {self._settings.read_seconds:g} s"
            raise RefusedError(Reason.TOO_SLOW, said) from error
        return b"".join(pieces)

    def _payload(self, channel: _Channel, posted: Posted) -> bytes | None:
        """What is to be kept; None of a handshake."""
        scheme = channel.verifier.scheme
        if scheme is Scheme.WOOCOMMERCE and _PING.fullmatch(posted.body):
            return None
        _refuse_type(scheme, posted.headers.get(b"content-type", b""))
        encoding = posted.headers.get(b"content-encoding", b"").strip().lower()
        if encoding not in (b"", b"identity") and scheme in _NEVER_PACKED:
            raise RefusedError(Reason.WRONG_ENCODING, "this channel takes nothing that is packed")
        if not channel.verifier.is_genuine(posted):
            raise RefusedError(Reason.WRONG_SIGNATURE, "the signature is missing, wrong or too old")
        if scheme is Scheme.KUAIDI100:
            payload = posted.form.get("param", "").encode()
        else:
            payload = unpacked(posted.body, encoding, self._settings.max_bytes)
        check(payload)
        return payload

    async def _keep(self, channel: _Channel, payload: bytes) -> None:
        try:
            await self._topics.put(channel.name, payload)
        except NotDurableError as error:
            if error.is_too_large:
                said = "it is more than the topic takes in one message"
                raise RefusedError(Reason.TOO_LARGE, said) from error
            raise RefusedError(Reason.NOT_DURABLE, "it could not be kept in time") from error

    def _note(self, name: str, refusal: RefusedError) -> None:
        self._metrics.not_taken(name, refusal.reason)
        now = time.monotonic()
        if now >= self._quiet_until.get((name, refusal.reason), now):
            self._quiet_until[name, refusal.reason] = now + _QUIET_SECONDS
            cause = str(refusal.__cause__) if refusal.reason is Reason.NOT_DURABLE else None
            _log.warning(
                "refused", channel=name, reason=refusal.reason, detail=refusal.detail, cause=cause
            )


def _refuse_type(scheme: Scheme, content_type: bytes) -> None:
    given = content_type.partition(b";")[0].strip().lower()
    if scheme is Scheme.KUAIDI100:
        if given != _FORM_TYPE:
            raise RefusedError(Reason.WRONG_TYPE, f"this channel takes {_FORM_TYPE.decode()}")
    elif given not in _JSON_TYPES and not given.endswith(b"+json"):
        raise RefusedError(Reason.WRONG_TYPE, "this channel takes application/json")


async def _too_large(most: int, receive: Receive | None) -> RefusedError:
    """The refusal, after what is left was read on for a while."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_DISCARD_SECONDS):
            while receive is not None and (await receive()).get("more_body", False):
                pass
    return RefusedError(Reason.TOO_LARGE, f"the body is more than {most} bytes")


def _taken(channel: _Channel) -> bytes:
    if channel.verifier.scheme is Scheme.KUAIDI100:
        return b'{"result":true,"returnCode":"200","message":"kept"}'
    return b'{"kept":true}'


def _not_taken(channel: _Channel | None, refusal: RefusedError) -> bytes:
    said: dict[str, Any] = {"reason": refusal.reason, "detail": refusal.detail}
    if channel is not None and channel.verifier.scheme is Scheme.KUAIDI100:
        said |= {
            "result": False,
            "returnCode": str(refusal.status.value),
            "message": refusal.detail,
        }
    return msgspec.json.encode(said)


def _more(refusal: RefusedError) -> list[tuple[bytes, bytes]]:
    """Headers that a refusal has besides."""
    match refusal.reason:
        case Reason.NOT_DURABLE:
            return [(b"retry-after", str(RETRY_SECONDS).encode())]
        case Reason.TOO_LARGE | Reason.TOO_SLOW:  # what is left of the body is not waited for
            return [(b"connection", b"close")]
        case Reason.WRONG_SIGNATURE:
            return [(b"www-authenticate", b"Signature")]
        case _:
            return []


async def _answer(
    send: Send, status: HTTPStatus, body: bytes, more: list[tuple[bytes, bytes]] | None = None
) -> None:
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        *(more or []),
    ]
    await send({"type": "http.response.start", "status": status.value, "headers": headers})
    await send({"type": "http.response.body", "body": body})
