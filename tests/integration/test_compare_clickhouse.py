"""Stored events of the real engine, compared: what comes back is what the flow wrote; figures are those of a loop."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from enrichers.present import present
from flows.parcel import Parcel, Span
from flows.sinks.clickhouse import ClickHouse
from flows.sinks.encoded import encoder
from infra.cli import model
from infra.compare_clickhouse import Asked, StoredEvents
from infra.model_compare import CompareError, Side, compare, side_of
from infra.stack.local import LocalStack
from schemas.batches import F32, Decided
from scoring.decide import Decide
from scoring.deployment import Deployment, Fixed
from scoring.explain import Explainer
from scoring.features import matrix
from scoring.judge import Judge
from scoring.model import Model
from scoring.policy import FixedPolicies, Policies, Policy, decide
from scoring.stage import ScoreStage
from tests.builders import NOW
from tests.migrated import migrate
from tests.model_doubles import two_models
from tests.stack_fixture import Namespace
from tests.tiny_model import visitors

pytestmark = pytest.mark.stack
ROWS = 180
SPAN = Asked(NOW - 1, NOW + ROWS * 1000)
MERCHANTS = ("demo", "other")


class Written(NamedTuple):
    """What was written."""

    url: str
    batch: Decided
    a: Model
    b: Model
    policy: Policy
    labels: dict[int, int]  # row -> 1 fraud, 0 genuine
    tables: Namespace


def disputed(a: F32, b: F32) -> Policy:
    """Return the thresholds at which two models disagree most, whatever today's features make of them."""
    apart = {limit: int(((a >= limit) != (b >= limit)).sum()) for limit in range(4, 96)}
    review = max(range(4, 60), key=apart.__getitem__)
    return Policy(review, max(range(review + 5, 96), key=apart.__getitem__), 2.0)


