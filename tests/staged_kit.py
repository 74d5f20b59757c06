"""The flow in one process and in parts, on topics, tables and Redis databases of a test's own."""

from __future__ import annotations

import json
import os
import re
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import redis
from clickhouse_driver import Client
from confluent_kafka import Consumer, Producer, TopicPartition

from flows.sinks.kafka import ALERTS, SCORED
from flows.stage_state import Part
from flows.state_report import report_of
from infra.flow import FlowProcess, Place, log_ends
from infra.flow_serving import partitions_of
from infra.flow_staged import StageProcess, StageTopics
from infra.flow_staged_together import StagesTogether, roots_of
from infra.settings import Settings
from infra.stack.child import ChildProcess
from infra.stack.local import LocalStack
from schemas.stored_results import unpacked
from tests.e2e.system import WIRE_KEYS
from tests.migrated import migrate
from tests.stack_fixture import Namespace
from tests.waiting import PATIENT_FLOW

ALL = tuple(Part)
SECONDS = 120.0  # only where a machine is very busy
STAGES = ("extracted", "enriched", "outcomes")
_OWN = {"ledger_micros", "polled_at", "first_failed_at"}  # what two runs may show differently
_LEDGER = re.compile(rb'"ledger":\{[^{}]*\}')  # of a result: times, which two runs may show differently
_KEYS = {"events": "partition, offset", "features": "event_id", "raw_archive": "partition, offset",
         "dead_letters": "partition, offset, stage"}  # fmt: skip


class Topics:
    """PREFIX.raw and what lies between the processes, all with as many partitions."""

    def __init__(self, stack: LocalStack, namespace: Namespace, partitions: int) -> None:
        self.bootstrap, self.prefix, self.partitions = stack.bootstrap, namespace.prefix, partitions
        self.names = tuple(f"{self.prefix}.{name}" for name in ("raw", *STAGES))
        self.raw = namespace.topic("raw", partitions)
        for name in STAGES:
            namespace.topic(name, partitions, **{"max.message.bytes": "4194304"})
        self._producer = Producer({"bootstrap.servers": stack.bootstrap})
        self.sent = 0

    def send(self, values: Sequence[bytes], partition: int) -> None:
        """Append records."""
        for value in values:
            self._producer.produce(self.raw, value, partition=partition)
            self._producer.poll(0)
        assert self._producer.flush(SECONDS) == 0
        self.sent += len(values)


