"""enrich: what all smart signals cost together in batches of 256 and of 64, and what each adds."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from enrichers.signal import SmartSignal
from enrichers.stage import Enrich
from enrichers.view import View
from infra.bench.measure import Figures, rss_peak_mb, whole_batches
from schemas.batches import Related
from schemas.catalogue import load_catalogue

LARGE, SMALL = 256, 64
MOST_US, MOST_MS = 6.0, 3.0  # what the stage may cost: an event of a large batch, and a whole small batch
_ROUNDS = 5


def bench_enrich(related: Related, signals: Sequence[SmartSignal]) -> Figures:
    """Judge the same events several times over. Figures are by wall clock; a share is that signal's own on 256 rows."""
    enrich = Enrich(tuple(signals))
    large, small = whole_batches(related, LARGE), whole_batches(related, SMALL)
    before = time.process_time()
    by_large = _seconds(large, enrich)
    spent = (time.process_time() - before) / (_ROUNDS * len(large) * LARGE)
    by_small = _seconds(small, enrich)
    us = np.median(by_large) / LARGE * 1e6
    return Figures(
        name="stage enrich",
        events=len(large) * LARGE,
        events_per_s=round(1e6 / us, 1),
        cpu_us_per_event=round(spent * 1e6, 3),
        rss_peak_mb=rss_peak_mb(),
        batch=LARGE,
        details={
            "catalogue_signals": len(load_catalogue().by_name),
            "smart_signals": len(signals),
            "clues": sum(len(signal.clues) for signal in signals),
            "us_per_event_of_256": round(us, 3),
            "us_per_event_of_256_at_most": MOST_US,
            "ms_per_batch_of_64": round(np.median(by_small) * 1e3, 3),
            "ms_per_batch_of_64_at_most": MOST_MS,
            "ms_per_batch_of_64_p99": round(np.percentile(by_small, 99) * 1e3, 3),
            "stages": _shares(large, signals),
        },
    )


def _seconds(batches: Sequence[Related], work: Callable[[Related], Any]) -> list[float]:
    """Return the seconds of each batch, after a round that is not counted."""
    for batch in batches[:8]:
        work(batch)
    taken = []
    for _ in range(_ROUNDS):
        for batch in batches:
            started = time.perf_counter()
            work(batch)
            taken.append(time.perf_counter() - started)
    return taken


def _shares(batches: Sequence[Related], signals: Sequence[SmartSignal]) -> dict[str, float]:
    """Return the microseconds an event of each signal. What signals share is paid by the first that asks."""
    taken: dict[str, list[float]] = {"view": [], **{signal.name: [] for signal in signals}}
    for batch in batches:
        started = time.perf_counter()
        view = View(batch)
        taken["view"].append(time.perf_counter() - started)
        for signal in signals:
            started = time.perf_counter()
            signal.observe(view)
            signal.computable(view)
            taken[signal.name].append(time.perf_counter() - started)
    return {name: round(float(np.median(times)) / LARGE * 1e6, 3) for name, times in taken.items()}
