"""Sending: signatures, order, pauses, quiet hours; against receivers that listen on this machine."""

import base64
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook
from structlog.testing import capture_logs

from flows.notices import reports
from flows.notices.deliveries import State
from flows.notices.reports import Wanted
from flows.notices.sending import Pace
from tests.support.notices import (
    MARK,
    NOON,
    SECRET,
    Receiver,
    Reply,
    Request,
    Row,
    book_file,
    office,
    outbox_row,
    receiving,
    signature,
    to_webhook,
)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


def of_order(order: str, position: int, **changes: Any) -> Row:
    return outbox_row(position, order_id=order, **changes)


def shown(receiver: Receiver) -> list[str]:
    return [key.split("-", 2)[2] for key in receiver.shown]


def test_the_signer_agrees_with_the_published_example() -> None:
    at = datetime.fromtimestamp(1614265330, UTC)

    made = Webhook(SECRET).sign("msg_p5jXN8AQM9LWM0D4loKWxJek", at, '{"test": 2432232314}')

    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_webhook_is_a_signed_event_with_a_key_and_what_it_is_ordered_by(
    tmp_path: Path, receiver: Receiver
) -> None:
    with office(tmp_path, to_webhook(receiver)) as one:
        one.deliver(outbox_row(7, 2, details={"promise_at": "2026-11-28T10:00:00Z"}))

    (request,) = receiver.requests
    assert request.headers["webhook-signature"] == signature(request, SECRET)
    assert request.headers["webhook-timestamp"] == str(int(NOON.timestamp()))
    assert request.headers["content-type"].startswith("application/cloudevents+json")
    assert request.json["id"] == request.headers["webhook-id"] == f"{MARK}-10000-7-2"
    assert request.json["partitionkey"] == "o-7"
    assert request.json["data"]["details"] == {"promise_at": "2026-11-28T10:00:00Z"}
    assert "28 Nov 2026" in request.json["data"]["message"]["text"]


def test_while_a_secret_is_changed_both_sign(tmp_path: Path, receiver: Receiver) -> None:
    other = "whsec_" + base64.b64encode(b"another secret").decode()
    settings = to_webhook(receiver)
    settings["ways"]["hook"]["secret"] = f"{SECRET} {other}"

    with office(tmp_path, settings) as one:
        one.deliver(outbox_row(1))

    (request,) = receiver.requests
    both = {signature(request, SECRET), signature(request, other)}
    assert set(request.headers["webhook-signature"].split(" ")) == both


def test_one_order_waits_for_its_first_message_and_no_other_order_does(
    tmp_path: Path, receiver: Receiver
) -> None:
    receiver.answer = lambda request: Reply(500 if request.json["subject"] == "a" else 200)
    with office(tmp_path, to_webhook(receiver)) as one:
        one.deliver(of_order("a", 1), of_order("b", 2), of_order("a", 3), of_order("b", 4))
        others = shown(receiver)
        receiver.answer = lambda _request: Reply()
        one.clock.turn(seconds=5)
        one.work()

        assert others == ["2-0", "4-0"]
        assert shown(receiver) == ["2-0", "4-0", "1-0", "3-0"]
        assert set(one.states().values()) == {State.SENT}
    assert [r.key for r in receiver.requests].count(f"{MARK}-10000-1-0") == 2


def test_attempts_follow_the_schedule_and_end_in_a_dead_letter(
    tmp_path: Path, receiver: Receiver
) -> None:
    receiver.answer = lambda _request: Reply(503)
    with office(tmp_path, to_webhook(receiver)) as one:
        one.deliver(of_order("a", 1), of_order("a", 2))
        tried = [len(receiver.requests)]
        for seconds in (4, 1, 29, 1, 119, 1):
            one.clock.turn(seconds=seconds)
            one.work()
            tried.append(len(receiver.requests))

        assert tried[:6] == [1, 1, 2, 2, 3, 3]
        assert one.states() == {"1-0": State.DEAD, "2-0": State.WAITING}
        attempts = reports.attempts_of(one.store.path, f"{MARK}-10000-1-0")
    assert [row["status"] for row in attempts] == [503] * 4
    assert [row["outcome"] for row in attempts] == ["waiting"] * 3 + ["dead"]
    assert attempts[-1]["detail"] == "answered 503 Service Unavailable; 4 attempts"


