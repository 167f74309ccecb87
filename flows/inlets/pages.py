"""One page of an address that is polled: asked for within bounds, and taken apart without being read whole.

No redirect is followed, and no page is asked for at another origin than the one that was set, so that a token
goes nowhere else. No message has an address, a token or a word of what was answered.
"""

import asyncio
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

import httpx
import msgspec

from flows.channels.ways import CursorSettings, PollSettings
from flows.hooks.payloads import unpacked
from flows.hooks.refusals import RefusedError
from flows.inlets.keeper import Reason
from flows.notices.answers import Meaning, of_http

_AGENT = "crossdock-inlet"
_CURSOR_CHARACTERS = 8_192
"""Of a cursor: what is longer fits into no address."""


class PageError(Exception):
    """A page that was not had; ``detail`` can be shown.

    Attributes:
        reason: the class of the trouble.
        is_passing: whether it may be had a moment later.
        wait_seconds: that the other side wants to be left alone for.
    """

    def __init__(
        self, reason: Reason, detail: str, *, is_passing: bool = False, wait_seconds: float = 0.0
    ) -> None:
        super().__init__(detail)
        self.reason = reason
        self.is_passing = is_passing
        self.wait_seconds = wait_seconds


class Page(NamedTuple):
    """Payloads as they came, and where it goes on, if that is said."""

    payloads: list[bytes]
    cursor: str | None


class _Answer(NamedTuple):
    headers: httpx.Headers
    body: bytes


class Pages:
    """Asks for the pages of one address."""

    def __init__(self, settings: PollSettings) -> None:
        # Its log would have whole addresses, and some have a secret in them.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        self._settings = settings
        self._first = httpx.URL(settings.url)
        self._client = httpx.AsyncClient(
            timeout=settings.timeout_seconds,
            follow_redirects=False,
            headers={
                "user-agent": _AGENT,
                "accept": "application/json",
                "accept-encoding": "gzip",
            },
        )

    async def get(self, cursor: str | None) -> Page:
        """The page at a cursor; the first one without.

        Raises:
            PageError: it was not had; the message says why.
            InputError: there is no token.
        """
        address = self._address(cursor)
        token = self._settings.token()
        headers = {} if token is None else {self._settings.header: self._settings.prefix + token}
        answer = await self._answer(address, headers)
        try:
            payloads = [bytes(raw) for raw in _array(answer.body, self._settings.items)]
            following = _cursor(self._settings.cursor, answer)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            where = self._settings.items or "the answer"
            raise PageError(Reason.NO_PAGE, f"no JSON, or {where} is no array") from None
        return Page(payloads, following)

    async def close(self) -> None:
        """Let the connection go."""
        await self._client.aclose()

    def _address(self, cursor: str | None) -> httpx.URL:
        asked = self._settings.cursor
        if cursor is None or asked is None:
            return self._first
        if asked.parameter is not None:
            return self._first.copy_set_param(asked.parameter, cursor)
        try:
            address = self._first.join(cursor)
        except httpx.InvalidURL:
            raise PageError(Reason.WRONG_ADDRESS, "the next page has no address") from None
        if _origin(address) != _origin(self._first) or address.userinfo:
            raise PageError(Reason.WRONG_ADDRESS, "the next page is at another origin")
        return address

    async def _answer(self, address: httpx.URL, headers: Mapping[str, str]) -> _Answer:
        seconds = self._settings.timeout_seconds
        try:
            async with (
                asyncio.timeout(seconds),
                self._client.stream("GET", address, headers=headers) as answer,
            ):
                _refuse_status(answer)
                body = await self._body(answer)
        except (TimeoutError, httpx.TimeoutException):
            said = f"no whole answer in {seconds:g} s"
            raise PageError(Reason.NO_ANSWER, said, is_passing=True) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            said = f"no connection: {type(error).__name__}"
            raise PageError(Reason.NO_ANSWER, said, is_passing=True) from None
        except ValueError as error:  # a token that no header takes
            said = f"it cannot be asked: {type(error).__name__}"
            raise PageError(Reason.NO_SECRET, said) from None
        return _Answer(answer.headers, body)

    async def _body(self, answer: httpx.Response) -> bytes:
        """What was answered, unpacked; more than it may be is not read."""
        most, content = self._settings.max_bytes, bytearray()
        async for piece in answer.aiter_raw():
            content += piece
            if len(content) > most:
                raise PageError(Reason.TOO_LARGE, f"a page is more than {most} bytes")
        encoding = answer.headers.get("content-encoding", "").strip().lower()
        try:
            return unpacked(bytes(content), encoding.encode(), most)
        except RefusedError as error:
            is_large = error.detail.startswith("unpacked")
            reason = Reason.TOO_LARGE if is_large else Reason.NO_PAGE
            raise PageError(reason, error.detail) from None


def _origin(address: httpx.URL) -> tuple[str, str, int | None]:
    return address.scheme, address.host, address.port


def _refuse_status(answer: httpx.Response) -> None:
    if answer.status_code in range(300, 400):
        said = f"answered {answer.status_code}, which is not followed: set url to where it leads"
        raise PageError(Reason.ANSWERED, said)
    now = datetime.now(UTC)
    told = of_http(answer.status_code, answer.headers, b"", None, now)
    if told.meaning is not Meaning.TAKEN:
        wait = 0.0 if told.come_again_at is None else (told.come_again_at - now).total_seconds()
        wait = max(0.0, wait)
        raise PageError(
            Reason.ANSWERED,
            told.detail or "",
            is_passing=told.meaning is Meaning.AGAIN and not wait,
            wait_seconds=wait,
        )


def _array(body: bytes, path: str) -> list[msgspec.Raw]:
    """The elements of the array at a path, each as it is written.

    Raises:
        DecodeError: there is none.
    """
    return msgspec.json.decode(_at(body, path.split(".") if path else []), type=list[msgspec.Raw])


def _at(body: bytes | msgspec.Raw, path: list[str]) -> bytes | msgspec.Raw:
    """The value at a path; null where it leads nowhere."""
    found: bytes | msgspec.Raw = body
    for name in path:
        if bytes(found).lstrip()[:1] == b"[" and name.lstrip("-").isdecimal():
            elements, place = msgspec.json.decode(found, type=list[msgspec.Raw]), int(name)
            is_there = -len(elements) <= place < len(elements)
            found = elements[place] if is_there else b"null"
        else:
            members = msgspec.json.decode(found, type=dict[str, msgspec.Raw] | None) or {}
            found = members.get(name, b"null")
    return found


def _cursor(settings: CursorSettings | None, answer: _Answer) -> str | None:
    """Where it goes on; nothing, null and an empty text are the end."""
    if settings is None:
        return None
    if settings.header is not None:
        if settings.header.lower() == "link":
            found = httpx.Response(200, headers=answer.headers).links.get("next", {}).get("url")
        else:
            found = answer.headers.get(settings.header)
    else:
        raw = _at(answer.body, (settings.path or "").split("."))
        value = msgspec.json.decode(raw, type=str | int | float | None)
        is_number = isinstance(value, int | float)
        found = bytes(raw).decode().strip() if is_number else value  # as it is written
    if found is not None and len(found) > _CURSOR_CHARACTERS:
        raise PageError(Reason.NO_PAGE, f"a cursor of more than {_CURSOR_CHARACTERS} characters")
    return found or None
