"""The score stage: a candidate on a share of devices, shadows beside, features kept, and one matrix for all of it."""

from __future__ import annotations

import logging
import pickle
import time
from collections.abc import Callable

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

import scoring.stage
from flows.metrics import FlowMetrics
from flows.parcel import Parcel, Span
from flows.run_stage import Monitor, run_stage
from schemas.batches import F32, Enriched, Score
from scoring.chosen_devices import chosen_devices
from scoring.deployment import CurrentDeployment, Deployment, Fixed, only
from scoring.features import matrix
from scoring.stage import ScoreStage
from scoring.stored_features import unpack
from tests.model_doubles import Double, Failing, Unsure, as_model, two_models
from tests.tiny_model import visitors

LIVE, CANDIDATE = Double("live"), Double("candidate")


def of(live: Double, candidate: Double | None = None, percent: float = 0, *shadows: Double) -> CurrentDeployment:
    other = None if candidate is None else as_model(candidate)
    return Fixed(Deployment(as_model(live), other, percent, tuple(map(as_model, shadows))))


def score_of(deployment: CurrentDeployment, batch: Enriched, *, store_features: bool = False) -> Score:
    return ScoreStage(deployment, store_features=store_features)(batch).oks.score


@pytest.fixture(scope="module")
def batch() -> Enriched:
    """200 events of different devices."""
    found = visitors(200, 9)[0]
    found.event.device_id[:] = np.random.default_rng(2).integers(0, 256, (200, 16), np.uint8)
    return found


def test_a_mixed_batch_is_each_model_alone_joined_in_order(batch: Enriched) -> None:
    live, candidate = Double("live"), Double("candidate")
    mixed = score_of(of(live, candidate, 30), batch)
    chosen = chosen_devices(batch.event.device_id, "candidate", 30)
    assert 20 < chosen.sum() < 100 and mixed.versions == ("live", "candidate")
    assert (mixed.model == chosen).all()
    assert live.run_rows == [(~chosen).sum()] and candidate.run_rows == [chosen.sum()]
    for version, rows in ((LIVE, ~chosen), (CANDIDATE, chosen)):
        alone = score_of(of(version), batch)
        for name in ("score", "factor", "contribution"):
            assert getattr(mixed, name)[rows].tobytes() == getattr(alone, name)[rows].tobytes(), name
    assert (mixed.score != score_of(of(LIVE), batch).score)[chosen].all()


@pytest.mark.parametrize(("percent", "version"), [(0, "live"), (100, "candidate")])
def test_a_candidate_of_nobody_or_of_all_leaves_one_model(batch: Enriched, percent: float, version: str) -> None:
    score = score_of(of(LIVE, CANDIDATE, percent), batch)
    assert score.versions == (version,) and not score.model.any()
    assert score.score.tobytes() == score_of(of(LIVE if version == "live" else CANDIDATE), batch).score.tobytes()


def test_a_batch_without_rows_is_scored_by_any_deployment(batch: Enriched) -> None:
    score = score_of(of(LIVE, CANDIDATE, 100, Double("shadow")), batch.take(np.arange(0)), store_features=True)
    assert len(score) == 0 and score.shadow_score.shape == (0, 1)


def test_every_shadow_scores_every_row_and_changes_nothing(batch: Enriched) -> None:
    shadows = Double("one"), Double("two"), CANDIDATE
    score, bare = score_of(of(LIVE, CANDIDATE, 30, *shadows), batch), score_of(of(LIVE, CANDIDATE, 30), batch)
    assert score.shadows == ("one", "two", "candidate") and bare.shadow_score.shape == (200, 0)
    for column, shadow in enumerate(shadows):
        assert score.shadow_score[:, column].tobytes() == score_of(of(shadow), batch).score.tobytes()
    for name in ("model", "score", "factor", "contribution", "observed"):
        assert getattr(score, name).tobytes() == getattr(bare, name).tobytes(), name


def test_a_shadow_that_fails_is_nan_is_said_once_and_disturbs_nothing(
    batch: Enriched, caplog: pytest.LogCaptureFixture
) -> None:
    stage = ScoreStage(of(LIVE, None, 0, Failing("broken"), Double("sound"), Unsure("unsure")))
    with caplog.at_level(logging.WARNING):
        scores = [stage(batch).oks.score for _ in range(3)]
    assert [(record.getMessage(), vars(record)["model"]) for record in caplog.records] == [
        ("a shadow model fails", "broken")
    ]
    for score in scores:
        assert np.isnan(score.shadow_score[:, 0]).all() and not np.isnan(score.shadow_score[:, 1]).any()
        assert np.isnan(score.shadow_score[:, 2]).sum() == 101
        assert score.score.tobytes() == score_of(of(LIVE), batch).score.tobytes()


class Partial(Double):
    """Gives no number for some rows, the same ones in any batch."""

    def _scores(self, features: F32) -> F32:
        scores = super()._scores(features)
        scores[scores < 10] = np.nan
        return scores


