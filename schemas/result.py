"""The result that a merchant polls, and that ``events.scored`` carries: one JSON object an event."""

from __future__ import annotations

from typing import Literal

import msgspec

DECISIONS = ("allow", "review", "deny")
SHARED_COUNTS, RULE_HISTORY, WATCHLISTS = "shared_counts", "rule_history", "watchlists"
"""In Result.degraded: what could not be asked."""


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
    details: dict[str, str | float] = {}
    data: str = ""  # the version of the data that it used


class Windows(msgspec.Struct, frozen=True, gc=False, rename={"minutes": "5m", "hour": "1h", "day": "24h"}):
    """A count over the windows of ``schemas.velocity.WINDOWS``, which end at this event.

    None, only of what devices share: not known, because the event came too late or the count would be too rough.
    """

    minutes: int | None
    hour: int | None
    day: int | None


NOT_SAID = Windows(0, 0, 0)


class VelocityCounts(msgspec.Struct, frozen=True, gc=False):
    """Of the device in each window: its events, and how many different ones of the others; this event included.

    In the order of ``schemas.velocity.KINDS``. A result of a build that did not count so reads as zeros.
    """

    events: Windows = NOT_SAID
    addresses: Windows = NOT_SAID
    accounts: Windows = NOT_SAID
    countries: Windows = NOT_SAID
    merchants: Windows = NOT_SAID
    sessions: Windows = NOT_SAID


class EntityCounts(msgspec.Struct, frozen=True, gc=False):
    """Events that showed an entity, and different devices among them; in the order of ``schemas.velocity.MEASURES``."""

    events: Windows
    devices: Windows


class SharedEntities(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What the event shares with other devices, in the order of ``schemas.velocity.ENTITIES``.

    None, and left out of the JSON: the event shows no such thing, or its counts are not known.
    """

    address: EntityCounts | None = None
    network: EntityCounts | None = None
    asn: EntityCounts | None = None
    account: EntityCounts | None = None
    fingerprint: EntityCounts | None = None
    card: EntityCounts | None = None


class DeviceHistory(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is remembered of the device: events of its life with this one, times in Unix ms, None before its first."""

    events: int
    first_seen_at: int
    previous_at: int | None
    scores: list[float] = []  # of earlier events, newest first; the newest events are not in it yet


class SessionSoFar(msgspec.Struct, frozen=True, gc=False):
    """The session's events so far, this one included, and when the earliest of them was, in Unix ms."""

    events: int
    started_at: int


class Versions(msgspec.Struct, frozen=True):
    """What decided: enough to recompute the result."""

    model: str
    catalogue: int
    build: str
    ruleset: str | None = None
    policy: str | None = None  # digest of the thresholds in force


class Place(msgspec.Struct, frozen=True):
    """Where the event lies in Kafka."""

    topic: str
    partition: int
    offset: int


class RuleReason(msgspec.Struct, frozen=True):
    """Why, as a code (a rule's id, ``allow_list`` or ``deny_list``) and a sentence."""

    code: str
    text: str


class TriedRules(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a ruleset that is tried in the shadow would have decided, and its rules that matched."""

    ruleset: str
    decision: str
    matched: tuple[str, ...] = ()


class RulesSaid(msgspec.Struct, frozen=True, omit_defaults=True):
    """What rules and lists made of the event. ``decided_by`` is of ``schemas.ruling.BY``."""

    decided_by: str
    score: float  # the model's with what rules added, 0 to 100: what the policy looked at
    added: float = 0.0
    matched: tuple[str, ...] = ()  # live rules, in the order of their priority
    reasons: tuple[RuleReason, ...] = ()
    tags: tuple[str, ...] = ()
    alerts: tuple[str, ...] = ()
    ruleset: str = ""  # digest; empty where no rule and no list looks at such events
    degraded: tuple[str, ...] = ()  # what could not be asked: history, lists
    shadows: tuple[TriedRules, ...] = ()
    by_policy: str = ""  # what the policy alone decided, where something else did: the session's standing decision


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
    shared: SharedEntities = SharedEntities()
    history: DeviceHistory | None = None
    session: SessionSoFar | None = None
    rules: RulesSaid | None = None
    degraded: list[str] = []

    @property
    def standing(self) -> str:
        """Return the session's standing decision after the event: what the policy alone decided."""
        return self.decision if self.rules is None else self.rules.by_policy or self.decision


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
