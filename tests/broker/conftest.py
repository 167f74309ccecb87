"""Clusters for tests: the mock in this process, and a real Apache Kafka where there is one.

``CROSSDOCK_TEST_BOOTSTRAP`` says where; ``make kafka-test`` fetches one, starts it and says so.
"""

import os
import shutil
import uuid
from collections.abc import Iterator

import pytest

from flows.kafka import topics
from flows.kafka.client import KafkaSettings
from tests.broker.server.process import KafkaServer, fetch
from tests.support import jobs
from tests.support.broker import MockBroker

BOOTSTRAP = os.environ.get("CROSSDOCK_TEST_BOOTSTRAP", "")
PARTITIONS = 2


def _of_its_own(bootstrap: str) -> KafkaSettings:
    """Topics and a group that no other test uses."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    return KafkaSettings(
        bootstrap=bootstrap,
        raw=[f"{name}.raw"],
        journal=f"{name}.journal",
        tracking=f"{name}.tracking",
        dead_letters=f"{name}.dead-letters",
        xref=f"{name}.xref",
        waiting=f"{name}.waiting",
        group=name,
    )


@pytest.fixture(autouse=True)
def no_job_is_left() -> Iterator[None]:
    """A test that fails ends what it started."""
    yield
    jobs.end_all()


@pytest.fixture
def mock() -> Iterator[MockBroker]:
    """A broker to disturb."""
    with MockBroker() as started:
        yield started


@pytest.fixture
def mocked(mock: MockBroker) -> KafkaSettings:
    """Topics on it."""
    settings = _of_its_own(mock.bootstrap)
    mock.topics(settings, PARTITIONS)
    return settings


@pytest.fixture
def kafka() -> KafkaSettings:
    """Topics on a real cluster, for what the mock cannot show."""
    if not BOOTSTRAP:
        pytest.skip("no Apache Kafka: CROSSDOCK_TEST_BOOTSTRAP is not set (make kafka-test)")
    settings = _of_its_own(BOOTSTRAP)
    topics.create(settings, PARTITIONS, replicas=1)
    return settings


@pytest.fixture(scope="module")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    if not BOOTSTRAP:
        pytest.skip("no Apache Kafka: CROSSDOCK_TEST_BOOTSTRAP is not set (make kafka-test)")
    if missing := [tool for tool in ("java", "mvn") if shutil.which(tool) is None]:
        pytest.skip(f"no Apache Kafka of its own: {', '.join(missing)} is not on the PATH")
    fetch()
    with KafkaServer(tmp_path_factory.mktemp("kafka")) as started:
        yield started


@pytest.fixture
def server(_server: KafkaServer) -> Iterator[KafkaServer]:
    """An Apache Kafka that no other module uses, to kill, to pause and to start again."""
    yield _server
    _server.revive()


@pytest.fixture
def served(server: KafkaServer) -> KafkaSettings:
    """Topics on it."""
    settings = _of_its_own(server.address)
    topics.create(settings, PARTITIONS, replicas=1)
    return settings


@pytest.fixture(params=["mock", pytest.param("kafka", marks=pytest.mark.broker)])
def cluster(request: pytest.FixtureRequest) -> KafkaSettings:
    """Topics on the mock, then on a real cluster; where every server must be there, on that alone."""
    if request.param == "mock" and os.environ.get("CROSSDOCK_TEST_SERVERS") == "required":
        pytest.skip("with all servers there (make kafka-test) the same runs on Apache Kafka")
    settings: KafkaSettings = request.getfixturevalue(
        "mocked" if request.param == "mock" else "kafka"
    )
    return settings
