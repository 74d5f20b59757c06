"""The item behind the fan-out: a scored parcel with its results, built and encoded once for every sink."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Protocol, runtime_checkable

import numpy as np

from flows.parcel import Parcel, Span
from flows.sinks.records import RecordWriter
from flows.sinks.results import Explain, Present, results_of
from flows.sinks.written import WrittenResults
from schemas.batches import F32, U32, Bool, Decided, Signals, Texts
from schemas.columns import with_section
from schemas.fragments import WrittenFactors, WrittenSignals
from schemas.result import Result, encode_result

# A row's columns, its result as objects and its parts of the activity log: 6.5 KB of objects on the generator's events,
# and a fifth for what the allocator adds. The features beside them are counted as they are.
ROW_BYTES = 8_000
LETTER_BYTES = 2_000  # a dead letter as an object


@runtime_checkable
class WritesFactors(Protocol):
    """What explains, and can also write what it says as JSON."""

    def written(self, batch: Decided, /) -> WrittenFactors:
        """Return the factors of every row."""
        ...


@runtime_checkable
class WritesSignals(Protocol):
    """What presents smart signals, and can also write them as JSON."""

    def written(self, batch: Decided, /) -> WrittenSignals:
        """Return the smart signals of every row."""
        ...


@dataclass(frozen=True)
class EncodedParcel:
    """``results`` and ``records`` (their JSON) have one item a row of the parcel's batch.

    Results that were written as bytes at once (``WrittenResults``) are read back when one is asked for: a sink looks at
    their heads.
    """

    parcel: Parcel[Decided]
    results: Sequence[Result]
    records: tuple[bytes, ...]

    @property
    def spans(self) -> tuple[Span, ...]:
        """Return what is acknowledged once the parcel is held."""
        return self.parcel.spans

    @property
    def rows(self) -> int:
        """Return the rows that sinks have to hold: scored and dead-lettered."""
        return len(self.records) + len(self.parcel.errs)

    @cached_property
    def size(self) -> int:
        """Return about how many bytes it takes: what was received, the results' JSON, and the columns and objects.

        Every sink asks, and each time hundreds of objects would be looked at that nobody has touched for long.
        """
        received = sum(map(len, self.parcel.batch.values)) + sum(len(letter.payload) for letter in self.parcel.errs)
        beside = ROW_BYTES * len(self.records) + LETTER_BYTES * len(self.parcel.errs)
        beside += self.parcel.batch.score.features.nbytes
        return received + sum(map(len, self.records)) + beside


def encoder(explain: Explain, present: Present, build: str) -> Callable[[Parcel[Decided]], EncodedParcel]:
    """Return the step between the last stage and the fan-out. ``build`` is the version that the results name.

    Where factors and smart signals can be written as JSON, no object is made of a result.
    """
    writer = RecordWriter(build)
    writes_factors = explain if isinstance(explain, WritesFactors) else None
    writes_signals = present if isinstance(present, WritesSignals) else None

    def encode(parcel: Parcel[Decided]) -> EncodedParcel:
        batch = parcel.batch
        if len(batch) and writes_factors and writes_signals:
            factors = writes_factors.written(batch)
            records = writer.records(batch, factors, writes_signals.written(batch))
            if records is not None:
                kept = _without_inputs(batch)
                written = WrittenResults(kept, records, factors.number, factors.said, build)
                return EncodedParcel(_with(parcel, kept), written, records)
        results = tuple(results_of(batch, explain, present, build))
        encoded = tuple(encode_result(result) for result in results)
        return EncodedParcel(_with(parcel, _without_inputs(batch)), results, encoded)

    return encode


def _with(parcel: Parcel[Decided], batch: Decided) -> Parcel[Decided]:
    return Parcel(parcel.spans, batch, parcel.rows_in, parcel.errs, parcel.dropped)


def _without_inputs(batch: Decided) -> Decided:
    """Let go of what no sink writes, signals and observed values: a queue holds what was received, not thrice that."""
    floats, flags, categories, texts = _nothing(len(batch))
    signals = Signals(batch.signals.catalogue, floats, flags, flags, categories, texts)
    kept = with_section(batch, "signals", signals)
    return with_section(kept, "score", with_section(batch.score, "observed", floats))


@lru_cache(maxsize=256)
def _nothing(rows: int) -> tuple[F32, Bool, U32, Texts]:
    """Return columns of no width for so many rows."""
    places = np.empty((rows, 0), np.int32)
    texts = Texts((b"",) * rows, places, places)
    return np.empty((rows, 0), np.float32), np.empty((rows, 0), np.bool_), np.empty((rows, 0), np.uint32), texts
