"""The gate: conditions on the figures of a comparison, as ``recall_at_1pct_fpr.delta<-0.01``. One that holds fails it.

A condition is a metric, one of ``< <= > >= == !=``, and a number; nothing else. ``METRICS`` is the closed set of names.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

Values = Mapping[str, float | None]

MEASURES: Final = {
    "precision_review": "share of fraud among labelled events decided review or deny",
    "recall_review": "share of the labelled fraud decided review or deny",
    "fpr_review": "share of the labelled genuine events decided review or deny",
    "precision_deny": "share of fraud among labelled events decided deny",
    "recall_deny": "share of the labelled fraud decided deny",
    "fpr_deny": "share of the labelled genuine events decided deny",
    "roc_auc": "area under the receiver operating characteristic",
    "pr_auc": "average precision",
    "recall_at_1pct_fpr": "share of the labelled fraud found at 1% false positives",
    "calibration_error": "expected calibration error of the score as a probability, 15 bins",
}
"""On labelled events: name -> what it is."""
_PLAIN: Final = {
    "events": "events that both models scored, after weighing",
    "rows": "rows compared",
    "scored_share": "share of the events asked for that both models scored",
    "flip_share": "share of events whose decision differs",
    "flip_share.stricter": "share of events that B decides more strictly than A",
    "flip_share.milder": "share of events that B decides less strictly than A",
    "flip_share.largest_merchant": "largest flip share of a merchant with at least 100 rows",
    "flip_share.largest_event_type": "largest flip share of an event type with at least 100 rows",
    "pearson": "linear correlation of the scores",
    "spearman": "rank correlation of the scores",
    "score.mean_difference": "mean of B's score less A's",
    "score.mean_abs_difference": "mean size of the difference of the scores",
    "score.max_abs_difference": "largest difference of the scores",
    "score.psi": "population stability index of B's scores against A's",
    "top_factor_agreement": "share of events with the same strongest factor; of events scored again",
    "labelled.rows": "labelled rows",
    "labelled.fraud": "labelled rows that were fraud",
    "labelled.sessions": "sessions with labelled rows: what the intervals are drawn from",
}
_BOTH: Final = {
    "review_share": "share of events decided review",
    "deny_share": "share of events decided deny",
    "score.mean": "mean score",
    "cost_us": "microseconds an event to score it again, here and now",
}
_SIDES: Final = {"a": "of A", "b": "of B", "delta": "B less A"}
_ENDS: Final = {"delta.low": "lower end of the 95% interval of B less A", "delta.high": "upper end of it"}


def _metrics() -> dict[str, str]:
    both = {f"{name}.{side}": f"{said}, {which}" for name, said in _BOTH.items() for side, which in _SIDES.items()}
    sides = {**_SIDES, **_ENDS}
    measures = {
        f"{name}.{side}": f"{said}, {which}" for name, said in MEASURES.items() for side, which in sides.items()
    }
    return {**_PLAIN, **both, **measures}


def metrics_by_family() -> list[tuple[str, str]]:
    """Return the names as people read them, those of one family on one line, and what they are."""
    both = [(f"{name}.({'|'.join(_SIDES)})", said) for name, said in _BOTH.items()]
    measures = [(f"{name}.({'|'.join((*_SIDES, *_ENDS))})", said) for name, said in MEASURES.items()]
    return [*_PLAIN.items(), *both, *measures]


METRICS: Final = _metrics()
"""Name -> what it is."""

_COMPARE: Final[dict[str, Callable[[float, float], bool]]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}
_CONDITION: Final = re.compile(
    r"\s*([a-z0-9_.]+)\s*(<=|>=|==|!=|<|>)\s*([-+]?[0-9]*\.?[0-9]+(?:e[-+]?[0-9]+)?)\s*", re.I
)
_LONGEST = 200


class GateError(ValueError):
    """A condition is none; the text is one sentence that says what to write."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition that must not hold."""

    metric: str
    comparison: str
    number: float

    @classmethod
    def read(cls, text: str, metrics: Mapping[str, str] = METRICS) -> Condition:
        """Read a condition. GateError where it is none, or names no metric."""
        match = _CONDITION.fullmatch(text) if len(text) <= _LONGEST else None
        number = float(match[3]) if match else math.nan
        if match is None or not math.isfinite(number):
            raise GateError(
                f"{text[:_LONGEST]!r} is no condition: write a metric, one of {' '.join(_COMPARE)} and a number, as "
                "'flip_share>0.02'"
            )
        name = match[1].lower()
        if name not in metrics:
            close = get_close_matches(name, metrics, n=3, cutoff=0.4) or list(metrics)[:3]
            raise GateError(f"{name!r} is no metric; did you mean {' or '.join(close)}?")
        return cls(name, match[2], number)

    def __str__(self) -> str:
        """Return it as it is written."""
        return f"{self.metric}{self.comparison}{self.number:g}"

    def holds(self, value: float) -> bool:
        """Tell whether it holds for a value."""
        return _COMPARE[self.comparison](value, self.number)


def failures(values: Values, conditions: Sequence[Condition], *, allow_missing: bool = False) -> list[str]:
    """Return one sentence for each condition that holds, or whose metric has no value. None at all: the gate opens."""
    said = (_said(values, condition, allow_missing) for condition in conditions)
    return [sentence for sentence in said if sentence is not None]


def _said(values: Values, condition: Condition, allow_missing: bool) -> str | None:
    value = values.get(condition.metric)
    if value is None or math.isnan(value):
        return None if allow_missing else f"{condition.metric} has no value, so {condition} cannot be refuted"
    if not condition.holds(value):
        return None
    forbidden = f"{condition.comparison} {condition.number:g}"
    return f"{condition.metric} is {value:.6g}, and must not be {forbidden}{_doubt(values, condition)}"


def _doubt(values: Values, condition: Condition) -> str:
    """Say where the condition holds by chance perhaps: the interval reaches to where it does not."""
    ends = [values.get(f"{condition.metric}.{end}") for end in ("low", "high")]
    known = [end for end in ends if end is not None]
    if not known or all(map(condition.holds, known)):
        return ""
    return f" (its 95% interval, {known[0]:.4g} to {known[-1]:.4g}, holds values that pass)"
