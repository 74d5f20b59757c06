"""Results that were written without being made: read back when somebody asks, their heads taken from columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple, overload

import msgspec
import numpy as np

from flows.sinks.results import DECIMALS, UNASKED, hex_of
from schemas.batches import Decided
from schemas.columns import I32, plain
from schemas.result import DECISIONS, SHARED_COUNTS, Result, decode_result
from schemas.ruling import BY_MODEL

_ENCODE = msgspec.json.Encoder().encode
_SEEN_KEPT = 2_048  # of 1 KB each


class Head(NamedTuple):
    """What sinks ask of a result beside its bytes: keys, headers, and what a session's summary holds."""

    event_id: str
    session_id: str
    device_id: str
    merchant: str
    occurred_at: int
    received_at: int
    topic: str
    partition: int
    offset: int
    score: float
    decision: str
    standing: str
    model: str
    alerts: tuple[str, ...]


def head_of(result: Result) -> Head:
    """Return a result's head."""
    origin = result.origin
    return Head(
        result.event_id, result.session_id, result.device_id, result.merchant, result.occurred_at, result.received_at,
        origin.topic, origin.partition, origin.offset, result.score, result.decision, result.standing,
        result.versions.model, result.rules.alerts if result.rules else (),
    )  # fmt: skip


def heads_of(results: Sequence[Result]) -> Sequence[Head]:
    """Return the heads of results, of written ones without reading them."""
    return results.heads() if isinstance(results, WrittenResults) else list(map(head_of, results))


def seen_signals(result: Result) -> bytes:
    """Return the smart signals as a session's summary keeps them: result and confidence of each."""
    return _ENCODE({name: (one.result, one.confidence) for name, one in result.smart_signals.items()})


@lru_cache(maxsize=_SEEN_KEPT)
def _seen(names: tuple[str, ...], result: bytes, confidence: bytes) -> bytes:
    """Say the same of columns, int8[S] and float32[S]: rows that show the same are many."""
    pairs = zip(np.frombuffer(result, np.int8).tolist(), np.frombuffer(confidence, np.float32).tolist(), strict=True)
    shown = [(None, None) if found < 0 else (found == 1, round(sure, DECIMALS)) for found, sure in pairs]
    return _ENCODE(dict(zip(names, shown, strict=True)))


def seen_signals_of(results: Sequence[Result], row: int) -> bytes:
    """Return the same of one of several results."""
    return results.seen_signals(row) if isinstance(results, WrittenResults) else seen_signals(results[row])


class WrittenResults(Sequence[Result]):
    """The results of a batch that is written. ``factors`` and ``said``: which sentences are each row's."""

    __slots__ = ("_heads", "_read", "_records", "batch", "build", "factors", "said")

    def __init__(
        self, batch: Decided, records: tuple[bytes, ...], factors: I32, said: list[tuple[str, str]], build: str
    ) -> None:
        self.batch, self.factors, self.said, self.build = batch, factors, said, build
        self._records = records
        self._read: tuple[Result, ...] | None = None
        self._heads: list[Head] | None = None

    def __len__(self) -> int:
        return len(self._records)

    @overload
    def __getitem__(self, index: int) -> Result: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Result, ...]: ...
    def __getitem__(self, index: int | slice) -> Result | tuple[Result, ...]:
        return self._all()[index]

    def __iter__(self) -> Iterator[Result]:
        return iter(self._all())

    def _all(self) -> tuple[Result, ...]:
        if self._read is None:
            self._read = tuple(map(decode_result, self._records))
        return self._read

    def heads(self) -> list[Head]:
        """Return the head of each row."""
        if self._heads is None:
            self._heads = _heads(self.batch)
        return self._heads

    def seen_signals(self, row: int) -> bytes:
        """Return a row's smart signals, result and confidence of each."""
        smart = self.batch.smart
        result, confidence = plain(smart.result[row], np.int8), plain(smart.confidence[row], np.float32)
        return _seen(smart.names, result.tobytes(), confidence.tobytes())

    def factors_said(self) -> list[list[tuple[str, str]]]:
        """Return code and sentence of each row's factors."""
        said = self.said
        return [[said[number] for number in numbers if number >= 0] for numbers in self.factors.tolist()]

    def degraded(self) -> list[tuple[str, ...]]:
        """Return what could not be asked about each row."""
        rules, counts = self.batch.rules.said, self.batch.shared.degraded.tolist()
        return [
            (*((SHARED_COUNTS,) if unknown else ()), *(map(UNASKED.__getitem__, said.degraded) if said else ()))
            for said, unknown in zip(rules, counts, strict=True)
        ]


def _heads(batch: Decided) -> list[Head]:
    event, origin, decision = batch.event, batch.origin, batch.decision
    decisions = np.array(DECISIONS, object)
    standing = np.where(decision.by == BY_MODEL, decision.decision, decision.by_policy)
    columns = zip(
        hex_of(event.event_id),
        hex_of(event.session_id),
        hex_of(event.device_id),
        event.merchant,
        event.occurred_at.tolist(),
        event.received_at.tolist(),
        (origin.topic,) * len(batch),
        origin.partition.tolist(),
        origin.offset.tolist(),
        np.round(batch.score.score.astype(np.float64), DECIMALS).tolist(),
        decisions[decision.decision].tolist(),
        decisions[standing].tolist(),
        np.array(batch.score.versions, object)[batch.score.model].tolist(),
        (said.alerts if said else () for said in batch.rules.said),
        strict=True,
    )
    return list(map(Head._make, columns))
