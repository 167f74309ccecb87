"""Why a request is refused, and by which status its sender hears so."""

from enum import StrEnum
from http import HTTPStatus


class Reason(StrEnum):
    """Counted and logged by this name; never with a word of what was sent."""

    UNKNOWN_CHANNEL = "unknown_channel"
    WRONG_SIGNATURE = "wrong_signature"
    TOO_LARGE = "too_large"
    TOO_SLOW = "too_slow"
    WRONG_TYPE = "wrong_type"
    WRONG_ENCODING = "wrong_encoding"
    BROKEN_BODY = "broken_body"
    NO_UTF8 = "no_utf8"
    NO_OBJECT = "no_object"
    TOO_DEEP = "too_deep"
    LONG_NUMBER = "long_number"
    NOT_DURABLE = "not_durable"


_STATUS = {
    Reason.UNKNOWN_CHANNEL: HTTPStatus.NOT_FOUND,
    Reason.WRONG_SIGNATURE: HTTPStatus.UNAUTHORIZED,
    Reason.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Reason.TOO_SLOW: HTTPStatus.REQUEST_TIMEOUT,
    Reason.WRONG_TYPE: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    Reason.WRONG_ENCODING: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    Reason.NOT_DURABLE: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""All others are 400."""


class RefusedError(Exception):
    """A request that is not taken; ``detail`` says no word of what was sent."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail

    @property
    def status(self) -> HTTPStatus:
        """Of the answer."""
        return _STATUS.get(self.reason, HTTPStatus.BAD_REQUEST)
