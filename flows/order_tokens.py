"""Tokens that let somebody without an account see one order: HMAC-SHA256 of its key under a secret.

Nothing is stored: whoever has the secret (``link_secret`` in the settings) can make and check them.
Another secret makes all of them void.
"""

import base64
import hashlib
import hmac

from schemas.errors import InputError

LEAST_SECRET = 32
"""Characters of a secret; fewer could be guessed."""
_BYTES = 16
"""Of the digest: 128 bits, 26 letters and digits in a link."""

OrderKey = tuple[str, str, str]
"""Tenant, network, order."""


def order_token(secret: str, key: OrderKey) -> str:
    """The token of an order.

    Raises:
        InputError: there is no secret, or it is too short.
    """
    if len(secret) < LEAST_SECRET:
        raise InputError(
            f"set CROSSDOCK_LINK_SECRET to {LEAST_SECRET} or more characters; tokens are made with it"
        )
    digest = hmac.digest(secret.encode(), "\n".join(key).encode(), hashlib.sha256)
    return base64.b32encode(digest[:_BYTES]).decode().rstrip("=").lower()


def is_token_of(secret: str, key: OrderKey, token: str) -> bool:
    """Whether the token is that of the order; takes as long whether it is or not."""
    return hmac.compare_digest(order_token(secret, key).encode(), token.encode())
