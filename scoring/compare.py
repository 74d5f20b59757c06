"""Two models on the same events: how their scores, their decisions and their reasons differ.

A is the one in use, B the one that may follow it. Every figure counts a row ``weight`` times, so that a sample speaks
for all. What is better or worse is said by labels alone: see scoring/compare_labelled.py; what a CI accepts: gate.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.batches import F32, I8, I64, U8, U64
from schemas.columns import Columns
from schemas.result import DECISIONS
from scoring.policy import decide

Floats = NDArray[np.float64]
FRAUD, GENUINE, NOT_LABELLED = 1, 0, -1
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
HISTOGRAM_BINS, JOINT_BINS = 50, 25
PARTS_SHOWN = 50  # merchants and event types, those with the most flips first
EVENTS_SHOWN = 20
SMALLEST_PART = 100  # rows of a merchant or an event type whose flip share a gate may rest on
_LABEL_NAMES = {FRAUD: "fraud", GENUINE: "genuine", NOT_LABELLED: None}


@dataclass(frozen=True, slots=True, eq=False)
class Events(Columns):
    """n stored events, and what their decisions rest on besides the score. The thresholds are those in force then."""

    event_id: U8  # [n, 16]
    session: U64  # [n]: equal for events of one session, which a bootstrap draws together
    occurred_at: I64
    merchant: tuple[str, ...]
    event_type: tuple[str, ...]
    label: I8  # 1 fraud, 0 genuine, -1 not labelled
    weight: Floats  # how many events the row stands for
    review: F32
    deny: F32
    margin: F32  # how far below a threshold the score must fall to leave the stricter decision of before
    before: U8  # the session's standing decision before the event


@dataclass(frozen=True, slots=True, eq=False)
class Pairs(Events):
    """The same with the scores of both models, 0 to 100, and what they decide."""

    a: F32
    b: F32
    decided_a: U8
    decided_b: U8

    @classmethod
    def of(cls, events: Events, a: F32, b: F32) -> Pairs:
        """Return events with the scores of both models float32[n], neither of them NaN."""
        kept = {name: getattr(events, name) for name in Events.__dataclass_fields__}
        return cls(**kept, a=a, b=b, decided_a=decisions(events, a), decided_b=decisions(events, b))


def decisions(events: Events, score: F32) -> U8:
    """Return what each event's own thresholds and its session's standing decision make of scores, uint8[n]."""
    return decide(score, events.review, events.deny, events.margin, events.before)


def scores_of(pairs: Pairs) -> dict[str, Any]:
    """Return mean and quantiles of each model's score, both histograms and the joint one, in events."""
    edges = np.linspace(0, 100, HISTOGRAM_BINS + 1)
    found: dict[str, Any] = {"histogram": {"edges": edges.tolist()}}
    for side, score in (("a", pairs.a), ("b", pairs.b)):
        quantiles = np.quantile(score, QUANTILES, weights=pairs.weight, method="inverted_cdf").tolist()
        found[side] = {
            "mean": float(np.average(score, weights=pairs.weight)),
            "quantiles": {_percent(q): float(value) for q, value in zip(QUANTILES, quantiles, strict=True)},
        }
        counts, _ = np.histogram(score, edges, weights=pairs.weight)
        found["histogram"][side] = counts.tolist()
    joint, *_ = np.histogram2d(pairs.a, pairs.b, JOINT_BINS, ((0, 100), (0, 100)), weights=pairs.weight)
    found["joint"] = joint.tolist()  # [of A][of B]
    return found


def _percent(quantile: float) -> str:
    return f"p{round(100 * quantile):02d}"


def agreement_of(pairs: Pairs) -> dict[str, float | None]:
    """Return how alike the scores are: correlations (None where a score never changes), and differences, B - A."""
    a, b, weight = pairs.a.astype(np.float64), pairs.b.astype(np.float64), pairs.weight
    difference = b - a
    return {
        "pearson": correlation(a, b, weight),
        "spearman": correlation(ranks(a, weight), ranks(b, weight), weight),
        "mean_difference": float(np.average(difference, weights=weight)),
        "mean_abs_difference": float(np.average(np.abs(difference), weights=weight)),
        "max_abs_difference": float(np.abs(difference).max()),
    }


def correlation(a: Floats, b: Floats, weight: Floats) -> float | None:
    """Return Pearson's correlation of weighted rows; None where one of the two never changes."""
    a, b = (values - np.average(values, weights=weight) for values in (a, b))
    spread = float(np.sqrt((weight * a * a).sum() * (weight * b * b).sum()))
    return float((weight * a * b).sum()) / spread if spread > 0 else None


def ranks(values: Floats, weight: Floats) -> Floats:
    """Return the weight below each value, that of equal values counted half: ranks, where all weights are 1."""
    _, which = np.unique(values, return_inverse=True)
    of_value = np.bincount(which, weight)
    return (np.cumsum(of_value) - of_value / 2)[which]


def flips_of(pairs: Pairs) -> dict[str, Any]:
    """Return the decisions of A against those of B: of all events, by merchant and by event type."""
    merchants, types = (_by_part(pairs, names) for names in (pairs.merchant, pairs.event_type))
    return {
        **_flips(_matrix(pairs.decided_a, pairs.decided_b, pairs.weight)),
        "by_merchant": merchants[:PARTS_SHOWN],
        "by_event_type": types[:PARTS_SHOWN],
        "merchants": len(merchants),
        "event_types": len(types),
        "largest_merchant_share": _largest(merchants),
        "largest_event_type_share": _largest(types),
    }


