"""Decisions made again from the real ClickHouse engine: identical, unless a stored value was changed."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
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
from ingest_api.app import create_app
from scoring.deployment import only
from scoring.explain import Explainer
from scoring.groups import GROUP_CODES
from scoring.model import Model
from scoring.policy import FixedPolicies, Policies, Policy
from scoring.registry import Registry
from scoring.release import release
from scoring.storage import DirectoryStorage
from scoring.stored_features import pack, unpack
from tests.ingest_kit import KEYS, MemoryAppender, MemoryRedis, bearer, code, config, running
from tests.migrated import migrate
from tests.stack_fixture import Namespace
from tests.tiny_model import TINY, tiny_model
from tests.wire import LATENESS

pytestmark = pytest.mark.stack
EVENTS = 60
MASTERS = json.dumps({number: key.hex() for number, key in dataset_keys().masters.items()})
WIDE = FixedPolicies(Policies(default=Policy(review=20.0, deny=60.0, margin=10.0)))


OF_ANOTHER = """
INSERT INTO events (event_id, session_id, device_id, address, merchant, transaction, occurred_at, received_at, topic,
                    partition, offset, appended_at, polled_at, score, decision, model)
SELECT event_id, session_id, device_id, address, 'other-shop', 'theirs', occurred_at, received_at, topic,
       partition, offset, appended_at, polled_at, 1, 'allow', model
FROM events WHERE event_id = unhex(%(event)s) LIMIT 1
"""


@dataclass
class World:
    """A database that a run of the pipeline has filled, and what it was run with."""

    tables: Namespace
    models: Path
    ids: list[tuple[str, str]]  # merchant and event

    def of_demo_shop(self) -> list[str]:
        """Return the events of the merchant whose API key the tests have."""
        return [event for merchant, event in self.ids if merchant == "demo-shop"]

    def env(self, home: Path, **changes: str | None) -> dict[str, str | None]:
        """Return the environment of a command."""
        return {
            "CLICKGOOSE_HOME": str(home),
            "CLICKGOOSE_CLICKHOUSE__URL": self.tables.clickhouse_url,
            "CLICKGOOSE_MODELS__ROOT": str(self.models),
            "CLICKGOOSE_MODELS__REQUIRE_SIGNATURE": "false",
            "CLICKGOOSE_MASTER_KEYS": MASTERS,
            **changes,
        }


@pytest.fixture(scope="module")
def world(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Score some visits as the flow does, and write them as its sink does."""
    tables, models = Namespace(stack), tmp_path_factory.mktemp("models")
    migrate(tables.clickhouse_url)
    tables.clickhouse().execute("ALTER TABLE features REMOVE TTL")  # the simulated visits are of a day long gone
    release(tiny_model(), TINY, models)
    model = Registry(DirectoryStorage(models)).load(Registry(DirectoryStorage(models)).versions()[0])
    ids = _score(tables.clickhouse_url, model)
    yield World(tables, models, ids)
    tables.close()


def _score(url: str, model: Model) -> list[tuple[str, str]]:
    pipeline = build_pipeline(dataset_keys(), only(model), lateness_ms=LATENESS, policies=WIDE, store_features=True)
    encode, sink, ids = encoder(Explainer(), present, "clickgoose 0.1.0"), ClickHouse(url), []
    session = pipeline.keyed.open(())
    for made in labelled_batches(EVENTS, seed=11, small=True):
        first = int(made.raw.origin.offset[0])
        parcel = Parcel((Span(0, first, first + len(made.raw)),), made.raw, len(made.raw))
        done = pipeline.run(parcel, session, Monitor.silent())
        sink.write([encode(done)])
        event = done.batch.event
        ids += list(zip(event.merchant, (one.tobytes().hex() for one in event.event_id), strict=True))
    sink.close()
    return ids


def explain(world: World, home: Path, event: str, *options: str, **changes: str | None) -> Result:
    """Run the command."""
    return CliRunner().invoke(app, ["explain", event, *options], env=world.env(home, **changes))


def told(run: Result) -> dict[str, Any]:
    """Return what a command with --json said."""
    found: dict[str, Any] = json.loads(run.stdout)
    return found


def outcomes(found: dict[str, Any]) -> dict[str, str]:
    """Return the outcome of every part."""
    return {part["name"]: part["outcome"] for part in found["parts"]}


