"""The real Kafka, Valkey and ClickHouse engine, started once per test session on free ports in a home of their own.

def test_something(stack, namespace):
    topic = namespace.topic("raw")             # created, with a name of its own
    client = namespace.clickhouse()            # a client whose database is this test's own
    key = namespace.key("score")               # a Redis key of its own
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from clickhouse_driver import Client
from confluent_kafka import KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from flows.sinks.kafka import DEAD_LETTER
from infra.stack.child import StackError
from infra.stack.local import LocalStack
from tests.kafka_parts import need_apache_kafka
from tests.workers import give_up

_SECONDS = 120.0  # only where a machine is very busy


@pytest.fixture(scope="session")
def stack() -> Iterator[LocalStack]:
    """The running stack: ``bootstrap``, ``clickhouse_url``, ``redis_url``, ``home``, ``settings``, ``secrets``."""
    need_apache_kafka()
    home = Path(tempfile.mkdtemp(prefix="clickgoose-test-"))
    said: list[str] = []
    running = LocalStack(home / "home", say=said.append)
    try:
        running.start()
    except StackError as error:
        shutil.rmtree(home, ignore_errors=True)
        give_up(f"The tests need the local stack: {error} Run `clickgoose doctor`.")
    _await_first_append(running.bootstrap)
    try:
        yield running
    finally:
        running.stop()
        shutil.rmtree(home, ignore_errors=True)


def _await_first_append(bootstrap: str) -> None:
    """Append once: a broker that just started gives idempotent producers their ids only after some seconds."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic("warm-up", 1, 1)])["warm-up"].result(_SECONDS)
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "log_level": 0})
    producer.produce("warm-up", b"")
    assert producer.flush(_SECONDS) == 0


def forget_letters(bootstrap: str) -> None:
    """Take all records of ``events.dead_letter`` away: the next flow would redrive those for sinks into its tables."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    partitions = admin.list_topics(DEAD_LETTER, timeout=_SECONDS).topics[DEAD_LETTER].partitions
    everything = -1
    for future in admin.delete_records([TopicPartition(DEAD_LETTER, one, everything) for one in partitions]).values():
        future.result(_SECONDS)


class Namespace:
    """Names that no other test uses, and clients that use them."""

    def __init__(self, stack: LocalStack) -> None:
        self.stack = stack
        self.prefix = f"t{uuid.uuid4().hex[:12]}"
        self._clients: list[Any] = []
        self._database = ""
        self._topics: list[str] = []

    def topic(self, name: str, partitions: int = 1, **config: str) -> str:
        """Create a topic of this test's own and return its name."""
        topic = f"{self.prefix}.{name}"
        admin = AdminClient({"bootstrap.servers": self.stack.bootstrap})
        admin.create_topics([NewTopic(topic, partitions, 1, config=config)])[topic].result(_SECONDS)
        self._topics.append(topic)
        return topic

    def key(self, name: str) -> str:
        """Return a Redis key of this test's own."""
        return f"{self.prefix}:{name}"

    def redis(self, **options: Any) -> redis.Redis:
        """Return a Redis client, closed after the test."""
        client = redis.Redis.from_url(self.stack.redis_url, **options)
        self._clients.append(client.close)
        return client

    @property
    def database(self) -> str:
        """The ClickHouse database of this test, created at first use."""
        if not self._database:
            client = Client.from_url(self.stack.clickhouse_url)
            client.execute(f"CREATE DATABASE {self.prefix}")
            client.disconnect()
            self._database = self.prefix
        return self._database

    @property
    def clickhouse_url(self) -> str:
        """The address of this test's database."""
        return f"{self.stack.clickhouse_url.rpartition('/')[0]}/{self.database}"

    def clickhouse(self, **options: Any) -> Client:
        """Return a ClickHouse client of this test's database, closed after the test."""
        from urllib.parse import urlsplit

        parts = urlsplit(self.clickhouse_url)
        client = Client(
            parts.hostname,
            port=parts.port,
            user=parts.username,
            password=parts.password,
            database=self.database,
            **options,
        )
        self._clients.append(client.disconnect)
        return client

    def close(self) -> None:
        """Close the clients and drop what the test made."""
        for close in self._clients:
            with contextlib.suppress(Exception):
                close()
        if self._database:
            client = Client.from_url(self.stack.clickhouse_url)
            client.execute(f"DROP DATABASE IF EXISTS {self._database} SYNC")
            client.disconnect()
        with self.redis() as client:
            keys = list(client.scan_iter(f"{self.prefix}*"))
            if keys:
                client.delete(*keys)
        if self._topics:
            admin = AdminClient({"bootstrap.servers": self.stack.bootstrap})
            for future in admin.delete_topics(self._topics).values():
                with contextlib.suppress(KafkaException):
                    future.result(_SECONDS)  # or they vanish in the middle of the next test


@pytest.fixture
def namespace(stack: LocalStack) -> Iterator[Namespace]:
    """Names of this test's own for topics, Redis keys and a ClickHouse database."""
    own = Namespace(stack)
    try:
        yield own
    finally:
        own.close()
