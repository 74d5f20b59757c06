"""Scored rows and the stage that decides them: for tests of decisions and of what keeps their state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from schemas.batches import Enriched, Judged, Rules, Score
from schemas.columns import widen
from scoring.decide import IDLE_MS, MOST_SESSIONS, Decide
from scoring.policy import FixedPolicies, Policies, Policy
from tests.builders import NOW, enriched

OWN = Policy(40, 80, 5)


class Visit(NamedTuple):
    """One scored event."""

    session: int
    score: float
    at: int = 0  # ms after NOW
    merchant: str = "shop"
    event_type: str = ""


def decide_stage(policies: Policies | None = None, idle_ms: int = IDLE_MS, most: int = MOST_SESSIONS) -> Decide:
    """Return the stage; every model's own thresholds are OWN."""
    return Decide(FixedPolicies(policies or Policies()), lambda version: OWN, idle_ms, most)


def visits(rows: Sequence[Visit], first: int = 0, partition: int = 0) -> Judged:
    """Return a batch of scored events that no rule looks at, at offsets from ``first``."""
    base = _blank(len(rows))
    sessions = np.zeros((len(rows), 16), np.uint8)
    spread = np.array([row.session for row in rows], np.uint64) * np.uint64(0x9E37_79B9_7F4A_7C15)
    sessions[:, :8] = spread.astype(">u8").reshape(-1, 1).view(np.uint8)
    far = np.full(len(rows), 1 << 52, np.int64)  # so that times are those of the visits
    base = replace(
        base,
        origin=replace(
            base.origin,
            partition=np.full(len(rows), partition, np.int32),
            offset=np.arange(first, first + len(rows)),
            appended_at=far,
        ),
        event=replace(
            base.event,
            session_id=sessions,
            occurred_at=np.array([NOW + row.at for row in rows], np.int64),
            received_at=far,
            merchant=tuple(row.merchant for row in rows),
            event_type=tuple(row.event_type for row in rows),
        ),
    )
    score = Score.of("test-model", np.array([row.score for row in rows], np.float32))
    return widen(Judged, base, score=score, rules=Rules.none(len(rows)))


@lru_cache
def _blank(rows: int) -> Enriched:
    return enriched([{}] * rows)
