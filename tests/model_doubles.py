"""Models for the tests of the score stage: a double that is quick and counts its passes, and two real ones."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import cast

import numpy as np

from schemas.batches import F32
from scoring.model import Model, Verdict
from scoring.release import release
from scoring.train import train
from tests.tiny_model import TINY, tiny_model, tiny_set

TOP = 3


class Double:
    """Scores a row by its own features and the version; counts the passes, and the rows of each."""

    def __init__(self, version: str) -> None:
        self.version = version
        self.run_rows: list[int] = []
        self.score_rows: list[int] = []

    def run(self, features: F32) -> Verdict:
        """Score with factors."""
        self.run_rows.append(len(features))
        scores = self._scores(features)
        shares = np.linspace(1, -1, TOP, dtype=np.float32) * scores[:, None]
        return Verdict(scores, shares, np.tile(np.arange(TOP), (len(features), 1)))

    def score(self, features: F32) -> F32:
        """Score without factors."""
        self.score_rows.append(len(features))
        return self._scores(features)

    def _scores(self, features: F32) -> F32:
        weights = np.random.default_rng(len(self.version) + ord(self.version[-1])).random(features.shape[1])
        found: F32 = (np.abs(np.nan_to_num(features) * weights).sum(axis=1) % 100).astype(np.float32)
        return found


class Failing(Double):
    """Raises at every pass."""

    def _scores(self, features: F32) -> F32:
        raise RuntimeError("the model is broken")


class Unsure(Double):
    """Gives no number for every second row, infinity for the first."""

    def _scores(self, features: F32) -> F32:
        scores = super()._scores(features)
        scores[1::2] = np.nan
        scores[:1] = np.inf
        return scores


def as_model(double: Double) -> Model:
    """Return a double as the stage takes it."""
    return cast(Model, double)


@cache
def two_models() -> tuple[Model, Model]:
    """Return two different tiny models, loaded from what was released."""
    with tempfile.TemporaryDirectory() as directory:
        other = train(tiny_set(), replace(TINY, seed=4, trees=8))
        found = [Model.load(release(trained, TINY, Path(directory))[0]) for trained in (tiny_model(), other)]
    return found[0], found[1]
