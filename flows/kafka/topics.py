"""The topics of a deployment: made, described, and checked before anything is built on their order.

The journal and the tracking topic carry order: a record's partition is the CRC-32 of its key modulo the
number of partitions, chosen by us and by nobody's partitioner. So their number of partitions is part of
what they mean, and neither may be compacted.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from flows.kafka.client import MESSAGE_BYTES, SECONDS, KafkaSettings, admin, asked
from schemas.errors import BrokerError
from schemas.ids import LogId

DAY_MS = 86_400_000
POSTED_SEGMENT_MS = DAY_MS // 4
"""Of a topic of payloads: Kafka removes whole segments, so that they are kept for so long besides."""
_COMPACTED = "it is compacted, which drops records; set cleanup.policy=delete"


@dataclass(frozen=True, slots=True)
class Plan:
    """How a topic is made.

    Attributes:
        keyed_by: what its key is, for people.
        retention_days: how long it keeps records; None for a table, compacted.
        ordered: whether its partitions are logs that folds read.
        is_posted: whether it has what platforms post, personal data with it, and so keeps it no longer.
    """

    name: str
    keyed_by: str
    retention_days: float | None
    ordered: bool
    is_posted: bool = False


def plans(settings: KafkaSettings, channels: Mapping[str, float] | None = None) -> list[Plan]:
    """Every topic of a deployment.

    Args:
        settings: of the cluster.
        channels: for how many days the topic of each keeps what was posted.
    """
    posted = (channels or {}).items()
    return [
        *(Plan(name, "nothing", days, ordered=False, is_posted=True) for name, days in posted),
        *(Plan(name, "as its producer likes", 7, ordered=False) for name in settings.raw),
        Plan(settings.journal, "tenant/network", 30, ordered=True),
        Plan(settings.tracking, "order", 30, ordered=True),
        Plan(settings.dead_letters, "topic/partition it came from", 30, ordered=False),
        Plan(settings.xref, "foreign id", None, ordered=False),
        Plan(settings.waiting, "source and id", None, ordered=False),
    ]


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it is."""

    name: str
    id: LogId
    partitions: int


def describe(settings: KafkaSettings, name: str) -> Topic:
    """Its identity and its partitions.

    Raises:
        BrokerError: no cluster there, or no such topic.
    """
    client = admin(settings)
    metadata = asked(settings, f"topic {name}", lambda: client.list_topics(timeout=SECONDS))
    if name not in metadata.topics:
        raise BrokerError(
            f"Kafka at {settings.bootstrap} has no topic {name}; make it with: crossdock topics create"
        )
    found = metadata.topics[name]
    identity = _identity(settings, client, str(metadata.cluster_id), name)
    return Topic(name, identity, len(found.partitions))


def _identity(settings: KafkaSettings, client: AdminClient, cluster: str, name: str) -> LogId:
    """The topic's own id, which a topic of the same name made anew does not share.

    librdkafka's mock has no controller to ask; its topics have an id made of both names.
    """
    if _is_mock(cluster):
        return LogId(str(uuid.uuid5(uuid.NAMESPACE_URL, f"kafka://{cluster}/{name}")))

    def question() -> Any:
        answers = client.describe_topics(TopicCollection([name]), request_timeout=SECONDS)
        return answers[name].result().topic_id

    found = asked(settings, f"id of topic {name}", question)
    if found is None:
        raise BrokerError(
            f"Kafka at {settings.bootstrap} gives topics no ids: 3.1 or newer is needed"
        )
    return LogId(str(found))


def _is_mock(cluster: str) -> bool:
    """Whether it is librdkafka's mock, which has no controller and tells no options."""
    return cluster.startswith("mockCluster")


def create(
    settings: KafkaSettings,
    partitions: int,
    replicas: int,
    channels: Mapping[str, float] | None = None,
) -> list[str]:
    """Make the topics that are not there; returns their names.

    Args:
        settings: of the cluster.
        partitions: of each topic.
        replicas: of each partition.
        channels: see ``plans``.

    Raises:
        BrokerError: the cluster refuses one; the message says why.
    """
    client = admin(settings)
    there = asked(settings, "topics", lambda: client.list_topics(timeout=SECONDS)).topics
    missing = [plan for plan in plans(settings, channels) if plan.name not in there]
    for plan in missing:
        topic = NewTopic(
            plan.name,
            num_partitions=partitions,
            replication_factor=replicas,
            config={
                **_kept(plan),
                "max.message.bytes": str(MESSAGE_BYTES),
                "message.timestamp.type": "CreateTime",
            },
        )
        made = client.create_topics([topic], operation_timeout=SECONDS)[plan.name]
        try:
            made.result()
        except KafkaException as error:
            raise BrokerError(
                f"Kafka at {settings.bootstrap}: topic {plan.name}: {error.args[0].str()}"
            ) from error
    return [plan.name for plan in missing]


