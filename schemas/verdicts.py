"""The sections that say what is to be done about an event, and why: score and decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np

from schemas.columns import F32, I8, U8, Chosen, Columns


@dataclass(frozen=True, slots=True, eq=False)
class Score(Columns):
    """What the models say. The top K factors are indices into the factor groups of the build, -1 where fewer.

    Shadows score for comparison only: nothing that a merchant sees depends on them.
    """

    versions: tuple[str, ...]  # of the models that scored rows of the batch, each once
    model: U8  # [n]: which of them scored the row
    score: F32  # 0 to 100
    factor: I8  # [n, K]
    contribution: F32  # [n, K], log-odds
    shadows: tuple[str, ...]  # versions of the shadow models
    shadow_score: F32  # [n, S]: by each shadow; NaN where it failed
    observed: F32  # [n, O]: values of the features that sentences about factors name; O is 0 once they are said
    features: U8  # [n, W]: the row of features, as scoring.stored_features packs it; W is 0 where it is not kept

    @classmethod
    def of(cls, version: str, score: F32) -> Self:
        """Return bare scores float32[n] of one model: no factors, no shadows, nothing kept."""
        rows = len(score)
        numbers, bytes_ = np.empty((rows, 0), np.float32), np.empty((rows, 0), np.uint8)
        model, factor = np.zeros(rows, np.uint8), np.empty((rows, 0), np.int8)
        return cls((version,), model, score, factor, numbers, (), numbers, numbers, bytes_)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.model)

    def _take(self, rows: Chosen) -> Self:
        columns = {f.name: getattr(self, f.name) for f in fields(self)}
        taken: dict[str, Any] = {name: v[rows] for name, v in columns.items() if isinstance(v, np.ndarray)}
        return replace(self, **taken)

    @classmethod
    def _concat(cls, parts: Sequence[Self]) -> Self:
        if any(part.shadows != parts[0].shadows for part in parts):
            raise ValueError("cannot join batches with different shadow models")
        versions = tuple(dict.fromkeys(version for part in parts for version in part.versions))
        places = [np.array([versions.index(one) for one in part.versions], np.uint8) for part in parts]
        joined: dict[str, Any] = {
            field.name: np.concatenate([getattr(part, field.name) for part in parts])
            for field in fields(cls)
            if field.name not in ("versions", "model", "shadows")
        }
        model = np.concatenate([place[part.model] for place, part in zip(places, parts, strict=True)])
        return cls(versions=versions, model=model, shadows=parts[0].shadows, **joined)


@dataclass(frozen=True, slots=True, eq=False)
class Decision(Columns):
    """What is to be done, and what it rests on besides the score: enough to decide the same again.

    Decisions are of schemas.result.DECISIONS.
    """

    policy: str  # digest of the policies in force
    decision: U8
    before: U8  # the session's standing decision before the event: what hysteresis compares with
    review: F32  # [n]: the thresholds of the merchant and the event type
    deny: F32
    margin: F32  # how far below a threshold the score must fall to leave the stricter decision of before
    shadow: U8  # [n, S]: what the shadows' scores would decide, each by the same thresholds and without hysteresis

    @classmethod
    def of(cls, decision: U8) -> Self:
        """Return bare decisions uint8[n] that no score and no policy stands behind."""
        rows = len(decision)
        limits = np.full(rows, 100, np.float32)
        return cls("", decision, np.zeros(rows, np.uint8), limits, limits, limits, np.empty((rows, 0), np.uint8))
