"""What devices share, as the flow uses it: the client for the settings, and the name of what it counts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient
from redis import Redis

from flows.lookups.redis_shared import Limits, RedisSharedCounts
from flows.metrics import FlowMetrics
from flows.progress import Progress
from flows.redis_trip import connect
from flows.stages.relate import NO_KEY
from infra.settings import Settings

log = logging.getLogger("clickgoose.flow")
_SECONDS = 10.0


def shared_counts(
    settings: Settings, url: str, source: str, metrics: FlowMetrics, own: tuple[Redis, str] | None = None
) -> RedisSharedCounts:
    """Return the counts that all flows of these settings add up in; ``own``: a replay's client and prefix instead."""
    late, usual = settings.flow.lateness_seconds * 1000, Limits().late_ms
    limits = Limits(
        late_ms=(min(usual[0], late), min(usual[1], late), late),
        backlog_rows=settings.redis.shared_backlog_rows,
    )
    client, prefix = own or (connect(url, settings.redis.shared_timeout_ms / 1000), settings.redis.shared_prefix)
    return RedisSharedCounts(
        client, metrics, prefix=prefix, tags=settings.redis.shared_tags, source=source, limits=limits
    )


def entity_key(settings: Settings) -> bytes:
    """Return the key of the entities' hashes."""
    key = settings.redis.entity_key
    return NO_KEY if key is None else key.get_secret_value().encode()


def stream_name(bootstrap: str, topic: str) -> str:
    """Return the topic's name with its id, which another topic of that name does not have: offsets are of that one."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    try:
        found = admin.describe_topics(TopicCollection([topic]), request_timeout=_SECONDS)[topic].result()
    except KafkaException as error:
        log.warning(
            "Kafka gives no topic ids (%s): delete the shared counts when the topic is made anew", error.args[0]
        )
        return topic
    return f"{topic}@{found.topic_id}"


def at_each_epoch(
    snapshot: Callable[[], None], counts: RedisSharedCounts, progress: Progress, partitions: Iterable[int]
) -> Callable[[], None]:
    """Return what the source does when an epoch ends: snapshot, and let answers go that no replay asks for."""
    own = tuple(partitions)

    def epoch() -> None:
        snapshot()
        for partition in own:
            counts.acknowledged(partition, progress.watermark(partition))

    return epoch