def _kept(plan: Plan) -> dict[str, str]:
    if plan.retention_days is None:
        return {"cleanup.policy": "compact"}
    segment = {"segment.ms": str(POSTED_SEGMENT_MS)} if plan.is_posted else {}
    kept_ms = round(plan.retention_days * DAY_MS)
    return {"cleanup.policy": "delete", "retention.ms": str(kept_ms), **segment}


def check(
    settings: KafkaSettings, channels: Mapping[str, float] | None = None
) -> dict[str, list[str]]:
    """What is wrong with each topic; nothing is, where a list is empty."""
    client = admin(settings)
    there = asked(settings, "topics", lambda: client.list_topics(timeout=SECONDS)).topics
    faults: dict[str, list[str]] = {}
    for plan in plans(settings, channels):
        if plan.name not in there:
            faults[plan.name] = ["it does not exist; make it with: crossdock topics create"]
        else:
            faults[plan.name] = faults_of(plan, _options(settings, client, plan.name))
    return faults


def refuse_disorder(settings: KafkaSettings) -> None:
    """See that the logs that folds read are logs.

    Raises:
        BrokerError: one of them drops records from its middle; the message says why.
    """
    client = admin(settings)
    metadata = asked(settings, "topics", lambda: client.list_topics(timeout=SECONDS))
    if _is_mock(str(metadata.cluster_id)):
        return
    for plan in plans(settings):
        if plan.ordered and plan.name in metadata.topics:
            options = _options(settings, client, plan.name)
            if "compact" in options["cleanup.policy"]:
                raise BrokerError(f"topic {plan.name}: {_COMPACTED}")


def _options(settings: KafkaSettings, client: AdminClient, name: str) -> Mapping[str, str]:
    resource = ConfigResource(ResourceType.TOPIC, name)

    def question() -> Mapping[str, Any]:
        found: Mapping[str, Any] = client.describe_configs([resource])[resource].result(SECONDS)
        return found

    entries = asked(settings, f"options of topic {name}", question)
    return {key: str(entry.value) for key, entry in entries.items()}


def faults_of(plan: Plan, options: Mapping[str, str]) -> list[str]:
    """Why a topic would lose records or their order, or keep what it is not to."""
    faults = []
    if plan.ordered and "compact" in options["cleanup.policy"]:
        faults.append(_COMPACTED)
    kept_ms = int(options["retention.ms"])
    if plan.retention_days is None:
        if options["cleanup.policy"] != "compact":
            faults.append("it forgets keys with time; set cleanup.policy=compact")
    elif plan.is_posted:
        faults += _faults_of_posted(round(plan.retention_days * DAY_MS), options)
    elif 0 <= kept_ms < plan.retention_days * DAY_MS:
        faults.append(
            f"it keeps records for {kept_ms / DAY_MS:.2f} days; a rebuild needs "
            f"{plan.retention_days:g}: set retention.ms={plan.retention_days * DAY_MS:.0f}"
        )
    if plan.ordered and int(options["retention.bytes"]) >= 0:
        faults.append("it drops records by size; set retention.bytes=-1")
    if int(options["max.message.bytes"]) < MESSAGE_BYTES:
        faults.append(f"it refuses large records; set max.message.bytes={MESSAGE_BYTES}")
    return faults


def _faults_of_posted(wanted_ms: int, options: Mapping[str, str]) -> list[str]:
    """Why a topic would keep what is posted for longer or shorter than its channel says."""
    faults = []
    if "delete" not in options["cleanup.policy"]:
        faults.append("it never forgets what is posted; set cleanup.policy=delete")
    if int(options["retention.ms"]) != wanted_ms:
        faults.append(
            "it keeps what is posted, personal data with it, for another time than keep_days of its "
            f"channel: set retention.ms={wanted_ms}"
        )
    if not 0 < int(options["segment.ms"]) <= POSTED_SEGMENT_MS:
        faults.append(
            f"a segment is kept for longer than what is in it: set segment.ms={POSTED_SEGMENT_MS}"
        )
    return faults
