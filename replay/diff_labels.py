"""Precision and recall of two sides' decisions, where merchants labelled the events."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from replay.diff_rows import Heads
from schemas.columns import I8, Rows
from scoring.compare import FRAUD, GENUINE, NOT_LABELLED, Pairs
from scoring.compare_labelled import Measured, labelled
from scoring.metrics import curves
from scoring.policy import DENY, REVIEW

MOST: Final = 200_000
"""Labelled pairs that measures and intervals rest on; of more, those with the least hashes, which is a fair sample."""
MERCHANTS: Final = 20  # those with the most labelled events
_REPLICATES_OF_A_MERCHANT = 200
_OF_A_MERCHANT = ("precision_review", "recall_review", "precision_deny", "recall_deny")
Json = dict[str, Any]


class LabelledPairs:
    """The labelled ones of paired events, bucket by bucket."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._kept: list[Pairs] = []
        self._rows = 0
        self.seen = {FRAUD: 0, GENUINE: 0}

    def add(self, a: Heads, b: Heads, label: I8, merchants: list[str]) -> None:
        """Take paired rows and their labels: 1 fraud, 0 genuine, -1 none; ``merchants``: names by number."""
        for kind in self.seen:
            self.seen[kind] += int((label == kind).sum())
        rows = np.flatnonzero((label != NOT_LABELLED) & (a.decision <= DENY) & (b.decision <= DENY))
        rows = rows[np.argsort(a.order[rows], kind="stable")][: self._most - self._rows]
        if len(rows):
            self._kept.append(_pairs(a, b, label, merchants, rows))
            self._rows += len(rows)

    def as_json(self) -> Json:
        """Return the measures of both sides; ``delta`` is A less B."""
        found: Json = {"fraud": self.seen[FRAUD], "genuine": self.seen[GENUINE], "compared": self._rows,
                       "measures": {}, "by_merchant": [], "curves": None}  # fmt: skip
        if not self._kept:
            return found
        pairs = Pairs.concat(self._kept)
        found["measures"] = {name: _sides(one) for name, one in labelled(pairs).items()}
        found["by_merchant"] = _by_merchant(pairs)
        if len(np.unique(pairs.label)) > 1:
            found["curves"] = {"a": curves(pairs.label, pairs.b), "b": curves(pairs.label, pairs.a)}
        return found


def _pairs(a: Heads, b: Heads, label: I8, merchants: list[str], rows: Rows) -> Pairs:
    """Return rows as scoring.compare has them: its B is measured against its A, so the baseline, our B, is its A."""
    count = len(rows)
    nothing = np.zeros(count, np.float32)
    return Pairs(
        event_id=a.event_id[rows].astype(">u8").view(np.uint8).reshape(count, 16),
        session=a.session[rows],
        occurred_at=a.occurred_at[rows],
        merchant=tuple(merchants[number] for number in a.merchant[rows].tolist()),
        event_type=("",) * count,
        label=label[rows],
        weight=np.ones(count),
        review=nothing,
        deny=nothing,
        margin=nothing,
        before=np.zeros(count, np.uint8),
        a=b.score[rows],
        b=a.score[rows],
        decided_a=b.decision[rows],
        decided_b=a.decision[rows],
    )


def _sides(one: Measured) -> Json:
    found = {"a": one.b, "b": one.a, "delta": one.delta, "low": one.low, "high": one.high}
    return {name: None if value is None else round(value, 6) for name, value in found.items()}


def _by_merchant(pairs: Pairs) -> list[Json]:
    names, which, counts = np.unique(np.array(pairs.merchant), return_inverse=True, return_counts=True)
    found = []
    for number in np.argsort(-counts, kind="stable")[:MERCHANTS].tolist():
        own = pairs.take(np.flatnonzero(which == number))
        measures = labelled(own, replicates=_REPLICATES_OF_A_MERCHANT)
        found.append(
            {
                "merchant": str(names[number]),
                "labelled": len(own),
                "fraud": int((own.label == FRAUD).sum()),
                "stopped_a": int((own.decided_b >= REVIEW).sum()),
                "stopped_b": int((own.decided_a >= REVIEW).sum()),
                "measures": {name: _sides(measures[name]) for name in _OF_A_MERCHANT},
            }
        )
    return found
