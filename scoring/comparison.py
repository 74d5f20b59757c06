"""The comparison of two models as a whole: every figure as one JSON object, and the values that a gate asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from scoring.compare import (
    FRAUD,
    NOT_LABELLED,
    FactorChanges,
    Pairs,
    agreement_of,
    changed_events,
    flips_of,
    moment,
    scores_of,
)
from scoring.compare_labelled import Measured, labelled
from scoring.drift import SCORE_EDGES, histogram, psi
from scoring.gate import MEASURES, METRICS
from scoring.metrics import curves

_DIGITS = 6


class Cost(NamedTuple):
    """Microseconds an event to score again with each model; None where it was not done."""

    a: float | None
    b: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was found."""

    figures: dict[str, Any]  # plain JSON
    values: dict[str, float | None]  # by every name of scoring.gate.METRICS; None where it has no value


def summarize(pairs: Pairs, factors: FactorChanges, *, asked: float, cost: Cost, seed: int = 7) -> Comparison:
    """Return all figures of pairs, at least one; ``asked`` is how many events there were, scored by both or not."""
    scores, agreement, flips = scores_of(pairs), agreement_of(pairs), flips_of(pairs)
    measures = labelled(pairs, seed)
    agreement["psi"] = psi(*(histogram(score, SCORE_EDGES, pairs.weight) for score in (pairs.a, pairs.b)))
    agreement["same_decision"] = 1 - flips["share"]
    agreement["top_factor"] = factors.top_agreement
    events = _events(pairs, asked)
    figures = {
        "events": events,
        "scores": scores,
        "agreement": agreement,
        "flips": flips,
        "factors": factors.table(),
        "changed_events": changed_events(pairs),
        "labelled": {name: one._asdict() for name, one in measures.items()},
        "curves": _curves(pairs),
        "cost_us": cost._asdict(),
    }
    return Comparison(_rounded(figures), _values(figures, measures, cost))


def _events(pairs: Pairs, asked: float) -> dict[str, Any]:
    known = pairs.label != NOT_LABELLED
    return {
        "rows": len(pairs),
        "events": float(pairs.weight.sum()),
        "asked": asked,
        "first": moment(int(pairs.occurred_at.min())),
        "last": moment(int(pairs.occurred_at.max())),
        "labelled": int(known.sum()),
        "fraud": int((pairs.label == FRAUD).sum()),
        "labelled_sessions": len(np.unique(pairs.session[known])),
    }


def _curves(pairs: Pairs) -> dict[str, Any] | None:
    """Return the curves of both models on labelled events; None where labels of one kind are missing."""
    known = np.flatnonzero(pairs.label != NOT_LABELLED)
    labels, weight = pairs.label[known], pairs.weight[known]
    if len(np.unique(labels)) < 2:
        return None
    return {side: curves(labels, score[known], weight) for side, score in (("a", pairs.a), ("b", pairs.b))}


def _values(figures: dict[str, Any], measures: Mapping[str, Measured], cost: Cost) -> dict[str, float | None]:
    events, agreement, flips, scores = (figures[name] for name in ("events", "agreement", "flips", "scores"))
    decided = flips["decided"]
    found: dict[str, float | None] = {
        "events": events["events"],
        "rows": events["rows"],
        "scored_share": events["events"] / events["asked"],
        "flip_share": flips["share"],
        "flip_share.stricter": flips["stricter_share"],
        "flip_share.milder": flips["milder_share"],
        "flip_share.largest_merchant": flips["largest_merchant_share"],
        "flip_share.largest_event_type": flips["largest_event_type_share"],
        "pearson": agreement["pearson"],
        "spearman": agreement["spearman"],
        "score.mean_difference": agreement["mean_difference"],
        "score.mean_abs_difference": agreement["mean_abs_difference"],
        "score.max_abs_difference": agreement["max_abs_difference"],
        "score.psi": agreement["psi"],
        "top_factor_agreement": agreement["top_factor"],
        "labelled.rows": events["labelled"],
        "labelled.fraud": events["fraud"],
        "labelled.sessions": events["labelled_sessions"],
        **_both("review_share", decided["a"]["review"], decided["b"]["review"]),
        **_both("deny_share", decided["a"]["deny"], decided["b"]["deny"]),
        **_both("score.mean", scores["a"]["mean"], scores["b"]["mean"]),
        **_both("cost_us", cost.a, cost.b),
    }
    for name in MEASURES:
        one = measures[name]
        found |= {f"{name}.a": one.a, f"{name}.b": one.b, f"{name}.delta": one.delta}
        found |= {f"{name}.delta.low": one.low, f"{name}.delta.high": one.high}
    return {name: found[name] for name in METRICS}


def _both(name: str, a: float | None, b: float | None) -> dict[str, float | None]:
    return {f"{name}.a": a, f"{name}.b": b, f"{name}.delta": None if a is None or b is None else b - a}


def _rounded(value: Any) -> Any:
    """Return plain JSON with numbers of six digits after the point."""
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    return round(value, _DIGITS) if isinstance(value, float) else value
