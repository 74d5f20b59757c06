"""Two models on the labelled ones of the same events: which finds more fraud, and how sure that is.

Intervals are of a bootstrap with a fixed seed that draws whole sessions: events of one session are alike and bear the
same label, so that drawing single events would make every difference look surer than it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from schemas.batches import F32, U8, Bool
from scoring.compare import FRAUD, NOT_LABELLED, Floats, Pairs
from scoring.gate import MEASURES
from scoring.metrics import CALIBRATION_BINS
from scoring.policy import DENY, REVIEW

REPLICATES: Final = 400
FEWEST_SESSIONS: Final = 20  # drawing from fewer says little: there is no interval
_FALSE_POSITIVES = 0.01
_AT_ONCE = 400_000  # weights: replicates times rows, which bounds memory


class Measured(NamedTuple):
    """One measure of both models. B's better where the delta, b - a, has the sign that the measure wants.

    None: it has no value, because labels of one kind are missing. ``low`` and ``high`` bound the middle 95% of the
    replicates, None where there are too few.
    """

    a: float | None
    b: float | None
    delta: float | None
    low: float | None
    high: float | None


def labelled(pairs: Pairs, seed: int = 7, replicates: int = REPLICATES) -> dict[str, Measured]:
    """Return every measure by name. The same pairs and seed give the same."""
    rows = np.flatnonzero(pairs.label != NOT_LABELLED)
    if not rows.size:
        return dict.fromkeys(MEASURES, Measured(None, None, None, None, None))
    known = pairs.take(rows)
    fraud = known.label == FRAUD
    sides = [_Side(fraud, known.a, known.decided_a), _Side(fraud, known.b, known.decided_b)]
    a, b = (side.measures(known.weight[None, :])[0] for side in sides)
    deltas = np.concatenate([b - a for a, b in _replicates(known, sides, seed, replicates)])
    return {name: _measured(a[place], b[place], deltas[:, place]) for place, name in enumerate(MEASURES)}


def _replicates(known: Pairs, sides: list[_Side], seed: int, replicates: int) -> Iterator[list[Floats]]:
    rng = np.random.default_rng(seed)
    sessions, which = np.unique(known.session, return_inverse=True)
    count = len(sessions)
    if count < FEWEST_SESSIONS:
        replicates = 0
    yield [np.empty((0, len(MEASURES))) for _ in sides]
    at_once = max(1, _AT_ONCE // len(known))
    for first in range(0, replicates, at_once):
        times = min(at_once, replicates - first)
        drawn = np.stack([np.bincount(rng.integers(0, count, count), minlength=count) for _ in range(times)])
        weights = drawn[:, which] * known.weight
        yield [side.measures(weights) for side in sides]


def _measured(a: float, b: float, deltas: Floats) -> Measured:
    found = deltas[~np.isnan(deltas)]
    low, high = np.quantile(found, (0.025, 0.975)).tolist() if len(found) > 1 else (None, None)
    return Measured(_value(a), _value(b), _value(b - a), low, high)


def _value(number: float) -> float | None:
    return None if np.isnan(number) else float(number)


class _Side:
    """One model's scores of n labelled events, sorted once for all replicates."""

    def __init__(self, fraud: Bool, score: F32, decided: U8) -> None:
        self._flagged = [(decided >= strict).astype(np.float64) for strict in (REVIEW, DENY)]
        self._fraud = fraud.astype(np.float64)
        self._order = np.argsort(-score, kind="stable")
        self._ends = np.append(np.flatnonzero(np.diff(score[self._order])), len(score) - 1)
        self._excess = _excess(fraud, score.astype(np.float64) / 100)

    def measures(self, weights: Floats) -> Floats:
        """Return the measures float64[R, len(MEASURES)] of R replicates' weights float64[R, n], NaN where none."""
        fraud = weights @ self._fraud
        genuine = weights.sum(axis=1) - fraud
        columns: list[Floats] = []
        with np.errstate(invalid="ignore", divide="ignore"):
            for flagged in self._flagged:
                hits, alarms = weights @ (flagged * self._fraud), weights @ (flagged * (1 - self._fraud))
                columns += [hits / (hits + alarms), hits / fraud, alarms / genuine]
            columns += self._ranked(weights, fraud, genuine)
        columns.append(np.abs(weights @ self._excess).sum(axis=1) / weights.sum(axis=1))
        return np.stack(columns, axis=1)

    def _ranked(self, weights: Floats, fraud: Floats, genuine: Floats) -> list[Floats]:
        """Return the areas under both curves and the recall at 1% false positives, as scoring.metrics defines them."""
        counted, mine = weights[:, self._order], self._fraud[self._order]
        hits, alarms = (np.cumsum(counted * which, axis=1)[:, self._ends] for which in (mine, 1 - mine))
        recall, false_positives = hits / fraud[:, None], alarms / genuine[:, None]
        found = np.diff(recall, axis=1, prepend=0)
        precision = np.nan_to_num(hits / (hits + alarms))  # before the first row that was drawn
        wide = np.diff(false_positives, axis=1, prepend=0)
        roc_auc = (wide * (recall - found / 2)).sum(axis=1)
        fitting = (false_positives <= _FALSE_POSITIVES).sum(axis=1)
        at_share = np.where(fitting > 0, recall[np.arange(len(weights)), fitting - 1], 0.0)
        pr_auc = (found * precision).sum(axis=1)
        usable = (fraud > 0) & (genuine > 0)
        return [np.where(usable, values, np.nan) for values in (roc_auc, pr_auc, at_share)]


def _excess(fraud: Bool, probability: Floats) -> Floats:
    """Return float64[n, bins]: in its bin, what each event's probability is beyond what happened."""
    bins = np.minimum((probability * CALIBRATION_BINS).astype(np.intp), CALIBRATION_BINS - 1)
    table = np.zeros((len(fraud), CALIBRATION_BINS))
    table[np.arange(len(fraud)), bins] = probability - fraud
    return table