@pytest.mark.parametrize("status", [400, 401, 404, 410, 422])
def test_a_refusal_is_final_and_the_next_message_goes(
    tmp_path: Path, receiver: Receiver, status: int
) -> None:
    receiver.answer = lambda request: Reply(status if request.key.endswith("-1-0") else 200)
    with office(tmp_path, to_webhook(receiver)) as one:
        one.deliver(of_order("a", 1), of_order("a", 2))

        assert one.states() == {"1-0": State.DEAD, "2-0": State.SENT}
    assert len(receiver.requests) == 2


@pytest.mark.parametrize("status", [302, 408, 425, 429, 500, 502])
def test_what_may_pass_is_tried_again(tmp_path: Path, receiver: Receiver, status: int) -> None:
    receiver.answer = lambda _request: Reply(status)
    with office(tmp_path, to_webhook(receiver)) as one:
        one.deliver(outbox_row(1))

        assert one.states() == {"1-0": State.WAITING}


@pytest.mark.parametrize(
    "said", ["60", (NOON + timedelta(seconds=60)).strftime("%a, %d %b %Y %H:%M:%S GMT")]
)
def test_a_receiver_that_says_when_to_come_again_is_left_alone_until_then(
    tmp_path: Path, receiver: Receiver, said: str
) -> None:
    receiver.answer = lambda _request: Reply(429, {"retry-after": said})
    settings = to_webhook(receiver)
    settings["ways"]["hook"]["at_once"] = 1
    with office(tmp_path, settings) as one:
        one.deliver(of_order("a", 1), of_order("b", 2))
        receiver.answer = lambda _request: Reply()
        one.clock.turn(seconds=59)
        one.work()
        before = len(receiver.requests)
        one.clock.turn(seconds=1)
        one.work()

    assert before == 1, "the other order has to wait too: the receiver is overloaded"
    assert shown(receiver) == ["2-0", "1-0"]


def test_a_receiver_that_is_down_costs_an_attempt(tmp_path: Path) -> None:
    with receiving() as gone:
        settings = to_webhook(gone)
    with office(tmp_path, settings) as one:
        one.deliver(outbox_row(1))

        assert one.states() == {"1-0": State.WAITING}
        assert one.details() == ["no connection: ConnectError"]


def test_a_slow_receiver_holds_up_nobody_else(tmp_path: Path, receiver: Receiver) -> None:
    goes_on = threading.Event()

    def slow(_request: Request) -> Reply:
        goes_on.wait(20)
        return Reply()

    with receiving() as other:
        receiver.answer = slow
        settings = to_webhook(receiver)
        settings["ways"]["other"] = settings["ways"]["hook"] | {"url": other.url}
        settings["ways"]["hook"]["timeout_seconds"] = 0.3
        settings["rules"].append({"audience": "customer", "ways": ["other"]})
        with office(tmp_path, settings) as one:
            one.keep(of_order("a", 1), of_order("a", 2), of_order("a", 3))
            while len(other.shown) < 3:
                one.dispatcher.turn()
            at_once = len(receiver.shown)
            one.work()
            goes_on.set()

            assert at_once == 0
            assert "no answer in 0.3 s" in one.details()


@pytest.mark.parametrize(
    ("status", "state", "detail"),
    [
        (200, State.SENT, None),
        (404, State.DEAD, "answered 404 Not Found"),
        (503, State.WAITING, "answered 503 Service Unavailable"),
    ],
)
def test_a_status_is_enough_where_the_body_does_not_come(
    tmp_path: Path, receiver: Receiver, status: int, state: State, detail: str | None
) -> None:
    goes_on = threading.Event()
    receiver.answer = lambda _request: Reply(status, body=b"ok", wait=lambda: goes_on.wait(20))
    settings = to_webhook(receiver)
    settings["ways"]["hook"]["timeout_seconds"] = 0.3
    with office(tmp_path, settings) as one:
        one.deliver(outbox_row(1))
        goes_on.set()

        assert one.states() == {"1-0": state}
        assert one.details() == [detail]


QUIET = {"quiet_hours": {"begin": "22:00", "end": "08:00"}, "time_zone": "Asia/Shanghai"}
NIGHT = datetime(2026, 11, 25, 15, 30, tzinfo=UTC)
"""Half past eleven in Shanghai; the quiet hours end at midnight UTC."""