class World:
    """Where one flow writes, and its processes. ``database``: a number of Redis."""

    def __init__(self, stack: LocalStack, topics: Topics, directory: Path, database: int) -> None:
        self.topics, self.directory = topics, directory
        directory.mkdir()
        self._namespace = Namespace(stack)
        migrate(self._namespace.clickhouse_url)
        self._clickhouse: Client = self._namespace.clickhouse()
        url = stack.redis_url.rstrip("/").removesuffix("/0")
        self._redis_url = f"{url}/{database}"
        self.redis = redis.Redis.from_url(self._redis_url)
        self.redis.flushdb()
        self.env = {
            **stack.env(),
            "CLICKGOOSE_CLICKHOUSE__URL": self._namespace.clickhouse_url,
            "CLICKGOOSE_REDIS__URL": self._redis_url,
            "CLICKGOOSE_MASTER_KEYS": WIRE_KEYS,
            "CLICKGOOSE_FLOW__CLICKHOUSE_BLOCK_SECONDS": "0.2",
            "CLICKGOOSE_FLOW__EPOCH_SECONDS": "0.2",
            "CLICKGOOSE_FLOW__REDRIVE": "false",  # what other tests left in the backup is not of these flows
            **PATIENT_FLOW,
        }
        self.children: dict[str, ChildProcess] = {}
        self._inside: tuple[FlowProcess | StagesTogether, threading.Thread] | None = None

    def read(self) -> None:
        """Wait until all processes read."""
        for child in self.children.values():
            child.wait_ready(SECONDS)
        if self._inside is not None:
            process, thread = self._inside
            until(lambda: process.reads() or not thread.is_alive(), SECONDS)
            assert thread.is_alive(), "what ran in the test's own process ended"

    def launch(self, *parts: Part, place: Place | None = None) -> None:
        """Start a process of one part or of several, and do not wait until it reads."""
        place = place or Place()
        name = "+".join(parts) + (f"-{place.ordinal}" if place.processes > 1 else "")
        self._ready(name).unlink(missing_ok=True)
        argv = [sys.executable, "-m", "tests.stage_on_topic", ",".join(parts), self.topics.prefix]
        argv += [str(self._state(parts)), str(self._ready(name)), str(place.ordinal), str(place.processes)]
        env = dict(self.env)
        if Part.EXTRACT not in parts:
            env["CLICKGOOSE_MASTER_KEYS"] = "{}"  # only extract opens what is sealed
        self.children[name] = ChildProcess(
            name, argv, log=self.directory / f"{name}.log", env=env, grace=30.0,
            probe=lambda: self._ready(name).exists(),
        )  # fmt: skip
        self.children[name].start()

    def launch_inside(self, *parts: Part) -> None:
        """Start parts, or without any the flow as one, in a thread of the test's own process."""
        with patch.dict(os.environ, self.env):
            settings = Settings()
        partitions = partitions_of(self.topics.bootstrap, self.topics.raw)
        process: FlowProcess | StagesTogether
        if parts:
            topics, roots = StageTopics(*self.topics.names), roots_of(parts, self._state(parts), Path())
            process = StagesTogether([StageProcess(settings, part, partitions, roots[part], topics) for part in parts])
        else:
            process = FlowProcess(settings, partitions, self.directory / "flow", self.topics.raw, group="fused")
        thread = threading.Thread(target=process.run, name=self.directory.name)
        self._inside = (process, thread)
        thread.start()

    def _state(self, parts: Sequence[Part]) -> Path:
        return self.directory / parts[0] if len(parts) == 1 else self.directory

    def kill(self, *parts: Part) -> None:
        """Kill processes as by ``kill -9``."""
        for part in parts:
            self.children[part].kill()

    def _ready(self, name: str) -> Path:
        return self.directory / f"ready-{name}"

    def stop(self) -> None:
        """Drain all."""
        for child in self.children.values():
            child.stop()
        self.children.clear()
        if self._inside is not None:
            process, thread = self._inside
            process.stop()
            thread.join()
            self._inside = None

    def close(self) -> None:
        """Drain, and drop what was written."""
        self.stop()
        self.redis.flushdb()
        self.redis.close()
        self._namespace.close()

    def settled(self) -> int:
        """Return how many records came to an end: scored, dead or dropped as a copy."""
        ((done,),) = self._clickhouse.execute(
            "SELECT (SELECT count() FROM events FINAL) + (SELECT uniqExact(partition, offset) FROM dead_letters FINAL)"
        )
        return int(done)

    def wait(self, rows: int, seconds: float = SECONDS) -> None:
        """Wait until so many rows have come to an end."""
        until(lambda: self.settled() >= rows, seconds, lambda: f"{self.settled()} of {rows}: {self.words()}")

    def drained(self, rows: int) -> None:
        """Wait until the last process has taken note of so many rows and its sinks hold all of them."""
        self.read()
        until(lambda: self._resumes() >= rows, SECONDS, lambda: f"{self._resumes()} of {rows}: {self.words()}")

    def _resumes(self) -> int:
        """Return up to where the state of the last process is, over all partitions."""
        roots = [root for name in ("flow", "score") for root in (self.directory / name).glob("process-*/partition-*")]
        found = [report_of(path, int(path.name[-5:])) for path in roots if path.name[-5:].isdigit()]
        return sum(max(0, report.resume_offset or 0) for report in found)

    def dropped(self) -> int:
        """Return how many records came to no end of their own: copies."""
        return self.topics.sent - self.settled()

    def offsets(self, partition: int) -> set[int]:
        """Return the offsets of a partition whose events were scored."""
        query = f"SELECT offset FROM events FINAL WHERE partition = {partition:d}"  # noqa: S608 - a number
        return {row[0] for row in self._clickhouse.execute(query)}

    def words(self) -> str:
        """Return the last lines of every process."""
        return "\n".join(f"{p.name}: {p.read_text()[-1500:]}" for p in sorted(self.directory.glob("*.log")))

    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return all rows of the tables, without what two runs may show differently."""
        return {name: self._rows(name, key) for name, key in _KEYS.items()}

    def _rows(self, table: str, key: str) -> list[tuple[Any, ...]]:
        columns = [
            row[0]
            for row in self._clickhouse.execute(f"DESCRIBE {table}")
            if row[2] not in ("ALIAS", "MATERIALIZED", "EPHEMERAL")
        ]
        chosen = ", ".join(f"`{column}`" for column in columns if column not in _OWN)
        found: list[tuple[Any, ...]] = self._clickhouse.execute(
            f"SELECT {chosen} FROM {table} FINAL ORDER BY {key}"  # noqa: S608 - of our own words
        )
        return [tuple(map(repr, row)) for row in found]

    def answers(self) -> dict[bytes, Any]:
        """Return what merchants poll, and the summaries of sessions."""
        found: dict[bytes, Any] = {}
        for key in sorted(self.redis.scan_iter("score:*")):
            found[key] = json.loads(unpacked(self.redis.get(key) or b"{}"))
            found[key].pop("ledger", None)
        for key in sorted(self.redis.scan_iter("session:*")):
            found[key] = self.redis.hgetall(key)
        return found


class Results:
    """What is appended to ``events.scored`` and ``events.alerts`` from now on, by whomever."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._begins = {topic: self._ends(topic) for topic in (SCORED, ALERTS)}

    def _ends(self, topic: str) -> dict[int, int]:
        return log_ends(self._bootstrap, topic, partitions_of(self._bootstrap, topic))

    def since(self, topic: str) -> dict[str, list[tuple[Any, ...]]]:
        """Return by event id the records of a topic as they lie there, but for the times of their ledgers."""
        ends = self._ends(topic)
        consumer = Consumer({"bootstrap.servers": self._bootstrap, "group.id": "results", "enable.partition.eof": True})
        begins = {partition: begin for partition, begin in self._begins[topic].items() if begin < ends[partition]}
        consumer.assign([TopicPartition(topic, partition, begin) for partition, begin in begins.items()])
        found = defaultdict[str, list[tuple[Any, ...]]](list)
        while begins:
            for message in consumer.consume(1_000, 1.0):
                partition, value = message.partition(), message.value()
                if message.error() is not None:  # its end
                    begins.pop(partition or 0, None)
                    continue
                kept, count = _LEDGER.subn(b"", value or b"")
                assert count == 1
                record = (partition, message.key(), tuple(message.headers() or ()), kept)
                found[json.loads(value or b"")["event_id"]].append(record)
        consumer.close()
        return found


def until(holds: Callable[[], bool], seconds: float, said: Callable[[], str] = lambda: "") -> None:
    """Wait until something holds."""
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends, said()
        time.sleep(0.05)


@contextmanager
def worlds(stack: LocalStack, topics: Topics, directory: Path, count: int = 2) -> Iterator[list[World]]:
    """Give several worlds on the same records, closed after use."""
    with ExitStack() as closing:
        made = []
        for number in range(count):
            world = World(stack, topics, directory / f"world-{number}", number + 1)
            closing.callback(world.close)
            made.append(world)
        yield made
