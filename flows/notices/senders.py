"""One attempt by each kind of way: webhook, short message, mini-program, e-mail.

Senders are called from several threads at a time. They raise nothing that a receiver can cause: whatever
comes of an attempt is an ``Answered``.
"""

import logging
import smtplib
import ssl
import time
from contextlib import suppress
from datetime import datetime
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any, Protocol

import httpx
import msgspec
from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from standardwebhooks import Webhook
from standardwebhooks.webhooks import EmptyWebhookSecretError

from flows.notices.answers import Answered, Meaning, of_http
from flows.notices.deliveries import Due
from flows.notices.settings import (
    Auth,
    EmailWay,
    MiniProgramWay,
    Secret,
    SmsWay,
    Way,
    WebhookWay,
)
from flows.notices.texts import FAULTS
from schemas.errors import InputError

_ANSWER_BYTES = 64 * 1024
"""More of an answer is not read."""
_NAMES = ("phone", "text", "key", "template", "language", "data")
"""What the body for a gateway of short messages may name."""
_AGENT = "crossdock-notify"
_NO_ADDRESS = (ValueError, IndexError, AttributeError, HeaderParseError)
"""What the parser of the standard library fails with on what is no address."""


class Sender(Protocol):
    """One way."""

    def send(self, due: Due, receiver: str, now: datetime) -> Answered:
        """Try once."""

    def close(self) -> None:
        """Let connections go."""


def sender_of(name: str, way: Way) -> Sender:
    """The sender of a way.

    Raises:
        InputError: a secret is missing or no good, or a body names what is not known.
    """
    match way:
        case WebhookWay():
            return _WebhookSender(name, way)
        case SmsWay():
            return _SmsSender(name, way)
        case MiniProgramWay():
            return _MiniProgramSender(way)
        case EmailWay():
            return _EmailSender(name, way)


class _Http:
    """A client that follows no redirect, reads no endless answer and waits no longer than it was told."""

    def __init__(self, way: WebhookWay | SmsWay | MiniProgramWay) -> None:
        # Its log would have whole addresses, and some gateways want their secret there.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        self._seconds = way.timeout_seconds
        self._answer = None if isinstance(way, WebhookWay) else way.answer
        limits = httpx.Limits(max_connections=way.at_once, max_keepalive_connections=way.at_once)
        self._client = httpx.Client(
            timeout=way.timeout_seconds, limits=limits, headers={"user-agent": _AGENT}
        )

    def send(
        self, method: str, url: str, body: bytes, headers: dict[str, str], now: datetime
    ) -> Answered:
        ends = time.monotonic() + self._seconds
        try:
            with self._client.stream(method, url, content=body, headers=headers) as answer:
                said = self._read(answer, ends)
                return of_http(answer.status_code, answer.headers, said, self._answer, now)
        except httpx.TimeoutException:
            return Answered(Meaning.AGAIN, detail=f"no answer in {self._seconds:g} s")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return Answered(Meaning.AGAIN, detail=f"no connection: {type(error).__name__}")
        except ValueError as error:  # a secret that no header takes
            return Answered(Meaning.AGAIN, detail=f"it cannot be sent: {type(error).__name__}")

    def close(self) -> None:
        self._client.close()

    def _read(self, answer: httpx.Response, ends: float) -> bytes:
        """The body, so that the connection can be used again; it may fail to come where the status says all."""
        content = bytearray()
        try:
            for piece in answer.iter_raw():
                content += piece
                if len(content) > _ANSWER_BYTES or time.monotonic() > ends:
                    break
        except httpx.HTTPError:
            if answer.is_success and self._answer is not None:
                raise
        return bytes(content)


class _WebhookSender:
    def __init__(self, name: str, way: WebhookWay) -> None:
        self._way = way
        self._http = _Http(way)
        try:
            self._signers()
        except InputError as error:
            raise InputError(f"way {name}: {error}") from error

    def send(self, due: Due, receiver: str, now: datetime) -> Answered:
        try:
            signers = self._signers()
        except InputError as error:
            return Answered(Meaning.AGAIN, detail=str(error))
        headers = {
            "content-type": "application/cloudevents+json; charset=utf-8",
            "webhook-id": due.key,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(one.sign(due.key, now, due.content) for one in signers),
        }
        return self._http.send("POST", receiver, due.content.encode(), headers, now)

    def close(self) -> None:
        self._http.close()

    def _signers(self) -> list[Webhook]:
        """A signer of each secret: two while they are changed."""
        try:
            signers = [Webhook(one) for one in (self._way.reveal() or "").split()]
        except (ValueError, EmptyWebhookSecretError):
            signers = []
        if not signers:
            raise InputError("there is no secret, or it is not whsec_ and Base64")
        return signers


class _SmsSender:
    def __init__(self, name: str, way: SmsWay) -> None:
        self._way = way
        self._http = _Http(way)
        environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
        try:
            self._body = {field: environment.from_string(text) for field, text in way.body.items()}
            for text in self._body.values():
                text.render(dict.fromkeys(_NAMES, ""))
        except FAULTS as error:
            names = ", ".join(_NAMES)
            raise InputError(f"way {name}: body: {error}; it may name {names}") from error

    def send(self, due: Due, receiver: str, now: datetime) -> Answered:
        content: dict[str, Any] = msgspec.json.decode(due.content)
        known = {
            "phone": receiver,
            "text": content["text"],
            "key": due.key,
            "template": due.template,
            "language": due.language,
            "data": msgspec.json.encode(content["data"]).decode(),
        }
        try:
            body = {field: text.render(known) for field, text in self._body.items()}
        except FAULTS as error:
            return Answered(Meaning.FINAL, detail=f"no body can be made: {type(error).__name__}")
        return _through(self._http, self._way.method, self._way, due, body, now)

    def close(self) -> None:
        self._http.close()


