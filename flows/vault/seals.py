"""A sealed value: ``{"sealed":"KEY ID","data":"…"}`` in the place of what it holds.

Data is Base64 of a nonce and of the bytes under AES-256-GCM. It is JSON wherever a value may stand, may hold
what is no JSON, and may be sealed again by somebody else's key, so that both are needed.
"""

import binascii
import os
import re
from base64 import b64decode, b64encode
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

HEADER = "sealed"
"""Of a message whose seals are ours, to be opened; see ``disarmed``."""
MARK = b'{"sealed":"'
"""How every sealed value begins."""
GONE = b"null"
"""What stays of a sealed value once its key is destroyed."""
_NONCE_BYTES = 12
_SEALED = re.compile(rb'\{"sealed":"([0-9a-f]{32})","data":"([A-Za-z0-9+/]{38,}={0,2})"\}')


class Key:
    """A key, and the id by which sealed values name it."""

    def __init__(self, key_id: str, key: bytes) -> None:
        self.id = key_id
        self._cipher = AESGCM(key)

    def seal(self, raw: bytes) -> bytes:
        """A sealed value."""
        return b'{"sealed":"%b","data":"%b"}' % (self.id.encode(), b64encode(self.encrypt(raw)))

    def encrypt(self, raw: bytes) -> bytes:
        """A nonce, and the bytes under the key; whoever changes a bit, or the id, makes it void."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, raw, self.id.encode())

    def decrypt(self, data: bytes) -> bytes | None:
        """What was encrypted; nothing where that was not by this key."""
        nonce, rest = data[:_NONCE_BYTES], data[_NONCE_BYTES:]
        try:
            return self._cipher.decrypt(nonce, rest, self.id.encode())
        except (InvalidTag, ValueError):
            return None


def is_sealed(raw: bytes) -> bool:
    """Whether anything in a payload is sealed."""
    return _SEALED.search(raw) is not None


def disarmed(raw: bytes) -> bytes:
    """The same JSON, in which nothing looks sealed any more: of each key's id, a digit is escaped.

    Who has found a sealed value elsewhere could post it, and have it opened for him.
    """

    def escaped(match: re.Match[bytes]) -> bytes:
        first, rest, data = match[1][0], match[1][1:], match[2]
        return b'{"sealed":"\\u%04x%b","data":"%b"}' % (first, rest, data)

    return _SEALED.sub(escaped, raw)


def opened(raw: bytes, key_of: Callable[[str], Key | None]) -> bytes:
    """A payload with what its sealed values hold, ``null`` where their keys are gone.

    Args:
        raw: with sealed values, also within one another.
        key_of: a key by its id.
    """

    def held(match: re.Match[bytes]) -> bytes:
        key = key_of(match[1].decode())
        found = None if key is None else key.decrypt(_decoded(match[2]))
        return GONE if found is None else found

    while is_sealed(raw):  # what is held is always shorter than what holds it
        raw = _SEALED.sub(held, raw)
    return raw


def _decoded(data: bytes) -> bytes:
    """What was encrypted; nothing of what is no Base64, as somebody may post it."""
    try:
        return b64decode(data)
    except binascii.Error:
        return b""
