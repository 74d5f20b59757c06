"""Stored features on the real engine: what is read back gives the very score, and the first result stands."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from enrichers.present import present
from flows.parcel import Parcel, Span
from flows.sinks.clickhouse import ClickHouse
from flows.sinks.encoded import EncodedParcel, encoder
from infra.clickhouse.tiers import Tiers, apply_tiers
from schemas.batches import Decided, Decision, Rules
from schemas.columns import widen
from scoring.deployment import Deployment, Fixed
from scoring.explain import Explainer
from scoring.features import feature_schema
from scoring.stage import ScoreStage
from scoring.stored_features import unpack
from tests.migrated import migrate
from tests.model_doubles import two_models
from tests.stack_fixture import Namespace
from tests.tiny_model import visitors

pytestmark = pytest.mark.stack
ROWS = 40
OF_OLD = """
INSERT INTO features (merchant, occurred_at, event_id, schema, model, packed, written_at)
SELECT 'old', occurred_at, event_id, schema, model, packed, now64(6) - INTERVAL {} DAY FROM features
"""


@pytest.fixture
def tables(namespace: Namespace) -> Namespace:
    migrate(namespace.clickhouse_url)
    return namespace


def scored_parcel(percent: float = 50) -> EncodedParcel:
    """Return events of now, scored by one of two models each, shadowed by both."""
    batch = visitors(ROWS, 8)[0]
    ids = np.random.default_rng(3).integers(0, 256, (2, ROWS, 16), np.uint8)
    now = int(time.time()) * 1000 + np.arange(ROWS)
    batch = replace(batch, event=replace(batch.event, event_id=ids[0], device_id=ids[1], occurred_at=now))
    live, candidate = two_models()
    stage = ScoreStage(Fixed(Deployment(live, candidate, percent, (live, candidate))), store_features=True)
    decided = widen(Decided, stage(batch).oks, rules=Rules.none(ROWS), decision=Decision.of(np.zeros(ROWS, np.uint8)))
    decided = replace(decided, decision=replace(decided.decision, shadow=np.zeros((ROWS, 2), np.uint8)))
    return encoder(Explainer(), present, "test")(Parcel((Span(0, 0, ROWS),), decided, ROWS))


def write(namespace: Namespace, *parcels: EncodedParcel) -> None:
    there = ClickHouse(namespace.clickhouse_url)
    there.write(parcels)
    there.close()


def test_a_stored_row_gives_its_score_and_factors_again_bit_for_bit(tables: Namespace) -> None:
    item = scored_parcel()
    write(tables, item)
    sql = """
    SELECT model, schema, packed, score, shadow_models, shadow_scores FROM features FINAL
    INNER JOIN events FINAL USING (merchant, event_id, model)
    ORDER BY events.occurred_at
    """
    found = tables.clickhouse(settings={"strings_as_bytes": True}).execute(sql)
    assert len(found) == ROWS and {row[1] for row in found} == {feature_schema().digest().encode()}
    features = unpack([row[2] for row in found])
    section = item.parcel.batch.score
    for model in two_models():
        verdict = model.run(features)
        chosen = np.array([row[0] == model.version.encode() for row in found])
        assert 5 < chosen.sum() < ROWS - 5
        stored = np.array([row[3] for row in found], np.float32)
        assert verdict.score[chosen].tobytes() == stored[chosen].tobytes() == section.score[chosen].tobytes()
        raising = verdict.top_contribution > 0
        assert (np.where(raising, verdict.top_factor, -1)[chosen] == section.factor[chosen]).all()
        beside = np.array([row[5][row[4].index(model.version.encode())] for row in found], np.float32)
        assert beside.tobytes() == verdict.score.tobytes()


def test_features_written_twice_show_once_and_the_first_stand(tables: Namespace) -> None:
    first = scored_parcel(percent=0)
    batch = first.parcel.batch
    write(tables, first)
    ours = np.where(np.arange(ROWS) % 2, 1, 0).astype(np.uint8)
    again = replace(batch.score, versions=(batch.score.versions[0], "another"), model=ours)
    write(tables, replace(first, parcel=replace(first.parcel, batch=replace(batch, score=again))))
    client = tables.clickhouse()
    assert client.execute("SELECT count() FROM features") == [(2 * ROWS,)]
    for _ in range(2):  # before and after the engine has merged the parts
        found = client.execute("SELECT count(), uniqExact(event_id), any(model), uniqExact(model) FROM features FINAL")
        assert found == [(ROWS, ROWS, batch.score.versions[0], 1)]
        client.execute("OPTIMIZE TABLE features FINAL")
    assert client.execute("SELECT count() FROM features") == [(ROWS,)]


def test_features_are_found_by_the_id_of_their_event_through_the_index(tables: Namespace) -> None:
    item = scored_parcel()
    write(tables, item)
    client = tables.clickhouse(settings={"strings_as_bytes": True})
    where = f"FROM features WHERE merchant = 'demo' AND event_id = unhex('{item.results[7].event_id}')"
    assert client.execute(f"SELECT packed {where}") == [(item.parcel.batch.score.features[7].tobytes(),)]
    assert "by_event" in str(client.execute(f"EXPLAIN indexes = 1 SELECT packed {where}"))


@pytest.mark.parametrize(("tiers", "kept"), [(None, 119), (Tiers(keep_days=400), 119), (Tiers(keep_days=30), 0)])
def test_features_are_kept_for_120_days_and_no_longer_whatever_the_tiers_say(
    tables: Namespace, tiers: Tiers | None, kept: int
) -> None:
    if tiers is not None:
        apply_tiers(tables.clickhouse_url, tiers)
    write(tables, scored_parcel())
    client = tables.clickhouse(settings={"insert_allow_materialized_columns": True})
    for days in (119, 121):
        client.execute(OF_OLD.format(days))
    client.execute("OPTIMIZE TABLE features FINAL")
    oldest = "SELECT max(dateDiff('day', written_at, now64(3, 'UTC'))), uniqExact(merchant) FROM features FINAL"
    assert client.execute(oldest) == [(kept, 2 if kept else 1)]


def test_features_that_waited_in_the_backup_are_the_same_bytes(tables: Namespace) -> None:
    item = scored_parcel()
    there = ClickHouse(tables.clickhouse_url)
    there.rewrite(there.letters([item], "ClickHouse: NetworkError 210"))
    there.close()
    client = tables.clickhouse(settings={"strings_as_bytes": True})
    found = client.execute("SELECT packed FROM features FINAL ORDER BY occurred_at")
    assert [packed for (packed,) in found] == [row.tobytes() for row in item.parcel.batch.score.features]
