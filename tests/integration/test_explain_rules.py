"""What rules said of events of the flow, kept in the real ClickHouse engine and judged again from there."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from enrichers.present import present
from flows.parcel import Parcel, Span
from flows.pipeline import build_pipeline
from flows.run_stage import Monitor
from flows.sinks.clickhouse import ClickHouse
from flows.sinks.encoded import encoder
from infra.cli import app
from infra.stack.local import LocalStack
from infra.traffic.dataset import dataset_keys, labelled_batches
from schemas.batches import Decided
from scoring.deployment import only
from scoring.explain import Explainer
from scoring.judge import Judge
from scoring.judge_again import EVENT_QUERY, Seen
from scoring.judge_events import PARTS, events_of
from scoring.provenance import StoredDecision, event_query
from scoring.registry import Registry
from scoring.release import release
from scoring.rules.memory_history import MemoryHistory
from scoring.rules.registry import RulesRegistry, Text
from scoring.rules.registry_state import Owner, Stage, published
from scoring.rules.watch import WatchedRules
from scoring.storage import DirectoryStorage
from tests.migrated import migrate
from tests.rules_registry_kit import ALICE
from tests.stack_fixture import Namespace
from tests.tiny_model import TINY, tiny_model
from tests.wire import LATENESS

pytestmark = pytest.mark.stack
EVENTS = 60
GLOBAL = """
catalogues:
  devices: {event_types: [payment, login, sign_up, visit], entity: .entities.device, window: 1d}
  users: {event_types: [payment, login, sign_up, visit], entity: .entities.device, value: .entities.session, window: 1d}
rules:
  - {id: seen-before, when: {count: devices, over: 1h, gte: 2}, actions: [{score: +12.5}, {tag: again}]}
  - {id: young-device, when: {field: .facts.device_age, lt: 1000}, actions: [{tag: young}, {alert: fraud-team}]}
  - {id: quick, when: {field: '.velocity.events["5m"]', gte: 3}, actions: [review]}
  - {id: windows, when: {field: '.facts.system | ascii_downcase', eq: windows}, actions: [deny], status: shadow}
"""
OWN = """
rules:
  - {id: robots, when: {any: [{signal: bot, eq: true}, {score: model, gt: 50}]}, actions: [deny], priority: 5}
"""
TRIED = """
rules:
  - {id: all, when: always, actions: [deny]}
"""


@dataclass
class World:
    tables: Namespace
    root: Path
    batches: list[Decided]

    def explain(self, event: str, *options: str) -> Result:
        env = {
            "CLICKGOOSE_HOME": str(self.root / "home"),
            "CLICKGOOSE_CLICKHOUSE__URL": self.tables.clickhouse_url,
            "CLICKGOOSE_MODELS__ROOT": str(self.root / "models"),
            "CLICKGOOSE_RULES__ROOT": str(self.root / "rules"),
            "CLICKGOOSE_MODELS__REQUIRE_SIGNATURE": "false",
        }
        return CliRunner().invoke(app, ["explain", event, *options], env=env)

    def rules_part(self, event: str) -> dict[str, Any]:
        said = json.loads(self.explain(event, "--json").stdout)
        (part,) = [part for part in said["parts"] if part["name"] == "rules"]
        found: dict[str, Any] = {**part, "verdict": said["verdict"]}
        return found

    def ids(self) -> list[tuple[Decided, int, str]]:
        return [
            (batch, row, one.tobytes().hex()) for batch in self.batches for row, one in enumerate(batch.event.event_id)
        ]


def publish(root: Path, text: str, owner: Owner = None, to: Stage = "live") -> str:
    registry = RulesRegistry(DirectoryStorage(root / "rules"))
    digest = registry.add(owner, [Text("rules.yaml", text)], ALICE).file.digest
    registry.change(lambda state: published(state, owner, digest, to, ALICE))
    return digest


@pytest.fixture(scope="module")
def world(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Score and judge some visits as the flow does, and write them as its sink does."""
    tables, root = Namespace(stack), tmp_path_factory.mktemp("world")
    (root / "rules").mkdir()
    migrate(tables.clickhouse_url)
    tables.clickhouse().execute("ALTER TABLE features REMOVE TTL")  # the simulated visits are of a day long gone
    release(tiny_model(), TINY, root / "models")
    publish(root, GLOBAL)
    publish(root, OWN, "demo-shop")
    publish(root, TRIED, to="shadow")
    made = World(tables, root, _score(tables.clickhouse_url, root))
    yield made
    tables.close()


