"""Receivers that are killed under load: nothing acknowledged is lost, and what came twice counts once."""

import json
import random
from collections.abc import Sequence
from pathlib import Path

import msgspec

from flows.kafka.client import KafkaSettings
from schemas.codec import Refusal
from tests.support import jobs
from tests.support.broker import MockBroker, all_of
from tests.support.builders import counted, instant, lane, node, route
from tests.support.channels import shipped
from tests.support.hooks import JSON, SENDERS, Load, Platform

TOPIC = "hooks"


def address_of(process: jobs.Job) -> str:
    """Where it listens, once it says so."""
    assert process.stderr is not None
    for line in iter(process.stderr.readline, b""):
        if line.startswith(b"receiving at "):
            return line.split()[2].rstrip(b";").decode()
    raise AssertionError("it ended while it started")


def held(payloads: Sequence[bytes]) -> dict[str, int]:
    """Units that the router holds for each order of a shop's payloads, in the order in which they came."""
    events = []
    for n, record in enumerate(shipped("shopify").take(payloads).records):
        event = record.decoded()
        assert not isinstance(event, Refusal), event.detail
        events.append(msgspec.structs.replace(event, recordedtime=instant(100 + n)))
    rows = route(node(), lane(), counted("A", {"S1": len(payloads)}), *events)
    return {order: units for (order, _, _), units in rows.held().items()}


def test_a_receiver_that_is_killed_loses_nothing_that_was_acknowledged_and_doubles_none(
    tmp_path: Path,
) -> None:
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
        load.at(address := address_of(process))
        for _ in range(jobs.kills(10)):
            following = jobs.command("hooks", "run", "--config", config)  # while this one works
            goal += chance.randrange(10, 120)
            load.wait(goal)
            jobs.killed(process)
            process = following
            load.at(address := address_of(process))
        load.wait(goal + SENDERS)
        load.end()
        sender = Platform(address)
        for payload in load.acknowledged[::10]:  # as a platform does that has not heard the answer
            assert sender.post("shop", (payload, JSON)).status == 200
        sender.close()
        jobs.ended(process)

        found = [value for _, value in all_of(kafka, TOPIC)]
        kept = set(found)
        assert set(load.acknowledged) <= kept, "what was acknowledged is durable"
        assert len(set(load.acknowledged)) == len(load.acknowledged)
        assert kept <= load.sent
        assert len(found) > len(kept), "some of it came twice"
        assert held(found) == dict.fromkeys((json.loads(value)["id"] for value in kept), 1)
