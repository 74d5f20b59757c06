"""Recording of decisions on real Kafka and ClickHouse: every record once, across kill -9, among bad ones."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from infra.account_decisions import DecisionAccount, DecisionBook
from infra.stack.child import ChildProcess
from infra.stack.local import LocalStack
from infra.topic_reader import TopicReader, committed_offsets
from schemas.dead_letter import Reason, decode_dead_letter
from schemas.decision_record import decode_record
from tests.decided import decided, encoded
from tests.migrated import migrate
from tests.stack_fixture import Namespace
from tests.waiting import PATIENCE, eventually

pytestmark = pytest.mark.stack
SHOWN = "SELECT event_id, decision, decided_by, matched, microseconds FROM decisions FINAL ORDER BY occurred_at"


class Recording:
    """A recording process on a topic of its own, which can be killed and started again."""

    def __init__(self, stack: LocalStack, namespace: Namespace, directory: Path) -> None:
        migrate(namespace.clickhouse_url)
        self.stack, self.directory, self.clickhouse = stack, directory, namespace.clickhouse()
        self.topic = namespace.topic("decisions", partitions=2)
        self.producer = Producer({"bootstrap.servers": stack.bootstrap, "acks": "all"})
        self.env = {
            **stack.env(),
            "CLICKGOOSE_CLICKHOUSE__URL": namespace.clickhouse_url,
            "CLICKGOOSE_FLOW__CLICKHOUSE_BLOCK_SECONDS": "0.2",
            "CLICKGOOSE_FLOW__EPOCH_SECONDS": "0.2",
        }
        self.starts = 0
        self.start()

    def start(self) -> None:
        self.starts += 1
        ready = self.directory / f"ready-{self.starts}"
        state, log = self.directory / "state", self.directory / "record.log"
        argv = [sys.executable, "-m", "tests.record_on_topic", self.topic, str(state), str(ready)]
        self.child = ChildProcess("record", argv, log=log, env=self.env, grace=20.0, probe=ready.exists)
        self.child.start()
        self.child.wait_ready(PATIENCE)

    def end(self, how: signal.Signals) -> None:
        assert self.child.pid is not None
        os.kill(self.child.pid, how)
        eventually(lambda: not self.child.running)

    def send(self, values: list[bytes]) -> None:
        for number, value in enumerate(values):
            self.producer.produce(self.topic, value, partition=number % 2)
        assert self.producer.flush(PATIENCE) == 0

    def shown(self) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = self.clickhouse.execute(SHOWN)
        return found

    def await_rows(self, count: int) -> None:
        eventually(lambda: len(self.shown()) >= count)

    def committed(self) -> int:
        return sum(committed_offsets(self.stack.bootstrap, f"{self.topic}-record", self.topic).values())


@pytest.fixture
def recording(stack: LocalStack, namespace: Namespace, tmp_path: Path) -> Iterator[Recording]:
    running = Recording(stack, namespace, tmp_path)
    try:
        yield running
    finally:
        running.child.stop()


def test_records_become_rows_and_bad_ones_dead_letters(recording: Recording) -> None:
    recording.send([*encoded(6), b"no record of jane@example.com", *encoded(1)])
    recording.await_rows(6)
    assert recording.shown() == [
        (f"payment-{n}", ("allow", "review", "deny")[n % 3], "rules", ["large"] if n % 3 else [], 900 + n)
        for n in range(6)
    ]
    records = recording.clickhouse.execute("SELECT record FROM decisions FINAL ORDER BY occurred_at")
    assert [decode_record(record.encode()) for (record,) in records] == [decided(n) for n in range(6)]
    letters = "SELECT reason, offset, payload FROM dead_letters FINAL"
    eventually(lambda: recording.clickhouse.execute(letters))
    ((reason, offset, payload),) = recording.clickhouse.execute(letters)
    assert (reason, offset) == ("record.bad_record", 3) and "jane" not in payload
    assert [letter.reason for letter in in_backup(recording)] == [Reason.BAD_RECORD]
    eventually(lambda: recording.committed() == 8)


def test_the_account_of_decisions_balances_in_the_real_stores(recording: Recording) -> None:
    recording.send([*encoded(6), b"no record", *encoded(2)])
    recording.await_rows(6)
    eventually(lambda: in_backup(recording))
    book = DecisionBook(recording.topic)
    for topic, visit in ((recording.topic, book.visit), ("events.dead_letter", book.dead.visit)):
        reader = TopicReader(recording.stack.bootstrap, topic)
        reader.read(visit)
        reader.close()
    assert book.account(recording.env["CLICKGOOSE_CLICKHOUSE__URL"]) == DecisionAccount(9, 6, 1, 2, 0, 0)
    recording.clickhouse.execute("DELETE FROM decisions WHERE event_id = 'payment-3'")
    assert book.account(recording.env["CLICKGOOSE_CLICKHOUSE__URL"]).lost == 1


def test_kill_9_loses_nothing_and_shows_nothing_twice(recording: Recording) -> None:
    recording.send(encoded(400))
    eventually(lambda: len(recording.shown()) > 0)
    recording.end(signal.SIGKILL)
    recording.send(encoded(400, first=400))
    recording.start()
    time.sleep(0.1)
    recording.end(signal.SIGKILL)  # in the middle of what it read
    recording.start()
    recording.await_rows(800)
    found = recording.shown()
    assert [row[0] for row in found] == [f"payment-{n}" for n in range(800)]
    eventually(lambda: recording.committed() == 800)


def test_sigterm_drains_what_was_read(recording: Recording) -> None:
    recording.send(encoded(300))
    eventually(lambda: len(recording.shown()) > 0)
    recording.end(signal.SIGTERM)
    assert recording.child.exit_code == 0
    rows, come = len(recording.shown()), recording.committed()
    assert rows == come > 0


def test_a_second_process_on_the_same_partitions_is_refused(recording: Recording) -> None:
    argv = [sys.executable, "-m", "tests.record_on_topic", recording.topic]
    argv += [str(recording.directory / "elsewhere"), str(recording.directory / "never")]
    log = recording.directory / "second.log"
    second = ChildProcess("second", argv, log=log, env=recording.env, probe=lambda: False)
    second.start()
    eventually(lambda: not second.running)
    assert second.exit_code and "another flow reads the same partitions" in log.read_text("utf-8")


def in_backup(recording: Recording) -> list[Any]:
    """Return the letters of this topic on events.dead_letter, of which other tests have taken the oldest away."""
    found: list[Any] = []
    reader = TopicReader(recording.stack.bootstrap, "events.dead_letter")
    try:
        reader.read(lambda messages: found.extend(decode_dead_letter(message.value()) for message in messages))
    finally:
        reader.close()
    return [letter for letter in found if letter.topic == recording.topic]