def _score(url: str, root: Path) -> list[Decided]:
    registry = Registry(DirectoryStorage(root / "models"))
    judge = Judge(WatchedRules(RulesRegistry(DirectoryStorage(root / "rules"))), MemoryHistory())
    model = registry.load(registry.versions()[0])
    pipeline = build_pipeline(dataset_keys(), only(model), lateness_ms=LATENESS, store_features=True, judge=judge)
    encode, sink, found = encoder(Explainer(), present, "clickgoose 0.1.0"), ClickHouse(url), []
    session = pipeline.keyed.open(())
    for made in labelled_batches(EVENTS, seed=11, small=True):
        first = int(made.raw.origin.offset[0])
        done = pipeline.run(
            Parcel((Span(0, first, first + len(made.raw)),), made.raw, len(made.raw)), session, Monitor.silent()
        )
        sink.write([encode(done)])
        found.append(done.batch)
    sink.close()
    return found


def test_every_event_is_judged_again_as_it_was(world: World) -> None:
    decided: Counter[str] = Counter()
    matched: Counter[str] = Counter()
    for batch, row, event in world.ids()[::7]:
        part = world.rules_part(event)
        assert (part["outcome"], part["verdict"]) == ("identical", "identical"), part
        said = batch.rules.said[row]
        assert said is not None
        matched.update(said.matched)
        decided[str(int(batch.decision.by[row]))] += 1
    assert len(decided) >= 2 and len(matched) >= 3  # the rules have something to say


def test_the_event_comes_from_its_row_as_rules_saw_it(world: World) -> None:
    client = world.tables.clickhouse(settings={"strings_as_bytes": True})
    for batch, row, event_id in world.ids()[:10]:
        merchant = batch.event.merchant[row]
        query, parameters = event_query(event_id, merchant)
        stored = StoredDecision.of_row(client.execute(query, parameters)[0])
        seen = Seen.of_row(client.execute(EVENT_QUERY, stored.key)[0]).event(stored)
        (was,) = events_of(batch, np.array([row]), np.array([stored.happened_at]), PARTS)
        for event in (was, seen):
            event["entities"].pop("card", None)
        assert seen == was


def test_columns_say_what_rules_said(world: World) -> None:
    columns = "decided_by, by_policy, decision, added, rules, tags, alerts, tried_rulesets, tried_decisions, ruleset"
    for batch, row, event in world.ids()[:12]:
        said = batch.rules.said[row]
        assert said is not None
        ((by, policy, decision, added, rules, tags, alerts, tried, tried_decisions, ruleset),) = (
            world.tables.clickhouse().execute(
                f"SELECT {columns} FROM events WHERE event_id = unhex(%(event)s)",  # noqa: S608 - a constant
                {"event": event},
            )
        )
        names = ("allow", "review", "deny")
        assert (policy, decision) == (names[batch.decision.by_policy[row]], names[batch.decision.decision[row]])
        assert by == ("model", "rules")[batch.decision.by[row]]
        assert (tuple(rules), tuple(tags), tuple(alerts)) == (said.matched, said.tags, said.alerts)
        assert added == batch.rules.added[row] and ruleset == batch.rules.ruleset_of(row)
        assert (len(tried), tried_decisions) == (1, ["deny"])


@pytest.mark.parametrize(
    "values",
    [
        "added = added + 1",
        "decided_by = if(decided_by = 'rules', 'deny_list', 'rules')",
        "ruling = replaceOne(ruling, 'young-device', 'old-device')",
    ],
)
def test_what_was_changed_is_found(world: World, values: str) -> None:
    place = 1 + sum(map(ord, values)) % 20
    event = next(event for batch, row, event in world.ids()[place:] if "young-device" in batch.rules.said[row].matched)  # type: ignore[union-attr]
    client = world.tables.clickhouse(settings={"mutations_sync": 2})
    client.execute(f"ALTER TABLE events UPDATE {values} WHERE event_id = unhex(%(event)s)", {"event": event})
    part = world.rules_part(event)
    assert (part["outcome"], part["verdict"]) == ("differs", "differs"), part


def test_without_the_ruleset_it_cannot_be_told(world: World, tmp_path: Path) -> None:
    event = world.ids()[-1][2]
    run = CliRunner().invoke(
        app,
        ["explain", event, "--json"],
        env={
            "CLICKGOOSE_CLICKHOUSE__URL": world.tables.clickhouse_url,
            "CLICKGOOSE_MODELS__ROOT": str(world.root / "models"),
            "CLICKGOOSE_RULES__ROOT": str(tmp_path),
            "CLICKGOOSE_MODELS__REQUIRE_SIGNATURE": "false",
        },
    )
    said = json.loads(run.stdout)
    assert (run.exit_code, said["verdict"]) == (1, "incomplete")
    assert "has no ruleset of" in str(said["parts"])


def test_the_page_names_rules_and_who_decided(world: World) -> None:
    event = next(event for batch, row, event in world.ids() if batch.decision.by[row])
    page = world.explain(event).stdout
    assert "decided by  rules" in page and "(match)" in page and "= rules" in page
