"""Devices by MQTT, on a real Mosquitto: nothing is acknowledged before it is durable, and nothing is lost."""

import random
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.kafka.client import KafkaSettings, bounds, consumer
from flows.kafka.reading import headers_of, read_range
from tests.support import jobs
from tests.support.broker import MockBroker, all_of
from tests.support.command_line import refused, run
from tests.support.inlets import NOWHERE, at_work, config, metric, started, topic
from tests.support.mosquitto import Mosquitto, publish


@pytest.fixture
def broker(mosquitto_program: str, tmp_path: Path) -> Iterator[Mosquitto]:
    made = Mosquitto(mosquitto_program, tmp_path)
    yield made
    made.stop()


@pytest.fixture
def kafka(mock: MockBroker, mocked: KafkaSettings) -> KafkaSettings:
    mock.topic(topic(mocked), 1)
    return mocked


def way(url: str, more: str = "") -> str:
    return f'mqtt = {{ url = "{url}", topics = ["shelves/+/stock"]{more} }}'


def values(kafka: KafkaSettings) -> list[bytes]:
    return [value for _, value in all_of(kafka, topic(kafka))]


def is_subscribed(job: object) -> bool:
    """Whether an inlet is connected: it is not behind."""
    return metric(job, "crossdock_inlets_behind_seconds") == 0  # type: ignore[arg-type]


def test_what_a_device_publishes_is_on_the_topic_as_it_came_and_comes_once(
    broker: Mosquitto, kafka: KafkaSettings, tmp_path: Path
) -> None:
    file = config(tmp_path, kafka, way(broker.url))
    sent = [b'{"sku": "A",  "left": 1.50}', b"no JSON", b"\xff\x00", b"", "订单".encode()]
    with at_work(file) as job:
        jobs.wait(lambda: is_subscribed(job))
        publish(broker.port, sent)
        publish(broker.port, [b"of another topic"], "doors/7/stock")
        jobs.wait(lambda: len(values(kafka)) == len(sent))
        assert metric(job, 'crossdock_inlets_kept_total{channel="stock",way="mqtt"}') == len(sent)
        jobs.wait(lambda: is_subscribed(job))
    with at_work(file) as job:
        jobs.wait(lambda: is_subscribed(job))
        publish(broker.port, [b"last"])
        jobs.wait(lambda: b"last" in values(kafka))

    assert values(kafka) == [*sent, b"last"], "what was acknowledged does not come again"
    client = consumer(kafka, "test")
    first, end = bounds(kafka, client, topic(kafka), 0)
    told = [headers_of(m) for m in read_range(kafka, client, (topic(kafka), 0), first, end)]
    client.close()
    assert {header["mqtt-topic"] for header in told} == {"shelves/7/stock"}


def test_what_is_published_while_nobody_is_there_comes_later(
    broker: Mosquitto, kafka: KafkaSettings, tmp_path: Path
) -> None:
    file = config(tmp_path, kafka, way(broker.url))
    with at_work(file) as job:
        jobs.wait(lambda: is_subscribed(job))
    sent = [str(n).encode() for n in range(1_500)]
    publish(broker.port, sent)
    broker.stop()
    broker.start()

    with at_work(file):
        jobs.wait(lambda: len(values(kafka)) >= len(sent))

    assert sorted(values(kafka)) == sorted(sent)


def test_nothing_is_acknowledged_while_the_brokers_of_the_topic_are_away(
    mock: MockBroker, broker: Mosquitto, kafka: KafkaSettings, tmp_path: Path
) -> None:
    file, sent = config(tmp_path, kafka, way(broker.url)), [b"1", b"2", b"3"]
    with at_work(file) as job:
        jobs.wait(lambda: is_subscribed(job))
        mock.down()
        publish(broker.port, sent)
        jobs.wait(lambda: metric(job, "crossdock_inlets_refused_total") >= 3)
        assert metric(job, "crossdock_inlets_behind_seconds") > 0.5
    mock.up()
    assert values(kafka) == []
    with at_work(file):
        jobs.wait(lambda: set(values(kafka)) == set(sent))


def test_a_connection_that_ends_is_made_again(
    broker: Mosquitto, kafka: KafkaSettings, tmp_path: Path
) -> None:
    with at_work(config(tmp_path, kafka, way(broker.url))) as job:
        jobs.wait(lambda: is_subscribed(job))
        broker.stop()
        jobs.wait(lambda: not is_subscribed(job))
        broker.start()
        publish(broker.port, [b"after"])
        jobs.wait(lambda: values(kafka) == [b"after"])
        assert metric(job, 'crossdock_inlets_refused_total{channel="stock",reason="no_answer"') >= 1


def test_a_process_that_is_killed_loses_no_message(
    broker: Mosquitto, kafka: KafkaSettings, tmp_path: Path
) -> None:
    chance, file = random.Random(jobs.seed(20261127)), config(tmp_path, kafka, way(broker.url))
    with at_work(file) as job:
        jobs.wait(lambda: is_subscribed(job))
    sent, is_over = list[bytes](), threading.Event()

    def publish_on() -> None:
        while not is_over.is_set():
            following = [str(len(sent) + n).encode() for n in range(200)]
            publish(broker.port, following)
            sent.extend(following)

    device = threading.Thread(target=publish_on)
    device.start()
    for _ in range(jobs.kills(3)):
        process, goal = started(file), len(values(kafka)) + chance.randrange(1, 600)
        jobs.wait(lambda goal=goal: len(values(kafka)) >= goal, 30)  # type: ignore[misc]
        jobs.killed(process)
    is_over.set()
    device.join()
    with at_work(file):
        jobs.wait(lambda: set(values(kafka)) >= set(sent))

    assert set(values(kafka)) == set(sent)
    assert len(sent) > 200


