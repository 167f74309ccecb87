"""Mosquitto of the system's packages with its data in a folder of the test, and devices that publish to it."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion


def program() -> str | None:
    """Where it is; None where there is none."""
    return shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")


class Mosquitto:
    """An MQTT broker that keeps sessions in files."""

    def __init__(self, program: str, folder: Path, lines: Sequence[str] = ()) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._program = program
        self._config = folder / "mosquitto.conf"
        habits = [
            "user root",
            "persistence true",
            f"persistence_location {folder}/",
            "max_queued_messages 0",
            f"listener {self.port} 127.0.0.1",
        ]
        self._config.write_text("\n".join([*habits, *(lines or ["allow_anonymous true"])]) + "\n")
        self.start()

    @property
    def url(self) -> str:
        """Its address."""
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Begin, with the sessions that were."""
        self._process = subprocess.Popen(
            [self._program, "-c", self._config],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 10
        while True:
            assert self._process.poll() is None, "it ended while it started"
            assert time.monotonic() < deadline
            try:
                return socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.02)

    def stop(self) -> None:
        """End in order."""
        self._process.terminate()
        self._process.wait()


def publish(port: int, payloads: Iterable[bytes], topic: str = "shelves/7/stock") -> None:
    """Messages of a device at QoS 1, each until the broker has it."""
    client = Client(CallbackAPIVersion.VERSION2)
    client.max_inflight_messages_set(100)
    client.connect("127.0.0.1", port)
    client.loop_start()
    for told in [client.publish(topic, payload, qos=1) for payload in payloads]:
        told.wait_for_publish(20)
        assert told.is_published()
    client.disconnect()
    client.loop_stop()
