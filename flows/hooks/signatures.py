"""Whether a request is from who it says, by the scheme of its platform.

====================  ==================================================================================
shopify               ``X-Shopify-Hmac-Sha256``: Base64 of the HMAC-SHA256 of the body
woocommerce           ``X-WC-Webhook-Signature``: the same
aftership             ``aftership-hmac-sha256``: the same
easypost              ``X-Hmac-Signature``: ``hmac-sha256-hex=`` and the HMAC-SHA256 in hexadecimal, by the
                      secret in Unicode's form NFKD
17track               ``sign``: SHA-256 of body, slash and key in hexadecimal
kuaidi100             form fields ``param`` (the payload) and ``sign``: MD5 of ``param`` and salt in
                      hexadecimal, upper case
standard              Standard Webhooks: id, time (five minutes either way) and body, signed by any secret
bearer                ``Authorization: Bearer`` and the secret
====================  ==================================================================================

The signature is that of the body as it came; with ``kuaidi100`` and ``standard`` it may not be packed. All
comparisons take the same time whatever they find. Only ``standard`` signs a time, so only there an old
request is refused for its age. Ids are not remembered: a request that comes again becomes the same record
with the same id, and the folds drop it.

Source: the platforms' documentation of their webhooks; standardwebhooks.com.
"""

import hashlib
import hmac
import time
import unicodedata
from base64 import b64encode
from collections.abc import Callable, Mapping
from functools import cached_property
from urllib.parse import parse_qsl

import structlog
from standardwebhooks import Webhook
from standardwebhooks.webhooks import EmptyWebhookSecretError, WebhookVerificationError

from flows.channels.settings import Scheme, Signature
from flows.hooks.refusals import Reason, RefusedError
from schemas.errors import InputError

FRESH_SECONDS = 5.0
"""Secrets are read again so often at most."""
_FORM_FIELDS = 64
_log = structlog.get_logger(__name__)


class Posted:
    """A request: its headers by their name in lower case, and its body as it came."""

    def __init__(self, headers: Mapping[bytes, bytes], body: bytes) -> None:
        self.headers = headers
        self.body = body

    @cached_property
    def form(self) -> Mapping[str, str]:
        """The fields of a form.

        Raises:
            RefusedError: it is none.
        """
        try:
            text = self.body.decode("ascii")
            pairs = parse_qsl(
                text, keep_blank_values=True, max_num_fields=_FORM_FIELDS, errors="strict"
            )
        except ValueError as error:
            raise RefusedError(Reason.BROKEN_BODY, "the body is no form") from error
        return dict(pairs)


Check = Callable[[Posted], bool]
"""Whether a request was signed by one secret."""


def _hmac_base64(secret: str, header: bytes) -> Check:
    key = secret.encode()

    def is_genuine(posted: Posted) -> bool:
        expected = b64encode(hmac.digest(key, posted.body, "sha256"))
        return hmac.compare_digest(posted.headers.get(header, b""), expected)

    return is_genuine


def _easypost(secret: str, header: bytes) -> Check:
    key = unicodedata.normalize("NFKD", secret).encode()

    def is_genuine(posted: Posted) -> bool:
        expected = b"hmac-sha256-hex=" + hmac.digest(key, posted.body, "sha256").hex().encode()
        return hmac.compare_digest(posted.headers.get(header, b""), expected)

    return is_genuine


def _track17(secret: str, header: bytes) -> Check:
    key = b"/" + secret.encode()

    def is_genuine(posted: Posted) -> bool:
        expected = hashlib.sha256(posted.body + key).hexdigest().encode()
        return hmac.compare_digest(posted.headers.get(header, b"").lower(), expected)

    return is_genuine


def _kuaidi100(secret: str, _header: bytes) -> Check:
    def is_genuine(posted: Posted) -> bool:
        signed = (posted.form.get("param", "") + secret).encode()
        expected = hashlib.md5(signed, usedforsecurity=False).hexdigest().upper()
        return hmac.compare_digest(posted.form.get("sign", "").encode(), expected.encode())

    return is_genuine


def _standard(secret: str, _header: bytes) -> Check:
    try:
        webhook = Webhook(secret)
    except (ValueError, EmptyWebhookSecretError):
        raise InputError("a secret is not whsec_ and Base64") from None

    def is_genuine(posted: Posted) -> bool:
        headers = {n.decode("latin-1"): v.decode("latin-1") for n, v in posted.headers.items()}
        try:
            webhook.verify(posted.body, headers, json_parse=False)
        except (WebhookVerificationError, ValueError):  # what the package says of odd headers
            return False
        return True

    return is_genuine


def _bearer(secret: str, header: bytes) -> Check:
    token = secret.encode()

    def is_genuine(posted: Posted) -> bool:
        given = posted.headers.get(header, b"")
        if given[:7].lower() == b"bearer ":
            given = given[7:]
        return hmac.compare_digest(given.strip(), token)

    return is_genuine


_SCHEMES: dict[Scheme, tuple[str, Callable[[str, bytes], Check]]] = {
    Scheme.SHOPIFY: ("X-Shopify-Hmac-Sha256", _hmac_base64),
    Scheme.WOOCOMMERCE: ("X-WC-Webhook-Signature", _hmac_base64),
    Scheme.AFTERSHIP: ("aftership-hmac-sha256", _hmac_base64),
    Scheme.EASYPOST: ("X-Hmac-Signature", _easypost),
    Scheme.TRACK17: ("sign", _track17),
    Scheme.KUAIDI100: ("", _kuaidi100),
    Scheme.STANDARD: ("", _standard),
    Scheme.BEARER: ("Authorization", _bearer),
}


class Verifier:
    """The checks of a channel; its secrets may be changed while it works."""

    def __init__(self, signature: Signature) -> None:
        """Read the secrets.

        Raises:
            InputError: there is none, or it is no good.
        """
        self.scheme = signature.scheme
        self._signature = signature
        self._checks = self._made()
        self._read_at = time.monotonic()

    def is_genuine(self, posted: Posted) -> bool:
        """Whether it was signed by one of the secrets.

        Raises:
            RefusedError: its signature is within a form, and it is none.
        """
        if self.scheme is Scheme.NONE:
            return True
        if time.monotonic() >= self._read_at + FRESH_SECONDS:
            self._read_again()
        return any(check(posted) for check in self._checks)

    def _read_again(self) -> None:
        """A file that is being replaced, or gone, leaves what was read before."""
        self._read_at = time.monotonic()
        try:
            self._checks = self._made()
        except InputError as error:
            _log.warning("secret", detail=str(error))

    def _made(self) -> list[Check]:
        if self.scheme is Scheme.NONE:
            return []
        header, check_by = _SCHEMES[self.scheme]
        named = (self._signature.header or header).lower().encode()
        return [check_by(secret, named) for secret in self._signature.secrets()]
