"""Two models over events: scored again from stored features where they can be, else by the scores that are stored.

source = SimulatedEvents(events=20_000, seed=11, fallback=a.policy())
found = compare(side_of(model_a), side_of(model_b), source)
failures(found.comparison.values, [Condition.read("flip_share>0.02")])     # of scoring.gate
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np

from schemas.batches import F32, Bool
from scoring.compare import Events, FactorChanges, Floats, Pairs
from scoring.comparison import Comparison, Cost, summarize
from scoring.groups import GROUP_CODES
from scoring.model import Model, ModelError
from scoring.policy import Policy

_ROWS_AT_ONCE = 512  # as the flow's batches: what the contributions and features of more take is not worth it


class CompareError(Exception):
    """Models cannot be compared; the text is one sentence that says why and what to do."""


@dataclass(frozen=True, slots=True, eq=False)
class SourceBatch:
    """n events, with their features where they are stored, and the scores that are stored."""

    events: Events
    features: F32 | None  # [m, F]: of those rows that have them, in order
    has_features: Bool  # [n]
    stored_a: F32  # [n], NaN where A did not score it
    stored_b: F32


class Source(Protocol):
    """Where events come from."""

    @property
    def name(self) -> str:
        """Return clickhouse, files or simulation."""
        ...

    def total(self) -> int:
        """Return about how many rows will come."""
        ...

    def batches(self, a: str, b: str) -> Iterator[SourceBatch]:
        """Yield the events in batches that fit into memory; stored scores of these two versions."""
        ...


class Side(NamedTuple):
    """One of the two models. ``model`` None: it cannot be run here, only its stored scores speak; ``why`` says so."""

    version: str
    model: Model | None
    why: str = ""

    def policy(self) -> Policy:
        """Return the thresholds for events that were stored without."""
        return self.model.policy if self.model else Policy()

    def runs(self) -> Model:
        """Return the model, where only running it will do. CompareError where it cannot be run."""
        if self.model is None:
            raise CompareError(f"{self.version} cannot be run here: {self.why}")
        return self.model


@dataclass(slots=True)
class Told:
    """Where one model's scores come from, in rows."""

    rescored: int = 0
    stored: int = 0
    missing: int = 0
    seconds: float = 0.0

    def us_per_event(self) -> float | None:
        """Return what scoring again took, in microseconds an event."""
        return 1e6 * self.seconds / self.rescored if self.rescored else None


@dataclass(frozen=True, slots=True)
class Found:
    """A comparison, and what it rests on."""

    a: Side
    b: Side
    source: str
    told_a: Told
    told_b: Told
    comparison: Comparison

    def as_json(self) -> dict[str, Any]:
        """Return everything as plain JSON."""
        sides = {
            name: {
                "version": side.version,
                "rescored": told.rescored,
                "stored": told.stored,
                "missing": told.missing,
                "not_rescored_because": side.why or None,
            }
            for name, side, told in (("a", self.a, self.told_a), ("b", self.b, self.told_b))
        }
        return {**sides, "source": self.source, **self.comparison.figures, "metrics": self.comparison.values}


def side_of(model: Model) -> Side:
    """Return the side of a model that is loaded."""
    return Side(model.version, model)


def compare(a: Side, b: Side, source: Source, *, progress: Callable[[int], None] | None = None, seed: int = 7) -> Found:
    """Compare two models on a source's events; ``progress`` is told the rows done. CompareError: none is common."""
    work = _Work(a, b)
    for batch in source.batches(a.version, b.version):
        work.add(batch)
        if progress:
            progress(work.rows)
    if not work.rows:
        raise CompareError("there is no event to compare on: name another time range, merchant or event type")
    if not work.pairs:
        raise CompareError(
            f"no event has a score of both {a.version} and {b.version}: {a.why or b.why or 'features are not stored'}; "
            "compare models that fit this build, or one that was a shadow of the other"
        )
    pairs = Pairs.concat(work.pairs)
    cost = Cost(work.told_a.us_per_event(), work.told_b.us_per_event())
    comparison = summarize(pairs, work.factors, asked=work.asked, cost=cost, seed=seed)
    return Found(a, b, source.name, work.told_a, work.told_b, comparison)


@dataclass(slots=True)
class _Work:
    """The state of a comparison: what it keeps of a row is some 100 bytes, whatever features are."""

    a: Side
    b: Side
    told_a: Told = field(default_factory=Told)
    told_b: Told = field(default_factory=Told)
    factors: FactorChanges = field(default_factory=lambda: FactorChanges(GROUP_CODES))
    pairs: list[Pairs] = field(default_factory=list)
    rows: int = 0
    asked: float = 0.0

    def add(self, batch: SourceBatch) -> None:
        self.rows += len(batch.events)
        self.asked += float(batch.events.weight.sum())
        a, b = batch.stored_a.copy(), batch.stored_b.copy()
        kept_a, kept_b = (~np.isnan(scores) for scores in (a, b))
        again = np.flatnonzero(batch.has_features) if batch.features is not None else np.empty(0, np.intp)
        if batch.features is not None:
            for first in range(0, len(again), _ROWS_AT_ONCE):
                chunk = slice(first, first + _ROWS_AT_ONCE)
                self._rescore(batch.features[chunk], again[chunk], a, b, batch.events.weight)
        for told, side, scores, kept in ((self.told_a, self.a, a, kept_a), (self.told_b, self.b, b, kept_b)):
            rescored = batch.has_features if side.model else np.zeros(len(kept), np.bool_)
            told.rescored += int(rescored.sum())
            told.stored += int((kept & ~rescored).sum())
            told.missing += int(np.isnan(scores).sum())
        both = np.flatnonzero(~np.isnan(a) & ~np.isnan(b))
        if len(both):
            self.pairs.append(Pairs.of(batch.events.take(both), a[both], b[both]))

    def _rescore(self, features: F32, rows: Any, a: F32, b: F32, weight: Floats) -> None:
        for side, told, scores in ((self.a, self.told_a, a), (self.b, self.told_b, b)):
            if side.model is not None:
                scores[rows], seconds = _run(side.model, features)
                told.seconds += seconds
        if self.a.model is not None and self.b.model is not None:
            a_adds, b_adds = (_contributions(model, features) for model in (self.a.model, self.b.model))
            self.factors.add(a_adds, b_adds, weight[rows])


def _run(model: Model, features: F32) -> tuple[F32, float]:
    """Return the scores, as the flow computes them, and the seconds it took with factors."""
    began = time.perf_counter()
    score = model.run(features).score
    seconds = time.perf_counter() - began
    if np.isnan(score).any():
        raise ModelError(f"model {model.version} gives a score that is not a number; do not use it")
    return score, seconds


def _contributions(model: Model, features: F32) -> Floats:
    """Return what every group adds, float64[n, G]: calibrated log-odds, which compare between models."""
    (contributions,) = model.session.run(["contributions"], {"features": features})
    return contributions.astype(np.float64) * model.manifest.slope