def test_a_message_that_no_topic_takes_stops_no_other(
    broker: Mosquitto, kafka: KafkaSettings, tmp_path: Path
) -> None:
    with at_work(config(tmp_path, kafka, way(broker.url))) as job:
        jobs.wait(lambda: is_subscribed(job))
        publish(broker.port, [b"x" * 6_000_000, b"small"])
        jobs.wait(lambda: values(kafka) == [b"small"])
        jobs.wait(lambda: is_subscribed(job))
        assert metric(job, 'crossdock_inlets_refused_total{channel="stock",reason="too_large"') == 1

    assert len(all_of(kafka, kafka.dead_letters)) == 1


def test_a_password_is_given_over_and_never_said(
    mosquitto_program: str,
    kafka: KafkaSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    people = tmp_path / "people"
    subprocess.run(["mosquitto_passwd", "-b", "-c", people, "crossdock", "hush-hush"], check=True)
    broker = Mosquitto(
        mosquitto_program, tmp_path, ["allow_anonymous false", f"password_file {people}"]
    )
    file = config(
        tmp_path, kafka, way(broker.url, ', username = "crossdock", password_env = "MQTT_PASSWORD"')
    )
    answered = 'crossdock_inlets_refused_total{channel="stock",reason="answered"'
    try:
        monkeypatch.setenv("MQTT_PASSWORD", "hush-wrong")
        with at_work(file) as job:
            jobs.wait(lambda: metric(job, answered) >= 1)
            monkeypatch.setenv("MQTT_PASSWORD", "hush-hush")
            jobs.wait(lambda: is_subscribed(job))
    finally:
        broker.stop()

    said = "".join(capfd.readouterr())
    assert "refused: Not authorized" in said
    assert "hush" not in said


# The client leaves a socket whose certificate was wrong to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_by_tls_only_who_is_trusted_is_talked_to(
    mosquitto_program: str, kafka: KafkaSettings, tmp_path: Path
) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    lines = ["allow_anonymous true", f"certfile {certificate}", f"keyfile {key}"]
    broker = Mosquitto(mosquitto_program, tmp_path, lines)
    url, trusting = broker.url.replace("mqtt:", "mqtts:"), f', ca_file = "{certificate}"'
    try:
        with at_work(config(tmp_path, kafka, way(url))) as job:
            jobs.wait(lambda: metric(job, "crossdock_inlets_refused_total") >= 1)
            assert not is_subscribed(job)
        with at_work(config(tmp_path, kafka, way(url, trusting))) as job:
            jobs.wait(lambda: is_subscribed(job))
    finally:
        broker.stop()


@pytest.mark.parametrize("said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xff" * 100, b""])
def test_what_is_no_mqtt_broker_is_left_again(
    said: bytes, kafka: KafkaSettings, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"mqtt://127.0.0.1:{server.getsockname()[1]}"
        with at_work(config(tmp_path, kafka, way(url))) as job:
            peer, _ = server.accept()
            peer.sendall(said)
            peer.close()
            jobs.wait(lambda: metric(job, "crossdock_inlets_refused_total") >= 1)
            assert not is_subscribed(job)


@pytest.mark.parametrize(
    ("way", "said"),
    [
        ('mqtt = { url = "http://a", topics = ["a"] }', "url is not mqtt://HOST or mqtts://HOST"),
        ('mqtt = { url = "mqtt://a", topics = [] }', "mqtt.topics"),
        ('mqtt = { url = "mqtt://a", topics = ["a/#/b"] }', "is no topic filter"),
        ('mqtt = { url = "mqtt://a", topics = ["a+/b"] }', "is no topic filter"),
        ('mqtt = { url = "mqtt://a", topics = ["a"], username = "u", password_env = "P" }',
         "a secret goes over mqtts alone"),
        ('mqtt = { url = "mqtts://a", topics = ["a"], password_env = "P" }', "needs a username"),
        ('mqtt = { url = "mqtts://a", topics = ["a"], username = "u", password_env = "NOT_SET" }',
         "variable NOT_SET has no secret"),
        ('mqtt = { url = "mqtts://a", topics = ["a"], ca_file = "/not/there" }',
         "certificates cannot be used"),
    ],
)  # fmt: skip
def test_settings_that_cannot_work_are_said_in_one_line(
    way: str, said: str, tmp_path: Path
) -> None:
    line = refused(run("inlet", "run", "--config", config(tmp_path, NOWHERE, way)))

    assert "channels.stock.mqtt" in line
    assert said in line


def test_what_has_no_end_is_not_fetched_once(kafka: KafkaSettings, tmp_path: Path) -> None:
    file = config(tmp_path, kafka, way("mqtt://127.0.0.1:9"))

    said = refused(run("inlet", "run", "--once", "--config", file))

    assert "channels.stock.mqtt has no end: name other channels for --once" in said
