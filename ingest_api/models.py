"""The JSON bodies of the API, with an example each; the events' fast path writes the same form without them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ingest_api.checks import Reason, Status
from ingest_api.config import AgentCodec
from ingest_api.errors import Code
from schemas.dead_letter import Reason as DeadReason
from schemas.envelope import EVENT_TYPE_FORM, MAX_NAME_BYTES


def _fits(text: str) -> str:
    """Keep names within the envelope's bounds, and free of characters that break logs."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES or not text.isprintable():
        raise ValueError(f"must be printable and at most {MAX_NAME_BYTES} bytes in UTF-8")
    return text


Name = Annotated[str, AfterValidator(_fits)]
# One byte a character, in JSON too: with the longest names a session's token must still fit its 2,048 bytes.
CARD_FORM = r"^[!#-\[\]-~]{0,128}$"
_ID = "0190f3a5c1d27b3e8f4a6d5c4b3a2918"


class Model(BaseModel):
    """A closed body."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SessionRequest(Model):
    """What a merchant's server says about a visit that begins."""

    transaction: Name = Field(min_length=1, description="Your id of the payment or order")
    linked_id: Name = Field(default="", description="Your id of the customer, if you know it; never a name or e-mail")
    card_token: str = Field(
        default="",
        pattern=CARD_FORM,
        description="Your own or your processor's token of the card, if you know it, the same for the same card; never "
        "its number. Visible ASCII without quotation marks and backslashes",
    )
    event_type: str = Field(
        default="",
        pattern=EVENT_TYPE_FORM,
        description="What the visit is for, in your own words: payment, login, sign_up, pay_out. Thresholds and rules "
        "may differ by it",
    )
    device_id: str | None = Field(
        default=None, pattern=r"^[0-9a-f]{32}$", description="If set, only events of this device are accepted"
    )
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "transaction": "order-1001",
                    "linked_id": "customer-42",
                    "card_token": "card_9f8e7d6c",
                    "event_type": "payment",
                }
            ]
        }
    )


class Limits(Model):
    """What one request may hold."""

    max_event_bytes: int
    max_request_bytes: int
    max_events_per_request: int
    max_skew_seconds: int


class SessionResponse(Model):
    """Everything that a page needs to send events: `clickgoose.start` takes `endpoint`, `token` and `key`.

    The keys are derived, not stored; ask again to get new ones.
    """

    session_id: str = Field(description="16 bytes in hex; goes into every event's header")
    key_id: int = Field(description="The master key behind the keys; goes into every event's header")
    token: str = Field(description="For Authorization: Bearer on POST /v1/events")
    expires_at: int = Field(description="Unix seconds")
    key: str = Field(description="For the agent: key id, session id, sealing and signing key in one text (base64url)")
    seal_key: str = Field(description="32 bytes in base64: seals events (AES-256-GCM)")
    sign_key: str = Field(description="32 bytes in base64: signs requests (HMAC-SHA256)")
    codec: AgentCodec = Field(description="How the agent is asked to pack what it seals; each form is accepted")
    endpoint: str = Field(description="Where events go")
    device_id: str | None = Field(description="The device that the session is bound to, if any")
    limits: Limits
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "session_id": _ID,
                    "key_id": 1,
                    "token": "<token>",
                    "expires_at": 1_790_000_000,
                    "key": "AQEAAAABkPOlwdJ7Po9KbVxLOikYAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd"
                    "Hh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0-Pw",
                    "seal_key": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
                    "sign_key": "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=",
                    "codec": "raw",
                    "endpoint": "https://127.0.0.1:8443/v1/events",
                    "device_id": _ID,
                    "limits": {
                        "max_event_bytes": 65_536,
                        "max_request_bytes": 1_048_576,
                        "max_events_per_request": 100,
                        "max_skew_seconds": 300,
                    },
                }
            ]
        }
    )


class EventsRequest(Model):
    """The JSON form of POST /v1/events; the binary form saves a quarter of the bytes."""

    events: list[str] = Field(min_length=1, description="Sealed events in base64")
    model_config = ConfigDict(json_schema_extra={"examples": [{"events": ["Q0cBAAEAAAA="]}]})


class EventOutcome(Model):
    """What became of one event, in the order sent."""

    event_id: str | None = Field(description="In hex; null where the header cannot be read")
    status: Status
    reason: Reason


class EventsResponse(Model):
    """One outcome per event."""

    results: list[EventOutcome]
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "results": [
                        {"event_id": _ID, "status": "ok", "reason": "appended"},
                        {"event_id": _ID[::-1], "status": "drop", "reason": "too_old"},
                    ]
                }
            ]
        }
    )


class PendingResponse(Model):
    """The event is accepted, its score is not there yet; ask again after Retry-After."""

    event_id: str
    status: Literal["pending"]
    model_config = ConfigDict(json_schema_extra={"examples": [{"event_id": _ID, "status": "pending"}]})


class RejectedResponse(Model):
    """The event was accepted but could not be scored: it lies in the backup, and asking again does not help."""

    event_id: str
    reason: DeadReason = Field(description="Why; the part before the dot is the stage that rejected it")
    status: Literal["rejected"]
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"event_id": _ID, "reason": "decode.not_authentic", "status": "rejected"}]}
    )


class AgentFile(Model):
    """One script of the agent."""

    path: str = Field(description="Where exactly these bytes lie for good")
    integrity: str = Field(description="For the `integrity` attribute of a script tag")
    bytes: int
    gzip_bytes: int


class AgentManifest(Model):
    """The browser agent that is served."""

    version: str
    files: dict[str, AgentFile]
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "version": "0.1.0",
                    "files": {
                        "clickgoose.js": {
                            "path": "/agent/0123456789abcdef/clickgoose.js",
                            "integrity": "sha384-" + "A" * 64,
                            "bytes": 150_000,
                            "gzip_bytes": 55_000,
                        }
                    },
                }
            ]
        }
    )


class HealthResponse(Model):
    """The process runs."""

    status: Literal["ok"]
    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "ok"}]})


class ReadyResponse(Model):
    """Whether events can be accepted, and which part is away."""

    status: Literal["ready", "degraded", "unready"]
    kafka: Literal["ok", "away"]
    spool: Literal["ok", "full"]
    redis: Literal["ok", "away"]
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"status": "degraded", "kafka": "away", "spool": "ok", "redis": "ok"}]}
    )


class ErrorDetail(Model):
    """A code from a closed set and one sentence that says what to do."""

    code: Code
    message: str


class ErrorResponse(Model):
    """The one shape of every error."""

    error: ErrorDetail


def example_of(model: type[BaseModel]) -> Any:
    """Return a model's example."""
    extra = model.model_config.get("json_schema_extra")
    return extra["examples"][0] if isinstance(extra, dict) else None  # type: ignore[index] # ours, above
