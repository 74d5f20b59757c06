"""score: the stage that gives every event its score, its decision and its top factors."""

from __future__ import annotations

import numpy as np

from schemas.batches import Enriched, Score, Scored
from schemas.columns import widen
from schemas.stage import StageOut
from scoring.features import matrix
from scoring.model import Model
from scoring.policy import Policy


class ScoreStage:
    """One native pass over the features of a batch. Every row goes on."""

    name = "score"

    def __init__(self, model: Model, policy: Policy | None = None) -> None:
        self._model = model
        self._policy = policy or model.policy

    def __call__(self, batch: Enriched, /) -> StageOut[Scored]:
        """Return the batch with its scores; factors are those that raise the score, -1 where fewer than K do."""
        verdict = self._model.run(matrix(batch))
        raising = verdict.top_contribution > 0
        section = Score(
            model=self._model.version,
            score=verdict.score,
            decision=self._policy.decide(verdict.score),
            factor=np.where(raising, verdict.top_factor, -1).astype(np.int8),
            contribution=np.where(raising, verdict.top_contribution, np.float32(0)),
        )
        return StageOut(widen(Scored, batch, score=section))
