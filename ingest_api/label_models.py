"""The JSON bodies of ``POST /v1/labels``."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from ingest_api.label_items import MAX_LABELS, Refusal
from ingest_api.models import Model

_EVENT = "0190f3a5c1d27b3e8f4a6d5c4b3a2918"


class LabelRequest(Model):
    """How one payment ended. The merchant is the API key's, never the body's."""

    target: Literal["event", "session", "transaction"] = Field(description="What `id` names")
    id: str = Field(description="32 hex digits in lower case, or your own id of the transaction")
    label: Literal["chargeback", "confirmed_fraud", "genuine"] = Field(
        description="chargeback: the card's owner disputed it; confirmed_fraud: somebody looked and is sure; genuine: "
        "a good customer, or a dispute that was won"
    )
    labelled_at: str | int | None = Field(
        default=None, description="When you came to know: ISO 8601 with its zone, or Unix milliseconds; unset: now"
    )


class LabelsRequest(Model):
    """Labels, each answered by itself."""

    labels: list[LabelRequest] = Field(min_length=1, max_length=MAX_LABELS)
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "labels": [
                        {
                            "target": "transaction",
                            "id": "order-1001",
                            "label": "chargeback",
                            "labelled_at": "2026-11-01T09:30:00+01:00",
                        },
                        {"target": "event", "id": _EVENT, "label": "genuine", "labelled_at": 1_790_000_000_000},
                    ]
                }
            ]
        }
    )


class LabelOutcome(Model):
    """What became of one label."""

    index: int = Field(ge=0, description="Its place in the request")
    status: Literal["stored", "refused"]
    reason: Refusal | None = Field(default=None, description="Why it is refused; left out where it is stored")


class LabelsResponse(Model):
    """One outcome per label, in the order sent."""

    stored: int = Field(ge=0)
    refused: int = Field(ge=0)
    results: list[LabelOutcome]
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "stored": 1,
                    "refused": 1,
                    "results": [
                        {"index": 0, "status": "stored"},
                        {"index": 1, "status": "refused", "reason": "too_old"},
                    ],
                }
            ]
        }
    )
