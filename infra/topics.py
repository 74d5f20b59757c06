"""The topics of clickgoose, in one table, and the one function that makes Kafka agree with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewPartitions, NewTopic

from flows.stage_records import ENRICHED, EXTRACTED, OUTCOMES
from infra.settings import KafkaSettings

RAW = "events.raw"
DECIDED = "events.decisions"
_SECONDS = 30.0
_HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic; ``retention`` multiplies the configured hours."""

    name: str
    key: str
    holds: str
    retention: int = 1
    cleanup: str = "delete"
    stamped_by: str = "CreateTime"  # whose clock a record's time is: the producer's, or with LogAppendTime the broker's
    max_message_bytes: int = 1_048_576

    def config(self, settings: KafkaSettings) -> dict[str, str]:
        """Return the topic's settings as Kafka names them."""
        return {
            "retention.ms": str(settings.retention_hours * self.retention * _HOUR_MS),
            "cleanup.policy": self.cleanup,
            "compression.type": "producer",
            "message.timestamp.type": self.stamped_by,
            "max.message.bytes": str(self.max_message_bytes),
        }


# Raw events have the broker's time: no ingest host's clock alone then decides when an event came.
# A dead letter carries the payload as received and what is known about it, so it may be larger than any event.
TOPICS = (
    Topic(RAW, "device id", "sealed events as received", stamped_by="LogAppendTime"),
    Topic(EXTRACTED, "partition of events.raw", "decoded and verified batches", max_message_bytes=4_194_304),
    Topic(ENRICHED, "partition of events.raw", "counted and enriched batches", max_message_bytes=4_194_304),
    Topic(OUTCOMES, "partition of events.raw", "scores and decisions, back to where devices are remembered"),
    Topic("events.scored", "device id", "results"),
    Topic("events.alerts", "device id", "results that operations should see"),
    Topic(DECIDED, "merchant and event id", "decisions that merchants asked for, without personal data"),
    Topic("events.dead_letter", "event id", "what could not be processed", 4, max_message_bytes=4_194_304),
)


def ensure_topics(bootstrap: str, settings: KafkaSettings) -> list[str]:
    """Create what is missing and raise partition counts; return one sentence for each change or difference."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    present = {name: len(found.partitions) for name, found in admin.list_topics(timeout=_SECONDS).topics.items()}
    said = _create(admin, [topic for topic in TOPICS if topic.name not in present], settings)
    for topic in TOPICS:
        if topic.name in present:
            said += _fit_partitions(admin, topic.name, present[topic.name], settings.partitions)
    _configure(admin, [topic for topic in TOPICS if topic.name in present], settings)
    return said


def replay_topics(names: Sequence[str]) -> tuple[Topic, ...]:
    """Return topics of a replay's names with the settings of the live ones that they are named after."""
    by_name = {topic.name: topic for topic in TOPICS}
    return tuple(replace(by_name[name.rpartition(".")[0]], name=name) for name in names)


def create_topics(
    bootstrap: str, topics: Sequence[Topic], partitions: int, settings: KafkaSettings
) -> dict[str, KafkaError]:
    """Create topics with so many partitions each; return why, of those that could not be created."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    wanted = [NewTopic(one.name, partitions, settings.replication, config=one.config(settings)) for one in topics]
    refused: dict[str, KafkaError] = {}
    for name, future in admin.create_topics(wanted, operation_timeout=_SECONDS).items():
        try:
            future.result(_SECONDS)
        except KafkaException as error:
            refused[name] = error.args[0]
    return refused


def delete_topics(bootstrap: str, names: Sequence[str]) -> None:
    """Delete topics; one that is not there is as good. KafkaException where Kafka does not."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    for future in admin.delete_topics(list(names), operation_timeout=_SECONDS).values():
        try:
            future.result(_SECONDS)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise


def present_topics(bootstrap: str, names: Sequence[str]) -> list[str]:
    """Return which of the topics there are; KafkaException where Kafka does not say."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    present = admin.list_topics(timeout=_SECONDS).topics  # all: asking for one by name may create it
    return [name for name in names if name in present]


def _create(admin: AdminClient, topics: list[Topic], settings: KafkaSettings) -> list[str]:
    """Create topics; one that another process just created is as good."""
    if not topics:
        return []
    wanted = [
        NewTopic(topic.name, settings.partitions, settings.replication, config=topic.config(settings))
        for topic in topics
    ]
    created = []
    for name, future in admin.create_topics(wanted, operation_timeout=_SECONDS).items():
        try:
            future.result(_SECONDS)
            created.append(name)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise
    return [f"Created {len(created)} topics with {settings.partitions} partitions each."] if created else []


def _fit_partitions(admin: AdminClient, name: str, present: int, wanted: int) -> list[str]:
    """Raise a topic's partition count; Kafka cannot lower it."""
    if present > wanted:
        return [f"{name} keeps its {present} partitions: Kafka cannot lower them to {wanted}."]
    if present == wanted:
        return []
    for future in admin.create_partitions([NewPartitions(name, wanted)]).values():
        future.result(_SECONDS)
    return [f"{name} now has {wanted} partitions instead of {present}."]


def _entries(topic: Topic, settings: KafkaSettings) -> list[ConfigEntry]:
    """Return a topic's settings as changes; what an operator set beyond the table stays."""
    operation = AlterConfigOpType.SET
    return [ConfigEntry(name, value, incremental_operation=operation) for name, value in topic.config(settings).items()]


def _configure(admin: AdminClient, topics: list[Topic], settings: KafkaSettings) -> None:
    """Give existing topics the settings of the table; a broker without this request keeps its own."""
    resources = [
        ConfigResource(ResourceType.TOPIC, topic.name, incremental_configs=_entries(topic, settings))
        for topic in topics
    ]
    if not resources:
        return
    for future in admin.incremental_alter_configs(resources).values():
        try:
            future.result(_SECONDS)
        except KafkaException as error:
            if error.args[0].code() not in (KafkaError.UNSUPPORTED_VERSION, KafkaError._UNSUPPORTED_FEATURE):
                raise
