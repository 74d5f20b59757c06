"""relate: how much of what an event shows is shared with other devices, and how often it was seen lately."""

from __future__ import annotations

import numpy as np

from schemas.batches import Counted, Related, Shared
from schemas.columns import widen
from schemas.shared import SharedCounts, SharedQuery
from schemas.stage import StageOut
from schemas.velocity import ENTITIES


class Relate:
    """Asks the injected store for the counts of every event's entities. Every row goes on."""

    name = "relate"

    def __init__(self, counts: SharedCounts) -> None:
        self._counts = counts

    def __call__(self, batch: Counted, /) -> StageOut[Related]:
        """Return the batch with its shared counts, [n, ENTITIES, MEASURES, WINDOWS]."""
        event = batch.event
        query = SharedQuery(
            entities=np.zeros((len(batch), len(ENTITIES)), np.uint64),
            device=np.ascontiguousarray(event.device_id).view("<u8")[:, 0],
            time=np.minimum(event.occurred_at, event.received_at),
            partition=batch.origin.partition,
            offset=batch.origin.offset,
        )
        answer = self._counts.count(query)
        shared = Shared(answer.counts, np.full(len(batch), answer.degraded))
        return StageOut(widen(Related, batch, shared=shared))
