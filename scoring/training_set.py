"""Labelled events, and how they are split: by time, and by attack campaign."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from schemas.batches import F32, I8, I64

Rows = NDArray[np.intp]
Floats = NDArray[np.float64]
HONEST = -1  # the campaign of an event that belongs to none


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """n labelled events."""

    features: F32  # [n, F], NaN where absent
    labels: I8  # [n]: 1 is fraud, 0 is not
    times: I64  # [n]: event time in ms since the epoch
    kinds: tuple[str, ...]  # [n]: the kind of visitor or attacker, or the label's name
    names: tuple[str, ...]  # [F]
    campaigns: I64  # [n]: a number for each attack campaign, -1 where the event belongs to none
    sources: tuple[str, ...]  # [n]: where the event comes from
    weights: Floats  # [n]: how many events it stands for

    def __post_init__(self) -> None:
        """Refuse columns of different lengths: a shifted label would be learnt."""
        columns = (self.labels, self.times, self.kinds, self.campaigns, self.sources, self.weights)
        if {len(column) for column in columns} != {len(self.features)} or self.features.shape[1:] != (len(self.names),):
            raise ValueError("training set: its columns differ in length; make it anew")

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.labels)


class Window(msgspec.Struct, frozen=True):
    """What a model was trained and measured on."""

    first: int  # event time, ms since the epoch
    last: int
    rows: int
    sources: dict[str, int]  # rows by source


def window(data: TrainingSet) -> Window:
    """Return the window of a training set that is not empty."""
    return Window(int(data.times.min()), int(data.times.max()), len(data), dict(sorted(Counter(data.sources).items())))


@dataclass(frozen=True, slots=True)
class Split:
    """Rows of each part, in order of time. Events of campaigns that began in an earlier part are in none."""

    fit: Rows
    validate: Rows
    test: Rows
    left_out: int  # events of known campaigns that validation does without
    left_out_of_test: int


def split(data: TrainingSet, validation_share: float, test_share: float) -> Split:
    """Split by time: each part is later than the one before, and validation and test hold unseen campaigns only.

    Who calibrates and judges on campaigns that the trees have seen is told how well they remember.
    """
    order = np.argsort(data.times, kind="stable")
    test = len(order) - int(len(order) * test_share)
    validation = test - int(len(order) * validation_share)
    place = np.empty(len(order), np.intp)
    place[order] = np.arange(len(order))
    began = _began(data.campaigns, place)
    fit, validate, held_out = order[:validation], order[validation:test], order[test:]
    known, known_in_test = began[validate] < validation, began[held_out] < test
    return Split(fit, validate[~known], held_out[~known_in_test], int(known.sum()), int(known_in_test.sum()))


def _began(campaigns: I64, place: Rows) -> Rows:
    """Return the place in time of the first event of each row's campaign; of no campaign, after everything."""
    found, which = np.unique(campaigns, return_inverse=True)
    first = np.full(len(found), len(place), np.intp)
    np.minimum.at(first, which, place)
    return np.where(campaigns == HONEST, len(place), first[which])


def parts_of(data: TrainingSet, parts: Split) -> dict[str, Any]:
    """Return how many events each part has, and how many of them are fraud."""
    said = {
        name: {"events": len(rows), "fraud": int((data.labels[rows] == 1).sum())}
        for name, rows in (("training", parts.fit), ("validation", parts.validate), ("hold_out", parts.test))
    }
    return {**said, "left_out_of_validation": parts.left_out, "left_out_of_hold_out": parts.left_out_of_test}
