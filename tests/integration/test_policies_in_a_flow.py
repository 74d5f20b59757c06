"""A running flow decides by its policies file: changes within a second, mistakes never, and the same after kill -9."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import Producer

from infra.policies_file import read_policies
from infra.stack.child import ChildProcess
from infra.stack.local import LocalStack
from schemas.envelope import Attested, address_bytes, wrap
from tests.e2e.system import WIRE_KEYS
from tests.migrated import migrate
from tests.stack_fixture import Namespace
from tests.waiting import PATIENT_FLOW
from tests.wire import NOW, payload, sealed

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]  # many processes: long where a machine is very busy
SECONDS = 120.0  # only where a machine is very busy
POLICIES = "default: {review: 40, deny: 80}\nevent_types:\n  login: {review: LOW, deny: 95, margin: 0}\n"
ADDRESS = address_bytes("192.0.2.17")


class Flow:
    """A flow on a topic of its own, which can be killed and started again."""

    def __init__(self, stack: LocalStack, namespace: Namespace, directory: Path) -> None:
        migrate(namespace.clickhouse_url)
        self.clickhouse, self.directory = namespace.clickhouse(), directory
        self.topic = namespace.topic("raw", partitions=2)
        self.file = directory / "policies.yaml"
        self.write("0.001")
        self.producer = Producer({"bootstrap.servers": stack.bootstrap})
        self.env = {
            **stack.env(),
            "CLICKGOOSE_CLICKHOUSE__URL": namespace.clickhouse_url,
            "CLICKGOOSE_MASTER_KEYS": WIRE_KEYS,
            "CLICKGOOSE_FLOW__POLICIES_FILE": str(self.file),
            "CLICKGOOSE_FLOW__CLICKHOUSE_BLOCK_SECONDS": "0.2",
            "CLICKGOOSE_FLOW__REDRIVE": "false",  # what other tests left in the backup is not of this flow
            **PATIENT_FLOW,
        }
        self.sent = 0
        self.start()

    def start(self) -> None:
        self.ready = self.directory / f"ready-{self.sent}"
        argv = [sys.executable, "-m", "tests.flow_on_topic", self.topic, str(self.directory / "state"), str(self.ready)]
        self.child = ChildProcess(
            "flow",
            argv,
            log=self.directory / "flow.log",
            env=self.env,
            grace=30.0,
            probe=lambda: self.ready.exists() and bool(self.ready.read_text("utf-8").strip()),
        )
        self.child.start()
        self.child.wait_ready(SECONDS)

    def write(self, low: str) -> None:
        fresh = self.file.with_suffix(".new")
        fresh.write_text(POLICIES.replace("LOW", low))
        fresh.replace(self.file)

    def send(self, rows: int) -> None:
        """Send events, logins and payments in turn; a session keeps to its partition."""
        for row in range(self.sent, self.sent + rows):
            attested = Attested("shop-1", f"order-{row // 4}", "", "", ("login", "payment")[row % 2])
            record = wrap(attested, NOW + 1000 * row + 40, ADDRESS, sealed(row, payload()))
            self.producer.produce(self.topic, record, partition=row % 2)
        self.sent += rows
        assert self.producer.flush(SECONDS) == 0
        self.until(lambda: self.rows("count()")[0][0] == self.sent)

    def rows(self, columns: str, tail: str = "") -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = self.clickhouse.execute(
            f"SELECT {columns} FROM events FINAL {tail}"  # noqa: S608 - of this test's own words
        )
        return found

    def metric(self, name: str) -> float:
        rows = httpx.get(
            f"http://127.0.0.1:{int(self.ready.read_text('utf-8'))}/metrics", timeout=SECONDS
        ).text.splitlines()
        return next((float(row.rsplit(" ", 1)[1]) for row in rows if row.startswith(name)), 0.0)

    @staticmethod
    def until(holds: Callable[[], bool]) -> float:
        began = time.monotonic()
        while not holds():
            assert time.monotonic() < began + SECONDS
            time.sleep(0.02)
        return time.monotonic() - began


@pytest.fixture
def flow(stack: LocalStack, namespace: Namespace, tmp_path: Path) -> Iterator[Flow]:
    running = Flow(stack, namespace, tmp_path)
    try:
        yield running
    finally:
        running.child.stop()


def test_policies_follow_their_file_and_the_session_its_last_decision(flow: Flow) -> None:
    first = read_policies(flow.file)
    flow.send(16)
    by_type = "GROUP BY event_type ORDER BY event_type"
    said = flow.rows("event_type, any(review), any(deny), any(policy), uniq(policy), groupUniqArray(decision)", by_type)
    assert [row[1:5] for row in said] == [
        (pytest.approx(0.001), 95.0, first.digest, 1),
        (40.0, 80.0, first.digest, 1),
    ]
    assert said[0][0] == "login" and "allow" not in said[0][5]

    flow.write("0.002")
    second = read_policies(flow.file)
    took = flow.until(lambda: flow.metric(f'clickgoose_policies_info{{digest="{second.digest}"}}') == 1)
    assert took < SECONDS  # that it is a second is a matter of looks, which tests/unit/test_policies_file.py counts
    flow.write("twenty")
    flow.until(lambda: flow.metric("clickgoose_policies_refused") == 1)
    assert "event_types.login.review is 'twenty'" in (flow.directory / "flow.log").read_text()
    flow.send(16)
    assert flow.rows("DISTINCT policy", "WHERE offset >= 8") == [(second.digest,)]

    before = flow.rows("DISTINCT before", "WHERE event_type = 'login' AND offset >= 8")
    flow.write("0.002")
    flow.until(lambda: flow.metric("clickgoose_policies_refused") == 0)
    flow.child.kill()
    flow.start()
    flow.send(16)
    again = flow.rows("DISTINCT before", "WHERE event_type = 'login' AND offset >= 16")
    assert before == again and ("allow",) not in again  # every login's session was in review or denied, and still is
    assert flow.rows("count(), uniq(event_id)") == [(48, 48)]
