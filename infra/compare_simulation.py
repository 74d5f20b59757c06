"""Simulated events for a comparison: to try two models without a stack."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from infra.model_compare import SourceBatch
from infra.training import Labelled, enriched_batches
from schemas.batches import U64
from scoring.compare import Events
from scoring.features import matrix
from scoring.policy import Policy


@dataclass(frozen=True, slots=True)
class SimulatedEvents:
    """Simulated traffic through the real stages. Every event is labelled, and decided alone, by one policy."""

    events: int
    seed: int
    policy: Policy
    name: str = "simulation"

    def total(self) -> int:
        """Return about how many rows will come."""
        return self.events

    def batches(self, a: str, b: str) -> Iterator[SourceBatch]:
        """Yield the events; nothing is stored of them."""
        for one in enriched_batches(self.events, self.seed):
            rows = len(one.batch)
            nothing = np.full(rows, np.nan, np.float32)
            features = matrix(one.batch).copy()
            yield SourceBatch(self._events(one), features, np.ones(rows, np.bool_), nothing, nothing)

    def _events(self, one: Labelled) -> Events:
        event, rows, policy = one.batch.event, len(one.batch), self.policy
        return Events(
            event_id=event.event_id,
            session=_drawn_together(one),
            occurred_at=event.occurred_at,
            merchant=event.merchant,
            event_type=event.event_type,
            label=one.labels,
            weight=np.ones(rows),
            review=np.full(rows, policy.review, np.float32),
            deny=np.full(rows, policy.deny, np.float32),
            margin=np.full(rows, policy.margin, np.float32),
            before=np.zeros(rows, np.uint8),
        )


def _drawn_together(one: Labelled) -> U64:
    """Return a number for each campaign, and for each session of those that belong to none."""
    session = np.ascontiguousarray(one.batch.event.session_id[:, :8]).view(np.uint64)[:, 0]
    return np.where(one.campaigns >= 0, one.campaigns.astype(np.uint64), session)
