"""Measures the smart signals on simulated traffic: how often each is true or null of people, and true of attackers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enrichers.measured import signals_digest
from enrichers.registry import SIGNALS
from infra.bench.enrich import LARGE, bench_enrich
from infra.bench.events import traffic_digest
from infra.training import enriched_batches
from schemas.batches import Enriched, Related
from schemas.smart_signals import SMART_SIGNALS

_TIMED = 4_096  # events that the cost is measured with
_HONEST_SHARE = 0.5  # less than this share of events is never honest: so many are asked for


class NotEnoughTraffic(ValueError):
    """The simulated traffic ended before there were enough events of people."""


def measure(honest: int, seed: int, progress: Callable[[int], None] = lambda events: None) -> dict[str, Any]:
    """Count over mixed traffic until so many events of people were judged; the same arguments give the same counts."""
    judged: Counter[str] = Counter()
    true = {kind: np.zeros(len(SMART_SIGNALS), np.int64) for kind in ("honest",)}
    null = np.zeros(len(SMART_SIGNALS), np.int64)
    data: tuple[str, ...] = ()
    timed: list[Related] = []
    for batch, labels, kinds in _until(honest, seed):
        data = batch.smart.data
        if len(timed) * LARGE < _TIMED:
            timed.append(Related(**{field.name: getattr(batch, field.name) for field in fields(Related)}))
        groups = np.array(["honest" if label == 0 else kind for label, kind in zip(labels, kinds, strict=True)])
        for kind in np.unique(groups).tolist():
            result = batch.smart.result[groups == kind]
            judged[kind] += len(result)
            true.setdefault(kind, np.zeros(len(SMART_SIGNALS), np.int64))
            true[kind] += (result == 1).sum(axis=0)
        null += (batch.smart.result[groups == "honest"] < 0).sum(axis=0)
        progress(int((labels == 0).sum()))
    return {
        "made_by": "clickgoose signals measure",
        "seed": seed,
        "signals": signals_digest(),
        "traffic": traffic_digest(),
        "data": {name: version for name, version in zip(SMART_SIGNALS, data, strict=True) if version},
        "cost": _cost(Related.concat(timed)),
        "events": dict(sorted(judged.items())),
        "null": dict(zip(SMART_SIGNALS, null.tolist(), strict=True)),
        "true": {kind: dict(zip(SMART_SIGNALS, true[kind].tolist(), strict=True)) for kind in sorted(true)},
    }


def _cost(related: Related) -> dict[str, Any]:
    """Return what the stage takes for these events here and now."""
    details = bench_enrich(related, SIGNALS).details
    return {name: details[name] for name in ("us_per_event_of_256", "ms_per_batch_of_64", "stages")}


def _until(honest: int, seed: int) -> Iterator[tuple[Enriched, NDArray[np.int8], list[str]]]:
    """Yield batches until exactly so many honest events came; the last batch is cut."""
    left = honest
    for batch, labels, kinds, *_ in enriched_batches(int(honest / _HONEST_SHARE), seed):
        ends = np.cumsum(labels == 0)
        if ends.size and ends[-1] >= left:
            rows = np.arange(int(np.searchsorted(ends, left)) + 1)
            yield batch.take(rows), labels[rows], kinds[: len(rows)]
            return
        left -= int(ends[-1]) if ends.size else 0
        yield batch, labels, kinds
    raise NotEnoughTraffic(
        f"the traffic has {honest - left} honest events, fewer than {honest}: it is mostly attackers"
    )
