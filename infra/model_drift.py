"""Drift of live traffic: stored features, and the scores that they give, against what the model saw in its training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from infra.model_compare import CompareError, Source
from schemas.batches import F32
from scoring.compare import Floats, moment
from scoring.drift import MOVED, REFERENCE_FILE, Histogram, Reference, histogram, psi
from scoring.features import feature_schema
from scoring.model import Model, read_file

METRICS: Final = {
    "score_psi": "population stability index of the scores against those of the hold-out",
    "largest_feature_psi": "the same of the feature that drifted most against the training data",
    "features_moved": "features with an index of 0.25 and more",
    "rows": "rows with stored features",
    "events": "events that they stand for",
    "with_features_share": "share of the events whose features are stored in this build's schema",
}
"""What a gate may rest on."""


@dataclass(frozen=True, slots=True)
class Drifted:
    """What was found: all of it as plain JSON, and the values of ``METRICS``."""

    figures: dict[str, Any]
    values: dict[str, float | None]


def live_drift(model: Model, source: Source, progress: Callable[[int], None] | None = None) -> Drifted:
    """Measure drift on a source's events. CompareError where none has features, or the model no reference."""
    try:
        reference = Reference.decode(read_file(model.directory, model.manifest, REFERENCE_FILE))
    except ValueError as error:  # ModelError is one
        raise CompareError(f"model {model.version} says nothing of the data that it saw: {error}") from error
    score, features = _Counted(reference.score), {name: _Counted(one) for name, one in reference.features.items()}
    position, rows, read, asked, times = feature_schema().position, 0, 0, 0.0, []
    for batch in source.batches(model.version, model.version):
        read += len(batch.events)
        asked += float(batch.events.weight.sum())
        if batch.features is not None:
            weight = batch.events.weight[batch.has_features]
            rows += len(weight)
            times += [int(batch.events.occurred_at.min()), int(batch.events.occurred_at.max())]
            score.add(model.score(batch.features), weight)
            for name, counted in features.items():
                counted.add(batch.features[:, position[name]], weight)
        if progress:
            progress(read)
    if not rows:
        raise CompareError("no event has features of this build: name another time range, merchant or event type")
    table = sorted((one.told(name) for name, one in features.items()), key=lambda one: (-one["psi"], one["name"]))
    figures = {
        "version": model.version,
        "source": source.name,
        "rows": rows,
        "events": round(score.events, 1),
        "asked": round(asked, 1),
        "first": moment(min(times)),
        "last": moment(max(times)),
        "score_psi": round(score.psi(), 5),
        "score": {"edges": list(reference.score.edges), "before": list(reference.score.shares), "now": score.shares()},
        "features_moved": sum(one["psi"] >= MOVED for one in table),
        "features": table,
    }
    return Drifted(figures, _values(figures))


def _values(figures: dict[str, Any]) -> dict[str, float | None]:
    table = figures["features"]
    return {
        "score_psi": figures["score_psi"],
        "largest_feature_psi": table[0]["psi"] if table else None,
        "features_moved": figures["features_moved"],
        "rows": figures["rows"],
        "events": figures["events"],
        "with_features_share": figures["events"] / figures["asked"],
    }


class _Counted:
    """A histogram of live values, summed up batch by batch, beside the one of the training."""

    def __init__(self, before: Histogram) -> None:
        self._before = before
        self._sums: Floats = np.zeros(len(before.shares))
        self.events = 0.0

    def add(self, values: F32, weight: Floats) -> None:
        """Count values float32[n], NaN where absent."""
        total = float(weight.sum())
        self._sums += total * np.array(histogram(values, self._before.edges, weight).shares)
        self.events += total

    def shares(self) -> list[float]:
        """Return the share of each bin, the absent ones last."""
        return np.round(self._sums / self.events, 6).tolist()

    def psi(self) -> float:
        """Return the index against the training."""
        return psi(self._before, Histogram(self._before.edges, tuple(self.shares())))

    def told(self, name: str) -> dict[str, Any]:
        """Return what is told of a feature."""
        absent = {"absent_before": self._before.shares[-1], "absent_now": self.shares()[-1]}
        return {"name": name, "psi": round(self.psi(), 5), **absent}
