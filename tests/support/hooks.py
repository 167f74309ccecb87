"""Platforms that post: signed as their documentation says, to a receiver that listens on this machine."""

import base64
import hashlib
import hmac
import http.client
import json
import threading
import time
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import urlencode

from confluent_kafka import Message

from flows.channels.settings import Scheme
from flows.guard import Guard
from flows.hooks.server import HooksJob
from flows.kafka.client import KafkaSettings, bounds, consumer
from flows.kafka.reading import headers_of, read_range
from flows.settings import Settings

SECRETS = {scheme: f"s3cret of {scheme}: ñ" for scheme in Scheme} | {
    Scheme.STANDARD: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    Scheme.BEARER: "t0ken",
}
JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}
SENDERS = 6
Request = tuple[bytes, dict[str, str]]
"""Body and headers."""
Make = Callable[[str, int], None]
"""Makes a topic of so many partitions."""


def signed(
    scheme: Scheme, payload: bytes, secret: str | None = None, at: float | None = None
) -> Request:
    """What the platform would post; Standard Webhooks at this time, now without."""
    key = SECRETS[scheme] if secret is None else secret
    match scheme:
        case Scheme.SHOPIFY:
            return payload, JSON | {"X-Shopify-Hmac-Sha256": _base64(key.encode(), payload)}
        case Scheme.WOOCOMMERCE:
            return payload, JSON | {"X-WC-Webhook-Signature": _base64(key.encode(), payload)}
        case Scheme.AFTERSHIP:
            return payload, JSON | {"aftership-hmac-sha256": _base64(key.encode(), payload)}
        case Scheme.EASYPOST:
            normal = unicodedata.normalize("NFKD", key).encode()
            found = hmac.new(normal, payload, hashlib.sha256).hexdigest()
            return payload, JSON | {"X-Hmac-Signature": f"hmac-sha256-hex={found}"}
        case Scheme.TRACK17:
            found = hashlib.sha256(payload + b"/" + key.encode()).hexdigest()
            return payload, JSON | {"sign": found}
        case Scheme.KUAIDI100:
            found = hashlib.md5(payload + key.encode()).hexdigest().upper()
            return urlencode({"sign": found, "param": payload}).encode(), FORM
        case Scheme.STANDARD:
            stamp = str(int(time.time() if at is None else at))
            words = f"msg-1.{stamp}.".encode() + payload
            found = _base64(base64.b64decode(key.removeprefix("whsec_")), words)
            headers = {"webhook-id": "msg-1", "webhook-timestamp": stamp}
            return payload, JSON | headers | {"webhook-signature": f"v1,{found}"}
        case Scheme.BEARER:
            return payload, JSON | {"Authorization": f"Bearer {key}"}
        case Scheme.NONE:
            return payload, dict(JSON)


def _base64(key: bytes, words: bytes) -> str:
    return base64.b64encode(hmac.new(key, words, hashlib.sha256).digest()).decode()


class Answer(NamedTuple):
    """What a platform hears."""

    status: int
    headers: Mapping[str, str]
    body: Any


class Platform:
    """Posts to a receiver by one connection, again and again."""

    def __init__(self, address: str) -> None:
        host, _, port = address.removeprefix("http://").partition(":")
        self._connection = http.client.HTTPConnection(host, int(port), timeout=20)

    def post(self, channel: str, request: Request, *, chunks: int = 0) -> Answer:
        """One request, in chunks of so many bytes if it says so."""
        body, headers = request
        pieces: Any = body
        if chunks:
            pieces = (body[i : i + chunks] for i in range(0, len(body), chunks))
            headers = headers | {"transfer-encoding": "chunked"}
        self._connection.request(
            "POST", f"/hooks/{channel}", pieces, headers, encode_chunked=chunks > 0
        )
        return self._answer()

    def get(self, path: str) -> Answer:
        """A page."""
        self._connection.request("GET", path)
        return self._answer()

    def _answer(self) -> Answer:
        with self._connection.getresponse() as answer:
            content = answer.read()
            headers = {name.lower(): value for name, value in answer.getheaders()}
        is_json = headers.get("content-type") == "application/json"
        return Answer(answer.status, headers, json.loads(content) if is_json else content)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


