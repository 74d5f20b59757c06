"""enrich: the stage that gives every event its smart signals."""

from __future__ import annotations

from enrichers.registry import SIGNALS
from enrichers.signal import Jury, SmartSignal
from enrichers.view import View
from schemas.batches import Enriched, Related, SmartSignals
from schemas.columns import widen
from schemas.stage import StageOut


class Enrich:
    """All smart signals over a batch, each on its own, none seeing another's verdict. Every row goes on."""

    name = "enrich"

    def __init__(self, signals: tuple[SmartSignal, ...] = SIGNALS) -> None:
        self._names = tuple(signal.name for signal in signals)
        self._jury = Jury(signals)

    def __call__(self, batch: Related, /) -> StageOut[Enriched]:
        """Return the batch with its smart signals, [n, S] each."""
        verdict = self._jury.judge(View(batch))
        return StageOut(widen(Enriched, batch, smart=SmartSignals(self._names, *verdict)))
