"""From a decision to its record: entities become keyed digests, and personal data is taken out of the rest.

The digest of an entity is the one that history names it by, so it is the same for the same entity of a merchant
wherever it is shown, as a text or as a number, and says nothing to whoever does not know the entity key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from schemas.decision_record import DecisionRecord, Limits, RuleSaid, ShadowSaid, SignalSeen
from schemas.redaction import NOT_READ, holds_in_id, pointer, redact_json
from scoring.rules.answers import LONGEST_TEXT
from scoring.rules.evaluate import Judgement
from scoring.rules.history_keys import HistoryKeys
from scoring.rules.outcome import Outcome
from scoring.rules.program import Happening, entity_text

ENTITIES: Final = "entities"
_DIGESTS: Final = 8_192
_KINDS: Final = 4_096  # kinds of entities whose names were looked at
_ROWS: Final = 512  # rows of such kinds, which a merchant's events have again and again
_TOGETHER: Final = 32  # kinds of a row that is remembered
_TOLD: Final = frozenset(("match", "error", "snoozed"))


class Request(NamedTuple):
    """What was asked: the event as rules saw it, and when it came."""

    merchant: str
    happening: Happening
    received_at: int  # ms
    session_id: str = ""  # hex


def record_of(
    request: Request,
    outcome: Outcome,
    known: Judgement,
    *,
    keys: HistoryKeys,
    told: tuple[RuleSaid, ...] | None = None,
    decided: tuple[str, str] | None = None,
    shadows: Sequence[Outcome] = (),
    limits: Limits | None = None,
    policy: str = "",
    microseconds: int = 0,
) -> DecisionRecord:
    """Return the record of a decision. ``known``: what the rules were told of the session.

    ``told``: what ``told_of`` says of it, where that is known already. ``decided``: decision and by what, where
    that is not the outcome's: a policy decides for what was degraded.
    """
    merchant, happening = request.merchant, request.happening
    entities, hidden = digested(happening.event.get(ENTITIES), keys, merchant)
    data = redact_json(happening.event.get("data"))
    return DecisionRecord(
        merchant=merchant,
        event_id=entity_digest(keys, merchant, happening.id) if holds_in_id(happening.id) else happening.id,
        event_type=happening.event_type,
        occurred_at=happening.at,
        received_at=request.received_at,
        session_id=request.session_id,
        entities=entities,
        data=data.value,
        redacted=(*hidden, *[f"/data{place}" for place in data.places]) if data.places else hidden,
        signals={name: SignalSeen(*seen) for name, seen in known.signals.items()} if known.signals else {},
        decision=decided[0] if decided else outcome.decision,
        by=decided[1] if decided else outcome.by,
        score=outcome.score,
        added=outcome.added,
        model_score=known.score,
        matched=outcome.matched,
        tags=outcome.tags,
        alerts=outcome.alerts,
        trace=told_of(outcome) if told is None else told,
        stopped_by=outcome.stopped_by,
        rulesets=outcome.rulesets,
        shadows=tuple(map(_shadow, shadows)),
        degraded=outcome.degraded,
        policy=policy,
        limits=limits,
        microseconds=microseconds,
    )


def told_of(outcome: Outcome) -> tuple[RuleSaid, ...]:
    """Return the rules that said something: that matched, erred or were snoozed."""
    return tuple([RuleSaid(*traced) for traced in outcome.trace if traced.status in _TOLD])


def _shadow(outcome: Outcome) -> ShadowSaid:
    errors = tuple([traced.rule for traced in outcome.trace if traced.status == "error"])
    return ShadowSaid(outcome.rulesets, outcome.decision, outcome.by, outcome.score, outcome.matched, errors)


@lru_cache(_DIGESTS)
def entity_digest(keys: HistoryKeys, merchant: str, entity: str) -> str:
    """Return the 22 characters that stand for an entity of a merchant."""
    return keys.entity(merchant, entity).partition(b"{")[2][:-1].decode()


def digested(entities: Any, keys: HistoryKeys, merchant: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return entities with a digest for each value, in the form that they had, and the places of what is no entity."""
    if not isinstance(entities, Mapping):
        return {}, () if entities is None else (f"/{ENTITIES}",)
    found: dict[str, Any] = {}
    hidden: list[str] = []
    for name, value in zip(_names(entities), entities.values(), strict=True):
        if type(value) is str and 0 < len(value) <= LONGEST_TEXT:  # as most are
            found[name] = entity_digest(keys, merchant, value)
            continue
        many = value if isinstance(value, list) else [value]
        made = [_digest(one, keys, merchant) for one in many]
        hidden += [pointer((ENTITIES, name)) for one in made if one == NOT_READ][:1]
        found[name] = made if isinstance(value, list) else made[0]
    return found, tuple(hidden)


def _digest(value: Any, keys: HistoryKeys, merchant: str) -> Any:
    """Return a digest, None where there is no entity, and a mark for what rules cannot take for one either."""
    text = entity_text(value)
    if isinstance(text, str):
        return entity_digest(keys, merchant, text)
    return None if text is None else NOT_READ


def _names(entities: Mapping[Any, Any]) -> tuple[str, ...]:
    """Return the names of kinds without personal data, no two of them the same."""
    kinds = tuple(map(str, entities))
    return _kinds(kinds) if len(kinds) <= _TOGETHER else _kinds.__wrapped__(kinds)


@lru_cache(_ROWS)
def _kinds(kinds: tuple[str, ...]) -> tuple[str, ...]:
    taken: dict[str, None] = {}
    for kind in kinds:
        wanted = kept = _clean(kind)
        number = 1
        while kept in taken:
            number += 1
            kept = f"{wanted}#{number}"
        taken[kept] = None
    return tuple(taken)


@lru_cache(_KINDS)
def _clean(kind: str) -> str:
    (kept,) = redact_json({kind: None}).value
    return str(kept)
