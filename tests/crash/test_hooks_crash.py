"""Receivers that are killed under load: nothing that was acknowledged is lost."""

import http.client
import json
import random
import threading
from functools import partial
from pathlib import Path

from flows.kafka.client import KafkaSettings
from tests.support import jobs
from tests.support.broker import MockBroker, all_of
from tests.support.hooks import JSON, Platform

SENDERS = 6
TOPIC = "hooks"


class Load:
    """Platforms that post one event after another, each until it is taken, to whoever receives."""

    def __init__(self) -> None:
        self.acknowledged: list[bytes] = []
        self.sent: set[bytes] = set()
        self._addresses: list[str] = []
        self._changed = threading.Condition()
        self._is_over = False
        self._threads = [threading.Thread(target=self._send, args=(n,)) for n in range(SENDERS)]
        for thread in self._threads:
            thread.start()

    def at(self, address: str) -> None:
        """Where it is received from now on."""
        with self._changed:
            self._addresses.append(address)
            self._changed.notify_all()

    def wait(self, acknowledged: int) -> None:
        """Until so many were taken."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.acknowledged) >= acknowledged, 60)

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
            event = json.dumps({"id": f"{sender}-{number}", "filler": "x" * 1_000}).encode()
            with self._changed:
                self.sent.add(event)
                if platform is None:
                    self._changed.wait_for(partial(self._is_moved, seen))
                    seen = len(self._addresses)
                    platform = Platform(self._addresses[-1])
            try:
                status = platform.post("shop", (event, JSON)).status
            except (OSError, http.client.HTTPException):
                platform.close()
                platform = None
                continue
            assert status == 200
            number += 1
            with self._changed:
                self.acknowledged.append(event)
                self._changed.notify_all()
        if platform is not None:
            platform.close()

    def _is_moved(self, seen: int) -> bool:
        return len(self._addresses) > seen


def address_of(process: jobs.Job) -> str:
    """Where it listens, once it says so."""
    assert process.stderr is not None
    for line in iter(process.stderr.readline, b""):
        if line.startswith(b"receiving at "):
            return line.split()[2].rstrip(b";").decode()
    raise AssertionError("it ended while it started")


def test_a_receiver_that_is_killed_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    chance = random.Random(jobs.seed(20261125))
    with MockBroker() as mock:
        mock.topic(TOPIC, 1)
        kafka = KafkaSettings(bootstrap=mock.bootstrap, group="crash")
        config = tmp_path / "crossdock.toml"
        config.write_text(
            f'[kafka]\nbootstrap = "{mock.bootstrap}"\n[hooks]\nport = 0\n[channels.shop]\n'
            f'mapping = "shopify"\ntopic = "{TOPIC}"\ntenant = "acme"\nnetwork = "eu"\n'
            'signature = { scheme = "none" }\n'
        )
        load, goal = Load(), 0
        process = jobs.command("hooks", "run", "--config", config)
        load.at(address_of(process))
        for _ in range(jobs.kills(10)):
            following = jobs.command("hooks", "run", "--config", config)  # while this one works
            goal += chance.randrange(10, 120)
            load.wait(goal)
            jobs.killed(process)
            process = following
            load.at(address_of(process))
        load.wait(goal + SENDERS)
        load.end()
        jobs.ended(process)

        kept = {value for _, value in all_of(kafka, TOPIC)}
        assert set(load.acknowledged) <= kept, "what was acknowledged is durable"
        assert len(set(load.acknowledged)) == len(load.acknowledged)
        assert kept <= load.sent