def quietly(receiver: Receiver) -> Row:
    settings = to_webhook(receiver, **QUIET)
    settings["ways"]["hook"]["quiet"] = True
    settings["rules"].append({"audience": "operator", "ways": ["hook"]})
    return settings


def test_customers_are_left_alone_by_night_and_told_in_the_morning(
    tmp_path: Path, receiver: Receiver
) -> None:
    with office(tmp_path, quietly(receiver)) as one:
        one.clock.now = NIGHT
        one.deliver(
            of_order("a", 1),
            of_order("a", 2, template="DELIVERED"),
            of_order("b", 3, template="ALERT", audience="operator", customer=None),
        )
        by_night = (shown(receiver), one.states()["1-0"])
        one.clock.turn(hours=8, minutes=29)
        one.work()
        before_eight = shown(receiver)
        one.clock.turn(minutes=1)
        one.work()

    assert by_night == (["3-0"], State.HELD)
    assert before_eight == ["3-0"]
    assert shown(receiver) == ["3-0", "1-0", "2-0"]


def test_an_urgent_message_takes_those_before_it_along(tmp_path: Path, receiver: Receiver) -> None:
    with office(tmp_path, quietly(receiver)) as one:
        one.clock.now = NIGHT
        one.deliver(of_order("a", 1), of_order("a", 2), of_order("b", 3))
        one.deliver(of_order("a", 4, template="LOST"))

    assert shown(receiver) == ["1-0", "2-0", "4-0"]


def test_each_network_has_its_own_night(tmp_path: Path, receiver: Receiver) -> None:
    settings = quietly(receiver) | {"time_zones": {"acme/uk": "Europe/London"}}
    with office(tmp_path, settings) as one:
        one.clock.now = NIGHT
        one.deliver(of_order("a", 1), of_order("b", 2, network="uk"))

    assert shown(receiver) == ["2-0"]


def test_what_is_too_old_is_not_sent(tmp_path: Path, receiver: Receiver) -> None:
    receiver.answer = lambda _request: Reply(500)
    with office(tmp_path, to_webhook(receiver, expire_hours=1)) as one:
        one.deliver(of_order("a", 1), of_order("b", 2, at=NOON - timedelta(hours=1)))
        one.clock.turn(hours=1)
        one.work()

        assert one.states() == {"1-0": State.EXPIRED, "2-0": State.EXPIRED}
    assert len(receiver.requests) == 1


def test_dead_letters_are_sent_again_when_somebody_says_so(
    tmp_path: Path, receiver: Receiver
) -> None:
    receiver.answer = lambda _request: Reply(404)
    with office(tmp_path, to_webhook(receiver)) as one:
        one.deliver(of_order("a", 1), of_order("b", 2))
        receiver.answer = lambda _request: Reply()
        one.clock.turn(days=3)
        path, wanted = one.store.path, Wanted(State.DEAD, order="a")
        would = reports.again(path, wanted, one.clock(), 48, dry_run=True)
        did = reports.again(path, wanted, one.clock(), 48)
        one.work()

        assert (would, did) == (1, 1)
        assert one.states() == {"1-0": State.SENT, "2-0": State.DEAD}


def test_what_is_finished_is_forgotten_in_time(tmp_path: Path, receiver: Receiver) -> None:
    receiver.answer = lambda request: Reply(500 if request.json["subject"] == "b" else 200)
    with office(tmp_path, to_webhook(receiver)) as one:
        one.deliver(of_order("a", 1), of_order("b", 2))

        gone = one.store.purge(NOON + timedelta(days=30))

        assert gone == 1
        assert one.states() == {"2-0": State.WAITING}
        assert reports.attempts_of(one.store.path, f"{MARK}-10000-1-0") == []


def test_the_pace_is_kept_and_what_was_missed_is_not_made_up_for() -> None:
    pace, now = Pace(10), NOON
    sent = 0
    for _ in range(100):
        sent += pace.may(now)
        now += timedelta(milliseconds=10)
    now += timedelta(seconds=10)
    burst = sum(pace.may(now) for _ in range(100))

    assert sent == 10
    assert burst == 1
    assert all(Pace(None).may(NOON) for _ in range(100))


