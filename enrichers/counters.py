"""Limits on counters: one comparison for many of them, since small NumPy calls are what costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from enrichers.signal import Clue
from schemas.batches import Bool, Shared, Velocity
from schemas.velocity import ENTITIES, KINDS, MEASURES, WINDOWS

_OWN = [f"{kind}_{window}" for kind in KINDS for window in WINDOWS]
_SHARED = [f"{entity}_{measure}_{window}" for entity in ENTITIES for measure in MEASURES for window in WINDOWS]
_NEVER = np.iinfo(np.uint32).max
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
        self._own = _Row(_OWN, own, np.uint32)
        self._shared = _Row(_SHARED, shared, np.float32)

    def over(self, velocity: Velocity, shared: Shared) -> list[Bool]:
        """Return where each counter is over its limit, a bool[n] for each; a count that is not known never is."""
        return [*self._own.over(velocity.counts), *self._shared.over(shared.counts)]

    def details(self, velocity: Velocity, shared: Shared, row: int) -> dict[str, str | float]:
        """Return the counters of a row that are over a limit, those that are most over first."""
        counts = np.concatenate((self._own.of(velocity.counts[row]), self._shared.of(shared.counts[row])))
        times = np.nan_to_num(counts / self._most)
        order = [at for at in np.argsort(-times, kind="stable").tolist() if times[at] > 1]
        return {self._names[at]: float(counts[at]) for at in order}


class _Row:
    """Limits on the counters of one section, whose counters stand in a row in the order of their names."""

    def __init__(self, counters: Sequence[str], limits: Sequence[Limit], kind: type[np.number[Any]]) -> None:
        self._places = np.array([counters.index(limit.counter) for limit in limits], np.intp)
        self._most = np.array([[limit.most] for limit in limits], kind).reshape(-1, 1)
        self._least = np.full(len(counters), _NEVER, kind)
        np.minimum.at(self._least, self._places, self._most[:, 0])

    def of(self, counts: NDArray[Any]) -> NDArray[np.float64]:
        """Return the counters of one row."""
        return counts.reshape(-1)[self._places].astype(np.float64)

    def over(self, counts: NDArray[Any]) -> list[Bool]:
        """Return where each is over its limit. Few rows are over any of them: only those are asked one by one."""
        table = counts.reshape(len(counts), len(self._least))
        found = np.zeros((len(self._places), len(table)), np.bool_)
        rows = np.flatnonzero(table > self._least) // table.shape[1]
        if len(rows):
            found[:, rows] = self._most < table[rows][:, self._places].T
        return list(found)
