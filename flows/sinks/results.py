"""From a scored batch to the results that merchants read: columns in, one object an event out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import starmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flows.sinks.ruled import rules_said
from schemas.batches import U8, Decided, History, SessionSummary, Shared, Velocity
from schemas.result import (
    DECISIONS,
    RULE_HISTORY,
    SHARED_COUNTS,
    WATCHLISTS,
    DeviceHistory,
    EntityCounts,
    Factor,
    Place,
    Result,
    SessionSoFar,
    SharedEntities,
    SmartSignal,
    VelocityCounts,
    Versions,
    Windows,
)
from schemas.ruling import HISTORY, LISTS
from schemas.velocity import KINDS, MEASURES, WINDOWS

Explain = Callable[[Decided], list[list[Factor]]]
Present = Callable[[Decided], list[dict[str, SmartSignal]]]
DECIMALS = 4
UNASKED = {HISTORY: RULE_HISTORY, LISTS: WATCHLISTS}


def results_of(batch: Decided, explain: Explain, present: Present, build: str) -> list[Result]:
    """Return one result a row; ``explain`` and ``present`` give the factors and the smart signals of each."""
    if not len(batch):
        return []
    columns = _columns(batch, explain, present)
    versions = _Versions(batch, build)
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
            velocity=counts,
            versions=versions[model, catalogue, rules.ruleset],
            origin=Place(batch.origin.topic, partition, offset),
            ledger=dict(zip(batch.ledger.marks, micros, strict=True)),
            shared=shared,
            history=history,
            session=session,
            rules=rules,
            degraded=[*([SHARED_COUNTS] if degraded else ()), *map(UNASKED.__getitem__, rules.degraded)],
        )
        for (
            event_id, session_id, device_id, merchant, transaction, occurred_at, received_at, score, decision,
            factors, smart, counts, model, catalogue, partition, offset, micros, shared, history, session, rules,
            degraded,
        ) in columns
    ]  # fmt: skip


class _Versions(dict[tuple[int, int, str], Versions]):
    """Objects by model, catalogue and ruleset: few a batch."""

    def __init__(self, batch: Decided, build: str) -> None:
        super().__init__()
        self._models, self._build, self._policy = batch.score.versions, build, batch.decision.policy

    def __missing__(self, key: tuple[int, int, str]) -> Versions:
        model, catalogue, ruleset = key
        names = self._models[model], catalogue, self._build, ruleset or None, self._policy or None
        found = self[key] = Versions(*names)
        return found


def _columns(batch: Decided, explain: Explain, present: Present) -> Iterator[tuple[Any, ...]]:
    """Yield the rows as plain Python values; NumPy converts a whole column at once."""
    event = batch.event
    return zip(
        hex_of(event.event_id),
        hex_of(event.session_id),
        hex_of(event.device_id),
        event.merchant,
        event.transaction,
        event.occurred_at.tolist(),
        event.received_at.tolist(),
        np.round(batch.score.score.astype(np.float64), DECIMALS).tolist(),
        batch.decision.decision.tolist(),
        explain(batch),
        present(batch),
        velocities(batch.velocity),
        batch.score.model.tolist(),
        batch.signals.catalogue.tolist(),
        batch.origin.partition.tolist(),
        batch.origin.offset.tolist(),
        batch.ledger.micros.tolist(),
        entities(batch.shared),
        histories(batch.history, batch.velocity),
        sessions(batch.session),
        rules_said(batch),
        batch.shared.degraded.tolist(),
        strict=True,
    )


def velocities(section: Velocity) -> Iterator[VelocityCounts]:
    """Yield the counts of each row."""
    return starmap(VelocityCounts, _grouped(_windows(section.counts, _OWN), len(KINDS)))


def entities(section: Shared) -> Iterator[SharedEntities]:
    """Yield what each row shares; an entity without known counts is None, and so is a window that is not known."""
    known = ~np.isnan(section.counts).all(axis=(2, 3))
    counts = np.rint(np.nan_to_num(section.counts[known])).astype(np.uint32)  # 0: not known
    found = np.empty(len(counts), object)
    found[:] = list(starmap(EntityCounts, _grouped(_windows(counts, _SHARED), len(MEASURES))))
    table = np.full(known.shape, None, object)
    table[known] = found
    return starmap(SharedEntities, table.tolist())


def histories(section: History, velocity: Velocity) -> Iterator[DeviceHistory]:
    """Yield the history of each row's device."""
    previous = [None if at < 0 else at for at in velocity.previous_at.tolist()]
    return map(
        DeviceHistory, section.events.tolist(), velocity.first_seen_at.tolist(), previous, _scores(section.scores)
    )


def _scores(scores: NDArray[np.float32]) -> list[list[float]]:
    """Return the scores that each row has."""
    known = (~np.isnan(scores)).sum(axis=1).tolist()
    if not any(known):
        return [[]] * len(scores)
    rows = np.round(scores.astype(np.float64), DECIMALS).tolist()
    return [row[:count] for row, count in zip(rows, known, strict=True)]


def sessions(section: SessionSummary) -> Iterator[SessionSoFar]:
    """Yield the head of each row's session."""
    return map(SessionSoFar, section.events.tolist(), section.started_at.tolist())


_BITS = 21
_PLACES = 1 << _BITS * np.arange(len(WINDOWS))
_BUILT_AT_MOST = 65_536


class _Built(dict[int, Windows]):
    """Objects by their three counts in one number: most are of a few small counts, and looked up thrice as fast."""

    def __init__(self, *, zero_is_unknown: bool) -> None:
        super().__init__()
        self._zero_is_unknown = zero_is_unknown

    def __missing__(self, key: int) -> Windows:
        if len(self) >= _BUILT_AT_MOST:
            self.clear()
        mask = (1 << _BITS) - 1
        found = self[key] = self.of(key & mask, key >> _BITS & mask, key >> 2 * _BITS)
        return found

    def of(self, *counts: int) -> Windows:
        """Return the object of three counts."""
        return Windows(*(None if self._zero_is_unknown and not count else count for count in counts))


_OWN, _SHARED = _Built(zero_is_unknown=False), _Built(zero_is_unknown=True)


def _windows(counts: NDArray[np.uint32], built: _Built) -> Iterator[Windows]:
    """Yield one object for each row of the last axis, [..., WINDOWS]."""
    flat = counts.reshape(-1, len(WINDOWS))
    if flat.max(initial=0) >= 1 << _BITS:
        return starmap(built.of, flat.tolist())
    return map(built.__getitem__, (flat @ _PLACES).tolist())


def _grouped(items: Iterator[Any], size: int) -> Iterator[tuple[Any, ...]]:
    return zip(*[items] * size, strict=True)


def hex_of(ids: U8) -> list[str]:
    """Return ids uint8[n, 16] as results have them."""
    text = np.ascontiguousarray(ids).tobytes().hex()
    return [text[at : at + 32] for at in range(0, len(text), 32)]
