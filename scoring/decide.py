"""decide: the stage that turns scores into decisions by the thresholds of the policy."""

from __future__ import annotations

import numpy as np

from schemas.batches import Decided, Decision, Scored
from schemas.columns import widen
from schemas.stage import StageOut
from scoring.policy import Policy


class Decide:
    """Compares every score with the thresholds. Every row goes on."""

    name = "decide"

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def __call__(self, batch: Scored, /) -> StageOut[Decided]:
        """Return the batch with its decisions."""
        rows, policy = len(batch), self._policy
        section = Decision(
            policy="",
            decision=policy.decide(batch.score.score),
            before=np.zeros(rows, np.uint8),
            review=np.full(rows, policy.review, np.float32),
            deny=np.full(rows, policy.deny, np.float32),
            margin=np.zeros(rows, np.float32),
            shadow=np.zeros(batch.score.shadow_score.shape, np.uint8),
        )
        return StageOut(widen(Decided, batch, decision=section))