def test_rows_whose_live_score_is_no_number_end_as_dead_letters_before_they_reach_a_state(batch: Enriched) -> None:
    parcel: Parcel[Enriched] = Parcel((Span(0, 0, 200),), batch, 200)
    scored = run_stage(ScoreStage(of(Partial("live"))), parcel, Monitor.silent())
    lost = np.flatnonzero(LIVE.score(matrix(batch)) < 10)
    assert 0 < len(lost) < 200
    assert [letter.offset for letter in scored.errs] == batch.origin.offset[lost].tolist()
    assert {letter.reason.value for letter in scored.errs} == {"internal.bug"}
    assert np.isfinite(scored.batch.score.score).all() and len(scored.batch) == 200 - len(lost)


def test_rows_are_counted_by_model(batch: Enriched) -> None:
    registry = CollectorRegistry()
    monitor = Monitor(lambda: 0, FlowMetrics(registry))
    parcel: Parcel[Enriched] = Parcel((Span(0, 0, 200),), batch, 200)
    scored = run_stage(ScoreStage(of(LIVE, CANDIDATE, 30, Failing("broken"), Unsure("unsure"))), parcel, monitor)
    assert (len(scored.batch), scored.errs) == (200, ())

    def rows(model: str, outcome: str) -> float | None:
        return registry.get_sample_value("clickgoose_model_rows_total", {"model": model, "outcome": outcome})

    chosen = chosen_devices(batch.event.device_id, "candidate", 30).sum()
    assert (rows("live", "scored"), rows("candidate", "scored")) == (200 - chosen, chosen)
    assert (rows("broken", "failed"), rows("broken", "shadowed")) == (200, 0)
    assert (rows("unsure", "failed"), rows("unsure", "shadowed")) == (101, 99)


def test_the_deployment_is_asked_for_once_a_batch(batch: Enriched) -> None:
    asked: list[Deployment] = []

    def current() -> Deployment:
        asked.append(Deployment(as_model(CANDIDATE if asked else LIVE)))
        return asked[-1]

    stage = ScoreStage(current)
    assert [stage(batch).oks.score.versions for _ in range(2)] == [("live",), ("candidate",)]
    assert len(asked) == 2


def test_features_are_kept_where_wanted_and_are_those_that_were_scored(batch: Enriched) -> None:
    assert score_of(of(LIVE), batch).features.shape == (200, 0)
    score = score_of(of(LIVE), batch, store_features=True)
    assert unpack(score.features).tobytes() == matrix(batch).tobytes()
    assert Double("live").score(unpack(score.features)).tobytes() == score.score.tobytes()


def test_the_next_batch_changes_nothing_of_the_one_before(batch: Enriched) -> None:
    stage = ScoreStage(of(LIVE, CANDIDATE, 30, Double("shadow")), store_features=True)
    orders = [np.arange(200), np.arange(199, -1, -1), np.arange(50), np.arange(120)]
    kept = [stage(batch.take(rows)).oks.score for rows in orders]
    fresh = [score_of(of(LIVE, CANDIDATE, 30, Double("shadow")), batch.take(r), store_features=True) for r in orders]
    for one, other in zip(kept, fresh, strict=True):
        for name in ("model", "score", "factor", "contribution", "shadow_score", "observed", "features"):
            assert getattr(one, name).tobytes() == getattr(other, name).tobytes(), name


def test_a_stage_is_pickled_without_its_memory(batch: Enriched) -> None:
    stage = ScoreStage(only(two_models()[0]))
    before = len(pickle.dumps(stage))
    stage(batch)
    assert len(pickle.dumps(stage)) == before


def test_a_score_without_factors_is_the_score_with_them(batch: Enriched) -> None:
    for model in two_models():
        assert model.score(matrix(batch)).tobytes() == model.run(matrix(batch)).score.tobytes()


def _fastest(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def test_a_shadow_costs_about_one_plain_pass_and_no_second_matrix(
    batch: Enriched, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []

    def counted(rows: Enriched, out: F32 | None = None) -> F32:
        made.append(len(rows))
        return matrix(rows, out)

    monkeypatch.setattr(scoring.stage, "matrix", counted)
    shadow = Double("shadow")
    score_of(of(LIVE, None, 0, shadow), batch)
    assert (made, shadow.run_rows, shadow.score_rows) == ([200], [], [200])
    live, other = two_models()
    bare, shadowed = ScoreStage(only(live)), ScoreStage(Fixed(Deployment(live, shadows=(other,) * 8)))
    table = matrix(batch)
    seconds = [
        (_fastest(lambda: bare(batch)), _fastest(lambda: shadowed(batch)), _fastest(lambda: other.score(table)))
        for _ in range(30)
    ]
    without, with_eight, plain = (min(column) for column in zip(*seconds, strict=True))
    # A second matrix for each would be near 8 times `without` more.
    assert with_eight - without < 8 * (2 * plain) + without
