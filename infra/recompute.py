"""A decision made again, part by part: each from what is stored, held against what is stored of its outcome."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from flows.parcel import Parcel, Span
from flows.pipeline import build_pipeline
from flows.run_stage import Monitor
from schemas.batches import F32, Enriched, Ledger, Origin, RawBatch
from schemas.keys import KeyRing
from schemas.result import DECISIONS
from schemas.ruling import BY, BY_MODEL
from schemas.smart_signals import SMART_SIGNALS
from scoring.decide import IDLE_MS
from scoring.deployment import Deployment
from scoring.explain import say
from scoring.features import feature_schema, matrix
from scoring.groups import GROUPS
from scoring.model import Model
from scoring.policy import ALLOW
from scoring.provenance import Predecessor, StoredDecision, policy_again, same_bits

_DAY_MS = 86_400_000
_ALLOW = DECISIONS[ALLOW]
_SHOWN = 5  # differences of one part
_FACTOR_DIGITS = 4  # as results round
FROM_THE_PAYLOAD = ("numbers", "booleans", "categories", "environment", "checks", "activity")
"""Blocks of features that rest on the event's own payload and nothing that was counted before it."""


class Outcome(StrEnum):
    """What became of one part."""

    SAME = "identical"
    DIFFERS = "differs"
    NOT_MADE = "not recomputed"


class Part(NamedTuple):
    """One part of a decision. ``source`` says from what it was made again; ``notes`` what differs, or what lacks."""

    name: str
    source: str
    outcome: Outcome
    notes: tuple[str, ...] = ()


