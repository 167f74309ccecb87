"""Lines that the types alone would let through, and what is said of them."""

import msgspec
import pytest

from schemas.codec import Refusal, decode_line, encode_event
from schemas.codes import DeadLetterReason
from schemas.envelope import Event
from tests.support.builders import cancelled, order


def changed(event: Event, **parts: object) -> bytes:
    """The event as a line, with fields of the envelope or of the data replaced."""
    body = msgspec.json.decode(encode_event(event))
    for name, value in parts.items():
        (body if name in body else body["data"])[name] = value
    return msgspec.json.encode(body)


LINE = {"line_no": 1, "sku": "S1", "qty": 1}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (changed(order(), tenant="a/b"), "neither may hold a slash"),
        (changed(order(), network="b/c"), "neither may hold a slash"),
        (changed(order(), subject="o\0"), "NUL"),
        (changed(order(), time="9999-12-31T23:59:59-05:00"), "out of range"),
        (changed(order(), requested_by="9999-12-31T23:59:59-05:00"), "out of range"),
        (changed(order(), requested_by="0001-01-01T00:00:00+14:00"), "out of range"),
        (changed(order(), lines=[LINE, LINE]), "same line_no"),
        (changed(cancelled(lines={1: 1}), lines=[{"line_no": 1, "qty": 1}] * 2), "same line_no"),
        (changed(order(), dataschema="crossdock/2"), "crossdock/2"),
    ],
)
def test_what_the_types_let_through_is_refused_with_its_reason(line: bytes, said: str) -> None:
    refused = decode_line(line, 7)

    assert isinstance(refused, Refusal)
    assert (refused.line_no, refused.reason) == (7, DeadLetterReason.SCHEMA_INVALID)
    assert said in refused.detail
    assert refused.raw == line


def test_a_backslash_before_u0000_is_not_nul() -> None:
    line = changed(order(), subject="o\\u0000")

    assert isinstance(decode_line(line, 1), Event)
