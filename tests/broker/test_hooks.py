"""The webhook receiver on loopback: what is answered by 200 is on its topic, and everything else is refused."""

import base64
import gzip
import hashlib
import json
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from confluent_kafka import KafkaError
from confluent_kafka.admin import NewTopic
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows.channels.settings import Scheme
from flows.guard import Guard
from flows.hooks.server import HooksJob
from flows.kafka.client import KafkaSettings, admin
from flows.settings import Settings
from schemas.errors import BrokerError, InputError
from tests.broker.server.process import KafkaServer
from tests.support.broker import MockBroker
from tests.support.command_line import refused, run
from tests.support.hooks import (
    FORM,
    JSON,
    SECRETS,
    SENDERS,
    Answer,
    Load,
    Office,
    Platform,
    channel,
    office,
    signed,
    variable,
)

MOST = 20_000
ORDER = '{"name":"#1001","note":"für Zoë, 订单"}'.encode()
PRODUCE, INIT_PRODUCER = 0, 22
"""Requests to a broker."""


@pytest.fixture(scope="module")
def of_module() -> Iterator[Office]:
    with MockBroker() as mock, pytest.MonkeyPatch.context() as patch:
        for scheme in Scheme:
            patch.setenv(variable(scheme), SECRETS[scheme])
        kafka = KafkaSettings(bootstrap=mock.bootstrap, group="hooks")
        with office(mock.topic, kafka, max_bytes=MOST, read_seconds=0.5) as made:
            yield made


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for scheme in Scheme:
        monkeypatch.setenv(variable(scheme), SECRETS[scheme])


@pytest.mark.parametrize("scheme", list(Scheme))
def test_what_a_platform_posts_is_on_its_topic_as_it_came(
    scheme: Scheme, of_module: Office
) -> None:
    for _ in range(2):
        answer = of_module.platform.post(scheme, signed(scheme, ORDER))
        assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    if scheme is Scheme.KUAIDI100:
        assert answer.body["result"] is True
        assert answer.body["returnCode"] == "200"

    assert of_module.kept(scheme)[-2:] == [ORDER, ORDER]


@pytest.mark.parametrize("scheme", [scheme for scheme in Scheme if scheme is not Scheme.NONE])
def test_what_somebody_else_posts_is_refused(scheme: Scheme, of_module: Office) -> None:
    other = {Scheme.STANDARD: "whsec_c2VjcmV0IG9mIGFub3RoZXI="}.get(scheme, "another")

    answer = of_module.platform.post(scheme, signed(scheme, ORDER, other))

    assert answer.status == 401
    assert answer.body["reason"] == "wrong_signature"


def test_a_message_says_whence_and_when_it_came_and_what_it_is(of_module: Office) -> None:
    before = datetime.now(UTC)

    of_module.platform.post("easypost", signed(Scheme.EASYPOST, ORDER))

    after, headers = datetime.now(UTC), of_module.headers(Scheme.EASYPOST)
    digest = base64.b64encode(hashlib.sha256(ORDER).digest()).decode()
    assert headers["channel"] == "easypost"
    assert headers["content-digest"] == f"sha-256=:{digest}:"
    received = datetime.fromisoformat(headers["received"])
    assert before - timedelta(milliseconds=1) < received <= after


@pytest.mark.parametrize(
    ("body", "headers", "status", "reason"),
    [
        (b"[1]", JSON, 400, "no_object"),
        (b'{"a":"\xff"}', JSON, 400, "no_utf8"),
        (b'{"a":' + b"[" * 70 + b"]" * 70 + b"}", JSON, 400, "too_deep"),
        (b'{"a":' + b"9" * 401 + b"}", JSON, 400, "long_number"),
        (ORDER, {"content-type": "text/html"}, 415, "wrong_type"),
        (ORDER, FORM, 415, "wrong_type"),
        (ORDER, JSON | {"content-encoding": "br"}, 415, "wrong_encoding"),
        (ORDER, JSON | {"content-encoding": "gzip"}, 400, "broken_body"),
        (b" " * (MOST + 1), JSON, 413, "too_large"),
        (gzip.compress(b" " * 5_000_000), JSON | {"content-encoding": "gzip"}, 413, "too_large"),
    ],
)
def test_what_cannot_be_a_payload_is_refused_by_its_reason(
    body: bytes, headers: dict[str, str], status: int, reason: str, of_module: Office
) -> None:
    answer = of_module.platform.post("none", (body, headers))

    assert (answer.status, answer.body["reason"]) == (status, reason)


def test_packed_and_cut_bodies_come_whole(of_module: Office) -> None:
    packed = {"content-encoding": "gzip"}
    one, two = b'{"packed":1}', json.dumps({"cut": "x" * 10_000}).encode()

    answers = [
        of_module.platform.post("none", (gzip.compress(one), JSON | packed)),
        of_module.platform.post("none", (two, JSON), chunks=700),
        of_module.platform.post(
            "none", (b'{"plain":1}', {"content-type": "application/cloudevents+json"})
        ),
    ]

    assert [answer.status for answer in answers] == [200, 200, 200]
    assert {one, two, b'{"plain":1}'} <= set(of_module.kept(Scheme.NONE))


