"""A running flow takes up another model while events come, and goes back by one command: no restart, no event lost."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from confluent_kafka import Producer
from typer.testing import CliRunner

from infra.cli import app
from infra.stack.child import ChildProcess
from infra.stack.local import LocalStack
from scoring.model import MODEL_FILE
from scoring.signing import Signer, Trust
from tests.e2e.system import WIRE_KEYS
from tests.migrated import migrate
from tests.registry_kit import put, registry_in, two_models
from tests.stack_fixture import Namespace
from tests.waiting import PATIENCE, PATIENT_FLOW
from tests.wire import record

pytestmark = pytest.mark.stack
(ONE, _), (TWO, TWO_FILES) = two_models()
SECONDS = PATIENCE


@dataclass
class Feed:
    """Events that keep coming until the test has seen enough."""

    bootstrap: str
    topic: str
    sent: int = 0
    _ending: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Feed:
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> int:
        """Stop, and return how many events there are."""
        self._ending.set()
        self._thread.join()
        return self.sent

    def _run(self) -> None:
        producer = Producer({"bootstrap.servers": self.bootstrap, "linger.ms": 1, "enable.idempotence": True})
        while not self._ending.wait(0.01):
            producer.produce(self.topic, record(self.sent), partition=self.sent % 2)
            producer.poll(0)
            self.sent += 1
        assert producer.flush(SECONDS) == 0


@pytest.fixture
def signer() -> Signer:
    return Signer.new()


@pytest.fixture
def settings(stack: LocalStack, namespace: Namespace, tmp_path: Path, signer: Signer) -> dict[str, str]:
    """The environment of a flow whose models lie in a directory of the test's own, and are signed."""
    registry_in(tmp_path / "models", signer, Trust((signer.public_text(),)))
    return {
        **stack.env(),
        "CLICKGOOSE_CLICKHOUSE__URL": namespace.clickhouse_url,
        "CLICKGOOSE_MASTER_KEYS": WIRE_KEYS,
        "CLICKGOOSE_MODELS__ROOT": str(tmp_path / "models"),
        "CLICKGOOSE_MODELS__TRUSTED_KEYS": json.dumps([signer.public_text()]),
        "CLICKGOOSE_MODELS__WATCH_SECONDS": "0.05",
        "CLICKGOOSE_FLOW__CLICKHOUSE_BLOCK_SECONDS": "0.2",
        "CLICKGOOSE_FLOW__REDRIVE": "false",  # what other tests left in the backup is not of this flow
        **PATIENT_FLOW,
    }


@dataclass
class Running:
    """A flow on a topic of its own."""

    child: ChildProcess
    port: int
    topic: str
    log: Path

    def metric(self, line: str) -> float:
        """Return a sample by its name and labels."""
        rows = httpx.get(f"http://127.0.0.1:{self.port}/metrics", timeout=SECONDS).text.splitlines()
        return next((float(row.rsplit(" ", 1)[1]) for row in rows if row.startswith(line)), 0.0)


@pytest.fixture
def flow(settings: dict[str, str], namespace: Namespace, tmp_path: Path) -> Iterator[Running]:
    migrate(namespace.clickhouse_url)
    topic, ready, log = namespace.topic("raw", partitions=2), tmp_path / "ready", tmp_path / "flow.log"
    argv = [sys.executable, "-m", "tests.flow_on_topic", topic, str(tmp_path / "state"), str(ready)]
    child = ChildProcess(
        "flow",
        argv,
        log=log,
        env=settings,
        grace=30.0,
        probe=lambda: ready.exists() and bool(ready.read_text("utf-8").strip()),
    )
    child.start()
    try:
        child.wait_ready(SECONDS)
        yield Running(child, int(ready.read_text("utf-8")), topic, log)
    finally:
        child.stop()


def await_true(condition: Callable[[], bool], what: str) -> None:
    """Return once it holds."""
    until = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.05)


def test_a_promotion_and_a_rollback_reach_a_running_flow_without_a_restart_or_a_lost_event(
    flow: Running, settings: dict[str, str], namespace: Namespace, stack: LocalStack, tmp_path: Path, signer: Signer
) -> None:
    client = namespace.clickhouse()

    def scored_by(version: str) -> int:
        return int(client.execute("SELECT uniqExact(event_id) FROM events WHERE model = %(v)s", {"v": version})[0][0])

    def promote(version: str) -> None:
        done = CliRunner().invoke(app, ["model", "promote", version], env=settings)
        assert done.exit_code == 0, done.output

    pid = flow.child.pid
    with Feed(stack.bootstrap, flow.topic) as feed:
        await_true(lambda: scored_by(ONE) > 20, "the first model scores")
        promote(TWO)
        await_true(lambda: scored_by(TWO) > 20, "the second model scores")
        put(tmp_path / "models", "goose-bad", {**TWO_FILES, MODEL_FILE: b"?"}, signer)
        refused = flow.metric("clickgoose_model_refused_total")
        (tmp_path / "models" / "rollout.json").write_text('{"roles": {"live": "goose-bad"}}')
        await_true(lambda: flow.metric("clickgoose_model_refused_total") > refused, "the bad model is refused")
        promote(TWO)
        rollback = [sys.executable, "-m", "infra.cli", "model", "rollback", "--to", ONE]
        subprocess.run(rollback, env=settings, capture_output=True, check=True)
        before = scored_by(ONE)
        await_true(lambda: scored_by(ONE) > before + 20, "the first model scores again")
        sent = feed.end()
    await_true(lambda: scored_by(ONE) + scored_by(TWO) == sent, "every event is scored once")
    assert flow.child.pid == pid
    assert flow.metric("clickgoose_model_swaps_total") == 2
    assert flow.metric(f'clickgoose_model_info{{role="live",version="{ONE}"}}') == 1
    rows = client.execute("SELECT partition, model FROM events FINAL ORDER BY partition, offset")
    for _, own in itertools.groupby(rows, key=lambda row: row[0]):
        assert [version for version, _ in itertools.groupby(own, key=lambda row: row[1])] == [ONE, TWO, ONE]
    said = [json.loads(line) for line in flow.log.read_text("utf-8").splitlines() if line.startswith("{")]
    assert [line["live"] for line in said if "live" in line] == [[ONE], [TWO], [ONE]]
    assert sum("goose-bad" in line["message"] for line in said) == 1
