"""Measures of a scoring model on labelled events. Labels are int8[n] of 0 and 1, scores float[n]."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def _ranked(labels: NDArray[np.int8], scores: NDArray[Any]) -> tuple[Floats, Floats]:
    """Return true and false positives at each distinct score, highest first. ValueError without both classes."""
    if not (labels == 1).any() or not (labels == 0).any():
        raise ValueError("metrics need both labels; give more events")
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    hits = np.cumsum(labels[order] == 1)[ends]
    return hits.astype(np.float64), (ends + 1 - hits).astype(np.float64)


def roc_auc(labels: NDArray[np.int8], scores: NDArray[Any]) -> float:
    """Return the area under the receiver operating characteristic."""
    hits, alarms = _ranked(labels, scores)
    return float(np.trapezoid(np.append(0, hits / hits[-1]), np.append(0, alarms / alarms[-1])))


def pr_auc(labels: NDArray[np.int8], scores: NDArray[Any]) -> float:
    """Return average precision, the step-wise area under the precision-recall curve."""
    hits, alarms = _ranked(labels, scores)
    return float((np.diff(np.append(0, hits)) / hits[-1] * hits / (hits + alarms)).sum())


def threshold_at(labels: NDArray[np.int8], scores: NDArray[Any], false_positives: float) -> float:
    """Return the lowest score from which on at most this share of honest events lies; inf where there is none."""
    _, alarms = _ranked(labels, scores)
    distinct = np.unique(scores)[::-1]
    fitting = np.flatnonzero(alarms / alarms[-1] <= false_positives)
    return float(distinct[fitting[-1]]) if fitting.size else float("inf")


def recall_at(labels: NDArray[np.int8], scores: NDArray[Any], false_positives: float) -> float:
    """Return the share of fraud found at this share of false positives."""
    return float((scores[labels == 1] >= threshold_at(labels, scores, false_positives)).mean())


def calibration_error(labels: NDArray[np.int8], probability: NDArray[Any], bins: int = 15) -> float:
    """Return the expected calibration error over equal-width bins."""
    bin_of = np.minimum((probability * bins).astype(np.int64), bins - 1)
    predicted = np.bincount(bin_of, weights=probability, minlength=bins)
    happened = np.bincount(bin_of, weights=labels, minlength=bins)
    return float(np.abs(predicted - happened).sum() / len(labels))


def measure(labels: NDArray[np.int8], score: NDArray[Any], kinds: Sequence[str], review: float) -> dict[str, Any]:
    """Return all figures for scores of 0 to 100; per-attacker recall is at the review threshold."""
    values = np.asarray(score, np.float64)
    flagged = values >= review
    kind = np.array(kinds)
    attackers = sorted(set(kind[labels == 1].tolist()))
    return {
        "events": len(labels),
        "fraud_share": round(float((labels == 1).mean()), 4),
        "roc_auc": round(roc_auc(labels, values), 5),
        "pr_auc": round(pr_auc(labels, values), 5),
        "recall_at_1pct_fpr": round(recall_at(labels, values, 0.01), 5),
        "calibration_error": round(calibration_error(labels, values / 100), 5),
        "false_positive_rate": round(float(flagged[labels == 0].mean()), 5),
        "recall": round(float(flagged[labels == 1].mean()), 5),
        "recall_by_attacker": {
            name: round(float(flagged[(kind == name) & (labels == 1)].mean()), 4) for name in attackers
        },
    }