def test_a_body_that_grows_too_large_on_its_way_is_refused(of_module: Office) -> None:
    answer = of_module.platform.post("none", (b" " * 400_000, JSON), chunks=4_000)

    assert (answer.status, answer.body["reason"]) == (413, "too_large")
    assert of_module.platform.post("none", (b'{"after":1}', JSON)).status == 200


def test_a_body_that_does_not_come_is_not_waited_for(of_module: Office) -> None:
    host, _, port = of_module.job.address.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(b"POST /hooks/none HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{")
        said = connection.makefile("rb").read()

    assert said.startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(
    "rest", [b"", b"x-long: " + b"y" * 200_000, b"nonsense\r\n\r\n", b"\x00\xff\r\n\r\n"]
)
def test_what_is_no_request_does_no_harm(rest: bytes, of_module: Office) -> None:
    host, _, port = of_module.job.address.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        said = b""
        with suppress(OSError):  # it does not listen to the end
            connection.sendall(b"POST /hooks/none HTTP/1.1\r\nhost: x\r\n" + rest)
            connection.shutdown(socket.SHUT_WR)
            said = connection.makefile("rb").read()

    assert said == b"" or said.startswith(b"HTTP/1.1 400 ")
    assert of_module.platform.get("/health").status == 200


def test_only_channels_with_a_signature_can_be_posted_to(of_module: Office) -> None:
    answer = of_module.platform.post("another", (ORDER, JSON))

    assert (answer.status, answer.body["reason"]) == (404, "unknown_channel")
    assert of_module.platform.get("/hooks/none").status == 405
    assert of_module.platform.get("/docs").status == 404


def test_a_webhook_that_is_saved_in_woocommerce_may_knock(of_module: Office) -> None:
    kept = of_module.kept(Scheme.WOOCOMMERCE)

    assert of_module.platform.post("woocommerce", (b"webhook_id=12", FORM)).status == 200
    assert of_module.platform.post("woocommerce", (b"webhook_id=1&a=b", FORM)).status == 415
    assert of_module.kept(Scheme.WOOCOMMERCE) == kept


def test_probes_and_metrics_tell_what_was_taken_and_refused(of_module: Office) -> None:
    of_module.platform.post("none", (ORDER, JSON))
    of_module.platform.post("none", (b"[]", JSON))
    of_module.platform.post("bearer", (ORDER, JSON))
    of_module.platform.post("../x", (ORDER, JSON))

    registry = of_module.job.metrics.registry
    refusals = "crossdock_hooks_refused_total"
    assert of_module.platform.get("/ready").status == 200
    for name, labels in (
        ("crossdock_hooks_kept_total", {"channel": "none"}),
        (refusals, {"channel": "none", "reason": "no_object"}),
        (refusals, {"channel": "bearer", "reason": "wrong_signature"}),
    ):
        assert (registry.get_sample_value(name, labels) or 0) >= 1
    assert registry.get_sample_value("crossdock_hooks_waiting") == 0


BODIES = st.one_of(
    st.binary(max_size=200),
    st.dictionaries(st.text(max_size=5), st.text(max_size=9) | st.integers() | st.none(), max_size=5).map(
        lambda value: json.dumps(value, ensure_ascii=False).encode(errors="replace")
    ),
    st.sampled_from([b"", b"{", b"null", b"param=%7B%7D&sign=x", b'{"a":' + b"[" * 99, b"9" * 999]),
)  # fmt: skip
VALUES = st.text(
    st.characters(min_codepoint=33, max_codepoint=255, exclude_characters="\x7f"), max_size=30
)
HEADERS = st.dictionaries(
    st.sampled_from(
        [
            *("content-type", "content-encoding", "transfer-encoding", "expect", "x-any", "sign"),
            *("authorization", "webhook-id", "webhook-timestamp", "webhook-signature"),
        ]
    ),
    VALUES | st.sampled_from(["gzip", "identity", "application/json", "a+json;charset=gbk", "100-continue"]),
    max_size=4,
)  # fmt: skip


def test_whatever_is_posted_never_fails_and_what_is_taken_is_durable(
    mock: MockBroker, mocked: KafkaSettings, secrets: None
) -> None:
    taken: dict[Scheme, Counter[bytes]] = {scheme: Counter() for scheme in Scheme}

    with office(mock.topic, mocked, max_bytes=MOST) as open_office:

        @settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
        @given(
            scheme=st.sampled_from(Scheme),
            body=BODIES,
            headers=HEADERS,
            is_signed=st.sampled_from([True, True, False]),
            is_packed=st.sampled_from([False, False, True]),
            chunks=st.sampled_from([0, 1, 50]),
        )
        def post(
            scheme: Scheme,
            body: bytes,
            headers: dict[str, str],
            is_signed: bool,
            is_packed: bool,
            chunks: int,
        ) -> None:
            wire = gzip.compress(body) if is_packed else body
            if is_signed:
                wire, headers = signed(scheme, wire)
            if is_packed:
                headers = headers | {"content-encoding": "gzip"}
            platform = Platform(open_office.job.address)
            try:
                answer = platform.post(scheme, (wire, headers), chunks=chunks)
            except ConnectionResetError:
                # where the body ends cannot be known: the server answers, and hangs up on the rest
                assert "transfer-encoding" in headers
                return
            finally:
                platform.close()
            assert answer.status in {200, 400, 401, 413, 415}, answer
            if answer.status == 200:
                assert is_signed or scheme is Scheme.NONE
                taken[scheme][body] += 1

        post()
        for scheme in Scheme:
            assert Counter(open_office.kept(scheme)) == taken[scheme]
    assert sum(map(Counter.total, taken.values())) > 10


