"""Rows for tests of shared counts, and an oracle that remembers everything and looks at all of it for each row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from schemas.batches import F32, U64
from schemas.shared import SharedCounts, SharedQuery
from schemas.velocity import ENTITIES, WINDOW_MS
from tests.builders import NOW

DAY = WINDOW_MS[-1]
BASE = NOW // DAY * DAY
PANES = 50


class Row(NamedTuple):
    at: int  # ms after BASE
    device: int
    entities: tuple[int, ...]  # one a kind, 0 where none
    partition: int = 0


def mixed(values: Sequence[int] | U64) -> U64:
    """Return hashes of small numbers, 0 for 0 (splitmix64's finaliser)."""
    found = np.asarray(values, np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    found = (found ^ (found >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    found = (found ^ (found >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return found ^ (found >> np.uint64(31))


def query_of(rows: Sequence[Row], offsets: Sequence[int]) -> SharedQuery:
    """Return a query; a kind's entity 1 is not another kind's."""
    entities = np.array([row.entities for row in rows], np.uint64).reshape(len(rows), len(ENTITIES))
    named = np.where(entities > 0, entities + np.arange(1, len(ENTITIES) + 1, dtype=np.uint64) * np.uint64(1 << 32), 0)
    return SharedQuery(
        entities=mixed(named),
        device=mixed([row.device + (1 << 40) for row in rows]),
        time=np.array([BASE + row.at for row in rows], np.int64),
        partition=np.array([row.partition for row in rows], np.int32),
        offset=np.array(offsets, np.int64),
    )


def offsets_of(rows: Sequence[Row]) -> list[int]:
    """Return each row's offset in its partition."""
    counted: dict[int, int] = {}
    found = []
    for row in rows:
        found.append(counted.get(row.partition, 0))
        counted[row.partition] = found[-1] + 1
    return found


def asked(counts: SharedCounts, rows: Sequence[Row], cuts: Sequence[int]) -> F32:
    """Ask for rows in batches that end at ``cuts``; return all answers."""
    offsets = offsets_of(rows)
    ends = sorted({*(cut for cut in cuts if 0 < cut < len(rows)), len(rows)})
    starts = [0, *ends[:-1]]
    parts = [counts.count(query_of(rows[a:b], offsets[a:b])) for a, b in zip(starts, ends, strict=True) if b > a]
    assert not any(part.degraded for part in parts)
    return np.concatenate([part.counts for part in parts])


@dataclass
class Oracle:
    """``exact``: of (time - window, time]. ``by_panes``: of the 50 panes, each 2% of the window, up to the event's."""

    seen: dict[tuple[int, int], list[tuple[int, int]]] = field(default_factory=dict)
    newest: int = 0

    def see(self, row: Row) -> list[tuple[int, list[tuple[int, int]], list[tuple[int, int]]]]:
        """Return for each kind of the row: events and devices a window, exactly and by panes."""
        self.newest = max(self.newest, row.at)
        found = []
        for kind, entity in enumerate(row.entities):
            if entity:
                events = self.seen.setdefault((kind, entity), [])
                events.append((BASE + row.at, row.device))
                found.append((kind, *self._counts(events, BASE + row.at)))
        return found

    @staticmethod
    def _counts(events: list[tuple[int, int]], time: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        def counted(inside: Callable[[int], bool]) -> tuple[int, int]:
            chosen = [device for at, device in events if inside(at)]
            return len(chosen), len(set(chosen))

        exact = [counted(lambda at: time - length < at <= time) for length in WINDOW_MS]  # noqa: B023 - called at once
        by_panes = []
        for window in WINDOW_MS:
            pane = window // PANES
            last = time // pane
            by_panes.append(counted(lambda at: last - PANES < at // pane <= last))  # noqa: B023 - called at once
        return exact, by_panes
