"""score: the stage that gives every event its score and its top factors, and what shadow models say of it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from schemas.batches import F32, U8, Enriched, Score, Scored
from schemas.columns import widen
from schemas.stage import StageOut
from scoring.chosen_devices import chosen_devices
from scoring.compiled import put_reasons
from scoring.deployment import CurrentDeployment, Deployment
from scoring.evaluation import Verdict
from scoring.explain import observed_columns
from scoring.features import feature_schema, matrix
from scoring.model import Model
from scoring.stored_features import packed

log = logging.getLogger("clickgoose.score")


class ScoreStage:
    """Makes the features of a batch once, and runs every model of the deployment on them. Every row goes on.

    The deployment is asked for once a batch, so a model is replaced between two batches. With ``store_features`` the
    features go on with the batch, packed.
    """

    name = "score"

    def __init__(self, deployment: CurrentDeployment, *, store_features: bool = False) -> None:
        self._deployment = deployment
        self._store_features = store_features
        self._observed = observed_columns()
        self._spare: list[F32] = []  # memory for features that no batch uses now: at most one a thread
        self._failing: set[str] = set()  # shadows of which this was said

    def __getstate__(self) -> dict[str, Any]:
        """Pickle without the spare memory."""
        return {**self.__dict__, "_spare": []}

    def __call__(self, batch: Enriched, /) -> StageOut[Scored]:
        """Return the batch with its scores; factors are those that raise the score, -1 where fewer than K do."""
        memory = self._memory(len(batch))
        # Nothing below keeps a view of the features: the next batch is written over them.
        section = self._score(self._deployment(), batch, matrix(batch, memory))
        self._spare.append(memory)
        return StageOut(widen(Scored, batch, score=section))

    def _memory(self, rows: int) -> F32:
        """Return room for the features of a batch: new pages for each would cost as much as filling them."""
        memory = self._spare.pop() if self._spare else None
        if memory is None or len(memory) < rows:
            return np.empty((rows, len(feature_schema())), np.float32)
        return memory

    def _score(self, deployment: Deployment, batch: Enriched, features: F32) -> Score:
        versions, model, verdict = _judge(deployment, batch.event.device_id, features)
        shape = verdict.top_factor.shape
        factor, contribution = np.empty(shape, np.int8), np.empty(shape, np.float32)
        observed = np.empty((len(features), len(self._observed)), np.float32)
        # A row without a score ends here: decide, which has a state, must never fail.
        if not put_reasons(tuple(verdict), features, self._observed, (factor, contribution, observed)):
            raise ValueError(f"a score of {' or '.join(versions)} is not a number: the model is broken")
        return Score(
            versions=versions,
            model=model,
            score=verdict.score,
            factor=factor,
            contribution=contribution,
            shadows=tuple(shadow.version for shadow in deployment.shadows),
            shadow_score=self._shadow_scores(deployment.shadows, features),
            observed=observed,
            features=packed(batch, features) if self._store_features else np.empty((len(batch), 0), np.uint8),
        )

    def _shadow_scores(self, shadows: Sequence[Model], features: F32) -> F32:
        """Return what each shadow gives each row, float32[n, S]; NaN where one fails, which must not disturb others."""
        if not shadows:
            return np.empty((len(features), 0), np.float32)
        scores = np.full((len(features), len(shadows)), np.nan, np.float32)
        for column, shadow in enumerate(shadows):
            try:
                scores[:, column] = shadow.score(features)
                self._failing.discard(shadow.version)
            except MemoryError:
                raise
            except Exception as error:  # whatever a model on trial raises; its rows are counted as failed
                self._say_failed(shadow.version, error)
        scores[~np.isfinite(scores)] = np.nan
        return scores

    def _say_failed(self, version: str, error: Exception) -> None:
        if version not in self._failing:
            log.warning("a shadow model fails", extra={"model": version, "error": type(error).__name__})
        self._failing.add(version)


def _judge(deployment: Deployment, device_id: U8, features: F32) -> tuple[tuple[str, ...], U8, Verdict]:
    """Return the models that scored, which of them each row, uint8[n], and what was said of the rows."""
    live, candidate, rows = deployment.live, deployment.candidate, len(features)
    if candidate is None:
        return (live.version,), np.zeros(rows, np.uint8), live.run(features)
    chosen = chosen_devices(device_id, candidate.version, deployment.percent)
    if chosen.all() or not chosen.any():
        only = candidate if rows and chosen.all() else live
        return (only.version,), np.zeros(rows, np.uint8), only.run(features)
    ours, theirs = np.flatnonzero(~chosen), np.flatnonzero(chosen)
    back = np.argsort(np.concatenate((ours, theirs)))
    one, other = live.run(features[ours]), candidate.run(features[theirs])
    verdict = Verdict(
        np.concatenate((one.score, other.score))[back],
        np.concatenate((one.top_contribution, other.top_contribution))[back],
        np.concatenate((one.top_factor, other.top_factor))[back],
    )
    return (live.version, candidate.version), chosen.view(np.uint8), verdict
