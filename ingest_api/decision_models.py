"""The JSON bodies of ``POST /v1/decisions``, as they are documented; others read and write them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field, JsonValue

from ingest_api.decision_request import MAX_EVENT_ID, MAX_KINDS
from ingest_api.models import Model
from schemas.envelope import EVENT_TYPE_FORM
from scoring.rules.load import Scope

Decision = Literal["allow", "review", "deny"]
By = Literal["allow_list", "deny_list", "rules", "degraded", "model", "default"]
_SESSION = "0190f3a5c1d27b3e8f4a6d5c4b3a2918"
_EVENT: dict[str, Any] = {
    "event_id": "payment-1001",
    "event_type": "payment",
    "occurred_at": "2026-11-01T09:30:00.250+01:00",
    "entities": {"user": "customer-42", "card": "tok_7d1f"},
    "session_id": _SESSION,
    "data": {"amount": 620, "currency": "EUR"},
}


class DecisionRequest(Model):
    """An event of any kind. The merchant is the API key's, never the body's."""

    event_id: str = Field(
        min_length=1,
        max_length=MAX_EVENT_ID,
        pattern=r"^[!-~]+$",
        description="Your id of the event, the same when you send it again; visible ASCII, no personal data",
    )
    event_type: str = Field(
        min_length=1, pattern=EVENT_TYPE_FORM, description="In your own words: payment, login, sign_up, pay_out"
    )
    occurred_at: str | int = Field(
        description="When it happened: ISO 8601 with its zone, or Unix milliseconds; not ahead of the clock"
    )
    entities: dict[str, str | float | list[str | float] | None] = Field(
        default={},
        max_length=MAX_KINDS,
        description="Who and what takes part, by kind: user, card, device. Lists and snoozes are asked about them; "
        "kept only as keyed digests",
    )
    session_id: str | None = Field(
        default=None,
        pattern=r"^[0-9a-f]{32}$",
        description="The browser session, if there is one: rules then know its score and smart signals",
    )
    data: dict[str, JsonValue] = Field(default={}, description="Any JSON object; rules read it by selectors")
    model_config = ConfigDict(json_schema_extra={"examples": [_EVENT]})


class MatchedRule(Model):
    """A live rule that matched."""

    id: str
    scope: Scope = Field(description="own: yours; global: everybody's")
    priority: int
    reason: str
    decision: Decision | None = Field(default=None, description="Null: it only adds points, tags or alerts")
    score: float = Field(description="Points that it adds")
    tags: list[str]
    alerts: list[str]


class ReasonGiven(Model):
    """Why, as a code and a sentence."""

    code: str = Field(description="The rule's id, allow_list or deny_list")
    text: str


class UncountedIn(Model):
    """A catalogue that did not take the event into its history."""

    catalogue: str
    code: Literal["unfit", "ahead", "too_old", "unwritten"]
    text: str


class ShadowDecision(Model):
    """What a ruleset would have decided that is tried in the shadow."""

    rulesets: str = Field(description="Digest")
    decision: Decision
    decided_by: By
    score: float | None = None
    matched: list[str] = Field(description="Ids of rules")


class DecisionVersions(Model):
    """What decided."""

    rulesets: str = Field(description="Digest of your rules and the global ones")
    model: str | None = Field(default=None, description="Version of the model that scored the session")


class TracedRule(Model):
    """What a rule said."""

    rule: str
    scope: Scope
    status: Literal["match", "no_match", "error", "snoozed", "off"]
    shadow: bool | None = Field(default=None, description="True: evaluated, without effect")
    fault: str | None = Field(default=None, description="Why it erred")
    tree: dict[str, JsonValue] | None = Field(default=None, description="Its condition with the values seen")


class DecisionResponse(Model):
    """The decision about an event, and why."""

    replayed: bool = Field(description="True: this answer was given before")
    event_id: str
    event_type: str
    occurred_at: int = Field(description="Unix milliseconds")
    decided_at: int = Field(description="Unix milliseconds")
    session_id: str | None = None
    decision: Decision
    decided_by: By
    score: float | None = Field(
        default=None, description="The model's with the points of rules, 0 to 100; null without either"
    )
    added: float = Field(description="Points of rules")
    model_score: float | None = Field(
        default=None, description="The newest score of the session; null where none is known"
    )
    rules: list[MatchedRule] = Field(description="Live rules that matched, the highest priority first")
    tags: list[str]
    alerts: list[str]
    reasons: list[ReasonGiven]
    stopped_by: str | None = Field(default=None, description="The rule after which no other was asked")
    degraded: list[Literal["history", "lists", "session", "answers"]] = Field(
        description="What could not be asked; answers: the same event sent again may be decided anew"
    )
    uncounted: list[UncountedIn] = Field(description="Catalogues whose history does not have the event")
    shadows: list[ShadowDecision]
    versions: DecisionVersions
    trace: list[TracedRule] = Field(default=[], description="As asked for by `trace`")
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "replayed": False,
                    "event_id": _EVENT["event_id"],
                    "event_type": "payment",
                    "occurred_at": 1_793_521_800_250,
                    "decided_at": 1_793_521_800_312,
                    "session_id": _SESSION,
                    "decision": "review",
                    "decided_by": "rules",
                    "score": 38.5,
                    "added": 10,
                    "model_score": 28.5,
                    "rules": [
                        {
                            "id": "large-payment",
                            "scope": "own",
                            "priority": 0,
                            "reason": "The amount is greater than 500",
                            "decision": "review",
                            "score": 10,
                            "tags": ["amount"],
                            "alerts": [],
                        }
                    ],
                    "tags": ["amount"],
                    "alerts": [],
                    "reasons": [{"code": "large-payment", "text": "The amount is greater than 500"}],
                    "stopped_by": None,
                    "degraded": [],
                    "uncounted": [],
                    "shadows": [],
                    "versions": {"rulesets": "5d1f0c7be2a94d31", "model": "2026-10-30"},
                    "trace": [
                        {
                            "rule": "large-payment",
                            "scope": "own",
                            "status": "match",
                            "tree": {"of": ".data.amount", "gt": 500, "is": True, "saw": 620},
                        }
                    ],
                }
            ]
        }
    )
