"""Conditions on a diff, for CI: a measure alone, or a measure, ``>`` and a number, in percent where that makes sense.

``changed``, ``missing``, ``flips>10``, ``flips>0.5%``, ``score>0.01``, ``precision-drop>0.02``: one that holds fails.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

_SHARES: Final = {
    "changed": "events whose outcome differs, the names of versions aside",
    "flips": "events whose decision differs",
    "factors": "events with another top factor",
    "signals": "events of which a smart signal differs in result or confidence",
    "rules": "events at which other rules matched",
    "state": "events with other counts or another history: state differs, not only the model",
    "versions": "events that another model, build, ruleset or policy decided",
    "missing": "events that were scored on one side only; percent of all",
    "letters": "records that are dead-lettered on one side only or for another reason; percent of all events",
}
_POINTS: Final = {
    "score": "the largest change of a score, in points",
    "score-mean": "the size of the change of the mean score, in points",
}
_DROPS: Final = {
    "precision-drop": "precision of review and deny on labelled events: B's less A's",
    "recall-drop": "recall of review and deny on labelled events: B's less A's",
    "precision-deny-drop": "the same of deny alone",
    "recall-deny-drop": "the same of deny alone",
}
_MEASURE_OF = {
    "precision-drop": "precision_review",
    "recall-drop": "recall_review",
    "precision-deny-drop": "precision_deny",
    "recall-deny-drop": "recall_deny",
}
MEASURES: Final[Mapping[str, str]] = {**_SHARES, **_POINTS, **_DROPS}
"""Name -> what it is."""
_CONDITION: Final = re.compile(r"\s*([a-z-]+)\s*(?:>\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*(%?))?\s*", re.ASCII)
_LONGEST = 80


class ConditionError(ValueError):
    """A condition is none; the text is one sentence."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition that must not hold: that a measure is greater than a number."""

    measure: str
    number: float = 0.0
    percent: bool = False

    @classmethod
    def read(cls, text: str) -> Condition:
        """Read a condition. ConditionError where it is none."""
        match = _CONDITION.fullmatch(text) if len(text) <= _LONGEST else None
        if match is None:
            raise ConditionError(
                f"{text[:_LONGEST]!r} is no condition: write a measure, as 'changed', or with > and a number, as "
                "'flips>0.5%'"
            )
        measure, number, percent = match[1], float(match[2] or 0), bool(match[3])
        if measure not in MEASURES:
            close = get_close_matches(measure, MEASURES, n=3, cutoff=0.4) or list(MEASURES)[:3]
            raise ConditionError(f"{measure!r} is no measure of a diff; did you mean {' or '.join(close)}?")
        if percent and measure in _POINTS:
            raise ConditionError(f"{text.strip()!r} cannot be in percent: {measure} is {MEASURES[measure]}")
        return cls(measure, number, percent)

    def __str__(self) -> str:
        """Return it as it is written."""
        bare = self.number == 0 and not self.percent
        return self.measure if bare else f"{self.measure}>{self.number:g}{'%' if self.percent else ''}"

    def said(self, found: Mapping[str, Any], *, allow_missing: bool = False) -> str | None:
        """Return a sentence where the condition holds for a diff, or where its measure has no value."""
        value, whole = _value(found, self.measure)
        if value is None:
            if allow_missing:
                return None
            return f"{self.measure} has no value, because labels are missing, so {self} cannot be refuted"
        measured = 100 * value / whole if self.percent and whole else value
        if not measured > self.number and not math.isnan(measured):
            return None
        unit = "%" if self.percent else ""
        return f"{self.measure} is {measured:.6g}{unit}, and must not be more than {self.number:g}{unit}"


def failures(
    found: Mapping[str, Any], conditions: list[Condition], *, allow_missing: bool = False
) -> list[tuple[Condition, str]]:
    """Return the conditions that hold for a diff's JSON, each with a sentence."""
    said = ((condition, condition.said(found, allow_missing=allow_missing)) for condition in conditions)
    return [(condition, sentence) for condition, sentence in said if sentence is not None]


def _value(found: Mapping[str, Any], measure: str) -> tuple[float | None, float]:
    """Return the value of a measure, and what a hundred percent of it is."""
    events, letters, scores = found["events"], found["letters"], found["scores"]
    both = float(events["both"])
    missing = events["only_a"] + events["only_b"]
    if measure in _MEASURE_OF:
        of_labelled = found["labelled"]["measures"].get(_MEASURE_OF[measure])
        delta = of_labelled["delta"] if of_labelled else None
        return (None if delta is None else -delta), 1.0
    values: dict[str, tuple[float, float]] = {
        "changed": (events["changed"], both),
        "flips": (found["flips"]["flips"], both),
        "factors": (found["factors"]["top_events"], both),
        "signals": (found["smart"]["events"], both),
        "rules": (found["rules"]["events"], both),
        "state": (events["changed_state"], both),
        "versions": (events["changed_versions"], both),
        "missing": (missing, both + missing),
        "letters": (letters["on_one_side"] + letters["other_reason"], both + missing),
        "score": (scores["max_abs_difference"], 1.0),
        "score-mean": (abs(scores["mean_difference"]), 1.0),
    }
    return values[measure]
