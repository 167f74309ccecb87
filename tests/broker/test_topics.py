"""Topics are made as they must be, and refused as they must not be."""

import json
from pathlib import Path

import pytest
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from flows.kafka import topics
from flows.kafka.client import KafkaSettings, admin
from tests.support.jobs import configured, said

pytestmark = pytest.mark.broker


def alter(kafka: KafkaSettings, topic: str, **options: str) -> None:
    """Set options of a topic, as somebody does by mistake."""
    entries = [
        ConfigEntry(name.replace("_", "."), value, incremental_operation=AlterConfigOpType.SET)
        for name, value in options.items()
    ]
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
    client = admin(kafka)  # gone, it would take the question back
    for answer in client.incremental_alter_configs([resource]).values():
        answer.result(10)


def test_topics_as_we_make_them_are_good(kafka: KafkaSettings) -> None:
    faults = topics.check(kafka)

    assert set(faults) == {plan.name for plan in topics.plans(kafka)}
    assert not any(faults.values())
    assert topics.create(kafka, partitions=2, replicas=1) == [], "making them again changes nothing"


def test_what_would_lose_records_is_named_with_the_remedy(kafka: KafkaSettings) -> None:
    alter(kafka, kafka.journal, retention_ms="3600000", retention_bytes="1000000")
    alter(kafka, kafka.tracking, cleanup_policy="compact")
    alter(kafka, kafka.waiting, cleanup_policy="delete")
    alter(kafka, kafka.raw[0], max_message_bytes="100000")

    found = {name: " ".join(faults) for name, faults in topics.check(kafka).items() if faults}

    assert set(found) == {kafka.journal, kafka.tracking, kafka.waiting, kafka.raw[0]}
    assert "0.04 days" in found[kafka.journal]
    assert "retention.bytes=-1" in found[kafka.journal]
    assert "cleanup.policy=delete" in found[kafka.tracking]
    assert "cleanup.policy=compact" in found[kafka.waiting]
    assert "max.message.bytes=" in found[kafka.raw[0]]


def test_a_job_refuses_a_log_that_is_none(kafka: KafkaSettings, tmp_path: Path) -> None:
    config = configured(kafka, tmp_path)
    alter(kafka, kafka.journal, cleanup_policy="compact")

    ran, checked = said("run", "--config", config), said("topics", "check", "--config", config)

    assert ran[0] == checked[0] == 2
    assert f"topic {kafka.journal}: it is compacted, which drops records" in ran[2]
    assert "compacted" in checked[1]


def test_a_channels_topic_keeps_what_was_posted_as_long_as_it_says(
    kafka: KafkaSettings, tmp_path: Path
) -> None:
    config, wanted = configured(kafka, tmp_path), {"shop": 2.0, "shelves": 0.5}
    with config.open("a") as file:
        for name, days in wanted.items():
            file.write(
                f'[channels.{name}]\nmapping = "shopify"\ntopic = "{kafka.group}.{name}"\n'
                f'tenant = "acme"\nnetwork = "eu"\nkeep_days = {days}\n'
            )

    made = said("topics", "create", "--config", config, "--partitions", "2")
    checked = said("topics", "check", "--config", config)
    kept = {name: options(kafka, f"{kafka.group}.{name}") for name in wanted}
    alter(kafka, f"{kafka.group}.shop", retention_ms="604800000", segment_ms="604800000")
    altered = said("topics", "check", "--config", config, "--json")

    assert (made[0], checked[0], altered[0]) == (0, 0, 2)
    assert {
        name: (found["cleanup.policy"], found["retention.ms"], found["segment.ms"])
        for name, found in kept.items()
    } == {
        "shop": ("delete", "172800000", "21600000"),
        "shelves": ("delete", "43200000", "21600000"),
    }
    faults = {name: found for name, found in json.loads(altered[1]).items() if found}
    assert list(faults) == [f"{kafka.group}.shop"]
    assert [fault.rpartition("set ")[2] for fault in faults[f"{kafka.group}.shop"]] == [
        "retention.ms=172800000",
        "segment.ms=21600000",
    ]


def options(kafka: KafkaSettings, topic: str) -> dict[str, str]:
    """Of a topic, as its cluster tells them."""
    resource = ConfigResource(ResourceType.TOPIC, topic)
    client = admin(kafka)
    found = client.describe_configs([resource])[resource].result(10)
    return {name: str(entry.value) for name, entry in found.items()}
