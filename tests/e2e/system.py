"""The whole system on real parts: a stack of its own, the ingest tier and the flow as processes."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
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
from tests.waiting import eventually
from tests.wire import RING

READY_SECONDS = 180.0  # only where a machine is very busy
STILL_SECONDS = 60.0
"""How long nothing may move before an account is taken as it is: a flow that starts needs some of it."""
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

    def start_ingest(
        self,
        script: Path | None = None,
        keys: bool = False,
        wrap: Sequence[str] = (),
        words: Sequence[str] = (),
        **env: str,
    ) -> str:
        """Start the ingest tier and return its URL; the arguments are those of :meth:`start_flow`."""
        url = self.work / "ingest.url"
        url.unlink(missing_ok=True)
        self._start(ingest_child(self.stack, self.work), script, keys, wrap, words, env)
        return url.read_text("utf-8").strip()

    def start_flow(
        self,
        script: Path | None = None,
        keys: bool = True,
        wrap: Sequence[str] = (),
        words: Sequence[str] = (),
        **env: str,
    ) -> ChildProcess:
        """Start the flow, with the keys of ``tests.wire`` or the stack's own.

        ``script`` replaces the command, ``wrap`` comes before it and ``words`` after it.
        """
        (self.work / "flow.ready").unlink(missing_ok=True)
        return self._start(flow_child(self.stack, self.work), script, keys, wrap, words, env)

    def _start(
        self,
        child: ChildProcess,
        script: Path | None,
        keys: bool,
        wrap: Sequence[str],
        words: Sequence[str],
        env: dict[str, str],
    ) -> ChildProcess:
        if script is not None:
            child.argv = [sys.executable, str(script), *child.argv[3:]]
        child.argv = [*wrap, *child.argv, *words]
        ours = {"CLICKGOOSE_MASTER_KEYS": WIRE_KEYS} if keys else {}
        child._env = {**(child._env or {}), **ours, **env}
        return self.stack.add(child, READY_SECONDS, restart=False)

    def kill_part(self, name: str) -> None:
        """kill -9 Kafka (``kafka``), Valkey (``redis``) or the ClickHouse gateway; its supervisor starts it again."""
        pid = self.stack.child(name).pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)

    def wait_for_part(self, name: str, but_not: int | None, seconds: float = READY_SECONDS) -> None:
        """Return once a part serves in another process than ``but_not``."""
        until = time.monotonic() + seconds
        child = self.stack.child(name)
        while child.pid in (None, but_not) or not child.ready():
            assert time.monotonic() < until, f"{name} did not come back within {seconds} s: {child.hint()}"
            time.sleep(0.05)

    @contextlib.contextmanager
    def away(self, name: str) -> Iterator[None]:
        """Run the block while a part is not there: stopped, and not started again before the end of the block."""
        child = self.stack.child(name)
        self.stack._watch.remove(child)
        child.stop()
        try:
            yield
        finally:
            child.start()
            child.wait_ready(READY_SECONDS)
            self.stack._watch.add(child, READY_SECONDS)

    def append(self, records: Sequence[tuple[int, bytes]], pause: float = 0.0) -> None:
        """Append records to ``events.raw``, each to its partition, in order."""
        producer = Producer({"bootstrap.servers": self.stack.bootstrap, "linger.ms": 1, "enable.idempotence": True})
        for partition, value in records:
            producer.produce("events.raw", value, partition=partition)
            producer.poll(0)
            if pause:
                time.sleep(pause)
        assert producer.flush(READY_SECONDS) == 0

    def records(self, topic: str, since: dict[int, int] | None = None) -> list[Message]:
        """Return every record of a topic, or those from some offsets on, in order of partition and offset."""
        consumer = Consumer(
            {"bootstrap.servers": self.stack.bootstrap, "group.id": "tests", "enable.auto.commit": False}
        )
        try:
            partitions = consumer.list_topics(topic, timeout=READY_SECONDS).topics[topic].partitions
            starts, ends = dict.fromkeys(partitions, 0) | (since or {}), {}
            for partition in partitions:
                high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=READY_SECONDS)[1]
                if high > starts[partition]:
                    ends[partition] = high
            consumer.assign([TopicPartition(topic, partition, starts[partition]) for partition in ends])
            found: list[Message] = []
            due = sum(end - starts[partition] for partition, end in ends.items())
            while ends:
                # It waits until it has as many as asked for: never ask for more than there are.
                for message in consumer.consume(min(max(1, due - len(found)), 1_000), 0.2):
                    assert message.error() is None, message.error()
                    found.append(message)
                    if message.offset() + 1 >= ends.get(message.partition(), 0):
                        ends.pop(message.partition(), None)
            return sorted(found, key=lambda message: (message.partition(), message.offset()))
        finally:
            consumer.close()

    def ends(self, topic: str) -> int:
        """Return how many records were ever appended to a topic."""
        with self._counting(topic) as ends:
            return ends()

    @contextlib.contextmanager
    def _counting(self, topic: str) -> Iterator[Callable[[], int]]:
        """Give what counts the records of a topic, again and again by one consumer: a new one takes a flow's CPU."""
        consumer = Consumer({"bootstrap.servers": self.stack.bootstrap, "group.id": "tests"})
        try:
            partitions = consumer.list_topics(topic, timeout=READY_SECONDS).topics[topic].partitions
            places = [TopicPartition(topic, partition) for partition in partitions]
            yield lambda: sum(consumer.get_watermark_offsets(place, timeout=READY_SECONDS)[1] for place in places)
        finally:
            consumer.close()

    def wait_for_records(self, topic: str, count: int, seconds: float = READY_SECONDS) -> None:
        """Return as soon as a topic has had ``count`` records; fail after ``seconds``."""
        with self._counting(topic) as ends:
            self._wait_for_end(topic, ends, count, seconds)

    def wait_for_more(self, topic: str, more: int, seconds: float = READY_SECONDS) -> None:
        """Return as soon as a topic has so many records more than now; fail after ``seconds``."""
        with self._counting(topic) as ends:
            self._wait_for_end(topic, ends, ends() + more, seconds)

    @staticmethod
    def _wait_for_end(topic: str, ends: Callable[[], int], count: int, seconds: float) -> None:
        what = f"{topic} did not reach {count} records"
        eventually(lambda: ends() >= count, seconds, what)

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

    def account(self, seconds: float = 2 * READY_SECONDS, accepted_ids: Path | None = None) -> Account:
        """Wait until the flow has caught up, and return the account."""
        return wait_settled(self.stack.settings, None, seconds, accepted_ids, still_seconds=STILL_SECONDS)
