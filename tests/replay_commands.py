"""Runs of ``clickgoose replay`` as processes, on a topic of a test's own, and what they wrote."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from clickhouse_driver import Client
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from typer.testing import CliRunner

from infra.cli import app
from infra.stack.local import LocalStack
from replay.namespace import Namespace as ReplayNames
from replay.plan import Piece, Plan, Start, encode_plan
from schemas.envelope import Attested, address_bytes, wrap
from tests.e2e.system import WIRE_KEYS
from tests.migrated import migrate
from tests.stack_fixture import Namespace
from tests.wire import NOW, payload, sealed

SECONDS = 120.0  # only where a machine is very busy
PARTITIONS = 3


class Replays:
    """A topic with events, a live database, a home, and the commands."""

    def __init__(self, stack: LocalStack, namespace: Namespace, home: Path) -> None:
        migrate(namespace.clickhouse_url)
        self.stack, self.namespace, self.home = stack, namespace, home
        self.live = namespace.clickhouse()
        self.redis = namespace.redis()
        self.topic = namespace.topic("raw", partitions=PARTITIONS, **{"message.timestamp.type": "LogAppendTime"})
        self.env = {
            **stack.env(),
            "CLICKGOOSE_HOME": str(home),
            "CLICKGOOSE_KAFKA__BOOTSTRAP": stack.bootstrap,
            "CLICKGOOSE_REDIS__URL": stack.redis_url,
            "CLICKGOOSE_CLICKHOUSE__URL": namespace.clickhouse_url,
            "CLICKGOOSE_MASTER_KEYS": WIRE_KEYS,
        }
        self.sent = 0

    def send(self, rows: int, dead: int = 0) -> None:
        """Send events of sessions that keep to their partitions, and records that cannot be read."""
        producer = Producer({"bootstrap.servers": self.stack.bootstrap})
        body = payload()
        for row in range(self.sent, self.sent + rows):
            attested = Attested("shop-1", f"order-{row // 4}", "", "", ("login", "payment")[row % 2])
            record = wrap(attested, NOW + 1000 * row + 40, address_bytes(f"192.0.2.{row % 50}"), sealed(row, body))
            producer.produce(self.topic, record, partition=row % PARTITIONS)
        for row in range(dead):
            producer.produce(self.topic, b"rubbish", partition=row % PARTITIONS)
        self.sent += rows + dead
        assert producer.flush(SECONDS) == 0

    def plan(self, name: str, warm: int = 0) -> Path:
        """Write a plan of all that was sent, the first rows of each partition to warm up."""
        ends = {number: self.end(self.topic, number) for number in range(PARTITIONS)}
        made = Plan(
            name, self.topic, Start.SEALED,
            tuple(Piece(number, 0, warm) for number in ends if warm),
            tuple(Piece(number, warm, end) for number, end in ends.items()),
        )  # fmt: skip
        path = self.home / f"{name}.plan.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_plan(made))
        return path

    def names(self, name: str) -> ReplayNames:
        return ReplayNames.of(name, live_database=self.namespace.database, home=self.home)

    def start(self, *words: str, **env: str) -> subprocess.Popen[str]:
        """Start ``clickgoose replay`` with words."""
        return subprocess.Popen(
            [sys.executable, "-m", "infra.cli", "replay", *words],
            env={**os.environ, **self.env, **env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def done(self, *words: str, code: int = 0, **env: str) -> tuple[str, str]:
        """Run it to its end; return what it said on both."""
        return ended(self.start(*words, **env), code)

    def said(self, *words: str, code: int = 0) -> dict[str, Any]:
        """Run it with --json and return the object."""
        found: dict[str, Any] = json.loads(self.done(*words, "--json", code=code)[0])
        return found

    def here(self, *words: str, code: int = 0) -> dict[str, Any]:
        """Run it in this process, with the settings of the environment, and return the object that it prints."""
        found = CliRunner().invoke(app, ["replay", *words])
        assert found.exit_code == code, (found.output, repr(found.exception))
        said: dict[str, Any] = json.loads(found.stdout)
        return said

    def refused(self, *words: str) -> str:
        """Run it in this process, and return the one sentence that it refuses with."""
        found = CliRunner().invoke(app, ["replay", *words])
        assert (found.exit_code, found.stdout) == (2, ""), found.output
        (sentence,) = found.stderr.splitlines()
        return sentence

    def left(self, names: ReplayNames) -> list[str]:
        """Return what is left of a run."""
        topics = AdminClient({"bootstrap.servers": self.stack.bootstrap}).list_topics(timeout=SECONDS).topics
        found = [name for name in names.topics if name in topics]
        found += [row[0] for row in self.live.execute("SHOW DATABASES") if row[0] == names.database]
        found += [key.decode() for key in self.redis.scan_iter(f"{names.prefix}*", count=10_000)]
        return found + ([str(names.directory)] if names.directory.exists() else [])

    def kill_at(self, rows: int, name: str, *words: str, by: int = signal.SIGKILL) -> tuple[str, str]:
        """Start a run, and signal it once it has added so many results to its topic."""
        topic = self.names(name).topics.scored
        before = self.held(topic)
        running = self.start(*words)
        try:
            self.until(lambda: running.poll() is not None or self.held(topic) >= before + rows)
            assert running.poll() is None, running.communicate()
            running.send_signal(by)
            return ended(running, -by if by == signal.SIGKILL else 1)
        finally:
            running.kill()

    def held(self, topic: str) -> int:
        """Return how many records a topic holds, 0 where there is none."""
        found = self._asks.list_topics(timeout=10).topics
        return sum(self.end(topic, number) for number in found[topic].partitions) if topic in found else 0

    def end(self, topic: str, partition: int) -> int:
        ends = time.monotonic() + SECONDS
        while True:
            try:
                return int(self._asks.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)[1])
            except KafkaException:  # a topic that was just created has no leader yet
                assert time.monotonic() < ends
                time.sleep(0.1)

    @cached_property
    def _asks(self) -> Consumer:
        """One client for all looks: a run that shall be killed goes on while a new one connects."""
        return Consumer({"bootstrap.servers": self.stack.bootstrap, "group.id": "t"})

    def records(self, topic: str) -> list[tuple[bytes, bytes]]:
        """Return keys and values of a topic, sorted."""
        consumer = Consumer({"bootstrap.servers": self.stack.bootstrap, "group.id": "t", "enable.auto.commit": False})
        try:
            due = self.held(topic)
            found = AdminClient({"bootstrap.servers": self.stack.bootstrap}).list_topics(timeout=SECONDS).topics[topic]
            consumer.assign([TopicPartition(topic, number, 0) for number in found.partitions])
            read: list[tuple[bytes, bytes]] = []
            while len(read) < due:
                read += [(one.key() or b"", one.value() or b"") for one in consumer.consume(1_000, 0.2)]
            return sorted(read)
        finally:
            consumer.close()

    def rows(self, name: str, query: str) -> list[tuple[Any, ...]]:
        """Ask a run's database."""
        client = Client.from_url(self.names(name).clickhouse_url(self.namespace.clickhouse_url))
        try:
            found: list[tuple[Any, ...]] = client.execute(query)
            return found
        finally:
            client.disconnect()

    def keys(self, name: str) -> dict[bytes, Any]:
        """Return the results and sessions that a run keeps in Redis."""
        prefix = self.names(name).prefix
        found: dict[bytes, Any] = {}
        for key in self.redis.scan_iter(f"{prefix}*", count=10_000):
            short = key.removeprefix(prefix.encode())
            if short.startswith(b"score:"):
                found[short] = self.redis.get(key)
            elif short.startswith(b"session:"):
                found[short] = sorted(self.redis.hgetall(key).items())
        return dict(sorted(found.items()))

    def outcome(self, name: str) -> dict[str, Any]:
        """Return all that a run wrote, as users see it."""
        names = self.names(name)
        return {
            "scored": self.records(names.topics.scored),
            "alerts": self.records(names.topics.alerts),
            "dead": self.records(names.topics.dead_letter),
            "events": self.rows(name, "SELECT * FROM events FINAL ORDER BY partition, offset"),
            "features": self.rows(name, "SELECT * FROM features FINAL ORDER BY event_id"),
            "letters": self.rows(name, "SELECT * FROM dead_letters FINAL ORDER BY partition, offset, stage"),
            "keys": self.keys(name),
        }

    @staticmethod
    def until(holds: Callable[[], bool]) -> None:
        ends = time.monotonic() + SECONDS
        while not holds():
            assert time.monotonic() < ends, "it did not happen in time"
            time.sleep(0.02)


def ended(running: subprocess.Popen[str], code: int) -> tuple[str, str]:
    """Wait for a command; return what it said."""
    try:
        out, err = running.communicate(timeout=SECONDS)
    finally:
        running.kill()
    assert running.returncode == code, (running.returncode, out, err)
    return out, err


def differences(one: dict[str, Any], other: dict[str, Any]) -> Sequence[str]:
    """Return the parts of two outcomes that are not the same, each with the first that differs."""
    return [
        f"{part}: {len(one[part])} and {len(other[part])}, {next(_unlike(one[part], other[part]), '')}"
        for part in one
        if repr(one[part]) != repr(other[part])  # as text: no NaN is equal to itself
    ]


def _unlike(one: Any, other: Any) -> Iterator[str]:
    if isinstance(one, dict):
        one, other = sorted(one.items()), sorted(other.items())
    for mine, its in zip(one, other, strict=False):
        if repr(mine) != repr(its):
            yield f"{mine!r} is not {its!r}"
