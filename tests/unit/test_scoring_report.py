"""The report of a training: what it measures, that it is the same twice, and what the pages show."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from scoring import metrics
from scoring.drift import REFERENCE_FILE, Histogram, Last, Reference, histogram, psi, read_last
from scoring.model import ModelError, read_manifest
from scoring.model_card import SEMI_SYNTHETIC
from scoring.release import release
from scoring.report import Report, make_report
from scoring.report_file import PAGE_FILE, REPORT_FILE, compared_with, read_report
from scoring.report_page import page
from tests.tiny_model import TINY, tiny_model, tiny_set


@cache
def report() -> Report:
    """Return the report of the tiny model."""
    return make_report(tiny_set(), tiny_model(), TINY)


def drawn(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels, scores with ties, and weights."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(rows) < 0.4).astype(np.int8)
    scores = np.round(np.clip(rng.normal(30 + 30 * labels, 20), 0, 100), 0)
    return labels, scores, rng.integers(1, 4, rows).astype(np.float64)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_weighted_metrics_equal_those_of_repeated_rows(seed: int) -> None:
    labels, scores, weights = drawn(60, seed)
    again = np.repeat(np.arange(60), weights.astype(int))
    for measure in (metrics.roc_auc, metrics.pr_auc):
        assert measure(labels, scores, weights) == pytest.approx(measure(labels[again], scores[again]))
    for rate in metrics.FALSE_POSITIVES:
        assert metrics.recall_at(labels, scores, rate, weights) == metrics.recall_at(labels[again], scores[again], rate)
    error = metrics.calibration_error(labels[again], scores[again] / 100)
    assert metrics.calibration_error(labels, scores / 100, weights) == pytest.approx(error)


@pytest.mark.parametrize("seed", [4, 5])
def test_thresholds_and_areas_equal_plain_loops(seed: int) -> None:
    labels, scores, _ = drawn(80, seed)
    pairs = [(a > b) + 0.5 * (a == b) for a in scores[labels == 1] for b in scores[labels == 0]]
    assert metrics.roc_auc(labels, scores) == pytest.approx(float(np.mean(pairs)))
    steps, before = 0.0, 0.0
    for threshold in sorted(set(scores.tolist()), reverse=True):
        flagged = scores >= threshold
        recall, precision = float(flagged[labels == 1].mean()), float((labels[flagged] == 1).mean())
        steps, before = steps + (recall - before) * precision, recall
        found = metrics.at_threshold(labels, scores, threshold)
        assert found["precision"] == pytest.approx(precision, abs=1e-5)
        assert found["false_positive_rate"] == pytest.approx(float(flagged[labels == 0].mean()), abs=1e-5)
    assert metrics.pr_auc(labels, scores) == pytest.approx(steps)
    curve = metrics.curves(labels, scores)["roc"]
    assert curve[0] == [0, 0] and curve[-1] == [1, 1] and len(curve) <= 200
    assert curve == sorted(curve)


def test_the_stability_index_is_the_symmetric_divergence_and_0_of_equals() -> None:
    one = histogram(np.array([1.0, 2, 3, np.nan]), (2.0, 3.0), np.ones(4))
    assert one == Histogram((2.0, 3.0), (0.25, 0.25, 0.25, 0.25))
    other = histogram(np.array([2.5, 2, np.nan, np.nan]), (2.0, 3.0), np.array([2.0, 2.0, 2.0, 2.0]))
    assert other.shares == (0.0, 0.5, 0.0, 0.5)
    assert psi(one, one) == 0
    by_hand = 2 * ((0.5 - 0.25) * np.log(2) + (1e-4 - 0.25) * np.log(1e-4 / 0.25))
    assert psi(one, other) == pytest.approx(psi(other, one)) == pytest.approx(by_hand)
    with pytest.raises(ValueError, match="different edges"):
        psi(one, replace(one, edges=(1.0, 3.0)))


def test_the_report_measures_the_hold_out_and_says_which_goals_are_met() -> None:
    told = report().told
    rows = tiny_model().split.test
    assert told["figures"]["events"] == len(rows) == told["training"]["parts"]["hold_out"]["events"]
    assert sum(map(sum, told["scores"].values())) == len(rows)
    assert sum(one["events"] for one in told["calibration"]) == len(rows)
    goals = {goal["figure"]: goal for goal in told["goals"]}
    assert set(goals) == {"roc_auc", "recall_at_1pct_fpr", "calibration_error", "top_factor_agreement"}
    assert goals["roc_auc"]["met"] == (tiny_model().metrics["roc_auc"] >= 0.97)
    assert goals["calibration_error"]["met"] == (tiny_model().metrics["calibration_error"] <= 0.03)
    assert goals["top_factor_agreement"]["value"] == 1.0
    assert told["factors"]["largest_difference"] < 1e-3
    assert [one["kind"] for one in told["attackers"]] == ["bot"]
    assert {one["decides"] for one in told["thresholds"]} == {"", "review", "deny"}
    assert [one["at_most"] for one in told["at_false_positive_rates"]] == [0.001, 0.005, 0.01, 0.02, 0.05]
    assert told["false_positives"]["browser"][0]["name"] == "chrome"
    assert told["features"][0]["gain"] >= told["features"][-1]["gain"]
    assert told["drift"] is None


def test_the_report_is_the_same_twice_byte_for_byte() -> None:
    again = make_report(tiny_set(), tiny_model(), TINY)
    assert again.encode() == report().encode()
    assert again.reference.encode() == report().reference.encode()
    assert page("goose-1", "told", again.told) == page("goose-1", "told", report().told)
    json.loads(again.encode(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_drift_of_the_same_data_is_none_and_of_shifted_data_names_the_feature() -> None:
    last = Last("goose-before", tiny_model().metrics, report().reference)
    same = make_report(tiny_set(), tiny_model(), TINY, last).told["drift"]
    assert (same["since"], same["score_psi"], same["features_moved"]) == ("goose-before", 0.0, 0)
    assert all(one["by"] == 0 for one in same["metrics"].values())
    name = report().told["features"][0]["name"]
    features = tiny_set().features.copy()
    features[:, tiny_set().names.index(name)] += 1_000
    moved = make_report(replace(tiny_set(), features=features), tiny_model(), TINY, last).told["drift"]
    assert moved["features"][0]["name"] == name and moved["features"][0]["psi"] > 1
    assert moved["features_moved"] == 1


def test_histograms_are_read_back_and_a_broken_file_is_one_sentence(tmp_path: Path) -> None:
    kept = report().reference
    assert Reference.decode(kept.encode()) == kept
    for broken in (b"", b"{}", b'{"score": [[1], [1]], "features": {}}'):
        with pytest.raises(ValueError, match=REFERENCE_FILE):
            Reference.decode(broken)
    assert read_last(tmp_path, "goose-1", {}) is None


def test_the_page_is_one_file_in_light_and_dark_with_four_plots() -> None:
    text = page("goose-1a2b3c4d", "Semi-<synthetic>", report().told)
    assert text.count("<svg ") == 4
    assert "prefers-color-scheme: dark" in text and "Semi-&lt;synthetic&gt;" in text
    assert "<script" not in text and not re.search(r'(src|href)="?https?:', text)
    names = re.findall(r'\bid="([^"]+)"', text)
    assert len(names) == len(set(names)) > 20
    for said in ("goose-1a2b3c4d", "at 1% false positives", "roc auc", "exact TreeSHAP", "no earlier model"):
        assert said in text


def test_a_release_holds_its_report_which_does_not_change_its_name(tmp_path: Path) -> None:
    plain, _ = release(tiny_model(), TINY, tmp_path / "a")
    told, _ = release(tiny_model(), TINY, tmp_path / "b", report=lambda _: report())
    assert plain.name == told.name
    manifest = read_manifest(told)
    assert {REPORT_FILE, PAGE_FILE, REFERENCE_FILE} <= set(manifest.files)
    assert manifest.data_window == report().window
    assert manifest.metrics["top_factor_agreement"] == 1.0
    assert read_report(told) == report().told
    assert compared_with(told) is None
    assert read_last(told, told.name, manifest.metrics) == Last(told.name, manifest.metrics, report().reference)
    card = (told / "card.md").read_text("utf-8")
    assert SEMI_SYNTHETIC in card and "700 events (700 test)" in card and "exact Shapley values" in card
    with pytest.raises(ModelError, match="has no report"):
        read_report(plain)
