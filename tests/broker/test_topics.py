"""Topics are made as they must be, and refused as they must not be."""

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