@pytest.fixture(scope="module")
def written(stack: LocalStack) -> Iterator[Written]:
    tables = Namespace(stack)
    migrate(tables.clickhouse_url)
    a, b = two_models()
    made, truth = visitors(ROWS, 5)
    rng = np.random.default_rng(3)
    ids = rng.integers(0, 256, (ROWS, 16)).astype(np.uint8)
    ids[::7, 15] = 0  # the driver takes zeros at the end for padding
    event = replace(
        made.event,
        event_id=ids,
        session_id=np.repeat(rng.integers(0, 256, (ROWS // 3, 16)), 3, axis=0).astype(np.uint8),
        merchant=tuple(MERCHANTS[row % 2] for row in range(ROWS)),
        event_type=tuple("payment" if row % 3 else "login" for row in range(ROWS)),
    )
    enriched = replace(made, event=event)
    policy = disputed(*(model.score(matrix(enriched)) for model in (a, b)))
    scored = ScoreStage(Fixed(Deployment(a, shadows=(b,))), store_features=True)(enriched).oks
    batch = Decide(FixedPolicies(Policies(policy)), lambda _: policy).open(()).apply(Judge()(scored).oks).oks
    parcel = Parcel((Span(0, 0, ROWS),), batch, ROWS)
    sink = ClickHouse(tables.clickhouse_url)
    encoded = encoder(Explainer(), present, "0.1.0")(parcel)
    sink.write([encoded])
    sink.write([encoded])  # as after kill -9
    sink.close()
    labels = {row: int(truth[row]) for row in range(ROWS) if row % 4 == 0}
    told = [
        (event.merchant[row], "event", event.event_id[row].tobytes().hex(), "chargeback" if fraud else "genuine")
        for row, fraud in labels.items()
    ]
    now = datetime.now(UTC)
    tables.clickhouse().execute(
        "INSERT INTO labels (merchant, target, id, label, labelled_at, received_at) VALUES",
        [(*one, now, now) for one in told],
    )
    yield Written(tables.clickhouse_url, batch, a, b, policy, labels, tables)
    tables.close()


def stored(written: Written, asked: Asked = SPAN, rows: int = 120) -> StoredEvents:
    return StoredEvents(written.url, asked, Policy(), rows)


def test_figures_are_those_of_a_plain_loop_over_what_was_written(written: Written) -> None:
    found = compare(side_of(written.a), side_of(written.b), stored(written))
    features = matrix(written.batch)
    a, b = (model.run(features).score for model in (written.a, written.b))
    assert (found.told_a.rescored, found.told_b.rescored, found.told_b.stored) == (ROWS, ROWS, 0)
    assert found.comparison.values["score.mean.a"] == pytest.approx(float(a.mean(dtype=np.float64)))
    limits = (written.policy.review, written.policy.deny, written.policy.margin)
    standing, flips = written.batch.decision.before, np.zeros((3, 3))
    assert standing.any()
    for row in range(ROWS):
        sides = [int(decide(score[row], *limits, standing[row])) for score in (a, b)]
        flips[tuple(sides)] += 1
    assert found.comparison.figures["flips"]["matrix"] == flips.tolist()
    assert found.comparison.values["flip_share"] == pytest.approx((flips.sum() - np.trace(flips)) / ROWS)
    assert 0 < np.trace(flips) < ROWS
    assert found.comparison.figures["events"]["labelled"] == len(written.labels)
    assert found.comparison.figures["events"]["fraud"] == sum(written.labels.values())
    reviewed = written.batch.decision.decision >= 1
    known = np.array(list(written.labels))
    fraud = np.array([written.labels[row] == 1 for row in known.tolist()])
    assert found.comparison.values["recall_review.a"] == pytest.approx(float(reviewed[known][fraud].mean()))


def test_decisions_of_the_live_model_are_those_that_were_stored(written: Written) -> None:
    found = compare(side_of(written.a), side_of(written.b), stored(written))
    decided = np.bincount(written.batch.decision.decision, minlength=3) / ROWS
    assert list(found.comparison.figures["flips"]["decided"]["a"].values()) == pytest.approx(decided.tolist(), abs=1e-6)


def test_stored_scores_speak_for_models_that_cannot_be_run(written: Written) -> None:
    sides = [Side(model.version, None, "it was trained on other features") for model in (written.a, written.b)]
    again = compare(side_of(written.a), side_of(written.b), stored(written)).comparison.values
    for a, b in ((sides[0], sides[1]), (side_of(written.a), sides[1])):
        found = compare(a, b, stored(written))
        assert (found.told_b.rescored, found.told_b.stored, found.told_b.missing) == (0, ROWS, 0)
        for name in ("flip_share", "spearman", "recall_at_1pct_fpr.b", "score.mean.delta"):
            assert found.comparison.values[name] == pytest.approx(again[name]), name
    assert found.as_json()["b"]["not_rescored_because"] == "it was trained on other features"
    assert found.comparison.values["top_factor_agreement"] is None


def test_a_model_that_never_scored_and_cannot_be_run_is_refused_in_one_sentence(written: Written) -> None:
    with pytest.raises(CompareError, match=r"no event has a score of both .* damaged") as refused:
        compare(side_of(written.a), Side("goose-00000000", None, "its manifest is damaged"), stored(written))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("rows", [30, 10_000])
def test_slices_of_any_size_give_the_same_events(written: Written, rows: int) -> None:
    source = stored(written, rows=rows)
    batches = list(source.batches(written.a.version, written.b.version))
    ids = [row.tobytes() for batch in batches for row in batch.events.event_id]
    assert sorted(ids) == sorted(row.tobytes() for row in written.batch.event.event_id)
    assert source.total() == ROWS
    # a slice of a minute is cut by hash, so it is about so large and not exactly
    assert max(len(batch.events) for batch in batches) < 3 * rows


def test_features_come_back_bit_for_bit_beside_their_events(written: Written) -> None:
    rows = {row.tobytes(): place for place, row in enumerate(written.batch.event.event_id)}
    features = matrix(written.batch)
    client = written.tables.clickhouse()
    client.execute(
        "INSERT INTO features (merchant, occurred_at, event_id, schema, model, packed) "
        "SELECT 'stranger', occurred_at, event_id, schema, model, (SELECT any(packed) FROM features) FROM features"
    )
    for batch in stored(written).batches("", ""):
        assert batch.has_features.all() and batch.features is not None
        places = [rows[row.tobytes()] for row in batch.events.event_id]
        assert batch.features.tobytes() == features[places].tobytes()
        assert [written.labels.get(place, -1) for place in places] == batch.events.label.tolist()
        assert batch.events.merchant == tuple(written.batch.event.merchant[place] for place in places)
        assert np.isnan(batch.stored_a).all()


def test_only_the_merchant_the_event_type_and_the_times_that_were_asked_for(written: Written) -> None:
    event = written.batch.event
    asked = Asked(NOW + 60_000, NOW + 150_000, "demo", "payment")
    found = {row.tobytes() for one in stored(written, asked).batches("", "") for row in one.events.event_id}
    expected = {
        event.event_id[row].tobytes()
        for row in range(ROWS)
        if 60 <= row < 150 and event.merchant[row] == "demo" and event.event_type[row] == "payment"
    }
    assert found == expected and found


def test_a_sample_weighs_for_all_and_is_the_same_twice(written: Written) -> None:
    asked = SPAN._replace(sample=40)
    parts = [list(stored(written, asked).batches("", "")) for _ in range(2)]
    ids, again = ([row.tobytes() for one in part for row in one.events.event_id] for part in parts)
    assert ids == again and 20 < len(ids) < 160
    weights = np.concatenate([one.events.weight for one in parts[0]])
    labels = np.concatenate([one.events.label for one in parts[0]])
    assert np.unique(weights[labels < 0]) == pytest.approx([(ROWS - 45) / 40])
    assert np.unique(weights[labels >= 0]) == pytest.approx([45 / 40])
    assert weights.sum() == pytest.approx(ROWS, rel=0.4)


def test_features_of_another_schema_are_not_scored_again(written: Written) -> None:
    tables = written.tables
    client = tables.clickhouse()
    client.execute("CREATE TABLE kept AS features")
    client.execute("INSERT INTO kept SELECT * FROM features")
    try:
        client.execute("ALTER TABLE features UPDATE schema = 'another' WHERE 1 SETTINGS mutations_sync = 2")
        found = compare(side_of(written.a), side_of(written.b), stored(written))
        assert (found.told_a.rescored, found.told_a.stored) == (0, ROWS)
    finally:
        client.execute("TRUNCATE TABLE features")
        client.execute("INSERT INTO features SELECT * FROM kept")
        client.execute("DROP TABLE kept SYNC")


def test_the_command_compares_what_is_stored_and_its_gate_trips(written: Written) -> None:
    found = compare(side_of(written.a), side_of(written.b), stored(written))
    app = typer.Typer()
    model.register(app)
    since, until = (datetime.fromtimestamp(at / 1000, UTC).isoformat() for at in (SPAN.since, SPAN.until))
    # neither is in the shipped registry: their stored scores speak
    arguments = ["model", "compare", written.a.version, written.b.version, "--since", since, "--until", until]
    arguments += ["--url", written.url, "--json", "--fail-on", "flip_share>0", "--fail-on", "spearman<-1"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1, result.stderr
    said = json.loads(result.stdout)
    assert (said["a"]["stored"], said["a"]["rescored"]) == (ROWS, 0)
    assert written.a.version in said["a"]["not_rescored_because"]
    assert said["flips"]["matrix"] == found.comparison.figures["flips"]["matrix"]
    gates = [line for line in result.stderr.splitlines() if line.startswith("gate: ")]
    assert len(gates) == 1 and gates[0].startswith("gate: flip_share is ")


def test_a_range_without_events_and_a_database_without_tables_are_refused(
    written: Written, namespace: Namespace
) -> None:
    with pytest.raises(CompareError, match="there is no event to compare on"):
        compare(side_of(written.a), side_of(written.b), stored(written, Asked(0, 1)))
    with pytest.raises(CompareError, match="cannot read events from ClickHouse at ") as refused:
        compare(side_of(written.a), side_of(written.b), StoredEvents(namespace.clickhouse_url, SPAN, Policy()))
    assert "\n" not in str(refused.value)
