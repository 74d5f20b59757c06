"""The result that a merchant polls, and that ``events.scored`` carries: one JSON object an event."""

from __future__ import annotations

from typing import Literal

import msgspec

DECISIONS = ("allow", "review", "deny")


class Factor(msgspec.Struct, frozen=True):
    """One reason for the score: a code, a sentence with the observed value, a signed share of the log-odds."""

    code: str
    text: str
    contribution: float


class SmartSignal(msgspec.Struct, frozen=True, omit_defaults=True):
    """One smart signal. ``result`` None: not computable, which is not the same as false."""

    result: bool | None
    confidence: float | None
    level: str
    version: int
    reasons: list[str] = []


class VelocityCounts(msgspec.Struct, frozen=True):
    """Events of the device in the windows that end at this event, itself included."""

    events_5m: int
    events_1h: int
    events_24h: int


class Versions(msgspec.Struct, frozen=True):
    """What decided: enough to recompute the result."""

    model: str
    catalogue: int
    build: str
    ruleset: str | None = None


class Place(msgspec.Struct, frozen=True):
    """Where the event lies in Kafka."""

    topic: str
    partition: int
    offset: int


class Result(msgspec.Struct, frozen=True):
    """The whole answer. ``ledger`` maps marks to microseconds since the Unix epoch."""

    event_id: str
    session_id: str
    device_id: str
    merchant: str
    transaction: str
    occurred_at: int
    received_at: int
    score: float
    decision: str
    factors: list[Factor]
    smart_signals: dict[str, SmartSignal]
    velocity: VelocityCounts
    versions: Versions
    origin: Place
    ledger: dict[str, int]
    rules: list[str] = []
    degraded: list[str] = []


class Rejected(msgspec.Struct, frozen=True):
    """The answer for an event that ended in the backup: it will not be scored unless it is redriven."""

    event_id: str
    reason: str
    status: Literal["rejected"]


_ENCODER = msgspec.json.Encoder()
_REJECTED = msgspec.json.Decoder(Rejected)
_DECODER = msgspec.json.Decoder(Result)


def encode_result(result: Result) -> bytes:
    """Return the JSON."""
    return _ENCODER.encode(result)


def decode_result(data: bytes) -> Result:
    """Read the JSON back; msgspec.ValidationError says where it is wrong."""
    return _DECODER.decode(data)


def encode_rejected(event_id: str, reason: str) -> bytes:
    """Return the JSON that lies under a dead-lettered event's result key."""
    return _ENCODER.encode(Rejected(event_id, reason, "rejected"))


def decode_rejected(data: bytes) -> Rejected | None:
    """Return the rejection, or None where the bytes are a result."""
    try:
        return _REJECTED.decode(data)
    except msgspec.ValidationError:
        return None


def result_key(merchant: str, event_id: str) -> str:
    """Return the Redis key of a result; the merchant is part of it, so no tenant can read another's."""
    return f"score:{merchant}:{event_id}"


def session_key(merchant: str, session_id: str) -> str:
    """Return the Redis key of a session's summary."""
    return f"session:{merchant}:{session_id}"


def pending_key(merchant: str, event_id: str) -> str:
    """Return the Redis key that says: accepted, not scored yet."""
    return f"pending:{merchant}:{event_id}"
