"""What the answer of a receiver means: taken, to be tried again, or final.

Of the refusals of HTTP all are final that the same message will meet again, which is 4xx but for 408, 425 and
429. Receivers that are overloaded say when to come again (``Retry-After``).
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import Enum
from http import HTTPStatus
from typing import NamedTuple

import msgspec

from flows.notices.settings import Answer

_LATER = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
_LONGEST_WAIT = timedelta(hours=24)


class Meaning(Enum):
    """What to do after an attempt."""

    TAKEN = "taken"
    AGAIN = "again"
    FINAL = "final"


class Answered(NamedTuple):
    """What came of an attempt.

    Attributes:
        meaning: what to do.
        status: of HTTP or SMTP, if there was an answer.
        detail: in words; without an address, a secret or anything that the receiver said.
        come_again_at: not before then, says the receiver, and that is of all messages.
    """

    meaning: Meaning
    status: int | None = None
    detail: str | None = None
    come_again_at: datetime | None = None


def of_http(
    status: int, headers: Mapping[str, str], body: bytes, answer: Answer | None, now: datetime
) -> Answered:
    """What an answer of HTTP means."""
    if 200 <= status < 300:
        return Answered(Meaning.TAKEN, status) if answer is None else _said(status, body, answer)
    is_final = 400 <= status < 500 and status not in _LATER
    return Answered(
        Meaning.FINAL if is_final else Meaning.AGAIN,
        status,
        f"answered {status} {_phrase(status)}".rstrip(),
        None if is_final else _come_again_at(headers.get("retry-after"), now),
    )


def _said(status: int, body: bytes, answer: Answer) -> Answered:
    """What a gateway says in a body that came with 200."""
    try:
        found = msgspec.json.decode(body, type=dict[str, object])
    except (msgspec.DecodeError, RecursionError):
        return Answered(Meaning.AGAIN, status, f"answered {status} without a JSON object")
    value = str(found.get(answer.field))
    if value in answer.good:
        return Answered(Meaning.TAKEN, status)
    meaning = Meaning.AGAIN if value in answer.again else Meaning.FINAL
    return Answered(meaning, status, f"answered {status} with {answer.field} {value[:60]}")


def _come_again_at(text: str | None, now: datetime) -> datetime | None:
    """Seconds or a date; what is neither says nothing."""
    if text is None:
        return None
    if text.strip().isdecimal():
        return now + timedelta(seconds=min(float(text), _LONGEST_WAIT.total_seconds()))
    try:
        named = parsedate_to_datetime(text)
    except ValueError:
        return None
    at = named if named.tzinfo is not None else named.replace(tzinfo=UTC)
    return min(max(at, now), now + _LONGEST_WAIT)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
