"""Counts that devices share: the question that the flow asks of them, and the answer. Who answers is injected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from schemas.batches import F32, I32, I64, U64
from schemas.velocity import ENTITIES, MEASURES, WINDOWS


@dataclass(frozen=True, slots=True)
class SharedQuery:
    """Rows to count, in the order of their offsets within each partition."""

    entities: U64  # [n, ENTITIES], a hash; 0 where the event has none
    device: U64  # [n], a hash
    time: I64  # [n], event time, ms
    partition: I32  # [n]
    offset: I64  # [n]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.device)


class SharedAnswer(NamedTuple):
    """The counts, each row's own event included."""

    counts: F32  # [n, ENTITIES, MEASURES, WINDOWS], NaN where not known
    degraded: bool  # nobody could be asked


class SharedCounts(Protocol):
    """Counts events and devices of entities, once for each offset, however often a row is asked for."""

    def count(self, query: SharedQuery, /) -> SharedAnswer:
        """Count rows. It never raises for a store that is away: the answer is degraded then."""
        ...


def unknown(rows: int) -> F32:
    """Return counts of which none is known."""
    return np.full((rows, len(ENTITIES), len(MEASURES), len(WINDOWS)), np.nan, np.float32)


class NothingShared:
    """Knows nothing, and says so without being degraded: for tests and benchmarks of a part."""

    def count(self, query: SharedQuery, /) -> SharedAnswer:
        """Return unknown counts."""
        return SharedAnswer(unknown(len(query)), False)
