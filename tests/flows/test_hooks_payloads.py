"""What can be a payload, and what is refused, whatever it is made of."""

import gzip
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.hooks.payloads import MAX_DEPTH, MAX_DIGITS, check, unpacked
from flows.hooks.refusals import Reason, RefusedError

MOST = 10_000


def reason_of(payload: bytes) -> Reason | None:
    try:
        check(payload)
    except RefusedError as refusal:
        return refusal.reason
    return None


def nested(depth: int) -> bytes:
    return b'{"a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


def by_the_book(payload: bytes) -> bool:
    """The same by Python's own reader, one value at a time."""

    def refuse(_constant: str) -> None:
        raise ValueError

    def number(text: str) -> float:
        value = float(text)
        if len(text) > MAX_DIGITS or abs(value) == float("inf"):
            raise ValueError
        return value

    def depth(value: Any) -> int:
        inner = value.values() if isinstance(value, dict) else value
        return 1 + max(map(depth, inner), default=0) if isinstance(value, dict | list) else 0

    try:
        found = json.loads(
            payload.decode(), parse_constant=refuse, parse_int=number, parse_float=number
        )
        json.dumps(found, ensure_ascii=False).encode()  # no half of a surrogate pair
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and depth(found) <= MAX_DEPTH


TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ['"', "\\", "[" * 70, "{" * 70, "9" * 500, '\\"[[', "\u2028", "订单"]
)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)
OBJECTS = st.dictionaries(TEXTS, VALUES, max_size=5).map(lambda v: json.dumps(v).encode())
TOKENS = st.lists(
    st.sampled_from(
        [
            *(
                b"{",
                b"}",
                b"[",
                b"]",
                b'"',
                b"\\",
                b":",
                b",",
                b"1",
                b"-",
                b"e9",
                b".",
                b"null",
                b" ",
            ),
            *(b'"a":', b"[" * 40, b"]" * 40, b"7" * 300, b"\xff", b"\xe8\xae\xa2", b'{"a":'),
        ]
    ),
    max_size=24,
).map(b"".join)


@given(
    st.one_of(OBJECTS, TOKENS, st.binary(max_size=64), VALUES.map(lambda v: json.dumps(v).encode()))
)
def test_a_payload_is_taken_just_if_a_plain_reader_takes_it(payload: bytes) -> None:
    assert (reason_of(payload) is None) == by_the_book(payload)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b'{"a":1}', None),
        (b"{}", None),
        (nested(MAX_DEPTH), None),
        (nested(MAX_DEPTH + 1), Reason.TOO_DEEP),
        (b'{"a":' + b"[" * 500_000, Reason.TOO_DEEP),
        (b'{"a":"' + b"[" * 500_000 + b'"}', None),
        (b'{"a":' + b"9" * 300 + b"}", None),
        (b'{"a":0.' + b"1" * (MAX_DIGITS - 2) + b"}", None),
        (b'{"a":0.' + b"1" * (MAX_DIGITS - 1) + b"}", Reason.LONG_NUMBER),
        (b'{"a":1' + b"0" * MAX_DIGITS + b"}", Reason.LONG_NUMBER),
        (b'{"a":"' + b"1" * 1_000 + b'"}', None),
        (b'{"a":1e999}', Reason.LONG_NUMBER),
        (b'{"a":"\xff"}', Reason.NO_UTF8),
        ('{"a":"ü"}'.encode("latin-1"), Reason.NO_UTF8),
        ('{"a":1}'.encode("utf-16"), Reason.NO_UTF8),
        (b'\xef\xbb\xbf{"a":1}', Reason.NO_OBJECT),
        (b'{"a":"\\ud800"}', Reason.NO_OBJECT),
        (b'{"a":NaN}', Reason.NO_OBJECT),
        (b"[]", Reason.NO_OBJECT),
        (b"null", Reason.NO_OBJECT),
        (b"", Reason.NO_OBJECT),
        (b'{"a":1}{"b":2}', Reason.NO_OBJECT),
    ],
)  # fmt: skip
def test_what_can_be_no_payload_is_refused_by_its_reason(
    payload: bytes, reason: Reason | None
) -> None:
    assert reason_of(payload) is reason


@pytest.mark.parametrize(
    "payload",
    [
        b"[" * 70 + b'"' + b'\\"' * 500_000,
        b"[" * 70 + b'"' * 1_000_000,
        b"[" * 70 + b'"' + b"\\" * 1_000_000,
        b"[]" * 500_000,
        b'{"a":[' + (b"1" * 399 + b" ") * 2_500,
    ],
)
def test_a_hostile_megabyte_is_refused_in_one_pass(payload: bytes) -> None:
    assert reason_of(payload) is not None, "and within minutes, which it would take if tried anew"


def test_a_bomb_is_unpacked_no_further_than_its_bound() -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    assert len(bomb) < 60_000

    with pytest.raises(RefusedError) as refused:
        unpacked(bomb, b"gzip", MOST)

    assert refused.value.reason is Reason.TOO_LARGE


@given(st.binary(max_size=MOST))
def test_what_was_packed_comes_out_as_it_went_in(body: bytes) -> None:
    assert unpacked(gzip.compress(body), b"gzip", MOST) == body
    assert unpacked(body, b"identity", MOST) == unpacked(body, b"", MOST) == body


@pytest.mark.parametrize(
    ("body", "encoding", "reason"),
    [
        (b"{}", b"gzip", Reason.BROKEN_BODY),
        (gzip.compress(b"{}", mtime=0)[:-3], b"gzip", Reason.BROKEN_BODY),
        (gzip.compress(b"{}", mtime=0) + b"x", b"gzip", Reason.BROKEN_BODY),
        (b"", b"gzip", Reason.BROKEN_BODY),
        (b"{}", b"br", Reason.WRONG_ENCODING),
        (b"{}", b"gzip, gzip", Reason.WRONG_ENCODING),
    ],
)
def test_what_cannot_be_unpacked_is_refused(body: bytes, encoding: bytes, reason: Reason) -> None:
    with pytest.raises(RefusedError) as refused:
        unpacked(body, encoding, MOST)

    assert refused.value.reason is reason


def test_a_refusal_says_no_word_of_what_was_sent() -> None:
    for payload in (b'{"name":"Maria", }', b'{"a":"Maria\xff"}', nested(99) + b"Maria"):
        with pytest.raises(RefusedError) as refused:
            check(payload)
        assert not re.search("maria|name", str(refused.value), re.IGNORECASE)
