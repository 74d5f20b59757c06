"""The memory of recognize with full tables: what an event, a snapshot and a start cost.

Run it with ``python -m infra.bench.recognize``. Times are CPU times of the thread. What the stage costs with real
events and small tables, ``clickgoose bench stage recognize`` says.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flows.stages.recognize import Recognize
from flows.stages.recognize.frames import pack
from flows.stages.recognize.layout import Decided, Rows
from flows.stages.recognize.stage import HALF_LIVES
from flows.stages.recognize.state import RecognitionState, Sizes
from infra.bench.measure import machine
from schemas.recognition import COMBINATIONS, REPUTED, mix
from schemas.velocity import SLICES

_BATCH, _EPOCH_EVENTS, _EPOCHS = 256, 500, 60
_BEGIN = 1_790_000_000_000


class _Traffic:
    """Rows with a new machine, address and contents in four of five, and common combinations and networks."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._offset = 0

    def rows(self, count: int) -> Rows:
        offset = np.arange(self._offset, self._offset + count)
        self._offset += count
        combinations = self._common(count, 300, len(COMBINATIONS))
        combinations[:, -1] = self._fresh(count)
        entities = self._common(count, 20_000, len(REPUTED))
        entities[:, 0] = self._fresh(count)
        copies = np.stack([self._fresh(count) for _ in range(3)], axis=1)
        return Rows(_BEGIN + offset * 8, offset, combinations, entities, copies)

    def _fresh(self, count: int) -> NDArray[np.uint64]:
        old = mix(self._random.integers(1, 50_000, count).astype(np.uint64))
        new = self._random.integers(1, 1 << 63, count).astype(np.uint64) << np.uint64(1)
        return np.where(self._random.random(count) < 0.2, old, new)

    def _common(self, count: int, kinds: int, columns: int) -> NDArray[np.uint64]:
        drawn = self._random.zipf(1.3, (count, columns)) % kinds + kinds * np.arange(1, columns + 1)
        return mix(drawn.astype(np.uint64))


def _step(state: RecognitionState, rows: Rows) -> float:
    begun = time.thread_time()
    state.count(rows)
    spent = time.thread_time() - begun
    state.decide(Decided(rows.offset, rows.time, rows.entities, rows.offset % 50 == 0))
    return spent


def bench_recognition(seed: int = 1) -> dict[str, Any]:
    """Return the figures."""
    state, traffic = RecognitionState(Sizes(), HALF_LIVES), _Traffic(seed)
    spent: list[float] = []
    while min(state.records[1:]) < 0.9 * min(Sizes()[1:]) and len(spent) < 4_000:
        spent += [_step(state, traffic.rows(_BATCH)) for _ in range(200)]
    last = np.array(spent[-400:]) / _BATCH * 1e6
    whole = pack(state.frame(0, SLICES))
    sizes, times = [], []
    for epoch in range(_EPOCHS):
        _step(state, traffic.rows(_EPOCH_EVENTS))
        took, frame = _timed(partial(_packed, state, epoch))
        sizes.append(len(frame))
        times.append(took * 1e3)
    load, _ = _timed(lambda: Recognize().open([whole]))
    return {
        "name": "recognize",
        "events": len(spent) * _BATCH,
        "records": dict(zip(Sizes._fields, state.records, strict=True)),
        "state_mib": round(state.nbytes / 2**20, 1),
        "us_per_event_in_the_state": {"best": round(float(last.min()), 2), "median": round(float(np.median(last)), 2)},
        "epoch_events": _EPOCH_EVENTS,
        "epoch_bytes": int(np.median(sizes)),
        "slice_bytes": len(whole) // SLICES,
        "snapshot_ms": {"p50": round(float(np.median(times)), 2), "p99": round(float(np.quantile(times, 0.99)), 2)},
        "load_ms": round(load * 1e3, 1),
        "machine": machine(),
    }


def _packed(state: RecognitionState, first: int) -> bytes:
    return pack(state.frame(first, 1))


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    begun = time.thread_time()
    done = work()
    return time.thread_time() - begun, done


if __name__ == "__main__":
    sys.stdout.write(json.dumps(bench_recognition(), indent=2) + "\n")
