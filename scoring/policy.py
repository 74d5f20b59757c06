"""Policy: from a score to a decision."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from schemas.batches import F32, U8
from schemas.result import DECISIONS

_ALLOW, _REVIEW, _DENY = (DECISIONS.index(name) for name in ("allow", "review", "deny"))


@dataclass(frozen=True, slots=True)
class Policy:
    """Thresholds on the score: from ``review`` on a person looks, from ``deny`` on the payment is refused."""

    review: float = 40.0
    deny: float = 80.0

    def __post_init__(self) -> None:
        """Refuse thresholds that decide nothing."""
        if not 0 < self.review < self.deny <= 100:
            raise ValueError(f"policy: review {self.review:g} and deny {self.deny:g} must rise inside 0 to 100")

    def decide(self, score: F32) -> U8:
        """Return decisions uint8[n] for scores float32[n]; a threshold itself belongs to the stricter side."""
        if np.isnan(score).any():
            raise ValueError("a score is not a number: the model is broken")
        stricter = np.where(score >= np.float32(self.deny), _DENY, _REVIEW)
        return np.where(score >= np.float32(self.review), stricter, _ALLOW).astype(np.uint8)