def _matrix(a: U8, b: U8, weight: Floats) -> Floats:
    """Return the events by decision of A (row) and of B (column), float64[3, 3]."""
    kinds = len(DECISIONS)
    cell = a.astype(np.intp) * kinds + b
    return np.bincount(cell, weight, kinds * kinds).reshape(kinds, kinds).astype(np.float64)


def _flips(matrix: Floats) -> dict[str, Any]:
    events = float(matrix.sum())
    stricter, milder = float(np.triu(matrix, 1).sum()), float(np.tril(matrix, -1).sum())
    return {
        "events": round(events, 1),
        "matrix": np.round(matrix, 1).tolist(),
        "share": (stricter + milder) / events,
        "stricter_share": stricter / events,
        "milder_share": milder / events,
        "decided": {
            side: dict(zip(DECISIONS, (matrix.sum(axis=axis) / events).tolist(), strict=True))
            for side, axis in (("a", 1), ("b", 0))
        },
    }


def _by_part(pairs: Pairs, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the flips by name, most flips first."""
    codes: dict[str, int] = {}
    which = np.array([codes.setdefault(name, len(codes)) for name in names], np.intp)
    kinds = len(DECISIONS)
    cell = (which * kinds + pairs.decided_a) * kinds + pairs.decided_b
    matrices = np.bincount(cell, pairs.weight, len(codes) * kinds * kinds).reshape(-1, kinds, kinds)
    rows = np.bincount(which, minlength=len(codes)).tolist()
    parts = [{"name": name, "rows": rows[code], **_flips(matrices[code])} for name, code in codes.items()]
    return sorted(parts, key=lambda part: (-part["share"] * part["events"], part["name"]))


def _largest(parts: list[dict[str, Any]]) -> float | None:
    """Return the largest flip share of a part with enough rows to speak of; None where there is none."""
    return max((part["share"] for part in parts if part["rows"] >= SMALLEST_PART), default=None)


def changed_events(pairs: Pairs) -> list[dict[str, Any]]:
    """Return the events whose score changed most: ids, and nothing that says who it was."""
    difference = np.abs(pairs.b.astype(np.float64) - pairs.a)
    largest = np.argpartition(-difference, min(EVENTS_SHOWN, len(difference)) - 1)[:EVENTS_SHOWN]
    order = largest[np.argsort(-difference[largest], kind="stable")].tolist()
    return [_event(pairs, row) for row in order if difference[row] > 0]


def _event(pairs: Pairs, row: int) -> dict[str, Any]:
    return {
        "event": pairs.event_id[row].tobytes().hex(),
        "merchant": pairs.merchant[row],
        "event_type": pairs.event_type[row],
        "occurred_at": moment(int(pairs.occurred_at[row])),
        "a": round(float(pairs.a[row]), 3),
        "b": round(float(pairs.b[row]), 3),
        "decided_a": DECISIONS[pairs.decided_a[row]],
        "decided_b": DECISIONS[pairs.decided_b[row]],
        "label": _LABEL_NAMES[int(pairs.label[row])],
    }


def moment(milliseconds: int) -> str:
    """Return a time in ISO 8601, UTC, to the second."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")


class FactorChanges:
    """What the factors of two models add to the log-odds, summed up batch by batch: G groups."""

    def __init__(self, groups: Sequence[str]) -> None:
        self._groups = tuple(groups)
        self._events, self._same_top = 0.0, 0.0
        count = len(self._groups)
        self._a, self._b, self._change, self._top_a, self._top_b = (np.zeros(count) for _ in range(5))

    def add(self, a: Floats, b: Floats, weight: Floats) -> None:
        """Add the contributions float64[n, G] of both models, in calibrated log-odds: of one scale."""
        self._events += float(weight.sum())
        self._a += weight @ a
        self._b += weight @ b
        self._change += weight @ np.abs(b - a)
        top_a, top_b = _raising_most(a), _raising_most(b)
        self._top_a += np.bincount(top_a, weight, len(self._groups) + 1)[:-1]
        self._top_b += np.bincount(top_b, weight, len(self._groups) + 1)[:-1]
        self._same_top += float(weight[top_a == top_b].sum())

    @property
    def top_agreement(self) -> float | None:
        """Return the share of events with the same strongest factor, or none in both; None where nothing was added."""
        return self._same_top / self._events if self._events else None

    def table(self) -> list[dict[str, Any]]:
        """Return all groups, the one that changed most first: means of the contributions, and shares as top factor."""
        if not self._events:
            return []
        columns = (self._change, self._a, self._b, self._top_a, self._top_b)
        names = ("mean_abs_change", "mean_a", "mean_b", "top_share_a", "top_share_b")
        values = np.stack(columns, axis=1) / self._events
        order = np.argsort(-values[:, 0], kind="stable").tolist()
        return [{"factor": self._groups[row], **dict(zip(names, values[row].tolist(), strict=True))} for row in order]


def _raising_most(contributions: Floats) -> NDArray[np.intp]:
    """Return the group that raises each score most, intp[n]; G where none raises it, since only such are told."""
    return np.where(contributions.max(axis=1) > 0, contributions.argmax(axis=1), contributions.shape[1])
