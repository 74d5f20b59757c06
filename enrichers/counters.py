"""Limits on counters: one comparison for many of them, since small NumPy calls are what costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from enrichers.signal import Clue
from schemas.batches import Bool, Shared, Velocity
from schemas.velocity import ENTITIES, KINDS, MEASURES, WINDOWS

_NAMES = {"5m": "5_minutes", "1h": "1_hour", "24h": "24_hours"}


class Limit(NamedTuple):
    """A count that no honest device reaches, of ``events_5m`` or of ``card_devices_24h``."""

    counter: str
    most: int
    weight: float
    why: str

    def clue(self) -> Clue:
        """Return the clue of being over it: over_30_in_5_minutes (events), card_over_3_devices_in_24_hours."""
        *entity, what, window = self.counter.split("_")
        counted = [] if what == "events" else [what]
        return Clue("_".join((*entity, "over", str(self.most), *counted, "in", _NAMES[window])), self.weight, self.why)


class Limits:
    """Several limits, of a device's own counters and then of those that devices share."""

    def __init__(self, own: Sequence[Limit], shared: Sequence[Limit] = ()) -> None:
        self.clues = tuple(limit.clue() for limit in (*own, *shared))
        self._names = tuple(limit.counter for limit in (*own, *shared))
        self._own = np.array([_own(limit.counter) for limit in own], np.intp)
        self._own_most = np.array([[limit.most] for limit in own], np.uint32)
        self._shared = np.array([_shared(limit.counter) for limit in shared], np.intp)
        self._shared_most = np.array([[limit.most] for limit in shared], np.float32)

    def over(self, velocity: Velocity, shared: Shared) -> list[Bool]:
        """Return where each counter is over its limit, a bool[n] for each; a count that is not known never is."""
        rows = len(velocity.counts)
        own = velocity.counts.reshape(rows, -1).T[self._own] > self._own_most
        if not len(self._shared):
            return list(own)
        return [*own, *(shared.counts.reshape(rows, -1).T[self._shared] > self._shared_most)]

    def details(self, velocity: Velocity, shared: Shared, row: int) -> dict[str, str | float]:
        """Return the counters of a row that are over a limit, those that are most over first."""
        own = velocity.counts[row].reshape(-1)[self._own].astype(np.float64)
        joined = shared.counts[row].reshape(-1)[self._shared].astype(np.float64)
        counts = np.concatenate((own, joined))
        most = np.concatenate((self._own_most, self._shared_most), axis=None)
        times = np.nan_to_num(counts / most)
        order = [at for at in np.argsort(-times, kind="stable").tolist() if times[at] > 1]
        return {self._names[at]: float(counts[at]) for at in order}


def _own(counter: str) -> int:
    kind, window = counter.split("_")
    return KINDS.index(kind) * len(WINDOWS) + WINDOWS.index(window)


def _shared(counter: str) -> int:
    entity, measure, window = counter.split("_")
    return (ENTITIES.index(entity) * len(MEASURES) + MEASURES.index(measure)) * len(WINDOWS) + WINDOWS.index(window)
