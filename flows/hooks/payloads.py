"""What can be a payload: bounded, UTF-8, one JSON object that is neither deep nor has endless numbers.

Everything here is linear in the size of the body, whatever is in it: bounds are looked at before anything is
parsed, and first by counting alone, which is enough for nearly every order.
"""

import re
import zlib

import msgspec

from flows.hooks.refusals import Reason, RefusedError

MAX_DEPTH = 64
MAX_DIGITS = 400
"""No double and no amount needs as many; readers of JSON differ in what they make of more."""
_GZIP = 31
"""To zlib: a gzip header, and the largest window."""
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
"""One that has no end goes to the end: else each quote within it would be tried as a beginning."""
_LONG_NUMBER = b"0" * (MAX_DIGITS + 1)
_NUMBERS = bytes(48 if chr(byte) in "-+.0123456789eE" else 32 for byte in range(256))
"""Makes a zero of whatever may be in a number."""
_BRACKETS = b"{}[]"
_OTHERS = bytes(byte for byte in range(256) if byte not in _BRACKETS)
_DECODER = msgspec.json.Decoder(dict)


def unpacked(body: bytes, encoding: bytes, most: int) -> bytes:
    """The body without its content coding; a bomb is unpacked no further than ``most`` bytes.

    Raises:
        RefusedError: it is larger, or broken, or packed otherwise than by gzip.
    """
    if encoding in (b"", b"identity"):
        return body
    if encoding not in (b"gzip", b"x-gzip"):
        raise RefusedError(Reason.WRONG_ENCODING, "content-encoding may be gzip or identity")
    unpacker = zlib.decompressobj(_GZIP)
    try:
        content = unpacker.decompress(body, most + 1)
    except zlib.error as error:
        raise RefusedError(Reason.BROKEN_BODY, "the body is no gzip") from error
    if len(content) > most:
        raise RefusedError(Reason.TOO_LARGE, f"unpacked it is more than {most} bytes")
    if not unpacker.eof or unpacker.unused_data:
        raise RefusedError(Reason.BROKEN_BODY, "the gzip of the body is cut, or something follows")
    return content


def check(payload: bytes) -> None:
    """See that this is a payload.

    Raises:
        RefusedError: it is none; the message says why.
    """
    try:
        payload.decode()
    except UnicodeDecodeError as error:
        raise RefusedError(Reason.NO_UTF8, f"no UTF-8 at byte {error.start}") from error
    if payload.count(b"{") + payload.count(b"[") > MAX_DEPTH or _has_long_number(payload):
        bare = _STRING.sub(b'""', payload)
        if _is_too_deep(bare):
            raise RefusedError(Reason.TOO_DEEP, f"nested deeper than {MAX_DEPTH}")
        if _has_long_number(bare):
            raise RefusedError(Reason.LONG_NUMBER, f"a number longer than {MAX_DIGITS} digits")
    try:
        _DECODER.decode(payload)
    except msgspec.DecodeError as error:
        if "out of range" in str(error):
            raise RefusedError(Reason.LONG_NUMBER, "a number larger than any double") from error
        raise RefusedError(Reason.NO_OBJECT, "the body is no JSON object") from error


def _has_long_number(text: bytes) -> bool:
    return _LONG_NUMBER in text.translate(_NUMBERS)


def _is_too_deep(bare: bytes) -> bool:
    """Whether brackets, of a text without strings, are open too deep anywhere."""
    depth = 0
    for bracket in bare.translate(None, _OTHERS):
        depth += 1 if bracket in b"{[" else -1
        if depth > MAX_DEPTH:
            return True
    return False
