"""Contributions at leaves: exact TreeSHAP's means, which add up and agree with xgboost's own."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import xgboost
from numpy.typing import NDArray

from scoring.groups import GROUP_CODES, feature_groups
from scoring.leaf_factors import LeafFactors, at_leaves, mean_factors, saabas_factors
from scoring.trees import Forest, load_booster, read_forest
from tests.tiny_model import tiny_model, tiny_set

GROUPS = len(GROUP_CODES)
Floats = NDArray[np.float64]


@cache
def parts() -> tuple[xgboost.Booster, Forest]:
    booster = load_booster(tiny_model().booster)
    return booster, read_forest(booster)


def leaves(rows: NDArray[np.float32]) -> NDArray[np.intp]:
    return parts()[0].predict(xgboost.DMatrix(rows, nthread=1), pred_leaf=True).astype(np.intp)


def grouped(rows: NDArray[np.float32], *, approximate: bool = False, of: xgboost.Booster | None = None) -> Floats:
    """Return xgboost's own contributions, added up by group."""
    columns, booster = xgboost.DMatrix(rows, nthread=1), of or parts()[0]
    shares = booster.predict(columns, pred_contribs=True, approx_contribs=approximate).astype(np.float64)
    found = np.zeros((len(rows), GROUPS))
    np.add.at(found.T, feature_groups(), shares[:, :-1].T)
    return found


def means(rows: NDArray[np.float32], weights: Floats | None = None) -> LeafFactors:
    return mean_factors(parts()[1], rows, np.ones(len(rows)) if weights is None else weights, feature_groups(), GROUPS)


@pytest.mark.parametrize("row", [0, 7, 101, 500])
def test_the_mean_over_one_event_is_its_exact_tree_shap(row: int) -> None:
    alone = tiny_set().features[row : row + 1]
    assert at_leaves(means(alone), leaves(alone)) == pytest.approx(grouped(alone), abs=1e-5)


def test_the_means_over_all_events_are_the_means_of_exact_tree_shap_at_each_leaf() -> None:
    rows = tiny_set().features[:300]
    booster, forest = parts()
    weights = np.random.default_rng(2).uniform(0.5, 3.0, len(rows))
    tables, ends = means(rows, weights), leaves(rows)
    seen = 0
    for number, (tree, table) in enumerate(zip(forest.trees, tables, strict=True)):
        exact = grouped(rows, of=booster[number : number + 1])
        assert (table[tree.left >= 0] == 0).all()
        for leaf in set(ends[:, number].tolist()):
            here = ends[:, number] == leaf
            assert table[leaf] == pytest.approx(np.average(exact[here], axis=0, weights=weights[here]), abs=1e-5)
            seen += 1
    assert seen > 30


@pytest.mark.parametrize("kind", ["mean", "saabas"])
def test_at_every_leaf_they_sum_to_its_value_less_the_roots_mean(kind: str) -> None:
    forest = parts()[1]
    factors = means(tiny_set().features[:40]) if kind == "mean" else saabas_factors(forest, feature_groups(), GROUPS)
    for tree, table in zip(forest.trees, factors, strict=True):
        ends = tree.left < 0
        assert table[ends].sum(axis=1) == pytest.approx(tree.threshold[ends] - tree.mean[0], abs=1e-5)


def test_saabas_at_leaves_is_what_xgboost_approximates() -> None:
    rows = tiny_set().features[:64]
    found = at_leaves(saabas_factors(parts()[1], feature_groups(), GROUPS), leaves(rows))
    assert found == pytest.approx(grouped(rows, approximate=True), abs=1e-5)


def test_the_means_are_nearer_to_exact_tree_shap_than_saabas() -> None:
    seen, rows = tiny_set().features[:400], tiny_set().features[400:]
    exact = grouped(rows)
    saabas = at_leaves(saabas_factors(parts()[1], feature_groups(), GROUPS), leaves(rows))
    assert np.abs(at_leaves(means(seen), leaves(rows)) - exact).sum() < np.abs(saabas - exact).sum()


def test_a_tree_with_many_features_on_a_way_keeps_saabas() -> None:
    rng = np.random.default_rng(4)
    rows = rng.random((1_500, 40), np.float32)
    labels = (rows[:, :10].sum(axis=1) > 5).astype(np.float32)
    settings = {"objective": "binary:logistic", "max_depth": 10, "nthread": 1, "min_child_weight": 0.1}
    forest = read_forest(xgboost.train(settings, xgboost.DMatrix(rows, labels, nthread=1), 1))
    group_of = np.arange(40) % GROUPS
    found = mean_factors(forest, rows[:100], np.ones(100), group_of, GROUPS)
    assert found[0].tobytes() == saabas_factors(forest, group_of, GROUPS)[0].tobytes()
