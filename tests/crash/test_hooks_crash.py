"""Receivers that are killed under load: nothing that was acknowledged is lost."""

import random
from pathlib import Path

from flows.kafka.client import KafkaSettings
from tests.support import jobs
from tests.support.broker import MockBroker, all_of
from tests.support.hooks import SENDERS, Load

TOPIC = "hooks"


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
        load, goal = Load("shop"), 0
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