class _MiniProgramSender:
    def __init__(self, way: MiniProgramWay) -> None:
        self._way = way
        self._http = _Http(way)

    def send(self, due: Due, receiver: str, now: datetime) -> Answered:
        body = {"touser": receiver, **msgspec.json.decode(due.content)}
        return _through(self._http, "POST", self._way, due, body, now)

    def close(self) -> None:
        self._http.close()


class _EmailSender:
    """A connection for each mail: a mail server closes what is idle, and a fault of one is not the next's."""

    def __init__(self, name: str, way: EmailWay) -> None:
        self._way = way
        self._tls = ssl.create_default_context()
        if way.user is not None and not way.password.reveal():
            raise InputError(f"way {name}: user is given and no password")
        try:
            _sender_of(way.sender)
            if way.to is not None:
                _address_of(way.to)
        except InputError as error:
            raise InputError(f"way {name}: {error}") from error

    def send(self, due: Due, receiver: str, now: datetime) -> Answered:
        try:
            mail = self._mail(due, receiver, now)
        except InputError as error:
            return Answered(Meaning.FINAL, detail=str(error))
        except ValueError as error:
            return Answered(
                Meaning.FINAL, detail=f"no mail can be made of it: {type(error).__name__}"
            )
        try:
            self._hand_over(mail)
        except smtplib.SMTPRecipientsRefused as error:
            ((status, _),) = error.recipients.values()
            return _refused(status, "the receiver is refused")
        except smtplib.SMTPResponseException as error:
            is_ours = isinstance(error, smtplib.SMTPAuthenticationError)
            what = "user or password is refused" if is_ours else "the mail is refused"
            return _refused(error.smtp_code, what, again=is_ours)
        except (smtplib.SMTPException, OSError, InputError, ValueError) as error:
            return Answered(Meaning.AGAIN, detail=f"no connection: {type(error).__name__}")
        return Answered(Meaning.TAKEN, 250)

    def close(self) -> None:
        """Nothing stays open."""

    def _hand_over(self, mail: EmailMessage) -> None:
        """Give a mail to the server; what that answers to the farewell changes nothing."""
        server = self._connected()
        try:
            server.send_message(mail)
        finally:
            with suppress(smtplib.SMTPException, OSError):
                server.quit()

    def _connected(self) -> smtplib.SMTP:
        way = self._way
        if way.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                way.host, way.port, timeout=way.timeout_seconds, context=self._tls
            )
        else:
            server = smtplib.SMTP(way.host, way.port, timeout=way.timeout_seconds)
        try:
            if way.security == "starttls":
                server.starttls(context=self._tls)
            if way.user is not None:
                server.login(way.user, way.password.reveal() or "")
        except BaseException:
            server.close()
            raise
        return server

    def _mail(self, due: Due, receiver: str, now: datetime) -> EmailMessage:
        content = msgspec.json.decode(due.content)
        mail = EmailMessage()
        mail["From"], mail["To"] = self._way.sender, _address_of(receiver)
        mail["Subject"] = content["subject"]
        mail["Date"] = format_datetime(now)
        domain = self._way.sender.rpartition("@")[2].rstrip(">")
        mail["Message-ID"] = f"<{due.key}.{due.way}@{domain}>"
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(content["text"])
        mail.add_alternative(content["html"], subtype="html")
        return mail


def _address_of(text: str) -> Address:
    """The address that a text is.

    Raises:
        InputError: it is none; the text is not repeated, since it may be a customer's.
    """
    try:
        return Address(addr_spec=text)
    except _NO_ADDRESS as error:
        raise InputError("the receiver's address is no e-mail address") from error


def _sender_of(text: str) -> None:
    """Try who the mails are from.

    Raises:
        InputError: it is not one address, with or without a name.
    """
    mail = EmailMessage()
    try:
        mail["From"] = text
    except _NO_ADDRESS as error:
        raise InputError(f"sender {text!r} is no e-mail address") from error
    header = mail["From"]
    if header.defects or len(header.addresses) != 1:
        raise InputError(f"sender {text!r} is no e-mail address")


def _through(
    http: _Http,
    method: str,
    way: SmsWay | MiniProgramWay,
    due: Due,
    body: dict[str, Any],
    now: datetime,
) -> Answered:
    """To a gateway, as somebody it knows, with the key of the delivery."""
    headers = {"content-type": "application/json; charset=utf-8", "idempotency-key": due.key}
    try:
        url = _authorised(way.auth, way.url, headers)
    except InputError as error:
        return Answered(Meaning.AGAIN, detail=str(error))
    return http.send(method, url, msgspec.json.encode(body), {**headers, **way.headers}, now)


def _authorised(auth: Auth, url: str, headers: dict[str, str]) -> str:
    secret = Secret.reveal(auth)
    if secret is None:
        return url
    if auth.parameter is not None:
        return str(httpx.URL(url).copy_add_param(auth.parameter, secret))
    headers[auth.header] = f"{auth.prefix}{secret}"
    return url


def _refused(status: int, what: str, *, again: bool = False) -> Answered:
    """5xx of SMTP is for ever; what somebody has to mend on our side is not."""
    is_final = status >= 500 and not again
    return Answered(Meaning.FINAL if is_final else Meaning.AGAIN, status, f"{what}: {status}")
