"""Smart signals as the merchant reads them: names of reasons instead of bits, a level, details where it is true."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice

import msgspec
import numpy as np
from msgspec.structs import replace

from enrichers.registry import SIGNALS
from enrichers.signal import SmartSignal as Signal
from schemas.batches import Enriched, SmartSignals
from schemas.fragments import Fragments, WrittenSignals
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
_WRITERS_KEPT = 8
_ENCODE = msgspec.json.Encoder().encode


def level(result: int, confidence: float) -> str:
    """Return how far a row is from honest: none, low (clues, but not enough), medium, high; "" not computable."""
    if result < 0:
        return ""
    if result == 0:
        return LEVELS[1] if confidence >= _LOW else LEVELS[0]
    return LEVELS[3] if confidence >= _HIGH else LEVELS[2]


class Present:
    """Smart signals as objects where it is called, or written as JSON; both say the same."""

    def __init__(self) -> None:
        self._writers: dict[tuple[tuple[str, ...], tuple[str, ...]], _Writer] = {}
        self._lock = threading.Lock()

    def __call__(self, batch: Enriched) -> list[Presented]:
        """Return one dict a row, in the order of the registry. The values are shared: there are few different ones."""
        smart = batch.smart
        data = smart.data or ("",) * len(smart.names)
        shown = [_presented(key, smart.names, data).copy() for key in _keys(smart)]
        for row, column, details in _all_details(batch):
            name = smart.names[column]
            shown[row][name] = replace(shown[row][name], details=details)
        return shown

    def written(self, batch: Enriched) -> WrittenSignals:
        """Return the smart signals of every row as pieces of JSON, each with its name."""
        smart = batch.smart
        key = smart.names, smart.data or ("",) * len(smart.names)
        with self._lock:
            writer = self._writers.get(key)
            if writer is None:
                if len(self._writers) >= _WRITERS_KEPT:
                    self._writers.clear()
                writer = self._writers[key] = _Writer(*key)
            return writer.written(batch)


class _Writer:
    """Writes the signals of one list of names and versions of data."""

    def __init__(self, names: tuple[str, ...], data: tuple[str, ...]) -> None:
        self._names, self._data = names, data
        self._heads = [_ENCODE(name) + b":" for name in names]
        self._columns = (np.arange(len(names)).astype(np.uint64) << np.uint64(40))[None, :]
        self._fragments = Fragments(2)
        self._detailed: dict[bytes, int] = {}

    def written(self, batch: Enriched) -> WrittenSignals:
        smart = batch.smart
        rows, count = smart.result.shape
        words = np.empty((rows, count, 2), np.uint64)
        words[:, :, 0] = smart.reasons
        words[:, :, 0] |= smart.result.view(np.uint8).astype(np.uint64) << np.uint64(32)
        words[:, :, 0] |= self._columns
        words[:, :, 1] = smart.confidence.view(np.uint32)
        if self._fragments.begin():
            self._detailed.clear()

        def make(at: int) -> int:
            row, column = divmod(at, count)
            return self._fragments.add(self._piece(smart, row, column, {}))

        number = self._fragments.numbers(words.reshape(-1, 2), make).reshape(rows, count)
        for row, column, details in _all_details(batch):
            key = words[row, column].tobytes() + _ENCODE(details)
            found = self._detailed.get(key)
            if found is None:
                piece = self._piece(smart, row, column, details)
                found = self._detailed[key] = self._fragments.add(piece)
            number[row, column] = found
        return WrittenSignals(number, self._fragments.pieces)

    def _piece(self, smart: SmartSignals, row: int, column: int, details: dict[str, str | float]) -> bytes:
        result, confidence = int(smart.result[row, column]), float(smart.confidence[row, column])
        shown = _signal(column, result, confidence, int(smart.reasons[row, column]), self._data[column])
        return self._heads[column] + _ENCODE(replace(shown, details=details) if details else shown)


# Columns of the signals that have something to add: all others are never asked.
_DETAILED = np.flatnonzero([type(signal).details is not Signal.details for signal in SIGNALS])


def _all_details(batch: Enriched) -> Iterator[tuple[int, int, dict[str, str | float]]]:
    """Yield row, column and details where a signal is true and has any."""
    rows, positions = np.nonzero(batch.smart.result[:, _DETAILED] == 1)
    for row, column in zip(rows.tolist(), _DETAILED[positions].tolist(), strict=True):
        if details := _details(SIGNALS[column], batch, row):
            yield row, column, details


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
        return _bounded(signal.details(batch, row))
    except Exception as error:
        log.error("a result goes without details", extra={"signal": signal.name, "error": type(error).__name__})
        return {}


def _bounded(found: dict[str, str | float]) -> dict[str, str | float]:
    kept: dict[str, str | float] = {}
    for name, value in islice(found.items(), MOST_DETAILS):
        if isinstance(value, str):
            if value:
                kept[name] = value[:LONGEST_DETAIL]
        elif math.isfinite(value):
            kept[name] = round(float(value), _DECIMALS)
    return kept


present = Present()
