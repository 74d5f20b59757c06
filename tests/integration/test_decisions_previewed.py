"""From POST /v1/decisions to a preview: decided over HTTP, recorded through Kafka, tried again from ClickHouse."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from infra.cli import rules as rules_command
from infra.stack.child import ChildProcess
from ingest_api.app import create_app
from ingest_api.decider import Sources
from schemas.decision_record import decode_record
from scoring.policy import Policies, Policy
from tests.decisions_kit import SEED, in_force, payment
from tests.ingest_kit import KEYS, bearer, config, now_ms, running
from tests.migrated import migrate
from tests.stack_fixture import Namespace
from tests.waiting import soon

pytestmark = pytest.mark.stack
DRAFT = """
catalogues:
  payments: {event_types: [payment], entity: .entities.user, value: .data.amount, window: 1d}
rules:
  - {id: third, when: {count: payments, over: 1h, gte: 2}, actions: [deny]}
  - {id: noted, when: {field: .data.note, eq: "jane@example.com"}, actions: [{tag: seen}]}
"""


@pytest.fixture
async def recording(stack: Any, namespace: Namespace, tmp_path: Path) -> AsyncIterator[Any]:
    """Record what is decided in a database of this test's own."""
    migrate(namespace.clickhouse_url)
    ready = tmp_path / "ready"
    argv = [sys.executable, "-m", "tests.record_on_topic", "events.decisions", str(tmp_path / "state"), str(ready)]
    argv.append(namespace.prefix)
    env = {**stack.env(), "CLICKGOOSE_CLICKHOUSE__URL": namespace.clickhouse_url,
           "CLICKGOOSE_FLOW__CLICKHOUSE_BLOCK_SECONDS": "0.2"}  # fmt: skip
    child = ChildProcess("record", argv, log=tmp_path / "record.log", env=env, grace=20.0, probe=ready.exists)
    child.start()
    try:
        child.wait_ready(60)
        yield namespace.clickhouse()
    finally:
        child.stop()


async def test_what_was_decided_over_http_is_recorded_without_personal_data_and_tried_again(
    stack: Any, namespace: Namespace, recording: Any, tmp_path: Path
) -> None:
    begun, at = time.time_ns(), now_ms()
    ids = [f"previewed-{begun}-{number}" for number in range(4)]
    sources = Sources(rules=lambda: in_force(SEED), policies=Policies, thresholds=lambda _: Policy(30, 60, 5))
    options = {"bootstrap": stack.bootstrap, "redis_url": stack.redis_url, "produce_timeout_ms": 30_000}
    async with running(create_app(config(tmp_path / "tier", **options), sources=sources)) as client:
        for number, name in enumerate(ids):
            data = {"amount": 10, "note": "jane@example.com"}
            body = payment(event_id=name, occurred_at=at - 1_000 * (4 - number), entities={"user": f"jane-{begun}"})
            answer = await client.post("/v1/decisions", json={**body, "data": data}, headers=bearer(KEYS["demo-shop"]))
            assert answer.json()["decision"] == "allow"
    shown = "SELECT record FROM decisions FINAL WHERE startsWith(event_id, %(name)s) ORDER BY occurred_at"
    own = {"name": f"previewed-{begun}"}
    await soon(lambda: len(recording.execute(shown, own)) == 4, 30)
    records = [decode_record(text.encode()) for (text,) in recording.execute(shown, own)]
    assert [record.event_id for record in records] == ids
    assert all(record.data == {"amount": 10, "note": "[email]"} for record in records)
    assert len({record.entities["user"] for record in records}) == 1 and "jane" not in str(records)
    found = preview(namespace.clickhouse_url, tmp_path)
    rules = {rule["rule"]: rule for rule in found["rules"]}
    denied = [one["event_id"] for flip in found["flips"] if flip["to"] == "deny" for one in flip["examples"]]
    assert denied[-2:] == ids[2:] and rules["third"]["matched"] >= 2
    assert rules["noted"]["matched"] == 0 and rules["noted"]["unjudged"] >= 4


def preview(url: str, directory: Path) -> dict[str, Any]:
    (directory / "draft.yaml").write_text(DRAFT)
    app = typer.Typer()
    rules_command.register(app)
    words = ["rules", "preview", str(directory / "draft.yaml"), "--url", url, "--from", "1h", "--alone", "--json"]
    found: dict[str, Any] = json.loads(CliRunner().invoke(app, words).stdout)
    return found
