"""For tests on real parts: an ingest tier in this process or as one of its own, and a reader of what reaches Kafka."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition

from infra.stack import ports
from ingest_api.app import create_app
from ingest_api.redis_link import connect
from schemas.envelope import sealed_start
from tests.ingest_kit import KEYS, Page, config, event_id, running
from tests.waiting import PATIENCE

TOPIC = "events.raw"
ROOT = Path(__file__).parent.parent
MASTER = "33" * 32


def free_port() -> int:
    """Return a port that nobody listens on, and that no outgoing connection takes."""
    return ports.free_port(set())


class Tail:
    """Reads what is appended to the topic from now on."""

    def __init__(self, bootstrap: str) -> None:
        self._consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "tail", "enable.auto.commit": False})
        partitions = self._consumer.list_topics(TOPIC, timeout=PATIENCE).topics[TOPIC].partitions
        ends = [TopicPartition(TOPIC, p, self._end(p)) for p in partitions]
        self._consumer.assign(ends)
        self.seen: list[tuple[bytes, bytes]] = []

    def _end(self, partition: int) -> int:
        """Return the end of a partition; a topic that was just made may take a moment to have leaders."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                end: int = self._consumer.get_watermark_offsets(TopicPartition(TOPIC, partition), timeout=PATIENCE)[1]
                return end
            except KafkaException:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def read(self, wanted: set[str], seconds: float = PATIENCE) -> list[str]:
        """Return the event ids seen, in order per device, as soon as all wanted ones are there."""
        end = time.monotonic() + seconds
        while not wanted <= set(self.ids()) and time.monotonic() < end:
            for message in self._consumer.consume(500, 0.1):
                assert message.error() is None
                self.seen.append((message.key(), message.value()))
        return self.ids()

    def ids(self) -> list[str]:
        """Return the event ids seen so far."""
        found = []
        for _, value in self.seen:
            found.append(event_id(value[sealed_start(value) :]))
        return found

    def close(self) -> None:
        """Leave."""
        self._consumer.close()


@dataclass
class Child:
    """An ingest process as the supervisor starts it."""

    directory: Path
    bootstrap: str
    redis_url: str
    tls: bool = False
    process: subprocess.Popen[bytes] | None = None
    extra: dict[str, str] = field(default_factory=dict)

    def start(self) -> str:
        """Start it; return its URL when it serves."""
        merchants = {
            name: {"name": name, "api_key_sha256": [hashlib.sha256(key.encode()).hexdigest()]}
            for name, key in KEYS.items()
        }
        self.directory.mkdir(exist_ok=True)
        (self.directory / "merchants.json").write_text(json.dumps(merchants))
        port_file = self.directory / "url"
        port_file.unlink(missing_ok=True)
        env = {
            **os.environ,
            "CLICKGOOSE_HOME": str(self.directory),
            "CLICKGOOSE_KAFKA__BOOTSTRAP": self.bootstrap,
            "CLICKGOOSE_REDIS__URL": self.redis_url,
            "CLICKGOOSE_MASTER_KEYS": json.dumps({"1": MASTER}),
            "CLICKGOOSE_MERCHANTS_FILE": str(self.directory / "merchants.json"),
            "CLICKGOOSE_INGEST__TLS": str(self.tls).lower(),
            "CLICKGOOSE_INGEST__PRODUCE_TIMEOUT_MS": "30000",  # a busy machine is no outage
            **self.extra,
        }
        command = "from infra.cli import main; main()"
        argv = [sys.executable, "-c", command, "ingest", "serve", "--port", "0", "--port-file", str(port_file)]
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(argv, env=env, cwd=ROOT, stdout=log, stderr=log)
        end = time.monotonic() + PATIENCE
        while not port_file.exists():
            assert self.process.poll() is None and time.monotonic() < end, (self.directory / "log").read_text()
            time.sleep(0.05)
        return port_file.read_text().strip()

    def end(self, how: signal.Signals) -> int:
        """Send a signal and return the exit code."""
        assert self.process is not None
        self.process.send_signal(how)
        return self.process.wait(PATIENCE)


@contextlib.contextmanager
def child(directory: Path, bootstrap: str, redis_url: str, **changes: Any) -> Iterator[Child]:
    """Return a process that is gone afterwards."""
    one = Child(directory / "home", bootstrap, redis_url, **changes)
    try:
        yield one
    finally:
        if one.process is not None and one.process.poll() is None:
            one.process.kill()
            one.process.wait(PATIENCE)


@contextlib.asynccontextmanager
async def in_process(tmp_path: Path, stack: Any, **changes: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Serve a tier in this process, on the real parts, for which it has patience: a busy machine is no outage."""
    places = {"bootstrap": stack.bootstrap, "redis_url": stack.redis_url, "produce_timeout_ms": 30_000}
    wanted = config(tmp_path, **(places | changes))
    async with running(create_app(wanted, redis=lambda: connect(wanted.redis_url, PATIENCE))) as client:
        yield client


async def send_all(page: Page, events: list[bytes]) -> set[str]:
    """Send events one by one; return their reasons."""
    reasons = set()
    for sealed in events:
        answer = await page.send(sealed)
        assert answer.status_code == 200, answer.text
        reasons |= {one["reason"] for one in answer.json()["results"]}
    return reasons


@pytest.fixture
def tail(stack: Any) -> Iterator[Tail]:
    """Return a reader of what follows."""
    reader = Tail(stack.bootstrap)
    yield reader
    reader.close()
