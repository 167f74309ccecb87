"""Topics of channels keep what was posted, which is personal, as long as their channel says and no longer."""

import pytest

from flows.kafka.client import MESSAGE_BYTES, KafkaSettings
from flows.kafka.topics import DAY_MS, POSTED_SEGMENT_MS, Plan, faults_of, plans

GOOD = {
    "cleanup.policy": "delete",
    "retention.ms": str(2 * DAY_MS),
    "retention.bytes": "-1",
    "segment.ms": str(POSTED_SEGMENT_MS),
    "max.message.bytes": str(MESSAGE_BYTES),
}


def plan() -> Plan:
    planned = plans(KafkaSettings(bootstrap="localhost:1"), {"shop": 2.0})
    return next(one for one in planned if one.name == "shop")


def test_a_topic_that_keeps_as_long_as_its_channel_says_is_good() -> None:
    assert faults_of(plan(), GOOD) == []


@pytest.mark.parametrize(
    ("option", "value", "remedy"),
    [
        ("retention.ms", str(3 * DAY_MS), f"retention.ms={2 * DAY_MS}"),
        ("retention.ms", str(1 * DAY_MS), f"retention.ms={2 * DAY_MS}"),
        ("retention.ms", "-1", f"retention.ms={2 * DAY_MS}"),
        ("segment.ms", str(7 * DAY_MS), f"segment.ms={POSTED_SEGMENT_MS}"),
        ("cleanup.policy", "compact", "cleanup.policy=delete"),
    ],
)
def test_one_that_keeps_for_another_time_is_named_with_the_remedy(
    option: str, value: str, remedy: str
) -> None:
    (fault,) = faults_of(plan(), GOOD | {option: value})

    assert fault.endswith(f"set {remedy}")
