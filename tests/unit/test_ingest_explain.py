"""``GET /v1/events/{id}/explain``: exact, each merchant's own, bounded, and clear about what it cannot do."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from clickhouse_driver.errors import NetworkError, ServerException

from infra.cli.ingest import ingest_config
from infra.settings import Settings
from ingest_api import explained, explanations
from ingest_api.app import create_app
from ingest_api.explain_models import ExplainResponse
from schemas.result import DECISIONS
from scoring.features import feature_schema
from scoring.groups import GROUP_CODES
from scoring.model import Model
from scoring.policy import decide
from scoring.provenance import COLUMNS
from scoring.registry import Registry
from scoring.release import release
from scoring.storage import DirectoryStorage, StorageAway
from scoring.stored_features import pack
from tests.ingest_kit import KEYS, MemoryAppender, MemoryRedis, Tier, bearer, code, config, open_page, running, tier
from tests.tiny_model import TINY, tiny_model, tiny_set
from tests.waiting import SECONDS, soon

EVENT = "0190f3a5c1d27b3e8f4a6d5c4b3a2918"
PATH = f"/v1/events/{EVENT}/explain"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """A registry that holds the tiny model."""
    root = tmp_path_factory.mktemp("models")
    release(tiny_model(), TINY, root)
    return Registry(DirectoryStorage(root))


class Stored:
    """The rows of one event of demo-shop, as ClickHouse gives them, and only to whom they belong."""

    def __init__(self, registry: Registry) -> None:
        self.model = Model.load(registry.path(registry.versions()[0]))
        self.features = tiny_set().features[int(np.argmax(tiny_set().labels))]
        score = self.model.score(self.features[None])[0]
        self.row: dict[str, Any] = {
            "event_id": EVENT.encode(), "session_id": b"02" * 16, "occurred_at": 1_790_000_000_000,
            "received_at": 1_790_000_000_010, "appended_at": 1_790_000_000_020, "polled_at": 1_790_000_000_021,
            "merchant": b"demo-shop", "transaction": b"order-1", "event_type": b"payment", "catalogue": 2,
            "topic": b"events.raw", "partition": 1, "offset": 42, "score": float(score),
            "decision": DECISIONS[int(decide(score, 40.0, 80.0, 5.0, 0))].encode(), "before": b"allow",
            "review": 40.0, "deny": 80.0, "margin": 5.0, "model": self.model.version.encode(), "policy": b"60303ae2",
            "build": b"0.1.0", "ruleset": b"", "factors": [b"bot"], "factor_texts": [b"A robot"],
            "contributions": [1.25], "smart_names": b"", "smart_results": [], "smart_confidences": [], "degraded": [],
            "by_policy": DECISIONS[int(decide(score, 40.0, 80.0, 5.0, 0))].encode(), "decided_by": b"model",
            "added": 0.0, "ruling": b"",
        }  # fmt: skip
        self.schema = feature_schema().digest().encode()
        self.packed: bytes | None = pack(self.features[None])[0].tobytes()

    def put(self, t: Tier) -> None:
        """Let the tier's ClickHouse hold them."""

        def mine(asked: dict[str, Any]) -> bool:
            return (asked["merchant"], asked["event_id"]) == ("demo-shop", EVENT)

        def events(asked: dict[str, Any]) -> list[Any]:
            return [[self.row[name] for name in COLUMNS]] if mine(asked) else []

        def features(asked: dict[str, Any]) -> list[Any]:
            return [(self.schema, self.row["model"], self.packed)] if mine(asked) and self.packed else []

        t.clickhouse.answers = {"SELECT lower(hex(event_id))": events, "SELECT schema": features}


@pytest.fixture
def stored(registry: Registry) -> Stored:
    return Stored(registry)


async def ask(t: Tier, merchant: str = "demo-shop", path: str = PATH) -> httpx.Response:
    """Ask for an explanation."""
    return await t.client.get(path, headers=bearer(KEYS[merchant]))


async def test_the_shares_of_all_groups_sum_to_the_margin_and_the_score_is_the_one_given(
    tmp_path: Path, registry: Registry, stored: Stored
) -> None:
    async with tier(tmp_path, model_registry=lambda: registry) as t:
        stored.put(t)
        answer = await ask(t)
        assert answer.status_code == 200, answer.text
        body = ExplainResponse.model_validate(answer.json())
        assert sorted(one.code for one in body.factors) == sorted(GROUP_CODES)
        assert body.base + sum(one.contribution for one in body.factors) == pytest.approx(body.margin, abs=1e-3)
        shares = [abs(one.contribution) for one in body.factors]
        assert shares == sorted(shares, reverse=True) and shares[0] > 0.1
        sigmoid = 100 / (1 + np.exp(-(body.calibration.slope * body.margin + body.calibration.offset)))
        assert body.score == body.given.score == pytest.approx(sigmoid, abs=1e-3)
        assert body.equal and body.decision == body.given.decision
        assert body.thresholds is not None and (body.thresholds.before, body.thresholds.margin) == ("allow", 5.0)
        assert body.given.factors[0].text == "A robot"
        assert (body.origin.topic, body.origin.partition, body.origin.offset) == ("events.raw", 1, 42)
        assert (body.versions.model, body.versions.ruleset) == (stored.model.version, None)
        strongest = body.factors[0].features
        assert 1 <= len(strongest) <= 5
        for one in strongest:
            value = stored.features[feature_schema().position[one.name]]
            assert one.value is None if np.isnan(value) else one.value == pytest.approx(float(value))
        assert 'requests_total{route="explain",status="200"} 1.0' in (await t.client.get("/metrics")).text


