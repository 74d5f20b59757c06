"""The answer to ``POST /v1/decisions``, as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple

import msgspec

from ingest_api.decision_store import Session
from schemas.decision_record import RuleSaid
from scoring.rules.outcome import Outcome
from scoring.rules.ruleset import Joined, Scoped

Trace = Literal["all", "matched", "none"]


class Uncounted(NamedTuple):
    """Why a catalogue did not take an event."""

    code: Literal["unfit", "ahead", "too_old", "unwritten"]
    text: str


class Event(NamedTuple):
    """What is given back of the event, and when it was decided about."""

    event_id: str
    event_type: str
    occurred_at: int
    decided_at: int
    session_id: str | None


class _Rule(msgspec.Struct, gc=False):
    id: str
    scope: str
    priority: int
    reason: str
    decision: str | None
    score: float | None
    tags: tuple[str, ...]
    alerts: tuple[str, ...]


class _Reason(msgspec.Struct, gc=False):
    code: str
    text: str


class _Uncounted(msgspec.Struct, gc=False):
    catalogue: str
    code: str
    text: str


class _Shadow(msgspec.Struct, gc=False):
    rulesets: str
    decision: str
    decided_by: str
    score: float | None
    matched: tuple[str, ...]


class _Versions(msgspec.Struct, gc=False):
    rulesets: str
    model: str | None


class _Answer(msgspec.Struct, gc=False):
    """The members in their order; schemas of them are in ``ingest_api.decision_models``."""

    replayed: bool
    event_id: str
    event_type: str
    occurred_at: int
    decided_at: int
    session_id: str | None
    decision: str
    decided_by: str
    score: float | None
    added: float
    model_score: float | None
    rules: list[_Rule]
    tags: tuple[str, ...]
    alerts: tuple[str, ...]
    reasons: list[_Reason]
    stopped_by: str | None
    degraded: tuple[str, ...]
    uncounted: list[_Uncounted]
    shadows: list[_Shadow]
    versions: _Versions
    trace: Sequence[RuleSaid] | msgspec.UnsetType


_FRESH: Final = b'{"replayed":false'
_REPLAYED: Final = b'{"replayed":true'
_ENCODER = msgspec.json.Encoder()


def answer_of(
    event: Event,
    outcome: Outcome,
    told: Sequence[RuleSaid],
    joined: Joined,
    session: Session | None,
    shadows: Iterable[Outcome],
    uncounted: Mapping[str, Uncounted],
    trace: Trace,
) -> bytes:
    """Return the JSON. ``told``: of the trace, the rules that said something; ``uncounted``: catalogues without it."""
    said: Sequence[RuleSaid] | msgspec.UnsetType = told
    if trace == "all":
        said = [RuleSaid(*traced) for traced in outcome.trace]
    elif trace == "none":
        said = msgspec.UNSET
    answer = _Answer(
        False,
        *event,
        outcome.decision,
        outcome.by,
        outcome.score,
        outcome.added,
        None if session is None else session.score,
        [_rule(scoped) for scoped in matched_of(outcome, told, joined)],
        outcome.tags,
        outcome.alerts,
        [_Reason(*reason) for reason in outcome.reasons],
        outcome.stopped_by,
        outcome.degraded,
        [_Uncounted(name, *why) for name, why in uncounted.items()],
        [_Shadow(one.rulesets, one.decision, one.by, one.score, one.matched) for one in shadows],
        _Versions(outcome.rulesets, session.model or None if session else None),
        said,
    )
    return _ENCODER.encode(answer)


def replayed(answer: bytes) -> bytes:
    """Return a stored answer as it is given again."""
    return _REPLAYED + answer.removeprefix(_FRESH)


def matched_of(outcome: Outcome, told: Iterable[RuleSaid], joined: Joined) -> Sequence[Scoped]:
    """Return the live rules that matched, in their order."""
    if not outcome.matched:
        return ()
    return [joined.named[one.scope, one.rule] for one in told if one.status == "match" and not one.shadow]


def _rule(scoped: Scoped) -> _Rule:
    scope, rule = scoped
    done = rule.actions
    reason = rule.description or rule.id
    return _Rule(rule.id, scope, rule.priority, reason, done.decision, done.score, done.tags, done.alerts)