def test_a_way_sends_no_faster_than_it_may(tmp_path: Path, receiver: Receiver) -> None:
    settings = to_webhook(receiver)
    settings["ways"]["hook"]["per_second"] = 1
    came = []
    with office(tmp_path, settings) as one:
        one.keep(of_order("a", 1), of_order("b", 2), of_order("c", 3))
        for seconds in (0, 0.5, 0.5, 1):
            one.clock.turn(seconds=seconds)
            one.dispatcher.turn()
            while one.dispatcher.is_busy:
                one.dispatcher.turn()
            came.append(len(receiver.requests))

    assert came == [1, 1, 2, 3]


def test_metrics_count_what_became_of_deliveries(tmp_path: Path, receiver: Receiver) -> None:
    receiver.answer = lambda request: Reply(404 if request.json["subject"] == "b" else 200)
    with office(tmp_path, to_webhook(receiver)) as one:
        one.deliver(of_order("a", 1), of_order("b", 2))

        for state, count in ((State.SENT, 1), (State.DEAD, 1)):
            labels = {"way": "hook", "state": state}
            name = "crossdock_notify_deliveries_total"
            assert one.metrics.registry.get_sample_value(name, labels) == count


def test_a_defect_of_one_attempt_is_told_and_keeps_no_other_from_going(
    tmp_path: Path, receiver: Receiver
) -> None:
    settings = {
        "ways": {"sms": {"kind": "sms", "url": receiver.url, "to": "+1"}},
        "rules": [{"audience": "operator", "ways": ["sms"]}],
        "retry_seconds": [5],
    }
    operator = {"audience": "operator", "template": "ALERT"}
    with office(tmp_path, settings) as one, capture_logs() as logged:
        one.keep(of_order("a", 1, **operator), of_order("b", 2, **operator))
        one.keep(of_order("a", 3, **operator))
        with closing(sqlite3.connect(one.store.path)) as damaging, damaging:
            damaging.execute("UPDATE deliveries SET content = '{+49' WHERE id = 1")
        one.work()
        first = one.states()
        one.clock.turn(seconds=5)
        one.work()

        assert first == {"1-0": State.WAITING, "2-0": State.SENT, "3-0": State.WAITING}
        assert one.states() == {"1-0": State.DEAD, "2-0": State.SENT, "3-0": State.SENT}
        assert one.details()[0] == "a defect: DecodeError; 2 attempts"
        counted = one.metrics.registry.get_sample_value(
            "crossdock_notify_defects_total", {"way": "sms"}
        )
    assert counted == 2
    assert [(line["key"], line["error"]) for line in logged] == [
        (f"{MARK}-10000-1-0", "DecodeError")
    ] * 2
    assert logged[0]["where"].startswith("senders.py:")
    assert "+49" not in str(logged)


def test_a_customer_without_an_address_is_a_dead_letter_that_can_be_mended(
    tmp_path: Path, receiver: Receiver
) -> None:
    settings = {
        "ways": {"sms": {"kind": "sms", "url": receiver.url}},
        "rules": [{"audience": "customer", "ways": ["sms"]}],
        "addresses": book_file(tmp_path),
    }
    with office(tmp_path, settings) as one:
        one.deliver(outbox_row(1, customer="c-9"))
        lost = one.states()
        book_file(tmp_path, "token,phone\nc-9,+33100000009\n")
        one.book.refresh()
        reports.again(one.store.path, Wanted(State.DEAD), one.clock(), 48)
        one.work()

    assert lost == {"1-0": State.DEAD}
    assert [request.json["to"] for request in receiver.requests] == ["+33100000009"]


@pytest.mark.parametrize("said", ["soon", "-5", "9" * 5000, "Wed, 25 Nov 1970 12:00:00 GMT"])
def test_what_a_receiver_says_of_later_is_taken_with_a_grain_of_salt(
    tmp_path: Path, receiver: Receiver, said: str
) -> None:
    receiver.answer = lambda _request: Reply(503, {"retry-after": said})
    with office(tmp_path, to_webhook(receiver)) as one:
        one.deliver(outbox_row(1))
        receiver.answer = lambda _request: Reply()
        one.clock.turn(hours=24)
        one.work()

        assert one.states() == {"1-0": State.SENT}
