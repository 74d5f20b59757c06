"""Smart signals as the merchant reads them: names of reasons instead of bits, a level, details where it is true."""

from __future__ import annotations

import logging
import math
from functools import lru_cache

import numpy as np
from msgspec.structs import replace

from enrichers.registry import SIGNALS
from enrichers.signal import SmartSignal as Signal
from schemas.batches import Enriched, SmartSignals
from schemas.result import SmartSignal
from schemas.smart_signals import LEVELS

log = logging.getLogger("clickgoose.enrich")
Presented = dict[str, SmartSignal]
MOST_DETAILS = 8
LONGEST_DETAIL = 120
_DECIMALS = 4
_HIGH = 0.85
_LOW = 0.2
_ROWS_KEPT = 4_096


def level(result: int, confidence: float) -> str:
    """Return how far a row is from honest: none, low (clues, but not enough), medium, high; "" not computable."""
    if result < 0:
        return ""
    if result == 0:
        return LEVELS[1] if confidence >= _LOW else LEVELS[0]
    return LEVELS[3] if confidence >= _HIGH else LEVELS[2]


def present(batch: Enriched) -> list[Presented]:
    """Return one dict a row, in the order of the registry. The values are shared: there are few different ones."""
    smart = batch.smart
    data = smart.data or ("",) * len(smart.names)
    shown = [_presented(key, smart.names, data).copy() for key in _keys(smart)]
    rows, positions = np.nonzero(smart.result[:, _DETAILED] == 1)
    for row, column in zip(rows.tolist(), _DETAILED[positions].tolist(), strict=True):
        details = _details(SIGNALS[column], batch, row)
        if details:
            name = smart.names[column]
            shown[row][name] = replace(shown[row][name], details=details)
    return shown


# Columns of the signals that have something to add: all others are never asked.
_DETAILED = np.flatnonzero([type(signal).details is not Signal.details for signal in SIGNALS])


def _keys(smart: SmartSignals) -> list[bytes]:
    """Return each row's verdicts as bytes: rows with the same ones are many, and presented once."""
    sections = (smart.result, smart.confidence, smart.reasons)
    table = np.concatenate([np.ascontiguousarray(section).view(np.uint8) for section in sections], axis=1)
    size, joined = table.shape[1], table.tobytes()
    return [joined[at : at + size] for at in range(0, len(joined), size)]


@lru_cache(maxsize=_ROWS_KEPT)
def _presented(key: bytes, names: tuple[str, ...], data: tuple[str, ...]) -> Presented:
    count = len(names)
    result = np.frombuffer(key, np.int8, count).tolist()
    confidence = np.frombuffer(key, np.float32, count, count).tolist()
    reasons = np.frombuffer(key, np.uint32, count, 5 * count).tolist()
    columns = zip(range(count), result, confidence, reasons, data, strict=True)
    return dict(zip(names, (_signal(*column) for column in columns), strict=True))


def _signal(column: int, result: int, confidence: float, bits: int, data: str) -> SmartSignal:
    version = SIGNALS[column].version
    if result < 0:
        return SmartSignal(None, None, level(result, 0.0), version, data=data)
    reasons = [reason for index, reason in enumerate(SIGNALS[column].reasons) if bits >> index & 1]
    sure = round(confidence, _DECIMALS)
    return SmartSignal(result == 1, sure, level(result, sure), version, reasons, data=data)


def _details(signal: Signal, batch: Enriched, row: int) -> dict[str, str | float]:
    """Return a signal's details within their bounds. They only decorate: without them the result still stands."""
    try:
        found = list(signal.details(batch, row).items())
        return {name: _bounded(value) for name, value in found[:MOST_DETAILS] if _tellable(value)}
    except Exception as error:
        log.error("a result goes without details", extra={"signal": signal.name, "error": type(error).__name__})
        return {}


def _tellable(value: str | float) -> bool:
    return bool(value) if isinstance(value, str) else math.isfinite(value)


def _bounded(value: str | float) -> str | float:
    return value[:LONGEST_DETAIL] if isinstance(value, str) else round(float(value), _DECIMALS)
