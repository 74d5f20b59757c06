"""Where a partition begins and ends, asked of Kafka until it can say."""

from __future__ import annotations

import time
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

PASSING: Final = frozenset({
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.OFFSET_NOT_AVAILABLE,
    KafkaError._UNKNOWN_PARTITION,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._TIMED_OUT,
    KafkaError._TRANSPORT,
})  # fmt: skip
"""What is said while a broker is away or has just started, or a topic is new.

librdkafka says ``_UNKNOWN_PARTITION`` at once, of any partition, as long as its only broker is away.
"""
_PAUSE_SECONDS: Final = 0.1


def watermarks(consumer: Consumer, topic: str, partition: int, seconds: float) -> tuple[int, int]:
    """Return the first and the next offset of a partition.

    KafkaException where Kafka refuses, or says for so long that it cannot tell yet.
    """
    gives_up = time.monotonic() + seconds
    while True:
        try:
            found = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=seconds)
            if found is None:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        except KafkaException as error:
            if error.args[0].code() not in PASSING or time.monotonic() >= gives_up:
                raise
            time.sleep(_PAUSE_SECONDS)
        else:
            return int(found[0]), int(found[1])
