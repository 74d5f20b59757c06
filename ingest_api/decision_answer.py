"""The answer to ``POST /v1/decisions``, as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

import msgspec

from ingest_api.decision_store import Session
from scoring.rules.outcome import Outcome, Traced
from scoring.rules.ruleset import Joined, Scoped

Trace = Literal["all", "matched", "none"]


class Uncounted(NamedTuple):
    """Why a catalogue did not take an event."""

    code: Literal["unfit", "ahead", "too_old", "unwritten"]
    text: str


_FRESH: Final = b'{"replayed":false'
_REPLAYED: Final = b'{"replayed":true'
_TOLD: Final = frozenset(("match", "error", "snoozed"))
_ENCODER = msgspec.json.Encoder()


def answer_of(
    said: Mapping[str, Any],
    outcome: Outcome,
    joined: Joined,
    session: Session | None,
    shadows: Iterable[Outcome],
    uncounted: Mapping[str, Uncounted],
    trace: Trace,
) -> bytes:
    """Return the JSON. ``said``: what is given back of the event; ``uncounted``: catalogues without it."""
    body: dict[str, Any] = {
        "replayed": False,
        **said,
        "decision": outcome.decision,
        "decided_by": outcome.by,
        "score": outcome.score,
        "added": outcome.added,
        "model_score": None if session is None else session.score,
        "rules": [_rule(scoped) for scoped in matched_of(outcome, joined)],
        "tags": outcome.tags,
        "alerts": outcome.alerts,
        "reasons": [reason._asdict() for reason in outcome.reasons],
        "stopped_by": outcome.stopped_by,
        "degraded": outcome.degraded,
        "uncounted": [{"catalogue": name, "code": why.code, "text": why.text} for name, why in uncounted.items()],
        "shadows": [_shadow(one) for one in shadows],
        "versions": {"rulesets": outcome.rulesets, "model": session.model or None if session else None},
    }
    if trace != "none":
        body["trace"] = [_traced(one) for one in outcome.trace if trace == "all" or one.status in _TOLD]
    return _ENCODER.encode(body)


def replayed(answer: bytes) -> bytes:
    """Return a stored answer as it is given again."""
    return _REPLAYED + answer.removeprefix(_FRESH)


def matched_of(outcome: Outcome, joined: Joined) -> Sequence[Scoped]:
    """Return the live rules that matched."""
    if not outcome.matched:
        return ()
    matched = {(one.scope, one.rule) for one in outcome.trace if one.status == "match" and not one.shadow}
    return [scoped for scoped in joined.rules if (scoped.scope, scoped.rule.id) in matched]


def _rule(scoped: Scoped) -> dict[str, Any]:
    rule = scoped.rule
    return {
        "id": rule.id,
        "scope": scoped.scope,
        "priority": rule.priority,
        "reason": rule.description or rule.id,
        "decision": rule.actions.decision,
        "score": rule.actions.score,
        "tags": rule.actions.tags,
        "alerts": rule.actions.alerts,
    }


def _traced(one: Traced) -> dict[str, Any]:
    said: dict[str, Any] = {"rule": one.rule, "scope": one.scope, "status": one.status}
    if one.shadow:
        said["shadow"] = True
    if one.fault:
        said["fault"] = one.fault
    if one.tree is not None:
        said["tree"] = one.tree
    return said


def _shadow(outcome: Outcome) -> dict[str, Any]:
    return {
        "rulesets": outcome.rulesets,
        "decision": outcome.decision,
        "decided_by": outcome.by,
        "score": outcome.score,
        "matched": outcome.matched,
    }
