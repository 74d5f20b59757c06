"""Measures of a scoring model on labelled events.

Labels are int8[n] of 0 and 1, scores float[n], weights float64[n] (how many events a row stands for; unset: 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.int8]
FALSE_POSITIVES = (0.001, 0.005, 0.01, 0.02, 0.05)
CALIBRATION_BINS = 15
_POINTS = 200  # of a curve: more do not show


def _weights(labels: Labels, weights: Floats | None) -> Floats:
    return np.ones(len(labels)) if weights is None else weights


def ranked(labels: Labels, scores: NDArray[Any], weights: Floats | None = None) -> tuple[Floats, Floats, Floats]:
    """Return each distinct score, highest first, and the true and false positives from it on.

    ValueError without both classes.
    """
    if not (labels == 1).any() or not (labels == 0).any():
        raise ValueError("metrics need both labels; give more events")
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    counted = _weights(labels, weights)[order]
    fraud = labels[order] == 1
    hits, alarms = (np.cumsum(np.where(mine, counted, 0.0))[ends] for mine in (fraud, ~fraud))
    return scores[order][ends].astype(np.float64), hits, alarms


def roc_auc(labels: Labels, scores: NDArray[Any], weights: Floats | None = None) -> float:
    """Return the area under the receiver operating characteristic."""
    _, hits, alarms = ranked(labels, scores, weights)
    return float(np.trapezoid(np.append(0, hits / hits[-1]), np.append(0, alarms / alarms[-1])))


def pr_auc(labels: Labels, scores: NDArray[Any], weights: Floats | None = None) -> float:
    """Return average precision, the step-wise area under the precision-recall curve."""
    _, hits, alarms = ranked(labels, scores, weights)
    return float((np.diff(np.append(0, hits)) / hits[-1] * hits / (hits + alarms)).sum())


def threshold_at(labels: Labels, scores: NDArray[Any], false_positives: float, weights: Floats | None = None) -> float:
    """Return the lowest score from which on at most this share of honest events lies; inf where there is none."""
    distinct, _, alarms = ranked(labels, scores, weights)
    fitting = np.flatnonzero(alarms / alarms[-1] <= false_positives)
    return float(distinct[fitting[-1]]) if fitting.size else float("inf")


def recall_at(labels: Labels, scores: NDArray[Any], false_positives: float, weights: Floats | None = None) -> float:
    """Return the share of fraud found at this share of false positives."""
    flagged = scores >= threshold_at(labels, scores, false_positives, weights)
    return share(flagged, labels == 1, weights)


def share(flagged: NDArray[np.bool_], among: NDArray[np.bool_], weights: Floats | None = None) -> float:
    """Return the weighted share of rows that are flagged, among some; NaN where there are none."""
    counted = np.ones(len(among)) if weights is None else weights
    total = float(counted[among].sum())
    return float(counted[among & flagged].sum()) / total if total else float("nan")


def calibration_error(
    labels: Labels, probability: NDArray[Any], weights: Floats | None = None, bins: int = CALIBRATION_BINS
) -> float:
    """Return the expected calibration error over equal-width bins (Naeini, Cooper, Hauskrecht, 2015)."""
    predicted, happened, counted = calibration(labels, probability, weights, bins)
    return float(np.abs(predicted - happened).sum() / counted.sum())


def calibration(
    labels: Labels, probability: NDArray[Any], weights: Floats | None = None, bins: int = CALIBRATION_BINS
) -> tuple[Floats, Floats, Floats]:
    """Return by bin of the predicted probability: the fraud predicted, the fraud that happened, and the events."""
    counted = _weights(labels, weights)
    bin_of = np.minimum((probability * bins).astype(np.int64), bins - 1)

    def total(values: Floats) -> Floats:
        return np.bincount(bin_of, weights=values, minlength=bins).astype(np.float64)

    return total(counted * probability), total(counted * labels), total(counted)


def at_threshold(
    labels: Labels, scores: NDArray[Any], threshold: float, weights: Floats | None = None
) -> dict[str, float | None]:
    """Return what flagging from a score on would give; precision is None where nothing is flagged."""
    flagged, fraud = scores >= threshold, labels == 1
    precision = share(fraud, flagged, weights)
    return {
        "threshold": round(threshold, 4) if np.isfinite(threshold) else None,
        "precision": None if np.isnan(precision) else round(precision, 5),
        "recall": round(share(flagged, fraud, weights), 5),
        "false_positive_rate": round(share(flagged, ~fraud, weights), 5),
        "flagged": round(share(flagged, np.ones(len(labels), np.bool_), weights), 5),
    }


def curves(labels: Labels, scores: NDArray[Any], weights: Floats | None = None) -> dict[str, list[list[float]]]:
    """Return the points of both curves: [false positive rate, recall] and [recall, precision], at most 200 each."""
    _, hits, alarms = ranked(labels, scores, weights)
    recall, false_positives = hits / hits[-1], alarms / alarms[-1]
    precision = hits / (hits + alarms)
    return {
        "roc": _thinned(np.append(0, false_positives), np.append(0, recall)),
        "precision_recall": _thinned(recall, precision),
    }


def _thinned(across: Floats, up: Floats) -> list[list[float]]:
    """Return points that are spread evenly along the curve."""
    length = np.concatenate(([0.0], np.cumsum(np.hypot(np.diff(across), np.diff(up)))))
    wanted = np.linspace(0, length[-1], _POINTS)
    kept = np.unique(np.clip(np.searchsorted(length, wanted), 0, len(across) - 1))
    return [[round(x, 5), round(y, 5)] for x, y in zip(across[kept].tolist(), up[kept].tolist(), strict=True)]


def measure(
    labels: Labels, score: NDArray[Any], kinds: Sequence[str], review: float, weights: Floats | None = None
) -> dict[str, Any]:
    """Return the main figures for scores of 0 to 100; per-attacker recall is at the review threshold."""
    values = np.asarray(score, np.float64)
    flagged, fraud = values >= review, labels == 1
    kind = np.array(kinds)
    attackers = sorted(set(kind[fraud].tolist()))
    return {
        "events": len(labels),
        "fraud_share": round(share(fraud, np.ones(len(labels), np.bool_), weights), 4),
        "roc_auc": round(roc_auc(labels, values, weights), 5),
        "pr_auc": round(pr_auc(labels, values, weights), 5),
        "recall_at_1pct_fpr": round(recall_at(labels, values, 0.01, weights), 5),
        "calibration_error": round(calibration_error(labels, values / 100, weights), 5),
        "false_positive_rate": round(share(flagged, ~fraud, weights), 5),
        "recall": round(share(flagged, fraud, weights), 5),
        "recall_by_attacker": {name: round(share(flagged, (kind == name) & fraud, weights), 4) for name in attackers},
    }
