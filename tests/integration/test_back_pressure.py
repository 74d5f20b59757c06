"""A flow whose ClickHouse is silent, and 60,000 small records that wait for it: memory stays within what is stated."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from confluent_kafka import Producer

from infra.stack.child import ChildProcess
from infra.stack.local import LocalStack
from tests.faults.slow import Relay
from tests.migrated import migrate
from tests.stack_fixture import Namespace, forget_letters

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]  # many processes: long where a machine is very busy
RECORDS = 60_000
SECONDS = 120.0  # only where a machine is very busy
MIB = 1024**2
QUEUE_BYTES = 32 * MIB
FETCH_BYTES = 8 * MIB
# Beside the queues: what the first batches load, the letters of one spilled part as records and in the producers, and
# what the allocator keeps. 172 to 187 MiB in all were seen, of which the first 17,000 letters brought 160.
BESIDE_BYTES = 192 * MIB
STANDS_STILL_BYTES = 48 * MIB


@dataclass
class Flow:
    """The process and its metrics."""

    child: ChildProcess
    port: int

    @property
    def rss(self) -> int:
        return int(psutil.Process(self.child.pid).memory_info().rss)

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of a metric's samples that have these labels."""
        text = httpx.get(f"http://127.0.0.1:{self.port}/metrics", timeout=SECONDS).text
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        rows = [row for row in text.splitlines() if row.startswith(name) and all(label in row for label in wanted)]
        return sum(float(row.rsplit(" ", 1)[1]) for row in rows)


@pytest.fixture
def topic(namespace: Namespace, stack: LocalStack) -> str:
    name = namespace.topic("raw", partitions=2)
    producer = Producer({"bootstrap.servers": stack.bootstrap, "linger.ms": 50, "compression.codec": "zstd"})
    for number in range(RECORDS):
        producer.produce(name, b"no envelope %7d" % number)
        if number % 1_000 == 0:
            producer.poll(0)
    assert producer.flush(SECONDS) == 0
    return name


@pytest.fixture
def relay(stack: LocalStack) -> Iterator[Relay]:
    with Relay(urlsplit(stack.clickhouse_url).port or 0) as made:
        yield made


@pytest.fixture
def flow(stack: LocalStack, namespace: Namespace, topic: str, relay: Relay, tmp_path: Path) -> Iterator[Flow]:
    migrate(namespace.clickhouse_url)
    ready = tmp_path / "ready"
    url = namespace.clickhouse_url.replace(f":{urlsplit(namespace.clickhouse_url).port}/", f":{relay.port}/")
    child = ChildProcess(
        "flow",
        [sys.executable, "-m", "tests.flow_on_topic", topic, str(tmp_path / "state"), str(ready)],
        log=tmp_path / "flow.log",
        env={
            **stack.env(),
            "CLICKGOOSE_CLICKHOUSE__URL": url,
            "CLICKGOOSE_FLOW__SINK_QUEUE_BYTES": str(QUEUE_BYTES),
            "CLICKGOOSE_FLOW__FETCH_QUEUE_BYTES": str(FETCH_BYTES),
            "CLICKGOOSE_FLOW__REDRIVE": "false",
            "CLICKGOOSE_FLOW__DEAD_SHARE_LIMIT": "1",  # all records are dead letters here: no breaker
            "CLICKGOOSE_FLOW__DEAD_RUN_LIMIT": "1000000",
        },
        grace=30.0,
        probe=lambda: ready.exists() and bool(ready.read_text("utf-8").strip()),
    )
    relay.hold_seconds = 3_600.0
    child.start()
    try:
        child.wait_ready(SECONDS)
        yield Flow(child, int(ready.read_text("utf-8")))
    finally:
        child.stop()
        forget_letters(stack.bootstrap)


def test_memory_is_bounded_and_nothing_is_held_back_while_clickhouse_is_silent(flow: Flow) -> None:
    before = most = flow.rss
    full = 0  # memory when a third of the records is dealt with: the queues are full since long
    most_rows = most_bytes = lag = 0.0
    done = False
    ends = time.monotonic() + 2 * SECONDS
    while not done:
        assert time.monotonic() < ends, f"{flow.metric('clickgoose_source_lag_events')} records are not read"
        most = max(most, flow.rss)
        most_rows = max(most_rows, flow.metric("clickgoose_sink_queue_rows", sink="clickhouse"))
        most_bytes = max(most_bytes, flow.metric("clickgoose_sink_queue_bytes", sink="clickhouse"))
        lag = max(lag, flow.metric("clickgoose_source_lag_events"))
        written = flow.metric("clickgoose_sink_rows_total", sink="dead_letter", outcome="written")
        full = full or (written > RECORDS / 3 and flow.rss)
        done = written >= RECORDS
        time.sleep(0.1)
    assert lag > RECORDS / 2
    assert most_bytes <= QUEUE_BYTES
    assert most - full < STANDS_STILL_BYTES
    assert most - before < QUEUE_BYTES + 2 * FETCH_BYTES + BESIDE_BYTES
    away = [flow.metric("clickgoose_sink_rows_total", sink="clickhouse", outcome=how) for how in ("backup", "spilled")]
    assert sum(away) > RECORDS / 2
    assert most_rows < RECORDS / 2
