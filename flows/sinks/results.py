"""From a scored batch to the results that merchants read: columns in, one object an event out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from schemas.batches import I8, U8, Scored, SmartSignals
from schemas.result import DECISIONS, Factor, Place, Result, SmartSignal, VelocityCounts, Versions

Explain = Callable[[Scored], list[list[Factor]]]
Level = Callable[[bool | None, float | None], str]
DECIMALS = 4


class SignalFacts(NamedTuple):
    """What the registry of smart signals knows about one: bit i of a row's reasons means ``reasons[i]``."""

    version: int
    reasons: tuple[str, ...]
    level: Level


SmartFacts = Mapping[str, SignalFacts]


def level_by_confidence(result: bool | None, confidence: float | None) -> str:
    """Return the level of a signal that defines none: how sure a positive answer is."""
    if result is None or confidence is None:
        return "unknown"
    if not result:
        return "none"
    return "high" if confidence >= 0.8 else "medium" if confidence >= 0.5 else "low"


def results_of(batch: Scored, explain: Explain, facts: SmartFacts, build: str) -> list[Result]:
    """Return one result a row. KeyError where ``facts`` does not know a smart signal of the batch."""
    if not len(batch):
        return []
    columns = _columns(batch, explain, facts)
    versions: dict[int, Versions] = {}
    return [
        Result(
            event_id=event_id,
            session_id=session_id,
            device_id=device_id,
            merchant=merchant,
            transaction=transaction,
            occurred_at=occurred_at,
            received_at=received_at,
            score=score,
            decision=DECISIONS[decision],
            factors=factors,
            smart_signals=smart,
            velocity=VelocityCounts(*counts),
            versions=versions.setdefault(catalogue, Versions(batch.score.model, catalogue, build)),
            origin=Place(batch.origin.topic, partition, offset),
            ledger=dict(zip(batch.ledger.marks, micros, strict=True)),
        )
        for (
            event_id, session_id, device_id, merchant, transaction, occurred_at, received_at, score, decision,
            factors, smart, counts, catalogue, partition, offset, micros,
        ) in columns
    ]  # fmt: skip


def _columns(batch: Scored, explain: Explain, facts: SmartFacts) -> Iterator[tuple[Any, ...]]:
    """Yield the rows as plain Python values; NumPy converts a whole column at once."""
    event, velocity = batch.event, batch.velocity
    return zip(
        _hex(event.event_id),
        _hex(event.session_id),
        _hex(event.device_id),
        event.merchant,
        event.transaction,
        event.occurred_at.tolist(),
        event.received_at.tolist(),
        np.round(batch.score.score.astype(np.float64), DECIMALS).tolist(),
        batch.score.decision.tolist(),
        explain(batch),
        _smart_rows(batch.smart, facts),
        np.stack((velocity.events_5m, velocity.events_1h, velocity.events_24h), axis=1).tolist(),
        batch.signals.catalogue.tolist(),
        batch.origin.partition.tolist(),
        batch.origin.offset.tolist(),
        batch.ledger.micros.tolist(),
        strict=True,
    )


def _hex(ids: U8) -> list[str]:
    text = np.ascontiguousarray(ids).tobytes().hex()
    return [text[at : at + 32] for at in range(0, len(text), 32)]


def _smart_rows(smart: SmartSignals, facts: SmartFacts) -> Iterator[dict[str, SmartSignal]]:
    """Yield each row's signals by name."""
    columns = [_smart_column(smart, at, facts[name]) for at, name in enumerate(smart.names)]
    for row in zip(*columns, strict=True) if columns else [()] * len(smart):
        yield dict(zip(smart.names, row, strict=True))


def _smart_column(smart: SmartSignals, at: int, facts: SignalFacts) -> list[SmartSignal]:
    """Return one signal of every row; rows with the same answer share one object."""
    made: dict[tuple[int, int, int], SmartSignal] = {}
    result: I8 = smart.result[:, at]
    # As bits, because NaN is not equal to itself and would never be found again.
    bits = np.ascontiguousarray(smart.confidence[:, at]).view(np.uint32)
    column = []
    for key in zip(result.tolist(), bits.tolist(), smart.reasons[:, at].tolist(), strict=True):
        signal = made.get(key)
        if signal is None:
            signal = made[key] = _smart_signal(*key, facts)
        column.append(signal)
    return column


def _smart_signal(result: int, confidence_bits: int, reasons: int, facts: SignalFacts) -> SmartSignal:
    answer = None if result < 0 else bool(result)
    number = float(np.uint32(confidence_bits).view(np.float32))
    confidence = None if answer is None or np.isnan(number) else round(number, DECIMALS)
    named = [reason for bit, reason in enumerate(facts.reasons) if reasons >> bit & 1]
    return SmartSignal(answer, confidence, facts.level(answer, confidence), facts.version, named)