@pytest.mark.parametrize("column", ["score", "decision"])
async def test_a_stored_value_that_does_not_come_out_again_is_told(
    tmp_path: Path, registry: Registry, stored: Stored, column: str
) -> None:
    stored.row["score"] = float(np.nextafter(np.float32(stored.row["score"]), np.float32(0)))
    if column == "decision":
        stored.row.update(Stored(registry).row, decision=b"review" if stored.row["decision"] != b"review" else b"deny")
    async with tier(tmp_path, model_registry=lambda: registry) as t:
        stored.put(t)
        assert (await ask(t)).json()["equal"] is False


async def test_a_row_of_a_build_that_stored_no_thresholds_is_explained_without(
    tmp_path: Path, registry: Registry, stored: Stored
) -> None:
    stored.row.update(review=float("nan"), deny=float("nan"), margin=float("nan"), before=b"", policy=b"")
    async with tier(tmp_path, model_registry=lambda: registry) as t:
        stored.put(t)
        body = (await ask(t)).json()
        assert (body["decision"], body["thresholds"], body["equal"]) == (None, None, True)


async def test_nobody_explains_anothers_event(tmp_path: Path, registry: Registry, stored: Stored) -> None:
    async with tier(tmp_path, model_registry=lambda: registry) as t:
        stored.put(t)
        unknown = await ask(t, path=PATH.replace("0190", "0191"))
        theirs = await ask(t, "other-shop")
        assert code(theirs) == (404, "not_found")
        assert (theirs.status_code, theirs.content) == (unknown.status_code, unknown.content)
        for path in (f"{PATH}?merchant=demo-shop", PATH):
            headers = {**bearer(KEYS["other-shop"]), "x-merchant": "demo-shop"}
            assert (await t.client.get(path, headers=headers)).status_code == 404
        assert {params["merchant"] for _, params in t.clickhouse.executed} == {"demo-shop", "other-shop"}
        # Even rows that ClickHouse should not have given are not passed on.
        t.clickhouse.answers["SELECT lower(hex(event_id))"] = [[stored.row[name] for name in COLUMNS]]
        assert code(await ask(t, "other-shop")) == (404, "not_found")


@pytest.mark.parametrize("name", ["x", EVENT.upper(), EVENT[:-1], EVENT + "0", "%27%20OR%201=1%20--", "..", "a%2Fb"])
async def test_ids_of_another_form_reach_no_query(tmp_path: Path, registry: Registry, name: str) -> None:
    async with tier(tmp_path, model_registry=lambda: registry) as t:
        answer = await ask(t, path=f"/v1/events/{name}/explain")
        assert code(answer) == (404, "not_found")
        assert not t.clickhouse.executed


async def test_it_needs_an_api_key_and_no_token_will_do(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        page = await open_page(t.client)
        assert code(await t.client.get(PATH)) == (401, "api_key_missing")
        assert code(await t.client.get(PATH, headers=bearer("cg_guess"))) == (401, "api_key_invalid")
        assert code(await t.client.get(PATH, headers=bearer(page.opened["token"]))) == (403, "wrong_credential")
        assert code(await t.client.post(PATH, headers=bearer(KEYS["demo-shop"]))) == (405, "method_not_allowed")


async def test_features_past_their_retention_and_models_that_are_gone_have_codes_of_their_own(
    tmp_path: Path, registry: Registry, stored: Stored
) -> None:
    async with tier(tmp_path, model_registry=lambda: registry) as t:
        packed, stored.packed = stored.packed, None
        stored.put(t)
        assert code(await ask(t)) == (410, "features_gone")
        stored.packed, stored.schema = packed, b"another"
        assert code(await ask(t)) == (410, "model_gone")
        stored.schema, stored.packed = feature_schema().digest().encode(), b"too short"
        assert code(await ask(t)) == (410, "model_gone")
        stored.packed = packed
        stored.row["model"] = b"goose-00000000"
        assert code(await ask(t)) == (410, "model_gone")
        stored.row["model"] = b"../../etc"
        assert code(await ask(t)) == (410, "model_gone")


@pytest.mark.parametrize("error", [NetworkError("away"), ServerException("no table", 60)])
async def test_without_clickhouse_it_is_503_with_retry_after(tmp_path: Path, error: Exception) -> None:
    async with tier(tmp_path) as t:
        t.clickhouse.error = error
        answer = await ask(t)
        assert code(answer) == (503, "explanations_unavailable")
        assert int(answer.headers["retry-after"]) >= 1


async def test_without_the_store_of_models_it_is_503(tmp_path: Path, registry: Registry, stored: Stored) -> None:
    def away() -> Registry:
        raise StorageAway("the object store does not answer")

    async with tier(tmp_path, model_registry=away) as t:
        stored.put(t)
        assert code(await ask(t)) == (503, "explanations_unavailable")


async def test_without_an_address_of_clickhouse_a_code_says_so(tmp_path: Path) -> None:
    app = create_app(config(tmp_path), appender=MemoryAppender(), redis=MemoryRedis())
    async with running(app) as client:
        answer = await client.get(PATH, headers=bearer(KEYS["demo-shop"]))
        assert code(answer) == (503, "clickhouse_unset")


async def test_without_xgboost_a_code_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explanations, "find_spec", lambda name: None)
    async with tier(tmp_path) as t:
        assert code(await ask(t)) == (501, "explain_not_installed")
        assert not t.clickhouse.executed