def change(world: World, place: int, table: str, **values: str) -> str:
    """Change values of a stored event, behind everybody's back; return its id."""
    event = world.ids[place][1]
    sets = ", ".join(f"{name} = {value}" for name, value in values.items())
    client = world.tables.clickhouse(settings={"mutations_sync": 2})
    client.execute(f"ALTER TABLE {table} UPDATE {sets} WHERE event_id = unhex(%(event)s)", {"event": event})
    return event


def test_every_decision_of_a_run_comes_out_identical(world: World, tmp_path: Path) -> None:
    decisions = set()
    for _, event in world.ids[:: len(world.ids) // 6]:
        run = explain(world, tmp_path, event, "--json")
        assert run.exit_code == 0, run.output
        found = told(run)
        assert found["verdict"] == "identical"
        assert set(outcomes(found).values()) == {"identical"}
        assert set(outcomes(found)) == {"score", "factors", "smart signals", "decision", "rules", "standing", "signals"}
        assert found["thresholds"]["review"] == 20.0 and found["thresholds"]["before"] in ("allow", "review", "deny")
        decisions.add(found["decision"])
    assert decisions


def test_the_page_says_where_everything_comes_from(world: World, tmp_path: Path) -> None:
    merchant, event = world.ids[0]
    run = explain(world, tmp_path, event, "--merchant", merchant, "--exact")
    assert run.exit_code == 0, run.output
    for said in (event, merchant, "events.raw partition", "goose-", "policy", "exactly (TreeSHAP)", "identical", "#"):
        assert said in run.stdout, said
    shown = told(explain(world, tmp_path, event, "--exact", "--json"))
    assert shown["exact"] and {one["code"] for one in shown["exact"]} <= set(GROUP_CODES)


def test_an_event_of_nobody_and_wrong_use_end_with_two(world: World, tmp_path: Path) -> None:
    for arguments in (["00" * 16], ["not-an-id"], [world.ids[0][1], "--merchant", "somebody-else"]):
        run = explain(world, tmp_path, *arguments)
        assert run.exit_code == 2, run.output
        assert run.stderr.count("\n") == 1 and not run.stdout
    away = explain(world, tmp_path, world.ids[0][1], "--url", "clickhouse://user:secret@127.0.0.1:9/x")
    assert away.exit_code == 2 and "secret" not in away.output and "127.0.0.1:9" in away.stderr


def test_without_master_keys_the_rest_is_made_again(world: World, tmp_path: Path) -> None:
    run = explain(world, tmp_path, world.ids[1][1], "--json", CLICKGOOSE_MASTER_KEYS=None)
    assert run.exit_code == 0, run.output
    assert outcomes(told(run))["signals"] == "not recomputed"
    assert "no master keys" in str(told(run)["parts"])
    other = explain(world, tmp_path, world.ids[1][1], "--json", CLICKGOOSE_MASTER_KEYS=json.dumps({"7": "00" * 32}))
    assert other.exit_code == 0 and "decode.unknown_key" in other.stdout


@pytest.mark.parametrize(
    ("place", "table", "values", "part"),
    [
        (2, "events", {"score": "score + 0.0001"}, "score"),
        (3, "events", {"decision": "if(decision = 'deny', 'allow', 'deny')"}, "decision"),
        (4, "events", {"review": "0.001", "deny": "0.002", "margin": "0", "decision": "'review'"}, "decision"),
        (5, "events", {"contributions": "arrayMap(x -> x + 1, contributions)", "factors": "['bot']"}, "factors"),
        (6, "events", {"smart_results": "arrayMap(x -> 1 - abs(x), smart_results)"}, "smart signals"),
        (7, "events", {"linked_id": "'x'", "received_at": "received_at + 1"}, "signals"),
        (12, "events", {"before": "if(before = 'deny', 'review', 'deny')"}, "standing"),
        (8, "features", {"model": "'goose-00000000'"}, "score"),
    ],
)
def test_a_stored_value_that_was_changed_is_found(
    world: World, tmp_path: Path, place: int, table: str, values: dict[str, str], part: str
) -> None:
    event = change(world, place, table, **values)
    run = explain(world, tmp_path, event, "--json")
    assert run.exit_code == 1, run.output
    assert told(run)["verdict"] == "differs"
    assert outcomes(told(run))[part] == "differs"
    page = explain(world, tmp_path, event)
    assert page.exit_code == 1 and "differs" in page.stdout


def test_a_changed_feature_shows_in_signals(world: World, tmp_path: Path) -> None:
    client = world.tables.clickhouse(settings={"strings_as_bytes": True})
    event = world.ids[9][1]
    ((packed,),) = client.execute("SELECT packed FROM features WHERE event_id = unhex(%(event)s)", {"event": event})
    row = unpack([packed])
    row[0, 0] = np.float32(12345)
    change(world, 9, "features", packed=f"unhex('{pack(row)[0].tobytes().hex()}')")
    found = told(explain(world, tmp_path, event, "--json"))
    assert found["verdict"] == "differs" and outcomes(found)["signals"] == "differs"
    assert "12345" in str(found["parts"])


def test_what_is_gone_is_said_and_nothing_is_called_identical(world: World, tmp_path: Path) -> None:
    client, event = world.tables.clickhouse(), world.ids[10][1]
    client.execute("DELETE FROM raw_archive WHERE event_id = unhex(%(event)s)", {"event": event})
    found = told(explain(world, tmp_path, event, "--json"))
    assert found["verdict"] == "identical" and outcomes(found)["signals"] == "not recomputed"
    client.execute("DELETE FROM features WHERE event_id = unhex(%(event)s)", {"event": event})
    run = explain(world, tmp_path, event, "--json")
    assert run.exit_code == 1 and told(run)["verdict"] == "incomplete"
    assert outcomes(told(run))["decision"] == "identical"  # of the stored score
    (tmp_path / "none").mkdir()
    run = explain(world, tmp_path, world.ids[11][1], "--json", CLICKGOOSE_MODELS__ROOT=str(tmp_path / "none"))
    assert run.exit_code == 1 and told(run)["verdict"] == "incomplete"
    assert outcomes(told(run))["signals"] == "identical"


@contextlib.asynccontextmanager
async def serving(world: World, directory: Path, url: str | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """Serve a tier with that ClickHouse and those models."""
    made = config(
        directory,
        clickhouse_url=url or world.tables.clickhouse_url,
        model_registry=lambda: Registry(DirectoryStorage(world.models)),
    )
    async with running(create_app(made, appender=MemoryAppender(), redis=MemoryRedis())) as client:
        yield client


async def test_the_api_explains_what_the_flow_wrote_to_its_merchant_alone(world: World, tmp_path: Path) -> None:
    event = world.of_demo_shop()[-1]
    path = f"/v1/events/{event}/explain"
    async with serving(world, tmp_path) as api:
        answer = await api.get(path, headers=bearer(KEYS["demo-shop"]))
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert body["equal"] is True and body["thresholds"]["review"] == 20.0
        total = body["base"] + sum(one["contribution"] for one in body["factors"])
        assert total == pytest.approx(body["margin"], abs=1e-3)
        theirs = await api.get(path, headers=bearer(KEYS["other-shop"]))
        nothing = await api.get(path.replace(event, "00" * 16), headers=bearer(KEYS["other-shop"]))
        assert code(theirs) == (404, "not_found") and theirs.content == nothing.content
    async with serving(world, tmp_path / "away", "clickhouse://127.0.0.1:9/default") as api:
        away = await api.get(path, headers=bearer(KEYS["demo-shop"]))
        assert code(away) == (503, "explanations_unavailable")


async def test_an_id_that_two_merchants_use_shows_each_its_own(world: World, tmp_path: Path) -> None:
    """Event ids are the browser's: whoever learns one may send another event under it."""
    event = world.of_demo_shop()[-2]
    world.tables.clickhouse().execute(OF_ANOTHER, {"event": event})
    async with serving(world, tmp_path) as api:
        mine = await api.get(f"/v1/events/{event}/explain", headers=bearer(KEYS["demo-shop"]))
        theirs = await api.get(f"/v1/events/{event}/explain", headers=bearer(KEYS["other-shop"]))
        assert mine.json()["transaction"] != "theirs" and mine.json()["equal"] is True
        assert code(theirs) == (410, "features_gone")  # those of the other event are not theirs
    both = explain(world, tmp_path, event)
    assert both.exit_code == 2 and "--merchant" in both.stderr
    named = explain(world, tmp_path, event, "--merchant", "demo-shop")
    assert named.exit_code == 0 and "theirs" not in named.stdout
    other = explain(world, tmp_path, event, "--merchant", "other-shop", "--json")
    assert other.exit_code == 1 and told(other)["verdict"] == "incomplete"
    assert outcomes(told(other))["signals"] == "not recomputed"
