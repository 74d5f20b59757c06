"""Reads a Kafka topic from given offsets to its present end, again and again, as the account does."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from flows.sources.watermarks import watermarks

Offsets = Mapping[int, int]
_SECONDS = 10.0
_POLL_SECONDS = 0.1
_IDLE_SECONDS = 0.2
_LIVE_SECONDS = 1.0
_CHUNK = 1_000


class AccountError(Exception):
    """Something that the account needs cannot be read; the text is one sentence."""


class TopicReader:
    """Remembers how far it has read. ``starts`` gives first offsets; other partitions start at their beginning.

    ``newest``: of each partition at most so many records are read, the newest.
    """

    def __init__(self, bootstrap: str, topic: str, starts: Offsets | None = None, *, newest: int | None = None) -> None:
        self.topic = topic
        self.beginnings: dict[int, int] = {}  # of what Kafka holds
        self._consumer = Consumer(_config(bootstrap))
        try:
            self.first = self._beginnings(starts or {}, newest)
        except KafkaException as error:
            self._consumer.close()
            raise AccountError(f"cannot read {topic} at {bootstrap}: {error.args[0].str()}") from error
        except AccountError:
            self._consumer.close()
            raise
        self.next = dict(self.first)
        self._consumer.assign([TopicPartition(topic, partition, at) for partition, at in self.next.items()])

    def ends(self) -> dict[int, int]:
        """Return the high watermark of every partition."""
        return {partition: self._watermarks(partition)[1] for partition in self.next}

    def read(self, visit: Callable[[Sequence[Message]], None]) -> int:
        """Pass all records up to the present end to ``visit``, in chunks; return how many there were.

        The fallback broker states an end that is too low, so reading goes on until a poll is empty, but where
        records keep coming, not for long.
        """
        ends = self.ends()
        found = 0
        enough = math.inf
        heard = time.monotonic()
        while time.monotonic() < enough:
            behind = any(self.next[partition] < end for partition, end in ends.items())
            # `consume` waits for a full chunk, so the wait is short and silence is measured over many of them.
            chunk = self._consumer.consume(_CHUNK, _POLL_SECONDS if behind else _IDLE_SECONDS)
            messages = [message for message in chunk if self._is_record(message)]
            if messages:
                heard = time.monotonic()
                self._pass_on(messages, visit)
                found += len(messages)
            elif not behind:
                return found
            elif time.monotonic() - heard > _SECONDS:
                raise AccountError(f"{self.topic}: no record for {_SECONDS:g} s, and its end is not reached")
            if not behind and enough == math.inf:
                enough = time.monotonic() + _LIVE_SECONDS
        return found

    def _pass_on(self, messages: Sequence[Message], visit: Callable[[Sequence[Message]], None]) -> None:
        for message in messages:
            self.next[_number(message.partition())] = _number(message.offset()) + 1
        visit(messages)

    def close(self) -> None:
        """Let go of the consumer."""
        self._consumer.close()

    def _is_record(self, message: Message) -> bool:
        error = message.error()
        if error is None:
            return True
        if error.code() == KafkaError._PARTITION_EOF:
            # Records that a transaction aborted, or control records, may lie before the end: pass over them.
            partition, at = _number(message.partition()), _number(message.offset())
            self.next[partition] = max(self.next[partition], at)
            return False
        if error.retriable() or error.code() == KafkaError._TRANSPORT:
            return False
        raise AccountError(f"cannot read {self.topic}: {error.str()}")

    def _beginnings(self, starts: Offsets, newest: int | None) -> dict[int, int]:
        metadata = self._consumer.list_topics(self.topic, timeout=_SECONDS).topics[self.topic]
        if metadata.error is not None:
            raise AccountError(f"Kafka has no topic {self.topic}: run `clickgoose up`, which creates it")
        marks = {partition: self._watermarks(partition) for partition in metadata.partitions}
        self.beginnings = {partition: low for partition, (low, _) in marks.items()}
        return {
            partition: max(low, starts.get(partition, low), low if newest is None else high - newest)
            for partition, (low, high) in marks.items()
        }

    def _watermarks(self, partition: int) -> tuple[int, int]:
        try:
            return watermarks(self._consumer, self.topic, partition, _SECONDS)
        except KafkaException as error:
            said = error.args[0].str()
            raise AccountError(f"{self.topic}: Kafka did not say where partition {partition} ends: {said}") from error


def need_topics(bootstrap: str, names: Collection[str]) -> None:
    """Return where Kafka answers and has all topics; AccountError where not."""
    consumer = Consumer(_config(bootstrap))
    try:
        topics = consumer.list_topics(timeout=_SECONDS).topics
    except KafkaException as error:
        raise AccountError(f"Kafka does not answer at {bootstrap}: {error.args[0].str()}") from error
    finally:
        consumer.close()
    for name in sorted(names):
        if name not in topics:
            raise AccountError(f"Kafka has no topic {name}: run `clickgoose up`, which creates it")


def committed_offsets(bootstrap: str, group: str, topic: str) -> dict[int, int]:
    """Return how far a consumer group has come; partitions of which it committed nothing are left out."""
    consumer = Consumer({**_config(bootstrap), "group.id": group})
    try:
        partitions = consumer.list_topics(topic, timeout=_SECONDS).topics[topic].partitions
        places = consumer.committed([TopicPartition(topic, number) for number in partitions], timeout=_SECONDS)
    except KafkaException as error:
        raise AccountError(f"cannot read from Kafka how far {group} has come: {error.args[0].str()}") from error
    finally:
        consumer.close()
    return {place.partition: place.offset for place in places if place.offset >= 0}


def _number(value: int | None) -> int:
    if value is None:
        raise AssertionError("a record has a partition and an offset")
    return value


def _config(bootstrap: str) -> dict[str, Any]:
    return {
        "bootstrap.servers": bootstrap,
        "group.id": "clickgoose-account",  # required by the client; nothing is committed
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "enable.partition.eof": True,
        "fetch.wait.max.ms": 50,
        "queued.max.messages.kbytes": 65_536,
        "log_level": 0,
    }
