"""From a scored batch to the results that merchants read: columns in, one object an event out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from schemas.batches import U8, Scored, SmartSignals
from schemas.result import DECISIONS, Factor, Place, Result, SmartSignal, VelocityCounts, Versions

Explain = Callable[[Scored], list[list[Factor]]]
Present = Callable[[SmartSignals], list[dict[str, SmartSignal]]]
DECIMALS = 4


def results_of(batch: Scored, explain: Explain, present: Present, build: str) -> list[Result]:
    """Return one result a row; ``explain`` and ``present`` give the factors and the smart signals of each."""
    if not len(batch):
        return []
    columns = _columns(batch, explain, present)
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


def _columns(batch: Scored, explain: Explain, present: Present) -> Iterator[tuple[Any, ...]]:
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
        present(batch.smart),
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
