"""Limits on counters."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from enrichers.signal import Clue
from schemas.batches import Bool, Shared, Velocity
from schemas.velocity import ENTITIES, KINDS, MEASURES, WINDOWS

_OWN = [f"{kind}_{window}" for kind in KINDS for window in WINDOWS]
_SHARED = [f"{entity}_{measure}_{window}" for entity in ENTITIES for measure in MEASURES for window in WINDOWS]
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
        self._most = np.array([limit.most for limit in (*own, *shared)], np.float64)
        self._places = _places(_OWN, own), _places(_SHARED, shared)
        self._told = lru_cache(maxsize=8192)(self._tell)
        self._columns = (
            [(_column(limit.counter, KINDS, WINDOWS), limit.most) for limit in own],
            [(_column(limit.counter, ENTITIES, MEASURES, WINDOWS), limit.most) for limit in shared],
        )

    def over(self, velocity: Velocity, shared: Shared) -> list[Bool]:
        """Return where each counter is over its limit, a bool[n] for each; a count that is not known never is."""
        own, others = self._columns
        return [velocity.counts[at] > most for at, most in own] + [shared.counts[at] > most for at, most in others]

    def details(self, velocity: Velocity, shared: Shared, row: int) -> dict[str, str | float]:
        """Return the counters of a row that are over a limit, those that are most over first."""
        own, others = self._places
        return {**self._told(velocity.counts[row].ravel()[own].tobytes(), shared.counts[row].ravel()[others].tobytes())}

    def _tell(self, own: bytes, shared: bytes) -> dict[str, str | float]:
        counts = np.concatenate((np.frombuffer(own, np.uint32), np.frombuffer(shared, np.float32)))
        times = np.nan_to_num(counts.astype(np.float64) / self._most)
        order = [at for at in np.argsort(-times, kind="stable").tolist() if times[at] > 1]
        return {self._names[at]: float(counts[at]) for at in order}


def _places(counters: Sequence[str], limits: Sequence[Limit]) -> NDArray[np.intp]:
    """Return where the counters of the limits stand in a row of counters."""
    return np.array([counters.index(limit.counter) for limit in limits], np.intp)


def _column(counter: str, *axes: Sequence[str]) -> tuple[Any, ...]:
    """Return what takes one column of all counters: of ``events_5m`` all rows, the first kind, the first window."""
    return slice(None), *(axis.index(name) for axis, name in zip(axes, counter.split("_"), strict=True))
