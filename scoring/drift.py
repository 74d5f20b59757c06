"""Drift: how far scores and features have moved, as population stability indices of histograms that models keep.

The index (PSI) is the sum over bins of (a - e) ln(a / e), for expected shares e and actual shares a: the symmetric
Kullback-Leibler divergence. Credit scoring's usual reading: below 0.1 stable, from 0.25 on another population
(Siddiqi, "Credit Risk Scorecards", 2006).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.batches import F32

REFERENCE_FILE = "reference.json"
STABLE, MOVED = 0.1, 0.25
SCORE_EDGES = tuple(float(edge) for edge in range(5, 100, 5))
_QUANTILES = np.arange(0.1, 0.95, 0.1)
_LEAST = 1e-4  # share of a bin: an empty one would be infinitely far

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Histogram:
    """Shares of k + 2 bins: below, between and above k edges (an edge belongs to the bin above), and absent last."""

    edges: tuple[float, ...]
    shares: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Reference:
    """What a model saw: its scores on the hold-out, and each feature that it uses in the training part."""

    score: Histogram
    features: Mapping[str, Histogram]

    def encode(self) -> bytes:
        """Return the file, the same for the same histograms."""
        features = {name: [one.edges, one.shares] for name, one in self.features.items()}
        return json.dumps({"score": [self.score.edges, self.score.shares], "features": features}).encode() + b"\n"

    @classmethod
    def decode(cls, data: bytes) -> Reference:
        """Read the file. ValueError where it is none."""
        try:
            found = json.loads(data)
            features = {name: _histogram(*one) for name, one in found["features"].items()}
            return cls(_histogram(*found["score"]), features)
        except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
            raise ValueError(f"{REFERENCE_FILE} holds no histograms; train the model again") from error


def _histogram(edges: Sequence[float], shares: Sequence[float]) -> Histogram:
    if len(shares) != len(edges) + 2:
        raise ValueError(f"{REFERENCE_FILE} has a histogram of the wrong length; train the model again")
    return Histogram(tuple(edges), tuple(shares))


def histogram(values: NDArray[Any], edges: Sequence[float], weights: Floats) -> Histogram:
    """Return the weighted shares of values float[n], NaN where absent, between edges."""
    place = np.searchsorted(np.array(edges, values.dtype), values, side="right")
    place[np.isnan(values)] = len(edges) + 1
    counted = np.bincount(place, weights=weights, minlength=len(edges) + 2)
    return Histogram(tuple(edges), tuple((counted / counted.sum()).round(6).tolist()))


def reference(names: Sequence[str], columns: F32, score: Floats, score_weights: Floats, weights: Floats) -> Reference:
    """Return the reference of scores and of features float32[n, k], binned at their deciles."""
    features = {}
    for name, values in zip(names, columns.T, strict=True):
        known = values[~np.isnan(values)]
        edges = np.unique(np.quantile(known, _QUANTILES, method="lower")) if known.size else np.empty(0, np.float32)
        features[name] = histogram(values, edges.tolist(), weights)
    return Reference(histogram(score, SCORE_EDGES, score_weights), features)


def psi(expected: Histogram, actual: Histogram) -> float:
    """Return the population stability index. ValueError where the edges differ."""
    if expected.edges != actual.edges:
        raise ValueError("histograms of different edges cannot be compared")
    old, new = (np.maximum(np.array(one.shares), _LEAST) for one in (expected, actual))
    return float(((new - old) * np.log(new / old)).sum())


@dataclass(frozen=True, slots=True)
class Last:
    """What an earlier model tells for comparison."""

    version: str
    metrics: Mapping[str, Any]
    reference: Reference


def read_last(directory: Path, version: str, metrics: Mapping[str, Any]) -> Last | None:
    """Return what a model's directory tells, or none where it is of a build that kept no histograms."""
    try:
        return Last(version, metrics, Reference.decode((directory / REFERENCE_FILE).read_bytes()))
    except OSError:
        return None


_COMPARED = ("roc_auc", "pr_auc", "recall_at_1pct_fpr", "calibration_error", "false_positive_rate", "recall")


def drift(
    last: Last, names: Sequence[str], columns: F32, weights: Floats, score: Histogram, metrics: Mapping[str, Any]
) -> dict[str, Any]:
    """Return how far training data (features [n, F]), scores and figures have moved since an earlier model."""
    place = {name: column for column, name in enumerate(names)}
    moved = {
        name: psi(old, histogram(columns[:, place[name]], old.edges, weights))
        for name, old in last.reference.features.items()
        if name in place
    }
    ordered = sorted(moved.items(), key=lambda item: (-item[1], item[0]))
    return {
        "since": last.version,
        "score_psi": round(psi(last.reference.score, score), 5),
        "features": [{"name": name, "psi": round(value, 5)} for name, value in ordered],
        "features_moved": sum(value >= MOVED for value in moved.values()),
        "features_gone": sorted(set(last.reference.features) - set(place)),
        "metrics": {
            name: {
                "before": last.metrics[name],
                "now": metrics[name],
                "by": round(metrics[name] - last.metrics[name], 5),
            }
            for name in _COMPARED
            if isinstance(last.metrics.get(name), float) and name in metrics
        },
    }
