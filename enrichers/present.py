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

from enrichers.detail_inputs import TextNumbers, columns_of, plan
from enrichers.present_loops import DETAIL_WORDS, WORDS, detail_words, verdicts
from enrichers.registry import SIGNALS
from enrichers.signal import SmartSignal as Signal
from schemas.batches import Enriched, SmartSignals
from schemas.columns import I32, I64, U64, plain
from schemas.fragments import Fragments, Numbers, WrittenSignals
from schemas.result import SmartSignal
from schemas.smart_signals import LEVELS

log = logging.getLogger("clickgoose.enrich")
Presented = dict[str, SmartSignal]
_Details = dict[str, str | float]
MOST_DETAILS = 8
LONGEST_DETAIL = 120
_DECIMALS = 4
_HIGH = 0.85
_LOW = 0.2
_ROWS_KEPT = 4_096
_WRITERS_KEPT = 8
_ENCODE = msgspec.json.Encoder().encode
_TELL = msgspec.json.Encoder(enc_hook=float).encode  # numbers of NumPy are numbers
_DETAILS_KEPT = 16_384


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
        self._writer: _Writer | None = None  # the last: names and data are the same objects for a long time
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
        with self._lock:
            writer = self._writer
            if writer is None or writer.names is not smart.names or writer.data is not smart.data:
                writer = self._writer = self._writer_of(smart)
            return writer.written(batch)

    def _writer_of(self, smart: SmartSignals) -> _Writer:
        key = smart.names, smart.data or ("",) * len(smart.names)
        writer = self._writers.get(key)
        if writer is None:
            if len(self._writers) >= _WRITERS_KEPT:
                self._writers.clear()
            writer = self._writers[key] = _Writer(*key)
        return writer


class _Writer:
    """Writes the signals of one list of names and versions of data."""

    def __init__(self, names: tuple[str, ...], data: tuple[str, ...]) -> None:
        self.names, self.data = names, data
        self._heads = [_ENCODE(name) + b":" for name in names]
        self._fragments = Fragments(WORDS)
        self._detailed: dict[tuple[int, bytes], int] = {}  # by the verdict's piece and its details, as told or bounded
        self._told = Numbers(DETAIL_WORDS)  # by what the details look at
        self._texts = TextNumbers()
        self._words: U64 = np.empty((0, WORDS), np.uint64)
        self._asked: I64 = np.empty(0, np.int64)

    def written(self, batch: Enriched) -> WrittenSignals:
        smart = batch.smart
        result, confidence, reasons = smart.result, smart.confidence, smart.reasons
        if len(self._asked) < result.size:
            self._words, self._asked = np.empty((result.size, WORDS), np.uint64), np.empty(result.size, np.int64)
        words, asked, count = self._words[: result.size], self._asked, result.shape[1]
        columns = plain(result, np.int8), plain(confidence, np.float32), plain(reasons, np.uint32)
        many = verdicts(*columns, _HAS_DETAILS, words, asked)
        if self._fragments.begin():
            self._detailed.clear()
            self._forget_told()

        def make(at: int) -> int:
            row, column = divmod(at, count)
            return self._fragments.add(self._piece(smart, row, column, {}))

        number = self._fragments.numbers(words, make)
        if many:
            self._tell(batch, asked[:many], number)
        return WrittenSignals(number.reshape(result.shape), self._fragments.pieces)

    def _forget_told(self) -> None:
        self._told.forget()
        self._texts.clear()

    def _tell(self, batch: Enriched, asked: I64, number: I32) -> None:
        """Put the pieces with details in place of those without, where they were asked."""
        bare, count = number[asked], len(self.names)

        def tell(at: int) -> int:
            row, column = divmod(int(asked[at]), count)
            return self._with_details(batch, row, column, int(bare[at]))

        found = self._told.of(self._looked_at(batch, asked, number), tell)
        for at in np.flatnonzero(found < 0).tolist():
            found[at] = tell(at)
        number[asked] = found

    def _looked_at(self, batch: Enriched, asked: I64, number: I32) -> U64:
        """Return what the details depend on, uint64[m, DETAIL_WORDS], 0 where it is not known."""
        if max(len(self._told), len(self._texts)) >= _DETAILS_KEPT:
            self._forget_told()
        columns = columns_of(batch)
        if columns is None:
            return np.zeros((len(asked), DETAIL_WORDS), np.uint64)
        words = np.empty((len(asked), DETAIL_WORDS), np.uint64)
        detail_words(asked, number, plan(), columns, words)
        self._texts.put_words(batch, asked, words)
        return words

    def _with_details(self, batch: Enriched, row: int, column: int, bare: int) -> int:
        """Return the piece of a verdict with its details, given the one without."""
        signal = SIGNALS[column]
        try:
            told = signal.details(batch, row)
            raw = _TELL(told)
            found = self._detailed.get((bare, raw))
            if found is not None:
                return found
            details = _bounded(told)
        except Exception as error:
            _log_failure(signal, error)
            return bare
        found = self._add_details(batch.smart, row, column, details, bare) if details else bare
        self._remember(bare, raw, found)
        return found

    def _add_details(self, smart: SmartSignals, row: int, column: int, details: _Details, bare: int) -> int:
        said = _ENCODE(details)
        found = self._detailed.get((bare, said))
        if found is None:
            found = self._fragments.add(self._piece(smart, row, column, details))
            self._remember(bare, said, found)
        return found

    def _remember(self, bare: int, said: bytes, found: int) -> None:
        if len(self._detailed) >= _DETAILS_KEPT:
            self._detailed.clear()
        self._detailed[bare, said] = found

    def _piece(self, smart: SmartSignals, row: int, column: int, details: _Details) -> bytes:
        result, confidence = int(smart.result[row, column]), float(smart.confidence[row, column])
        reasons = int(smart.reasons[row, column])
        return self._heads[column] + _ENCODE(_signal(column, result, confidence, reasons, self.data[column], details))


# Columns of the signals that have something to add: all others are never asked.
_DETAILED = np.flatnonzero([type(signal).details is not Signal.details for signal in SIGNALS])
_HAS_DETAILS = np.zeros(len(SIGNALS), np.uint8)
_HAS_DETAILS[_DETAILED] = 1


def _all_details(batch: Enriched) -> Iterator[tuple[int, int, _Details]]:
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


_REASONS = [signal.reasons for signal in SIGNALS]


def _signal(
    column: int, result: int, confidence: float, bits: int, data: str, details: _Details | None = None
) -> SmartSignal:
    version = SIGNALS[column].version
    if result < 0:
        return SmartSignal(None, None, level(result, 0.0), version, data=data)
    reasons = [reason for index, reason in enumerate(_REASONS[column]) if bits >> index & 1]
    sure = round(confidence, _DECIMALS)
    return SmartSignal(result == 1, sure, level(result, sure), version, reasons, details or {}, data)


def _details(signal: Signal, batch: Enriched, row: int) -> _Details:
    """Return a signal's details within their bounds. They only decorate: without them the result still stands."""
    try:
        return _bounded(signal.details(batch, row))
    except Exception as error:
        _log_failure(signal, error)
        return {}


def _log_failure(signal: Signal, error: Exception) -> None:
    log.error("a result goes without details", extra={"signal": signal.name, "error": type(error).__name__})


def _bounded(found: _Details) -> _Details:
    kept: _Details = {}
    for name, value in islice(found.items(), MOST_DETAILS):
        if isinstance(value, str):
            if value:
                kept[name] = value[:LONGEST_DETAIL]
        elif math.isfinite(value):
            kept[name] = round(float(value), _DECIMALS)
    return kept


present = Present()
