"""Exact explanations: Shapley values by their definition, sums that fit, and nothing from a damaged model."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import combinations
from math import factorial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost

from scoring.explain import say
from scoring.features import feature_schema
from scoring.groups import GROUP_CODES, feature_groups
from scoring.model import BOOSTER_FILE, Model, ModelError
from scoring.release import release
from scoring.shap import ExactExplainer, ShapError, by_group, check_score, check_sum
from scoring.train import Calibration
from scoring.trees import load_booster
from tests.tiny_model import TINY, tiny_model, tiny_set


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A released tiny model."""
    return release(tiny_model(), TINY, tmp_path_factory.mktemp("models"))[0]


def test_contributions_add_up_to_the_margin_and_the_score_is_the_graphs(directory: Path) -> None:
    rows = tiny_set().features[:200]
    exact = ExactExplainer.load(directory)(rows)
    total = exact.base + exact.features.sum(axis=1, dtype=np.float64)
    assert total == pytest.approx(exact.margin, abs=1e-4)
    assert exact.base + exact.groups.sum(axis=1) == pytest.approx(exact.margin, abs=1e-4)
    assert exact.score == pytest.approx(Model.load(directory).run(rows).score, abs=1e-3)
    assert exact.groups.shape == (200, len(GROUP_CODES)) and exact.features.shape == rows.shape


def expected_value(tree: dict[str, Any], row: np.ndarray, known: frozenset[int], node: int = 0) -> float:
    """Return what a tree is expected to say of a row of which only some features are known."""
    left, right = tree["left_children"][node], tree["right_children"][node]
    if left < 0:
        return float(np.float32(tree["split_conditions"][node]))
    feature = tree["split_indices"][node]
    if feature in known:
        value = row[feature]
        goes_left = bool(tree["default_left"][node]) if np.isnan(value) else value < tree["split_conditions"][node]
        return expected_value(tree, row, known, left if goes_left else right)
    covers = tree["sum_hessian"]
    parts = [covers[child] * expected_value(tree, row, known, child) for child in (left, right)]
    return float(sum(parts) / covers[node])


def shapley(trees: list[dict[str, Any]], row: np.ndarray, features: int) -> list[float]:
    """Return Shapley values by their definition: over all sets of features."""

    def worth(known: frozenset[int]) -> float:
        return sum(expected_value(tree, row, known) for tree in trees)

    found = []
    for feature in range(features):
        others = [one for one in range(features) if one != feature]
        value = 0.0
        for size in range(features):
            weight = factorial(size) * factorial(features - size - 1) / factorial(features)
            for some in combinations(others, size):
                value += weight * (worth(frozenset(some) | {feature}) - worth(frozenset(some)))
        found.append(value)
    return found


def test_they_are_the_shapley_values_of_the_definition() -> None:
    rng = np.random.default_rng(4)
    rows = rng.normal(size=(400, 5)).astype(np.float32)
    rows[rng.random(rows.shape) < 0.1] = np.nan
    labels = (np.nan_to_num(rows[:, 0]) * np.nan_to_num(rows[:, 1]) + np.nan_to_num(rows[:, 2]) > 0.2).astype(int)
    plan = {"objective": "binary:logistic", "max_depth": 3, "nthread": 1, "seed": 1}
    booster = xgboost.train(plan, xgboost.DMatrix(rows, labels), 6)
    booster = load_booster(bytes(booster.save_raw("ubj")))
    found = booster.predict(xgboost.DMatrix(rows[:4]), pred_contribs=True)
    trees = json.loads(bytes(booster.save_raw("json")))["learner"]["gradient_booster"]["model"]["trees"]
    for row, shares in zip(rows[:4], found, strict=True):
        assert shares[:-1] == pytest.approx(shapley(trees, row, 5), abs=1e-4)


def test_groups_hold_what_their_features_add() -> None:
    rng = np.random.default_rng(1)
    shares = rng.normal(size=(3, len(feature_schema()))).astype(np.float32)
    found = by_group(shares, feature_groups(), len(GROUP_CODES))
    for group in range(len(GROUP_CODES)):
        assert found[:, group] == pytest.approx(shares[:, feature_groups() == group].sum(axis=1), abs=1e-4)


def test_contributions_that_miss_the_margin_are_refused(directory: Path) -> None:
    exact = ExactExplainer.load(directory)(tiny_set().features[:3])
    check_sum(exact)
    for wrong in (replace(exact, margin=exact.margin + 0.01), replace(exact, base=float("nan"))):
        with pytest.raises(ShapError, match="miss the margin"):
            check_sum(wrong)


def test_contributions_of_other_trees_than_the_graphs_are_refused(directory: Path) -> None:
    rows = tiny_set().features[:3]
    exact, score = ExactExplainer.load(directory)(rows), Model.load(directory).score(rows)
    check_score(exact, score)
    for wrong in (score + np.float32(1), np.full(3, np.nan, np.float32)):
        with pytest.raises(ShapError, match="trees and its graph differ"):
            check_score(exact, wrong)


def test_a_damaged_booster_is_refused(directory: Path, tmp_path: Path) -> None:
    for path in directory.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / BOOSTER_FILE).write_bytes(b"{}")
    with pytest.raises(ModelError, match=r"booster\.ubj is not the file that the manifest names"):
        ExactExplainer.load(tmp_path)


def test_sentences_name_observed_values() -> None:
    schema = feature_schema()
    row = np.full(len(schema), np.nan, np.float32)
    row[schema.position["velocity.events_5m"]] = 47
    said = {say(group, row) for group in range(len(GROUP_CODES))}
    assert any("47" in one for one in said)


def test_no_rows_are_explained_as_no_rows(directory: Path) -> None:
    exact = ExactExplainer.load(directory)(np.empty((0, len(feature_schema())), np.float32))
    assert exact.features.shape == (0, len(feature_schema())) and len(exact.score) == 0


def test_the_calibration_is_the_manifests(directory: Path) -> None:
    explainer = ExactExplainer.load(directory)
    assert explainer.calibration == Calibration(explainer.manifest.slope, explainer.manifest.offset)
