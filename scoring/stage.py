"""score: the stage that gives every event its score and its top factors."""

from __future__ import annotations

import numpy as np

from schemas.batches import Enriched, Score, Scored
from schemas.columns import widen
from schemas.stage import StageOut
from scoring.deployment import CurrentDeployment
from scoring.explain import observed_columns
from scoring.features import matrix
from scoring.stored_features import pack


class ScoreStage:
    """One native pass over the features of a batch. Every row goes on."""

    name = "score"

    def __init__(self, deployment: CurrentDeployment, *, store_features: bool = False) -> None:
        self._deployment = deployment
        self._store_features = store_features
        self._observed = observed_columns()

    def __call__(self, batch: Enriched, /) -> StageOut[Scored]:
        """Return the batch with its scores; factors are those that raise the score, -1 where fewer than K do."""
        deployment, rows = self._deployment(), len(batch)
        table = matrix(batch)
        verdict = deployment.live.run(table)
        raising = verdict.top_contribution > 0
        section = Score(
            versions=(deployment.live.version,),
            model=np.zeros(rows, np.uint8),
            score=verdict.score,
            factor=np.where(raising, verdict.top_factor, -1).astype(np.int8),
            contribution=np.where(raising, verdict.top_contribution, np.float32(0)),
            shadows=(),
            shadow_score=np.empty((rows, 0), np.float32),
            observed=table[:, self._observed],
            features=pack(table) if self._store_features else np.empty((rows, 0), np.uint8),
        )
        return StageOut(widen(Scored, batch, score=section))
