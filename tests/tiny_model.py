"""A tiny model over the real features: trained in about a second, kept for the whole run of the tests."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from schemas.batches import Enriched
from scoring.features import feature_schema, matrix
from scoring.train import Plan, Trained, train
from scoring.training_set import TrainingSet
from tests.builders import NOW, enriched

TINY = Plan(seed=3, trees=12, depth=4, learning_rate=0.3, patience=12)


def visitors(rows: int, seed: int) -> tuple[Enriched, np.ndarray[Any, np.dtype[np.int8]]]:
    """Return events of honest visitors and of two kinds of attackers, with labels; no single feature tells all."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(rows) < 0.3).astype(np.int8)
    fast, lying = labels * (rng.random(rows) < 0.6), labels * (rng.random(rows) < 0.6)
    counts = rng.poisson(np.where(fast, 45, 4)) + 1
    keys = rng.integers(0, 12, rows)
    events: list[dict[str, Any]] = []
    for row in range(rows):
        shown: dict[str, Any] = {"screen.width": int(rng.choice([1280, 1920, 2560])), "screen.height": 1080}
        if rng.random() < 0.9:
            shown["navigator.webdriver"] = bool(rng.random() < (0.5 if lying[row] else 0.01))
        if rng.random() < 0.8:
            shown["navigator.device_memory"] = float(rng.choice([4, 8, 16]))
        shown["navigator.platform"] = str(rng.choice(["Win32", "MacIntel", "Linux x86_64"]))
        events.append(shown)
    batch = enriched(
        events,
        [[{"code": 203, "t": 100 * k, "value": 80.0 + 9 * k} for k in range(n)] for n in keys.tolist()],
        [{"events_5m": int(n), "events_1h": int(n) + 2, "events_24h": int(n) + 5} for n in counts],
        [{"browser": "chrome", "system": "windows", "checks": ["canvas_unstable"] if bad else []} for bad in lying],
        [{"bot": float(rng.uniform(0.5, 0.99)) if bad else 0.0} for bad in lying],
        [NOW + 1000 * row for row in range(rows)],
    )
    return batch, labels


@cache
def tiny_set() -> TrainingSet:
    """Return 700 labelled events."""
    batch, labels = visitors(700, 5)
    kinds = tuple("bot" if label else "honest" for label in labels.tolist())
    return TrainingSet(
        matrix(batch),
        labels,
        batch.event.occurred_at,
        kinds,
        feature_schema().names,
        campaigns=np.full(len(labels), -1, np.int64),
        sources=("test",) * len(labels),
        weights=np.ones(len(labels)),
    )


@cache
def tiny_model() -> Trained:
    """Return a model trained on them."""
    return train(tiny_set(), TINY)
