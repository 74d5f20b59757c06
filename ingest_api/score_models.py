"""The JSON body of ``GET /v1/events/{id}/score``: the result of one event."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

_ID = "0190f3a5c1d27b3e8f4a6d5c4b3a2918"
Level = Literal["none", "low", "medium", "high", ""]
Detail = Annotated[str, Field(max_length=120)] | float


class SmartSignalResponse(BaseModel):
    """One smart signal, as ``schemas.result.SmartSignal`` writes it; what is empty is left out."""

    result: bool | None = Field(description="null: not computable, which is not the same as false")
    confidence: float | None = Field(ge=0, le=1, description="That it is true; null where not computable")
    level: Level = Field(
        description="none; low: clues that do not suffice; medium: true; high: true, confidence 0.85 and more; empty: "
        "not computable"
    )
    version: int = Field(ge=1, description="Of the signal's rule")
    reasons: list[str] = Field(default=[], description="The clues that were seen, as docs/smart-signals.md names them")
    details: dict[str, Detail] = Field(
        default={}, max_length=8, description="Where true, facts that help a person to judge; no personal data"
    )
    data: str = Field(default="", description="Kinds and versions of the data that it rests on")


class RuleReasonResponse(BaseModel):
    """Why: a rule's id, allow_list or deny_list, with a sentence."""

    code: str
    text: str


class TriedRulesResponse(BaseModel):
    """What a ruleset that is tried in the shadow would have decided."""

    ruleset: str
    decision: Literal["allow", "review", "deny"]
    matched: list[str] = []


class RulesSaidResponse(BaseModel):
    """What rules and lists made of an event, as ``schemas.result.RulesSaid`` writes it; what is empty is left out."""

    decided_by: Literal["model", "rules", "allow_list", "deny_list", "degraded"]
    score: float = Field(ge=0, le=100, description="The model's with what rules added: what the policy looked at")
    added: float = Field(default=0.0, description="Points that rules added")
    matched: list[str] = Field(default=[], description="Live rules that matched, the highest priority first")
    reasons: list[RuleReasonResponse] = []
    tags: list[str] = []
    alerts: list[str] = []
    ruleset: str = Field(default="", description="Digest of the rulesets; empty where none looks at such events")
    degraded: list[str] = Field(default=[], description="What could not be asked: history, lists")
    shadows: list[TriedRulesResponse] = []
    by_policy: Literal["", "allow", "review", "deny"] = Field(
        default="", description="What the policy alone made of the score, where something else decided"
    )


class ScoreResponse(BaseModel):
    """The result of one event, as ``schemas.result.Result`` writes it: it has a score and no status."""

    event_id: str
    session_id: str
    device_id: str
    merchant: str
    transaction: str
    occurred_at: int = Field(description="Unix milliseconds, by the device's clock")
    received_at: int = Field(description="Unix milliseconds, by ours")
    score: float = Field(ge=0, le=100, description="0: surely honest; 100: surely fraud")
    decision: Literal["allow", "review", "deny"]
    factors: list[dict[str, JsonValue]]
    smart_signals: dict[str, SmartSignalResponse]
    velocity: dict[str, dict[str, int]] = Field(
        description="Of the device in 5 minutes, 1 hour and 24 hours: its events, how many different ones of the rest"
    )
    versions: dict[str, JsonValue]
    origin: dict[str, JsonValue]
    ledger: dict[str, int]
    shared: dict[str, dict[str, dict[str, int]]] = Field(
        default={},
        description="Events that showed the same thing, and devices among them; what is not known is left out",
    )
    history: dict[str, JsonValue] | None = Field(
        default=None, description="Of the device, this event included; times in Unix milliseconds; scores newest first"
    )
    session: dict[str, int] | None = Field(default=None, description="The session's events so far, and its beginning")
    rules: RulesSaidResponse | None = Field(default=None, description="What rules and lists made of the event")
    degraded: list[str] = Field(
        default=[], description='What could not be asked: "shared_counts", "rule_history", "watchlists"'
    )
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "event_id": _ID,
                    "session_id": _ID,
                    "device_id": _ID,
                    "merchant": "demo-shop",
                    "transaction": "order-1001",
                    "occurred_at": 1_790_000_000_000,
                    "received_at": 1_790_000_000_120,
                    "score": 87.5,
                    "decision": "deny",
                    "factors": [{"code": "headless", "text": "The browser has no window", "contribution": 1.9}],
                    "smart_signals": {
                        "headless": {
                            "result": True,
                            "confidence": 0.99,
                            "level": "high",
                            "version": 1,
                            "reasons": ["headless_user_agent"],
                        },
                        "datacenter_ip": {
                            "result": True,
                            "confidence": 0.9,
                            "level": "high",
                            "version": 2,
                            "reasons": ["hosting_range"],
                            "details": {"country": "DE", "network": "AS24940"},
                            "data": "asn 2.3.2026060416",
                        },
                    },
                    "velocity": {
                        "events": {"5m": 31, "1h": 31, "24h": 40},
                        "addresses": {"5m": 1, "1h": 1, "24h": 2},
                        "accounts": {"5m": 12, "1h": 12, "24h": 15},
                        "countries": {"5m": 1, "1h": 1, "24h": 2},
                        "merchants": {"5m": 1, "1h": 1, "24h": 1},
                        "sessions": {"5m": 12, "1h": 12, "24h": 15},
                    },
                    "versions": {"model": "2026-11-01", "catalogue": 1, "build": "0.1.0", "ruleset": None},
                    "origin": {"topic": "events.raw", "partition": 2, "offset": 4711},
                    "ledger": {"received": 1_790_000_000_120_000, "scored": 1_790_000_000_126_000},
                    "shared": {
                        "address": {
                            "events": {"5m": 31, "1h": 44, "24h": 90},
                            "devices": {"5m": 1, "1h": 3, "24h": 7},
                        },
                        "account": {
                            "events": {"5m": 4, "1h": 30, "24h": 32},
                            "devices": {"5m": 2, "1h": 12, "24h": 12},
                        },
                    },
                    "history": {
                        "events": 57,
                        "first_seen_at": 1_789_500_000_000,
                        "previous_at": 1_789_999_990_000,
                        "scores": [81.5, 12.25],
                    },
                    "session": {"events": 3, "started_at": 1_789_999_960_000},
                    "rules": {
                        "decided_by": "rules",
                        "score": 97.5,
                        "added": 10.0,
                        "matched": ["card-testing", "hosted-network"],
                        "reasons": [
                            {"code": "card-testing", "text": "Many cards from one device"},
                            {"code": "hosted-network", "text": "From a data centre"},
                        ],
                        "tags": ["velocity"],
                        "alerts": ["fraud-team"],
                        "ruleset": "2c26b46b68ffc68f",
                    },
                    "degraded": [],
                }
            ]
        }
    )
