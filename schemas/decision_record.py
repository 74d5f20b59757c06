"""The record of one decision about a merchant's event: what was asked, without personal data, and what came of it.

``events.decisions`` carries it as JSON and ClickHouse keeps it in ``decisions``; ``clickgoose rules preview`` judges it
again by other rules. Entities are keyed digests, the data is redacted (schemas.redaction) before a record is made.

Whoever decides makes it by ``scoring.rules.recorded.record_of``::

    record = record_of(
        Request(merchant, happening, received_at, session_id), outcome, known,   # Request: scoring.rules.recorded
        keys=history_keys, shadows=shadow_outcomes, limits=Limits(40, 80), policy=policies.digest,
        microseconds=took,
    )
    await delivery.append(record_key(record), encode_record(record))             # topic events.decisions
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

VERSION: Final = 1
LARGEST: Final = 512 << 10  # bytes of a record; beyond, the trees and then the data are left out
MOST_TRACED: Final = 1_000
TOO_LARGE: Final = "[not read]"
_TEXT: Final = 256  # characters of an id or a name


class RecordError(ValueError):
    """A record cannot be read. ``later``: a newer build wrote it. The message quotes nothing of it."""

    def __init__(self, said: str, *, later: bool = False) -> None:
        super().__init__(said)
        self.later = later


class SignalSeen(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A smart signal of the session, as rules saw it."""

    result: bool | None
    confidence: float | None


class Limits(msgspec.Struct, frozen=True, gc=False):
    """By what a score was decided: thresholds, and the session's standing decision, as in schemas.batches.Decision."""

    review: float
    deny: float
    margin: float = 0.0
    before: str = "allow"


class RuleSaid(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a rule said: match, error or snoozed. Rules that did not match are left out."""

    rule: str
    scope: str
    status: str
    shadow: bool = False
    fault: str = ""
    tree: dict[str, Any] | None = None


class ShadowSaid(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a whole ruleset said that is tried in the shadow."""

    rulesets: str  # digest
    decision: str
    by: str
    score: float | None = None
    matched: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()


class DecisionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One decision. Times are Unix ms.

    ``entities``: what the event names under ``entities``, each value a keyed digest, in the form that it had. ``data``:
    the merchant's own JSON, redacted. ``redacted``: where something was taken out, as JSON pointers into
    ``{"entities": ..., "data": ...}``; ``/data`` alone: so much that it is not said where.
    """

    version: int = VERSION
    merchant: str
    event_id: str
    event_type: str
    occurred_at: int
    received_at: int
    session_id: str = ""  # hex; empty where none was named
    entities: dict[str, Any] = {}
    data: Any = None
    redacted: tuple[str, ...] = ()
    signals: dict[str, SignalSeen] = {}

    decision: str
    by: str
    score: float | None = None  # the model's with what rules added
    added: float = 0.0
    model_score: float | None = None
    matched: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    alerts: tuple[str, ...] = ()
    trace: tuple[RuleSaid, ...] = ()
    stopped_by: str | None = None
    rulesets: str = ""  # digest
    shadows: tuple[ShadowSaid, ...] = ()
    degraded: tuple[str, ...] = ()
    policy: str = ""  # digest
    limits: Limits | None = None
    microseconds: int = 0


class _Versioned(msgspec.Struct):
    version: int


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(DecisionRecord)
_VERSION: Final = msgspec.json.Decoder(_Versioned)


def record_key(record: DecisionRecord) -> bytes:
    """Return the key on the topic: records of one event are in one partition, in the order that they came."""
    return f"{record.merchant}/{record.event_id}".encode("utf-8", "surrogatepass")


def encode_record(record: DecisionRecord) -> bytes:
    """Return a record as JSON of at most ``LARGEST`` bytes: what explains goes first, then the data."""
    encoded = _ENCODER.encode(record)
    if len(encoded) > LARGEST:
        trace = tuple(msgspec.structs.replace(said, tree=None) for said in record.trace[:MOST_TRACED])
        record = msgspec.structs.replace(record, trace=trace)
        encoded = _ENCODER.encode(record)
    if len(encoded) > LARGEST:
        record = msgspec.structs.replace(record, entities={}, data=TOO_LARGE, redacted=("/entities", "/data"))
        encoded = _ENCODER.encode(record)
    return encoded


def decode_record(value: bytes) -> DecisionRecord:
    """Read a record back. RecordError where it is none, or is of a version that this build does not read."""
    if len(value) > LARGEST:
        raise RecordError(f"larger than {LARGEST >> 10} KiB")
    try:
        record = _DECODER.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise _why(value) from None
    if record.version != VERSION:
        raise _unread(record.version)
    fault = _fault(record)
    if fault:
        raise RecordError(fault)
    return record


def _why(value: bytes) -> RecordError:
    """Say why a record was not read: another version may have another form."""
    try:
        version = _VERSION.decode(value).version
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return RecordError("not the JSON of a decision")
    return _unread(version) if version > VERSION else RecordError("not the members of a decision, or not their types")


def _unread(version: int) -> RecordError:
    return RecordError(f"version {version} is not read by this build, which reads {VERSION}", later=version > VERSION)


def _fault(record: DecisionRecord) -> str | None:
    if not (record.merchant and record.event_id) or len(record.merchant) > _TEXT or len(record.event_id) > _TEXT:
        return f"merchant and event id must have 1 to {_TEXT} characters"
    if len(record.event_type) > _TEXT or len(record.session_id) > _TEXT:
        return f"a name has more than {_TEXT} characters"
    if not (0 < record.occurred_at < 10**14 and 0 < record.received_at < 10**14):
        return "a time is not within the years 1970 to 5138"
    return None
