"""Ways other than webhooks: gateways for short messages and mini-programs, mail servers; which one is taken."""

import base64
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.notices import reports
from flows.notices.answers import Meaning
from flows.notices.deliveries import Due, State
from flows.notices.reports import Wanted
from flows.notices.senders import Sender, sender_of
from flows.notices.settings import EmailWay
from schemas.codes import Template
from schemas.errors import InputError
from tests.support.notices import (
    MARK,
    NOON,
    Receiver,
    Reply,
    Row,
    book_file,
    office,
    outbox_row,
    receiving,
)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


def by(folder: Path, ways: Row, *rules: Row) -> Row:
    chosen = list(rules) or [{"audience": "customer", "ways": list(ways)}]
    return {"ways": ways, "rules": chosen, "addresses": book_file(folder), "retry_seconds": [5]}


class Mailbox:
    """What a mail server hands over."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.receivers: list[str] = []
        self.answer = "250 taken"
        self.farewell = "221 goodbye"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Take a mail, unless it is to be refused."""
        assert isinstance(envelope.content, bytes)
        if self.answer.startswith("250"):
            mail = message_from_bytes(envelope.content, policy=default)
            assert isinstance(mail, EmailMessage)
            self.mails.append(mail)
            self.receivers += envelope.rcpt_tos
        return self.answer

    async def handle_QUIT(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Say goodbye."""
        return self.farewell


@contextmanager
def mailing(**options: Any) -> Iterator[tuple[Mailbox, Row]]:
    """A mail server while it is needed, and the way to it."""
    box = Mailbox()
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    server = Controller(box, hostname="127.0.0.1", port=port, **options)
    server.start()
    try:
        way = {"kind": "email", "host": "127.0.0.1", "port": port, "security": "none"}
        yield box, way | {"sender": "Shop <orders@example.com>", "to": "ops@example.com"}
    finally:
        server.stop()


def test_a_gateway_gets_the_body_that_it_wants_and_knows_us(
    tmp_path: Path, receiver: Receiver
) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    way = {
        "kind": "sms",
        "url": receiver.url,
        "method": "PUT",
        "auth": {"secret_file": tmp_path / "secret"},
        "headers": {"x-region": "cn"},
        "body": {"mobile": "{{ phone }}", "content": "[Shop] {{ text }}", "params": "{{ data }}"},
    }
    with office(tmp_path, by(tmp_path, {"sms": way}) | {"pages": "https://shop.example"}) as one:
        one.deliver(outbox_row(1, details={"estimated_at": "2026-11-28T06:30:00Z", "node": 'DC"1'}))
        (tmp_path / "secret").write_text("changed\n")
        one.deliver(outbox_row(2))

    first, second = receiver.requests
    assert first.method == "PUT"
    assert first.headers["authorization"] == "Bearer s3cret"
    assert second.headers["authorization"] == "Bearer changed"
    assert first.headers["x-region"] == "cn"
    assert first.headers["idempotency-key"] == f"{MARK}-10000-1-0"
    assert first.json["mobile"] == "+8613800000001"
    assert first.json["content"] == (
        "[Shop] 订单o-1已发货，预计11月28日前送达。 https://shop.example/orders/o-1"
    )
    assert json.loads(first.json["params"])["node"] == 'DC"1'


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ({"errcode": 0}, State.SENT),
        ({"errcode": 42001}, State.WAITING),
        ({"errcode": 43101, "errmsg": "user +8613800000001 refuses"}, State.DEAD),
        ({}, State.DEAD),
        ("no json", State.WAITING),
        ('{"a":' * 9_000, State.WAITING),
    ],
)
def test_a_gateway_may_refuse_in_the_body_of_a_200(
    tmp_path: Path, receiver: Receiver, said: object, state: State
) -> None:
    body = said.encode() if isinstance(said, str) else json.dumps(said).encode()
    receiver.answer = lambda _request: Reply(200, body=body)
    way = {
        "kind": "mini_program",
        "url": receiver.url,
        "auth": {"secret": "token", "parameter": "access_token"},
        "answer": {"field": "errcode", "good": ["0"], "again": ["42001"]},
        "template_ids": {"SHIPPED": "id-1"},
        "page": "pages/order?path=",
    }
    with office(tmp_path, by(tmp_path, {"mini": way})) as one:
        one.deliver(outbox_row(1))

        assert one.states() == {"1-0": state}
        assert "138" not in str(one.details()), "an address is in the store"
    (request,) = receiver.requests
    assert request.path == "/in?access_token=token"
    assert request.json == {
        "touser": "o-1",
        "template_id": "id-1",
        "page": "pages/order?path=/orders/o-1",
        "data": {
            "thing1": {"value": "已发货"},
            "character_string2": {"value": "o-1"},
            "time3": {"value": "11月25日12:00"},
        },
    }


def test_a_mail_is_plain_and_html_and_carries_its_key(tmp_path: Path) -> None:
    with mailing() as (box, way), office(tmp_path, by(tmp_path, {"mail": way})) as one:
        one.deliver(outbox_row(1, order_id="<b>&1", link="/orders/1"))

        assert one.states() == {"1-0": State.SENT}
    (mail,) = box.mails
    assert box.receivers == ["one@example.org"]
    assert mail["To"] == "one@example.org"
    assert mail["Subject"] == "订单 <b>&1 已发货"
    assert mail["Message-ID"] == f"<{MARK}-10000-1-0.mail@example.com>"
    plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert "您的订单 <b>&1 已发货。" in plain.get_content()
    assert "您的订单 &lt;b&gt;&amp;1 已发货。" in html.get_content()
    assert "<b>" not in html.get_content()


@pytest.mark.parametrize(
    ("answer", "state"),
    [("451 later", State.WAITING), ("550 no such mailbox", State.DEAD)],
)
def test_what_a_mail_server_refuses_for_ever_is_dead(
    tmp_path: Path, answer: str, state: State
) -> None:
    with mailing() as (box, way), office(tmp_path, by(tmp_path, {"mail": way})) as one:
        box.answer = answer
        one.deliver(outbox_row(1))

        assert one.states() == {"1-0": state}
        assert one.details() == [f"the mail is refused: {answer[:3]}"]


def test_a_mail_that_was_taken_stays_so_whatever_the_server_says_at_the_end(tmp_path: Path) -> None:
    with mailing() as (box, way), office(tmp_path, by(tmp_path, {"mail": way})) as one:
        box.farewell = "421 shutting down"
        one.deliver(outbox_row(1))

        assert one.states() == {"1-0": State.SENT}
    assert len(box.mails) == 1


def test_a_gateway_that_does_not_finish_its_answer_is_asked_again(
    tmp_path: Path, receiver: Receiver
) -> None:
    goes_on = threading.Event()
    receiver.answer = lambda _request: Reply(body=b'{"code": 0}', wait=lambda: goes_on.wait(20))
    way = {"kind": "sms", "url": receiver.url, "answer": {"field": "code", "good": ["0"]}}
    with office(tmp_path, by(tmp_path, {"sms": way | {"timeout_seconds": 0.3}})) as one:
        one.deliver(outbox_row(1))
        goes_on.set()

        assert one.states() == {"1-0": State.WAITING}


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning")
def test_a_mail_server_that_asks_who_we_are_is_told(tmp_path: Path) -> None:
    def knows(_s: object, _x: object, _e: object, _m: str, data: Any) -> AuthResult:
        is_good = data == LoginPassword(b"shop", b"good")
        return AuthResult(success=is_good, handled=is_good)

    options = {"authenticator": knows, "auth_required": True, "auth_require_tls": False}
    with mailing(**options) as (box, way):
        way |= {"user": "shop", "password": {"secret": "bad"}}
        (tmp_path / "1").mkdir()
        with office(tmp_path / "1", by(tmp_path, {"mail": way})) as one:
            one.deliver(outbox_row(1))
            refused = one.details()
        way |= {"password": {"secret": "good"}}
        with office(tmp_path, by(tmp_path, {"mail": way})) as one:
            one.deliver(outbox_row(1))

    assert refused == ["user or password is refused: 535"]
    assert len(box.mails) == 1


def test_a_mail_server_without_the_encryption_that_is_set_gets_nothing(tmp_path: Path) -> None:
    with mailing() as (box, way):
        way |= {"security": "starttls"}
        with office(tmp_path, by(tmp_path, {"mail": way})) as one:
            one.deliver(outbox_row(1))

            assert one.states() == {"1-0": State.WAITING}
    assert box.mails == []


def test_an_address_that_is_none_is_a_dead_letter(tmp_path: Path) -> None:
    with mailing() as (_, way):
        settings = by(tmp_path, {"mail": way})
        book_file(
            tmp_path, 'token,email\nc-1,"x@example.org\r\nBcc: all@example.org"\nc-2,nobody\n'
        )
        with office(tmp_path, settings) as one:
            one.deliver(outbox_row(1), outbox_row(2, customer="c-2"))

            assert set(one.states().values()) <= {State.DEAD, State.WAITING}
            assert one.states()["1-0"] is State.DEAD


@pytest.mark.parametrize(
    "address", ["anna@", "anna@b..c", "@x.de", "anna@[", "anna@(", "a b@c.de", "a@b.de, c@d.de"]
)
def test_a_malformed_address_is_a_dead_letter_and_the_next_mail_goes(
    tmp_path: Path, address: str
) -> None:
    with mailing() as (box, way):
        settings = by(tmp_path, {"mail": way})
        book_file(tmp_path, f'token,email\nc-1,"{address}"\nc-2,two@example.org\n')
        with office(tmp_path, settings) as one:
            one.deliver(outbox_row(1), outbox_row(2, customer="c-2"))

            assert one.states() == {"1-0": State.DEAD, "2-0": State.SENT}
            assert one.details()[0] == "the receiver's address is no e-mail address"
    assert box.receivers == ["two@example.org"]


NOWHERE = {"kind": "email", "host": "127.0.0.1", "port": 1, "security": "none", "sender": "a@b.de"}
DUE = Due(
    id=1,
    key="1-2-3",
    way="mail",
    lane="",
    tenant="acme",
    network="eu",
    audience="customer",
    template="SHIPPED",
    customer=None,
    language="en",
    expires_at=NOON,
    is_urgent=False,
    attempts=0,
    content='{"subject": "s", "text": "t", "html": "<p>t</p>"}',
)


@pytest.fixture(scope="module")
def nowhere() -> Sender:
    """Sends mails to where nobody listens."""
    return sender_of("mail", EmailWay.model_validate(NOWHERE))


@settings(deadline=None)
@given(address=st.text(st.sampled_from("aé.@<>()[]\\\"', \t:;\r\n0"), max_size=9))
def test_whatever_an_address_book_holds_is_an_address_or_is_refused(
    nowhere: Sender, address: str
) -> None:
    answered = nowhere.send(DUE, address, NOON)

    assert answered.meaning in (Meaning.FINAL, Meaning.AGAIN)


@pytest.mark.parametrize(
    "changes",
    [
        {"sender": "anna@b..c"},
        {"sender": "Shop <a@>"},
        {"sender": "a@b.de, c@d.de"},
        {"to": "ops@"},
    ],
)
def test_a_way_with_a_malformed_address_is_refused_at_the_start(changes: Row) -> None:
    with pytest.raises(InputError, match=r"way mail: .* no e-mail address"):
        sender_of("mail", EmailWay.model_validate(NOWHERE | changes))


def test_a_rule_goes_by_the_first_way_that_reaches_the_customer(
    tmp_path: Path, receiver: Receiver
) -> None:
    ids = {"SHIPPED": "id-1"}
    ways = {
        "mini": {"kind": "mini_program", "url": receiver.url + "/mini", "template_ids": ids},
        "sms": {"kind": "sms", "url": receiver.url + "/sms"},
    }
    with office(tmp_path, by(tmp_path, ways)) as one:
        one.deliver(
            outbox_row(1),
            outbox_row(2, customer="c-2"),
            outbox_row(3, template="DELIVERED"),
        )

    went = {request.key: request.path for request in receiver.requests}
    assert went == {
        f"{MARK}-10000-1-0": "/in/mini",
        f"{MARK}-10000-2-0": "/in/sms",
        f"{MARK}-10000-3-0": "/in/sms",
    }


def test_rules_choose_by_audience_tier_channel_template_tenant_and_network(
    tmp_path: Path, receiver: Receiver
) -> None:
    way = {"kind": "sms", "to": "+1"}
    ways = {name: way | {"url": f"{receiver.url}/{name}"} for name in ("a", "b", "c")}
    rules = (
        {"audience": "customer", "tiers": ["vip"], "templates": ["LOST"], "ways": ["a"]},
        {"audience": "customer", "channels": ["app"], "networks": ["eu"], "ways": ["b"]},
        {"audience": "customer", "tiers": ["vip"], "ways": ["b"]},
        {"audience": "operator", "tenants": ["acme"], "ways": ["c"]},
    )
    with office(tmp_path, by(tmp_path, ways, *rules)) as one:
        one.deliver(
            outbox_row(1, tier="vip", template="LOST", channel="app"),
            outbox_row(2, tier="vip"),
            outbox_row(3, channel="app", network="us"),
            outbox_row(4, audience="operator", template="ALERT", customer="c-1"),
            outbox_row(5, audience="operator", template="ALERT", tenant="other"),
            outbox_row(6, audience="partner"),
        )

    went = sorted((r.key.split("-", 2)[2], r.path[4:], r.json["to"]) for r in receiver.requests)
    assert went == [
        ("1-0", "a", "+8613800000001"),
        ("1-0", "b", "+8613800000001"),
        ("2-0", "b", "+8613800000001"),
        ("4-0", "c", "+1"),
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"template": "OF_TOMORROW"}, "'OF_TOMORROW' is not a valid Template: of a newer release?"),
        ({"audience": "martians"}, "'martians' is not a valid Audience: of a newer release?"),
        ({"details": '["a list"]'}, "details is no JSON object"),
        ({"details": "{"}, "it cannot be put in words"),
        ({"details": '{"a":' * 9_000}, "it cannot be put in words"),
    ],
)
def test_a_row_that_cannot_be_told_is_a_dead_letter_and_the_next_one_goes(
    tmp_path: Path, receiver: Receiver, changes: Row, words: str
) -> None:
    way = {"kind": "sms", "url": receiver.url}
    with office(tmp_path, by(tmp_path, {"sms": way})) as one:
        one.deliver(outbox_row(1) | changes, outbox_row(2))

        assert one.states() == {"1-0": State.DEAD, "2-0": State.SENT}
        assert words in one.details()[0]
        assert reports.again(one.store.path, Wanted(State.DEAD), one.clock(), 48) == 0


def test_details_that_are_not_what_they_should_be_do_not_stop_a_message(
    tmp_path: Path, receiver: Receiver
) -> None:
    odd = {"estimated_at": "soon", "promise_at": 12, "amount_minor": "much", "more": [1]}
    way = {"kind": "sms", "url": receiver.url}
    with office(tmp_path, by(tmp_path, {"sms": way})) as one:
        one.deliver(*(outbox_row(i, template=t, details=odd) for i, t in enumerate(Template)))

        assert set(one.states().values()) == {State.SENT}


def test_no_address_is_ever_in_the_store(tmp_path: Path, receiver: Receiver) -> None:
    ids = dict.fromkeys(Template, "id")
    with mailing() as (_, mail):
        ways = {
            "sms": {"kind": "sms", "url": receiver.url},
            "mini": {"kind": "mini_program", "url": receiver.url, "template_ids": ids},
            "mail": mail,
        }
        rules = [{"audience": "customer", "ways": [name]} for name in ways]
        with office(tmp_path, by(tmp_path, ways, *rules)) as one:
            one.deliver(outbox_row(1))

            assert len(receiver.requests) == 2
    kept = b"".join(f.read_bytes() for f in tmp_path.glob("notify.sqlite*"))
    assert f"{MARK}-10000-1-0".encode() in kept
    for secret in (b"13800000001", b"one@example.org", base64.b64encode(b"one@example.org")):
        assert secret not in kept
