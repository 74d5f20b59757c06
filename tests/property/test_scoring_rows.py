"""A row's features and score depend on that row alone, and the policy only ever gets stricter."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.export import export
from scoring.features import feature_schema, matrix
from scoring.metrics import roc_auc
from scoring.model import open_session
from scoring.policy import Policy
from scoring.trees import load_booster, read_forest
from tests.tiny_model import tiny_model, tiny_set, visitors

scores = st.floats(0, 100, width=32)


@settings(max_examples=15, deadline=None)
@given(st.permutations(range(24)), st.integers(1, 23))
def test_order_and_batch_size_do_not_change_a_feature_or_a_score(order: list[int], cut: int) -> None:
    batch, _ = visitors(24, 8)
    trained = tiny_model()
    forest = read_forest(load_booster(trained.booster))
    graph = export(forest, trained.factors, trained.calibration, len(feature_schema()), {})
    session, whole = open_session(graph), matrix(batch)
    rows = np.array(order, np.intp)
    assert matrix(batch.take(rows)).tobytes() == whole[rows].tobytes()
    parts = [matrix(batch.take(part)) for part in (rows[:cut], rows[cut:])]
    split = np.concatenate([session.run(["score"], {"features": part})[0] for part in parts])
    assert split.tobytes() == session.run(["score"], {"features": whole})[0][rows].tobytes()


@settings(max_examples=50, deadline=None)
@given(st.lists(scores, min_size=1, max_size=40), st.floats(1, 49), st.floats(50, 100))
def test_a_higher_score_is_never_decided_more_mildly(drawn: list[float], review: float, deny: float) -> None:
    ordered = np.sort(np.array(drawn, np.float32))
    assert (np.diff(Policy(review, deny).decide(ordered).astype(int)) >= 0).all()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9)), min_size=2, max_size=40))
def test_roc_auc_is_the_share_of_pairs_in_order(drawn: list[tuple[bool, int]]) -> None:
    labels = np.array([int(label) for label, _ in drawn], np.int8)
    ranks = np.array([rank for _, rank in drawn], np.float64)
    good, bad = ranks[labels == 0], ranks[labels == 1]
    if not good.size or not bad.size:
        return
    pairs = (bad[:, None] > good[None, :]).mean() + 0.5 * (bad[:, None] == good[None, :]).mean()
    assert abs(roc_auc(labels, ranks) - pairs) < 1e-9


def test_training_features_are_finite_or_absent() -> None:
    assert not np.isinf(tiny_set().features).any()
    assert tiny_set().features.shape[1] == len(feature_schema())
