"""Smart signals as the merchant reads them: names of reasons instead of bits, and a level."""

from __future__ import annotations

from functools import lru_cache

from enrichers.registry import SIGNALS
from schemas.batches import SmartSignals
from schemas.result import SmartSignal
from schemas.smart_signals import LEVELS

_HIGH = 0.85
_LOW = 0.2


def level(result: int, confidence: float) -> str:
    """Return how far a row is from honest: none, low (clues, but not enough), medium, high; "" not computable."""
    if result < 0:
        return ""
    if result == 0:
        return LEVELS[1] if confidence >= _LOW else LEVELS[0]
    return LEVELS[3] if confidence >= _HIGH else LEVELS[2]


def present(smart: SmartSignals) -> list[dict[str, SmartSignal]]:
    """Return one dict a row, in the order of the registry. The values are shared: there are few different ones."""
    rows = zip(smart.result.tolist(), smart.confidence.tolist(), smart.reasons.tolist(), strict=True)
    names = smart.names
    return [
        {
            name: _ABSENT[column] if one < 0 else _shown(column, one, round(sure, 4), bits)
            for column, (name, one, sure, bits) in enumerate(zip(names, *row, strict=True))
        }
        for row in rows
    ]


_ABSENT = tuple(SmartSignal(None, None, level(-1, 0.0), signal.version) for signal in SIGNALS)


@lru_cache(maxsize=65_536)
def _shown(column: int, result: int, confidence: float, bits: int) -> SmartSignal:
    signal = SIGNALS[column]
    reasons = [reason for index, reason in enumerate(signal.reasons) if bits >> index & 1]
    return SmartSignal(result == 1, confidence, level(result, confidence), signal.version, reasons)
