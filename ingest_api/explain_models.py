"""The JSON body of ``GET /v1/events/{id}/explain``."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

_ID = "0190f3a5c1d27b3e8f4a6d5c4b3a2918"
Decision = Literal["allow", "review", "deny"]


class FeatureShareModel(BaseModel):
    """One feature's share."""

    name: str
    value: float | None = Field(default=None, description="null: the event does not show it")
    contribution: float


class ExactFactor(BaseModel):
    """One factor group's share: positive raises the score."""

    code: str
    text: str
    contribution: float = Field(description="Log-odds")
    features: list[FeatureShareModel] = Field(description="At most 5 of its features, the strongest first")


class GivenFactor(BaseModel):
    """One factor of the result, as it was given."""

    code: str
    text: str
    contribution: float


class Given(BaseModel):
    """What was answered when the event was scored."""

    score: float = Field(ge=0, le=100)
    decision: Decision
    decided_by: str = Field(default="model", description="model, rules, allow_list, deny_list or degraded")
    added: float = Field(default=0.0, description="Points that rules added to the score before it was decided")
    factors: list[GivenFactor]


class CalibrationModel(BaseModel):
    """score = 100 / (1 + exp(-(slope * margin + offset)))"""

    slope: float
    offset: float


class Thresholds(BaseModel):
    """What the score was compared with."""

    review: float
    deny: float
    margin: float = Field(description="How far the score must fall below a threshold to leave a stricter decision")
    before: Decision = Field(description="The session's standing decision before the event")


class ExplainVersions(BaseModel):
    """What scored and decided."""

    model: str
    features: str = Field(description="Digest of the feature schema")
    policy: str | None = Field(default=None, description="Digest of the policies in force")
    ruleset: str | None = None
    catalogue: int
    build: str


class ExplainOrigin(BaseModel):
    """Where the event lies in Kafka, and in the raw archive."""

    topic: str
    partition: int
    offset: int


class ExplainResponse(BaseModel):
    """Exact contributions: `base` and those of all `factors` sum to `margin`, and calibration makes `score` of it."""

    event_id: str
    session_id: str
    transaction: str
    event_type: str
    occurred_at: int = Field(description="Unix milliseconds, by the device's clock")
    method: Literal["tree_shap"]
    base: float = Field(description="The margin that is expected before anything is known of an event")
    margin: float = Field(description="Log-odds before calibration")
    calibration: CalibrationModel
    score: float = Field(ge=0, le=100, description="Computed anew")
    decision: Decision | None = Field(
        default=None,
        description="Made anew; what a list or a rule decided stands; null where thresholds were not stored",
    )
    given: Given
    equal: bool = Field(description="Whether score, bit for bit, and decision come out as they were given")
    thresholds: Thresholds | None = None
    factors: list[ExactFactor] = Field(description="All factor groups, the strongest first")
    versions: ExplainVersions
    origin: ExplainOrigin
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "event_id": _ID,
                    "session_id": _ID,
                    "transaction": "order-1001",
                    "event_type": "payment",
                    "occurred_at": 1_790_000_000_000,
                    "method": "tree_shap",
                    "base": -2.1,
                    "margin": 1.7,
                    "calibration": {"slope": 1.1, "offset": 0.05},
                    "score": 87.2,
                    "decision": "deny",
                    "given": {
                        "score": 87.2,
                        "decision": "deny",
                        "decided_by": "model",
                        "added": 0.0,
                        "factors": [
                            {"code": "velocity", "text": "47 events from this device in 5 minutes", "contribution": 2.9}
                        ],
                    },
                    "equal": True,
                    "thresholds": {"review": 40.0, "deny": 80.0, "margin": 5.0, "before": "allow"},
                    "factors": [
                        {
                            "code": "velocity",
                            "text": "47 events from this device in 5 minutes",
                            "contribution": 2.95,
                            "features": [{"name": "velocity.events_5m", "value": 47.0, "contribution": 2.4}],
                        }
                    ],
                    "versions": {
                        "model": "goose-1a2b3c4d",
                        "features": "9f86d081884c7d65",
                        "policy": "60303ae22b998861",
                        "catalogue": 2,
                        "build": "0.1.0",
                    },
                    "origin": {"topic": "events.raw", "partition": 2, "offset": 4711},
                }
            ]
        }
    )
