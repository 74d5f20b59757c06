"""Contributions at leaves: no tree mixes factor groups, so they are exact Shapley values."""

from __future__ import annotations

import numpy as np
import pytest
import xgboost
from numpy.typing import NDArray

from scoring.groups import GROUP_CODES, feature_groups
from scoring.leaf_factors import at_leaves, leaf_factors
from scoring.trees import Forest, load_booster, read_forest
from tests.tiny_model import tiny_model, tiny_set

GROUPS = len(GROUP_CODES)


def shares(booster: xgboost.Booster, rows: NDArray[np.float32], *, approximate: bool = False) -> NDArray[np.float64]:
    """Return xgboost's own contributions, added up by group."""
    columns = xgboost.DMatrix(rows, nthread=1)
    found = booster.predict(columns, pred_contribs=True, approx_contribs=approximate).astype(np.float64)
    grouped = np.zeros((len(rows), GROUPS))
    np.add.at(grouped.T, feature_groups()[: rows.shape[1]], found[:, :-1].T)
    return grouped


def told(booster: xgboost.Booster, rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return what the leaves tell."""
    leaves = booster.predict(xgboost.DMatrix(rows, nthread=1), pred_leaf=True).astype(np.intp)
    return at_leaves(leaf_factors(read_forest(booster), feature_groups(), GROUPS), leaves)


def mixed(forest: Forest) -> int:
    """Return how many trees split on features of several groups."""
    return sum(len(set(feature_groups()[tree.feature[tree.left >= 0]].tolist())) > 1 for tree in forest.trees)


def test_no_tree_mixes_factor_groups_though_trees_split_often() -> None:
    forest = read_forest(load_booster(tiny_model().booster))
    assert mixed(forest) == 0
    assert max(int((tree.left >= 0).sum()) for tree in forest.trees) > 3


def test_contributions_are_exact_tree_shap_by_group() -> None:
    booster, rows = load_booster(tiny_model().booster), tiny_set().features[:200]
    assert told(booster, rows) == pytest.approx(shares(booster, rows), abs=1e-5)


def test_a_booster_that_mixes_groups_is_told_by_saabas_which_is_not_exact() -> None:
    rng = np.random.default_rng(4)
    rows = rng.random((600, len(feature_groups())), np.float32)
    rows[:, 60:] = 0
    labels = ((rows[:, 0] > 0.5) ^ (rows[:, 50] > 0.4)).astype(np.float32)
    settings = {"objective": "binary:logistic", "max_depth": 5, "nthread": 1, "min_child_weight": 0.1}
    booster = xgboost.train(settings, xgboost.DMatrix(rows, labels, nthread=1), 3)
    if feature_groups()[0] == feature_groups()[50]:
        pytest.fail("the two features of this test are of one group; take others")
    assert mixed(read_forest(booster)) > 0
    found = told(booster, rows[:100])
    assert found == pytest.approx(shares(booster, rows[:100], approximate=True), abs=1e-5)
    assert np.abs(found - shares(booster, rows[:100])).max() > 0.01


def test_at_every_leaf_they_sum_to_its_value_less_the_mean_of_its_tree() -> None:
    forest = read_forest(load_booster(tiny_model().booster))
    for tree, table in zip(forest.trees, leaf_factors(forest, feature_groups(), GROUPS), strict=True):
        ends = tree.left < 0
        assert table[ends].sum(axis=1) == pytest.approx(tree.threshold[ends] - tree.mean[0], abs=1e-5)
        assert (table[~ends] == 0).all()
