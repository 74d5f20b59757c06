"""Where labelled events come from: parts that follow each other in time, joined to one training set or written out.

A part is a small ``TrainingSet``, so that what is written to files need never be in memory as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from scoring.training_set import TrainingSet

Progress = Callable[[int, int], None]
"""Is told how many events are there, and how many there will be at most."""


class TrainingDataError(Exception):
    """There is nothing to train on; the text is one sentence that says why and what to do."""


@dataclass(frozen=True, slots=True)
class Source:
    """Labelled events, not read yet."""

    told: str  # what they are, in plain words: for the model card
    names: tuple[str, ...]  # of the features
    rows: int  # at most
    parts: Iterator[TrainingSet]


def joined(source: Source, progress: Progress | None = None) -> TrainingSet:
    """Return all events of a source; the features are in memory once. TrainingDataError where there are none."""
    features = np.empty((source.rows, len(source.names)), np.float32)
    parts, done = [], 0
    for part in source.parts:
        features[done : done + len(part)] = part.features
        done += len(part)
        parts.append(_without_features(part))
        if progress:
            progress(done, source.rows)
    if not parts:
        raise TrainingDataError("there are no labelled events to train on; name another time or another source")
    return TrainingSet(
        features[:done],
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.times for part in parts]),
        tuple(kind for part in parts for kind in part.kinds),
        source.names,
        np.concatenate([part.campaigns for part in parts]),
        tuple(source for part in parts for source in part.sources),
        np.concatenate([part.weights for part in parts]),
    )


def _without_features(part: TrainingSet) -> TrainingSet:
    none = np.empty((len(part), 0), np.float32)
    return TrainingSet(none, part.labels, part.times, part.kinds, (), part.campaigns, part.sources, part.weights)