def compared(name: str, source: str, differences: Iterator[str]) -> Part:
    """Return a part that is identical where there is no difference; of many the first are kept, the rest counted."""
    found = list(differences)
    notes = (*found[:_SHOWN], *([f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else ()))
    return Part(name, source, Outcome.DIFFERS if found else Outcome.SAME, tuple(notes))


def score_part(stored: StoredDecision, score: np.float32) -> Part:
    """Hold the model's score of the stored features against the stored one, bit for bit."""

    def differences() -> Iterator[str]:
        if not same_bits(score, stored.score):
            off = float(score) - float(stored.score)
            yield f"stored {float(stored.score):.9g}, recomputed {float(score):.9g} ({off:+.3g})"

    return compared("score", f"stored features, model {stored.model}", differences())


def factors_part(stored: StoredDecision, features: F32, model: Model) -> Part:
    """Hold codes, sentences and contributions of the top factors against the stored ones."""
    verdict = model.run(features[None])
    pairs = zip(verdict.top_factor[0].tolist(), verdict.top_contribution[0].tolist(), strict=True)
    again = [(group, np.float32(round(share, _FACTOR_DIGITS))) for group, share in pairs if share > 0]

    def differences() -> Iterator[str]:
        codes = tuple(GROUPS[group].code for group, _ in again)
        if codes != stored.factors:
            yield f"stored {', '.join(stored.factors) or 'none'}; recomputed {', '.join(codes) or 'none'}"
            return
        for (group, share), text, given in zip(again, stored.factor_texts, stored.contributions, strict=True):
            if not same_bits(share, given):
                yield f"{GROUPS[group].code}: stored {float(given):+.4f}, recomputed {float(share):+.4f}"
            if (said := say(group, features)) != text:
                yield f"{GROUPS[group].code}: stored {text!r}, recomputed {said!r}"

    return compared("factors", f"stored features, model {stored.model}", differences())


def smart_part(stored: StoredDecision, features: F32) -> Part:
    """Hold the smart signals among the stored features against those beside the stored score."""
    schema = feature_schema()
    results, confidences = features[schema.smart_result], features[schema.smart_confidence]

    def differences() -> Iterator[str]:
        if stored.smart_names != SMART_SIGNALS:
            yield "the row names other smart signals than this build"
            return
        for at, name in enumerate(SMART_SIGNALS):
            given = stored.smart_results[at]
            result = -1 if np.isnan(results[at]) else int(results[at])
            if result != given or not same_bits(confidences[at], stored.smart_confidences[at]):
                yield (
                    f"{name}: stored {given} ({stored.smart_confidences[at]:.9g}), scored by {result} "
                    f"({confidences[at]:.9g})"
                )

    return compared("smart signals", "stored features", differences())


def decision_part(stored: StoredDecision, score: np.float32 | None) -> Part:
    """Make the decision again by the stored thresholds and points; without a score of our own, of the stored one.

    What lists, rules or an outage decided over it is ``infra.recompute_rules``' part.
    """
    source = f"{'the score' if score is not None else 'the stored score'}, stored thresholds and standing decision"
    again = policy_again(stored, stored.score if score is None else score)
    if again is None:
        return Part("decision", source, Outcome.NOT_MADE, ("the build that scored it stored no thresholds",))

    def differences() -> Iterator[str]:
        if again != stored.by_policy:
            yield f"stored {stored.by_policy} by the policy, recomputed {again}"
        if stored.decided_by == BY[BY_MODEL] and stored.decision != again:
            yield f"stored {stored.decision}, recomputed {again}"

    return compared("decision", source, differences())


def standing_part(stored: StoredDecision, predecessor: Predecessor | None) -> Part:
    """Hold the session's standing decision against what its event before was given.

    A session is forgotten after ``IDLE_MS``, and stands at allow then. One that was forgotten for want of room shows as
    a difference: that takes ``MOST_SESSIONS`` others of one partition that are reviewed or denied at a time.
    """
    source = f"the session's event before, {'none' if predecessor is None else f'offset {predecessor.offset}'}"
    if stored.before not in DECISIONS:
        return Part("standing", source, Outcome.NOT_MADE, ("the build that scored it stored none",))
    allowed = {predecessor.decision if predecessor else _ALLOW}
    if predecessor is not None and stored.happened_at - predecessor.happened_at > IDLE_MS:
        allowed.add(_ALLOW)

    def differences() -> Iterator[str]:
        if stored.before not in allowed:
            yield f"stored {stored.before}, the event before was given {' or '.join(sorted(allowed))}"

    return compared("standing", source, differences())


def payload_part(stored: StoredDecision, features: F32, payload: bytes, keys: KeyRing) -> Part:
    """Open the archived record, and hold what it says against the row and the stored features."""
    source = f"raw archive, {place_of(stored)}"
    batch, why = _through_the_stages(stored, payload, keys)
    if batch is None:
        return Part("signals", source, Outcome.NOT_MADE, (why,))
    schema, again = feature_schema(), matrix(batch)[0]

    def differences() -> Iterator[str]:
        yield from _of_the_event(stored, batch)
        for block in FROM_THE_PAYLOAD:
            columns = getattr(schema, block)
            for at in range(columns.start, columns.stop):
                if not same_bits(again[at], features[at]):
                    yield f"{schema.names[at]}: scored by {features[at]:.9g}, the payload says {again[at]:.9g}"

    return compared("signals", source, differences())


def place_of(stored: StoredDecision) -> str:
    """Return where the event lies in Kafka."""
    return f"{stored.topic} partition {stored.partition} offset {stored.offset}"


def _of_the_event(stored: StoredDecision, batch: Enriched) -> Iterator[str]:
    """Yield what the record's header and envelope say otherwise than the row."""
    event = batch.event
    said = {
        "event_id": event.event_id[0].tobytes().hex(),
        "session_id": event.session_id[0].tobytes().hex(),
        "merchant": event.merchant[0],
        "transaction": event.transaction[0],
        "event_type": event.event_type[0],
        "occurred_at": int(event.occurred_at[0]),
        "received_at": int(event.received_at[0]),
    }
    for name, value in said.items():
        if value != getattr(stored, name):
            yield f"{name}: the row and the archived record differ"


def _through_the_stages(stored: StoredDecision, payload: bytes, keys: KeyRing) -> tuple[Enriched | None, str]:
    """Return one event after the flow's own stages, with nothing before it, or why it does not come through."""
    pipeline = build_pipeline(keys, _no_model, lateness_ms=_DAY_MS)
    found = pipeline.featured(_parcel(stored, payload), pipeline.keyed.open(()), Monitor.silent())
    if len(found.batch):
        return found.batch, ""
    reason = found.errs[0].reason.value if found.errs else "dropped"
    return None, f"the archived record does not pass the stages of this build: {reason}"


def _no_model() -> Deployment:
    raise AssertionError("stages before the score need no model")


def _parcel(stored: StoredDecision, payload: bytes) -> Parcel[RawBatch]:
    times = np.array([stored.appended_at], np.int64)
    polled = np.array([stored.polled_at], np.int64)
    origin = Origin(
        stored.topic, np.array([stored.partition], np.int32), np.array([stored.offset], np.int64), times, polled
    )
    ledger = Ledger(("appended", "polled"), np.stack((times, polled), axis=1) * 1_000)
    span = Span(stored.partition, stored.offset, stored.offset + 1)
    return Parcel((span,), RawBatch(origin, (payload,), ledger), 1)