def test_while_the_brokers_are_away_nothing_is_acknowledged(
    mock: MockBroker, mocked: KafkaSettings, secrets: None
) -> None:
    with office(mock.topic, mocked, keep_seconds=0.4) as open_office:
        platform = open_office.platform
        assert platform.post("none", (b'{"n":1}', JSON)).status == 200

        mock.down()
        away = [platform.post("none", (b'{"n":2}', JSON)) for _ in range(2)]
        assert platform.post("none", (b"[]", JSON)).status == 400
        assert platform.get("/health").status == 200
        mock.up()

        assert [answer.status for answer in away] == [503, 503]
        assert all(answer.headers["retry-after"] == "5" for answer in away)
        assert all(answer.body["reason"] == "not_durable" for answer in away)
        while platform.post("none", (b'{"n":3}', JSON)).status == 503:
            pass
        assert {b'{"n":1}', b'{"n":3}'} <= set(open_office.kept(Scheme.NONE))


@pytest.mark.broker
def test_a_broker_that_is_killed_loses_nothing_that_was_acknowledged(
    server: KafkaServer, served: KafkaSettings, secrets: None
) -> None:
    client = admin(served)

    def make(topic: str, partitions: int) -> None:
        client.create_topics([NewTopic(topic, partitions, 1)])[topic].result()
        while topic not in client.list_topics(timeout=10).topics:
            pass

    with office(make, served, keep_seconds=1.0) as open_office:
        load = Load("none")
        load.at(open_office.job.address)
        load.wait(200)
        server.kill()
        load.wait(200, refusals=SENDERS)
        server.start()
        load.wait(len(load.acknowledged) + 200)
        load.end()

        kept = set(open_office.kept(Scheme.NONE))
    assert set(load.acknowledged) <= kept <= load.sent


def test_what_the_topic_refuses_is_not_acknowledged(
    mock: MockBroker, mocked: KafkaSettings, secrets: None
) -> None:
    mocked.client["max.in.flight.requests.per.connection"] = 1
    with office(mock.topic, mocked) as open_office:
        for error, status in (
            (KafkaError.MSG_SIZE_TOO_LARGE, 413),
            (KafkaError.POLICY_VIOLATION, 503),
        ):
            mock.fail(PRODUCE, [error])
            assert open_office.platform.post("none", (b'{"n":1}', JSON)).status == status
        assert open_office.kept(Scheme.NONE) == []
        assert open_office.platform.post("none", (b'{"n":2}', JSON)).status == 200
        assert open_office.kept(Scheme.NONE) == [b'{"n":2}']


def test_a_producer_that_can_never_write_again_ends_the_process(
    mock: MockBroker, mocked: KafkaSettings, secrets: None
) -> None:
    mock.topic("shop", 1)
    channels = {"none": channel(Scheme.NONE, "shop")}
    settings = Settings.model_validate({"channels": channels, "hooks": {"port": 0}})
    mock.fail(INIT_PRODUCER, [KafkaError.CLUSTER_AUTHORIZATION_FAILED])
    job, answers = HooksJob(settings, mocked, Guard()), list[Answer]()

    def post() -> None:
        platform = Platform(job.address)
        answers.append(platform.post("none", (ORDER, JSON)))
        platform.close()
        job.guard.stop()

    platform = threading.Thread(target=post)
    platform.start()
    with pytest.raises(BrokerError, match="authorization failed"):
        job.run()

    platform.join()
    assert [answer.status for answer in answers] == [503]


def test_what_cannot_work_is_said_at_the_start(
    mocked: KafkaSettings, secrets: None, tmp_path: Path
) -> None:
    lacking = {"channels": {"shop": channel(Scheme.SHOPIFY, "not-there")}}
    with pytest.raises(
        BrokerError, match="no topic not-there; make it with: crossdock topics create"
    ):
        HooksJob(Settings.model_validate(lacking), mocked, Guard())
    with pytest.raises(InputError, match=r"add \[channels.NAME\] with a signature"):
        HooksJob(Settings(), mocked, Guard())

    file = tmp_path / "crossdock.toml"
    file.write_text(
        f'[kafka]\nbootstrap = "{mocked.bootstrap}"\n[channels.shop]\nmapping = "shopify"\n'
        f'topic = "{mocked.group}.shop"\ntenant = "a"\nnetwork = "b"\n'
        'signature = { scheme = "shopify", secret_env = "NOT_SET" }\n'
    )
    assert "channels.shop.signature: variable NOT_SET has no secret" in refused(
        run("hooks", "run", "--config", file)
    )
