"""enrich: the stage that gives every event its smart signals."""

from __future__ import annotations

import numpy as np

from enrichers.registry import SIGNALS
from enrichers.signal import SmartSignal
from enrichers.view import View
from schemas.batches import Counted, Enriched, SmartSignals
from schemas.columns import widen
from schemas.stage import StageOut


class Enrich:
    """All smart signals over a batch, each on its own, none seeing another's verdict. Every row goes on."""

    name = "enrich"

    def __init__(self, signals: tuple[SmartSignal, ...] = SIGNALS) -> None:
        self._signals = signals
        self._names = tuple(signal.name for signal in signals)

    def __call__(self, batch: Counted, /) -> StageOut[Enriched]:
        """Return the batch with its smart signals, [n, S] each."""
        shape = (len(batch), len(self._signals))
        result = np.empty(shape, np.int8)
        confidence = np.empty(shape, np.float32)
        reasons = np.empty(shape, np.uint32)
        view = View(batch)
        for column, signal in enumerate(self._signals):
            verdict = signal.evaluate(view)
            result[:, column], confidence[:, column], reasons[:, column] = verdict
        return StageOut(widen(Enriched, batch, smart=SmartSignals(self._names, result, confidence, reasons)))
