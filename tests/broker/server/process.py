"""An Apache Kafka of one node on loopback, as a process that can be killed and started again."""

import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

HERE = Path(__file__).parent
CACHE = HERE.parents[2] / ".cache" / "kafka"
START_SECONDS = 60.0
STOP_SECONDS = 30.0

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
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
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


class KafkaServer:
    """A broker with its data in a folder; the same address and data after every start."""

    def __init__(self, folder: Path) -> None:
        """Give it ports and an empty log; ``start`` runs it."""
        self.folder = folder
        broker, controller = _free_ports()
        self.address = f"127.0.0.1:{broker}"
        self._properties = folder / "server.properties"
        self._properties.write_text(
            PROPERTIES.format(broker=broker, controller=controller, data=folder / "data")
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._format()

    def _format(self) -> None:
        storage = java("kafka.tools.StorageTool")
        made = subprocess.run([*storage, "random-uuid"], capture_output=True, check=True, text=True)
        form = [*storage, "format", "--standalone", "-t", made.stdout.split()[-1]]
        subprocess.run([*form, "-c", str(self._properties)], capture_output=True, check=True)

    def start(self) -> None:
        """Run it; returns once it answers."""
        with (self.folder / "broker.log").open("ab") as log:
            self._process = subprocess.Popen(
                java("kafka.Kafka", str(self._properties)), stdout=log, stderr=subprocess.STDOUT
            )
        self._wait_until_it_answers(self._process)

    def kill(self) -> None:
        """End it as a power cut would; its data stays."""
        self._signal(signal.SIGKILL).wait()

    def pause(self) -> None:
        """Let it hang: it keeps its connections and answers nothing."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def revive(self) -> None:
        """Bring it back from whatever was done to it."""
        if self._process is not None and self._process.poll() is None:
            self.resume()
        else:
            self.start()

    def stop(self) -> None:
        """End it in order, whatever state it is in."""
        if self._process is None or self._process.poll() is not None:
            return
        self.resume()
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _signal(self, number: int) -> "subprocess.Popen[bytes]":
        assert self._process is not None, "it was never started"
        self._process.send_signal(number)
        return self._process

    def _wait_until_it_answers(self, process: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + START_SECONDS
        client = AdminClient({"bootstrap.servers": self.address, "log_level": 0})
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise SystemExit(f"Kafka ended with {process.returncode} while it started")
            try:
                client.list_topics(timeout=1)
            except KafkaException:
                continue
            return
        self.stop()
        raise SystemExit(f"Kafka did not answer at {self.address} within {START_SECONDS:.0f} s")


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        return one.getsockname()[1], two.getsockname()[1]
