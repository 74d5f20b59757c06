"""The whole system on real parts: a stack of its own, the ingest tier and the flow as processes."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from clickhouse_driver import Client
from confluent_kafka import Consumer, Message, Producer, TopicPartition

from infra.account import Account, wait_settled
from infra.clickhouse.migrate import migrate
from infra.live.run import flow_child, ingest_child
from infra.stack.child import ChildProcess
from infra.stack.local import LocalStack
from tests.wire import RING

READY_SECONDS = 60.0
WIRE_KEYS = "{" + ", ".join(f'"{number}": "{master.hex()}"' for number, master in RING.masters.items()) + "}"


class System:
    """Starts the stack; ``start_flow`` and ``start_ingest`` are called by the test, and may be killed by it."""

    def __init__(self, folder: Path) -> None:
        self.work = folder / "work"
        self.work.mkdir(parents=True)
        self.said: list[str] = []
        self.stack = LocalStack(folder / "home", say=self.said.append)

    def __enter__(self) -> Self:
        self.stack.start()
        migrate(self.stack.clickhouse_url)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stack.stop()

    def start_ingest(self) -> str:
        """Start the ingest tier and return its URL."""
        self.stack.add(ingest_child(self.stack, self.work), READY_SECONDS, restart=False)
        return (self.work / "ingest.url").read_text("utf-8").strip()

    def start_flow(self, script: Path | None = None, keys: bool = True, **env: str) -> ChildProcess:
        """Start the flow, with the keys of ``tests.wire`` or the stack's own; ``script`` replaces the command."""
        (self.work / "flow.ready").unlink(missing_ok=True)
        child = flow_child(self.stack, self.work)
        if script is not None:
            child.argv = [sys.executable, str(script), *child.argv[3:]]
        ours = {"CLICKGOOSE_MASTER_KEYS": WIRE_KEYS} if keys else {}
        child._env = {**(child._env or {}), **ours, **env}
        return self.stack.add(child, READY_SECONDS, restart=False)

    def append(self, records: Sequence[tuple[int, bytes]], pause: float = 0.0) -> None:
        """Append records to ``events.raw``, each to its partition, in order."""
        producer = Producer({"bootstrap.servers": self.stack.bootstrap, "linger.ms": 1, "enable.idempotence": True})
        for partition, value in records:
            producer.produce("events.raw", value, partition=partition)
            producer.poll(0)
            if pause:
                time.sleep(pause)
        assert producer.flush(30) == 0

    def records(self, topic: str) -> list[Message]:
        """Return every record of a topic, in order of partition and offset."""
        consumer = Consumer(
            {"bootstrap.servers": self.stack.bootstrap, "group.id": "tests", "enable.auto.commit": False}
        )
        try:
            partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
            ends = {}
            for partition in partitions:
                low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
                if high > low:
                    ends[partition] = high
            consumer.assign([TopicPartition(topic, partition, 0) for partition in ends])
            found: list[Message] = []
            while ends:
                for message in consumer.consume(1000, 0.2):
                    assert message.error() is None, message.error()
                    found.append(message)
                    if message.offset() + 1 >= ends.get(message.partition(), 0):
                        ends.pop(message.partition(), None)
            return sorted(found, key=lambda message: (message.partition(), message.offset()))
        finally:
            consumer.close()

    def ends(self, topic: str) -> int:
        """Return how many records were ever appended to a topic."""
        consumer = Consumer({"bootstrap.servers": self.stack.bootstrap, "group.id": "tests"})
        try:
            partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
            places = [TopicPartition(topic, partition) for partition in partitions]
            return sum(consumer.get_watermark_offsets(place, timeout=10)[1] for place in places)
        finally:
            consumer.close()

    def wait_for_records(self, topic: str, count: int, seconds: float = READY_SECONDS) -> None:
        """Return as soon as a topic has had ``count`` records; fail after ``seconds``."""
        until = time.monotonic() + seconds
        while self.ends(topic) < count:
            assert time.monotonic() < until, f"{topic} did not reach {count} records within {seconds} s"
            time.sleep(0.02)

    def values(self, topic: str) -> list[bytes]:
        """Return every record's value and headers as bytes."""
        return [(message.value() or b"") + repr(message.headers()).encode() for message in self.records(topic)]

    def clickhouse(self, query: str) -> list[tuple[Any, ...]]:
        """Return a query's rows."""
        client = Client.from_url(self.stack.clickhouse_url)
        try:
            return list(client.execute(query))
        finally:
            client.disconnect()

    def account(self, seconds: float = 60.0, accepted_ids: Path | None = None) -> Account:
        """Wait until the flow has caught up, and return the account."""
        return wait_settled(self.stack.settings, None, seconds, accepted_ids)
