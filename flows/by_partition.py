"""Sessions of several partitions as one: the rows of a batch go to that of their partition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

import numpy as np

from flows.chain import ChainSession
from schemas.batches import Counted, Decided, Normalized, RawBatch, Recognized
from schemas.stage import Applies, StageOut, joined
from scoring.decide import Together

In = TypeVar("In", bound=RawBatch)
Out = TypeVar("Out", bound=RawBatch)


def by_partition(batch: In, partitions: list[int]) -> list[tuple[int, In]]:
    """Return the rows of each partition, which lie together in a parcel; a batch of one partition as it is."""
    if len(partitions) == 1:
        return [(partitions[0], batch)]
    rows = batch.origin.partition
    return [(partition, batch.take(np.flatnonzero(rows == partition))) for partition in partitions]


class ByPartition(Generic[In, Out]):
    """Several sessions as one: the rows of a batch go to that of their partition, and come back in their order."""

    def __init__(self, sessions: Mapping[int, Applies[In, Out]]) -> None:
        self._sessions = sessions

    def apply(self, batch: In, /) -> StageOut[Out]:
        """Return what all sessions give, in the order of the batch."""
        parts = by_partition(batch, list(self._sessions))
        outs = [self._sessions[partition].apply(rows) for partition, rows in parts]
        if len(outs) == 1:
            return outs[0]
        oks = joined(batch, [rows for _, rows in parts], [out.oks for out in outs])
        return StageOut(oks, [letter for out in outs for letter in out.errs], sum(out.dropped for out in outs))


class TogetherSessions:
    """What ``Pipeline`` asks of the keyed stages' session, for parcels of several partitions.

    The partitions are given in the order in which they lie in the parcel.
    """

    def __init__(self, sessions: Mapping[int, ChainSession[Normalized, Counted, Recognized]]) -> None:
        self._sessions = sessions
        self.first = ByPartition({partition: session.first for partition, session in sessions.items()})
        self.second = ByPartition({partition: session.second for partition, session in sessions.items()})
        self.last = Together({partition: session.last for partition, session in sessions.items()})

    def remember(self, batch: Decided, /) -> None:
        """Let each session take note of the scores and decisions of its rows."""
        for partition, rows in by_partition(batch, list(self._sessions)):
            self._sessions[partition].remember(rows)
