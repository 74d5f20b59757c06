"""The scores of a row, a candidate's and the shadows' included, depend on that row and its device alone."""

from __future__ import annotations

from functools import cache

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.batches import Enriched, Score, Scored
from scoring.chosen_devices import chosen_devices
from scoring.deployment import Deployment, Fixed
from scoring.stage import ScoreStage
from tests.model_doubles import two_models
from tests.tiny_model import visitors

ROWS = 24
COLUMNS = ("score", "factor", "contribution", "shadow_score", "observed", "features")


@cache
def batch() -> Enriched:
    found = visitors(ROWS, 8)[0]
    found.event.device_id[:] = np.random.default_rng(3).integers(0, 256, (ROWS, 16), np.uint8)
    return found


@cache
def stage(percent: float) -> ScoreStage:
    live, candidate = two_models()
    return ScoreStage(Fixed(Deployment(live, candidate, percent, (candidate, live))), store_features=True)


def versions(score: Score) -> list[str]:
    return [score.versions[model] for model in score.model.tolist()]


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(ROWS)), st.integers(0, ROWS), st.sampled_from([0.0, 20.0, 50.0, 100.0]))
def test_order_and_batch_size_change_nothing(order: list[int], cut: int, percent: float) -> None:
    run, rows = stage(percent), np.array(order, np.intp)
    whole = run(batch()).oks.score
    parts = [run(batch().take(part)).oks for part in (rows[:cut], rows[cut:])]
    joined = Scored.concat(parts).score
    for name in COLUMNS:
        assert getattr(joined, name).tobytes() == getattr(whole, name)[rows].tobytes(), name
    assert versions(joined) == [versions(whole)[row] for row in order]


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 100), st.integers(0, ROWS - 1))
def test_a_row_is_scored_by_the_model_of_its_device(percent: float, row: int) -> None:
    live, candidate = two_models()
    run = ScoreStage(Fixed(Deployment(live, candidate, percent, (live, candidate))))
    score = run(batch()).oks.score
    chosen = bool(chosen_devices(batch().event.device_id[row : row + 1], candidate.version, percent)[0])
    assert versions(score)[row] == (candidate if chosen else live).version
    assert score.score[row] == score.shadow_score[row, int(chosen)]