class Office:
    """A receiver with a channel for each scheme, by its name; each has a topic of its own."""

    def __init__(self, make: Make, kafka: KafkaSettings, **hooks: Any) -> None:
        self.kafka = kafka
        channels = {}
        for scheme in Scheme:
            make(self.topic(scheme), 1)
            channels[scheme.value] = channel(scheme, self.topic(scheme))
        settings = Settings.model_validate({"channels": channels, "hooks": {"port": 0, **hooks}})
        self.job = HooksJob(settings, kafka, Guard())
        self._thread = threading.Thread(target=self.job.run)
        self._thread.start()
        self.platform = Platform(self.job.address)

    def topic(self, scheme: Scheme) -> str:
        """Of a channel."""
        return f"{self.kafka.group}.{scheme}"

    def kept(self, scheme: Scheme) -> list[bytes]:
        """What is on it."""
        return [message.value() or b"" for message in self._messages(scheme)]

    def headers(self, scheme: Scheme) -> dict[str, str]:
        """Of its last message."""
        *_, last = self._messages(scheme)
        return headers_of(last)

    def _messages(self, scheme: Scheme) -> list[Message]:
        client, topic = consumer(self.kafka, "office"), self.topic(scheme)
        first, end = bounds(self.kafka, client, topic, 0)
        found = list(read_range(self.kafka, client, (topic, 0), first, end))
        client.close()
        return found

    def close(self) -> None:
        """End."""
        self.platform.close()
        self.job.guard.stop()
        self._thread.join()


def channel(scheme: Scheme, topic: str) -> dict[str, Any]:
    """Settings of a channel; its secret is in the environment."""
    signature: dict[str, Any] = {"scheme": scheme.value}
    if scheme is not Scheme.NONE:
        signature["secret_env"] = variable(scheme)
    return {
        "mapping": "shopify",
        "topic": topic,
        "tenant": "acme",
        "network": "eu",
        "signature": signature,
    }


def variable(scheme: Scheme) -> str:
    """Of the environment, that has the secret."""
    return f"TEST_SECRET_{scheme.name}"


@contextmanager
def office(make: Make, kafka: KafkaSettings, **hooks: Any) -> Iterator[Office]:
    """A receiver while it is needed."""
    made = Office(make, kafka, **hooks)
    try:
        yield made
    finally:
        made.close()


def order_of(name: str) -> bytes:
    """A shop's order of one unit, of a kilobyte."""
    body = {
        "id": name,
        "created_at": "2026-01-05T09:01:00Z",
        "updated_at": "2026-01-05T09:01:00Z",
        "currency": "EUR",
        "financial_status": "paid",
        "fulfillment_status": None,
        "cancelled_at": None,
        "shipping_address": {"country_code": "R1"},
        "line_items": [{"sku": "S1", "quantity": 1, "price": "9.90", "grams": 200}],
        "note": "x" * 700,
    }
    return json.dumps(body).encode()


class Load:
    """Platforms that post one event after another, each until it is taken, to whoever receives."""

    def __init__(self, channel: str) -> None:
        self.acknowledged: list[bytes] = []
        self.sent: set[bytes] = set()
        self.refusals = 0
        self._channel = channel
        self._addresses: list[str] = []
        self._changed = threading.Condition()
        self._is_over = False
        self._threads = [
            threading.Thread(target=self._send, args=(number,), daemon=True)
            for number in range(SENDERS)
        ]
        for thread in self._threads:
            thread.start()

    def at(self, address: str) -> None:
        """Where it is received from now on."""
        with self._changed:
            self._addresses.append(address)
            self._changed.notify_all()

    def wait(self, acknowledged: int, refusals: int = 0) -> None:
        """Until so many were taken, and so many could not be."""

        def is_reached() -> bool:
            return len(self.acknowledged) >= acknowledged and self.refusals >= refusals

        with self._changed:
            assert self._changed.wait_for(is_reached, 60)

    def end(self) -> None:
        """After what is on its way was taken."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _send(self, sender: int) -> None:
        number, seen = 0, 0
        platform: Platform | None = None
        while not self._is_over:
            event = order_of(f"{sender}-{number}")
            with self._changed:
                self.sent.add(event)
                if platform is None:
                    self._changed.wait_for(partial(self._is_moved, seen))
                    seen = len(self._addresses)
                    platform = Platform(self._addresses[-1])
            try:
                status = platform.post(self._channel, (event, JSON)).status
            except (OSError, http.client.HTTPException):
                platform.close()
                platform = None
                continue
            with self._changed:
                if status == HTTPStatus.OK:
                    number += 1
                    self.acknowledged.append(event)
                else:
                    self.refusals += 1
                self._changed.notify_all()
        if platform is not None:
            platform.close()

    def _is_moved(self, seen: int) -> bool:
        return len(self._addresses) > seen
