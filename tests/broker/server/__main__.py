"""Run a command beside an Apache Kafka that lives as long as the command.

Usage: python -m tests.broker.server COMMAND...

Needs Java 17 and Maven. The jars are fetched once, into ``.cache/kafka``; the data is in a temporary
folder. The command finds the broker by ``CROSSDOCK_TEST_BOOTSTRAP``.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

HERE = Path(__file__).parent
CACHE = HERE.parents[2] / ".cache" / "kafka"
START_SECONDS = 60.0

PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={data}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
"""


def fetch() -> None:
    """Get the jars, if they are not there yet."""
    wanted = (HERE / "pom.xml").read_bytes()
    done = CACHE / "pom.xml"
    if done.is_file() and done.read_bytes() == wanted:
        return
    shutil.rmtree(CACHE, ignore_errors=True)
    command = ["mvn", "-q", "-B", "-f", str(HERE / "pom.xml"), "dependency:copy-dependencies"]
    options = ["-DincludeScope=runtime", f"-DoutputDirectory={CACHE / 'libs'}"]
    subprocess.run([*command, *options], check=True)
    done.write_bytes(wanted)


def java(main: str, *arguments: str) -> list[str]:
    """The command that runs a class of Kafka."""
    return ["java", "-Xmx1g", "-cp", f"{CACHE / 'libs'}/*", main, *arguments]


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """A broker with its data in the folder; gives its address."""
    broker, controller = _free_ports()
    properties = folder / "server.properties"
    properties.write_text(
        PROPERTIES.format(broker=broker, controller=controller, data=folder / "data")
    )
    storage = java("kafka.tools.StorageTool")
    made = subprocess.run([*storage, "random-uuid"], capture_output=True, check=True, text=True)
    cluster = made.stdout.split()[-1]
    form = [*storage, "format", "--standalone", "-t", cluster, "-c", str(properties)]
    subprocess.run(form, capture_output=True, check=True)
    with (folder / "broker.log").open("wb") as log:
        process = subprocess.Popen(
            java("kafka.Kafka", str(properties)), stdout=log, stderr=subprocess.STDOUT
        )
    try:
        address = f"127.0.0.1:{broker}"
        _wait_for(address, process)
        yield address
    finally:
        process.terminate()
        process.wait(30)


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        return one.getsockname()[1], two.getsockname()[1]


def _wait_for(address: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"Kafka ended with {process.returncode} while it started")
        try:
            AdminClient({"bootstrap.servers": address, "log_level": 0}).list_topics(timeout=1)
        except KafkaException:
            continue
        return
    raise SystemExit(f"Kafka did not answer at {address} within {START_SECONDS:.0f} s")


def main(command: list[str]) -> int:
    """Fetch, start, run, stop."""
    for tool in ("java", "mvn"):
        if shutil.which(tool) is None:
            raise SystemExit(f"{tool} is needed to run Apache Kafka, and is not on the PATH")
    fetch()
    with (
        tempfile.TemporaryDirectory(prefix="crossdock-kafka-") as folder,
        running(Path(folder)) as at,
    ):
        return subprocess.run(
            command, env={**os.environ, "CROSSDOCK_TEST_BOOTSTRAP": at}, check=False
        ).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