async def test_explanations_have_a_low_rate_of_their_own(tmp_path: Path) -> None:
    async with tier(tmp_path, merchant_explanations_per_minute=2) as t:
        assert [(await ask(t)).status_code for _ in range(2)] == [404, 404]
        answer = await ask(t)
        assert code(answer) == (429, "rate_limited")
        assert (await ask(t, "other-shop")).status_code == 404
        scores = await t.client.get(f"/v1/events/{EVENT}/score", headers=bearer(KEYS["demo-shop"]))
        assert code(scores) == (404, "not_found")


async def test_more_than_may_wait_is_refused_at_once(tmp_path: Path) -> None:
    async with tier(tmp_path, merchant_explanations_per_minute=1_000) as t:
        wake = threading.Event()
        t.clickhouse.before = lambda: wake.wait(SECONDS) and None
        waiting = [asyncio.create_task(ask(t)) for _ in range(8)]
        link = next(link for link in t.app.parts.clickhouse if link.name == "explain")
        await soon(lambda: link._under_way == len(waiting))
        assert code(await ask(t)) == (503, "explanations_unavailable")
        page = await open_page(t.client)
        assert (await page.send(page.event())).status_code == 200  # nobody else waits for it
        wake.set()
        assert {answer.status_code for answer in await asyncio.gather(*waiting)} == {404}


async def test_a_silent_clickhouse_is_left_after_the_time_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explanations, "EXPLAIN_SECONDS", 0.1)
    async with tier(tmp_path) as t:
        wake = threading.Event()
        t.clickhouse.before = lambda: wake.wait(2 * SECONDS) and None
        try:
            assert code(await asyncio.wait_for(ask(t), SECONDS)) == (503, "explanations_unavailable")
        finally:
            wake.set()


async def test_models_are_loaded_once_and_few_are_kept(
    tmp_path: Path, registry: Registry, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[str] = []

    class Counting(Registry):
        def load(self, version: str) -> Model:
            loads.append(version)
            found = super().load(registry.versions()[0])
            return replace(found)

        def path(self, version: str) -> Path:
            return super().path(registry.versions()[0])

    monkeypatch.setattr(explained, "_MODELS_KEPT", 2)
    counting = Counting(registry._storage)
    async with tier(tmp_path, model_registry=lambda: counting, merchant_explanations_per_minute=1_000) as t:
        stored.put(t)
        for version in (b"a", b"a", b"b", b"a", b"c", b"a", b"b"):
            stored.row["model"] = version
            assert (await ask(t)).status_code == 200
    assert loads == ["a", "b", "c", "b"]


def test_the_tier_takes_clickhouse_and_models_from_the_settings(
    tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = registry.path(registry.versions()[0]).parent
    (tmp_path / "merchants.json").write_text('{"shop": {"name": "Shop", "api_key_sha256": []}}')
    for name, value in {
        "HOME": str(tmp_path),
        "KAFKA__BOOTSTRAP": "127.0.0.1:9",
        "REDIS__URL": "redis://127.0.0.1:9/0",
        "CLICKHOUSE__URL": "clickhouse://user:secret@127.0.0.1:9/x",
        "MODELS__ROOT": str(root),
        "INGEST__MERCHANT_LABELS_PER_MINUTE": "2000",
        "INGEST__MERCHANT_EXPLANATIONS_PER_MINUTE": "7",
        "MASTER_KEYS": f'{{"1": "{"11" * 32}"}}',
    }.items():
        monkeypatch.setenv(f"CLICKGOOSE_{name}", value)
    made = ingest_config(Settings(), "https://ingest.test")
    assert made.clickhouse_url == "clickhouse://user:secret@127.0.0.1:9/x" and "secret" not in repr(made)
    assert (made.merchant_labels_per_minute, made.merchant_explanations_per_minute) == (2_000, 7)
    assert made.model_registry is not None and made.model_registry().versions() == registry.versions()
