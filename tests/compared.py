"""Events and sources for the tests of comparisons: random, small, with every column of use."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from infra.model_compare import SourceBatch
from schemas.batches import F32
from scoring.compare import Events, Pairs

MERCHANTS = ("demo", "other", "third")
TYPES = ("payment", "login", "")
START = 1_780_272_000_000


def some_events(rows: int, seed: int, known: float = 0.6) -> Events:
    """Return events of a few merchants and sessions; a share ``known`` of them is labelled."""
    rng = np.random.default_rng(seed)
    label = np.where(rng.random(rows) < known, rng.integers(0, 2, rows), -1).astype(np.int8)
    return Events(
        event_id=rng.integers(0, 256, (rows, 16)).astype(np.uint8),
        session=rng.integers(0, max(rows // 3, 1), rows).astype(np.uint64),
        occurred_at=START + np.arange(rows) * 1000,
        merchant=tuple(MERCHANTS[one] for one in rng.choice(3, rows, p=(0.7, 0.25, 0.05))),
        event_type=tuple(TYPES[one] for one in rng.integers(0, 3, rows)),
        label=label,
        weight=rng.choice([1.0, 2.5, 4.0], rows),
        review=rng.choice([30, 40], rows).astype(np.float32),
        deny=rng.choice([70, 80], rows).astype(np.float32),
        margin=rng.choice([0, 10], rows).astype(np.float32),
        before=rng.integers(0, 3, rows).astype(np.uint8),
    )


def some_scores(events: Events, seed: int, noise: float) -> F32:
    """Return scores that know the labels more or less, rounded so that many are equal."""
    rng = np.random.default_rng(seed)
    scores = 25 + 40 * (events.label == 1) + rng.normal(0, noise, len(events))
    return np.clip(np.round(scores), 0, 100).astype(np.float32)


def some_pairs(rows: int, seed: int, known: float = 0.6) -> Pairs:
    """Return events with the scores of two models, B the better one."""
    events = some_events(rows, seed, known)
    return Pairs.of(events, some_scores(events, seed + 1, 30), some_scores(events, seed + 2, 20))


def unweighted(pairs: Pairs) -> Pairs:
    """Return pairs of which every row counts once."""
    return replace(pairs, weight=np.ones(len(pairs)))


@dataclass(frozen=True)
class InMemory:
    """A source of batches that are there already."""

    given: tuple[SourceBatch, ...]
    name: str = "memory"

    def total(self) -> int:
        """Return the rows of all batches."""
        return sum(len(batch.events) for batch in self.given)

    def batches(self, a: str, b: str) -> Iterator[SourceBatch]:
        """Yield them."""
        yield from self.given
