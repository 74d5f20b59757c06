"""Dead letters: the closed set of reasons, and the record that the backup keeps."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from schemas.redriven import found_redriven

if TYPE_CHECKING:
    from schemas.batches import Event, RawBatch

Fault = Literal["client", "merchant", "operator", "clickgoose", "infrastructure"]
OUR_FAULTS: tuple[Fault, ...] = ("operator", "clickgoose", "infrastructure")  # no client brings these about
Disposition = Literal["poison", "transient", "rejected"]
# record: of a decision; rows: of ClickHouse tables, for sink.clickhouse
PayloadFormat = Literal["envelope", "record", "redacted", "scored", "rows"]


class Reason(StrEnum):
    """Why a row is in the backup. The part before the dot is the stage or the edge."""

    BAD_ENVELOPE = "decode.bad_envelope"
    BAD_HEADER = "decode.bad_header"
    UNKNOWN_VERSION = "decode.unknown_version"
    UNKNOWN_KEY = "decode.unknown_key"
    NOT_AUTHENTIC = "decode.not_authentic"
    UNKNOWN_CODEC = "decode.unknown_codec"
    TOO_LARGE = "decode.too_large"
    INFLATE_FAILED = "decode.inflate_failed"
    BAD_LAYOUT = "decode.bad_layout"
    BAD_NESTED = "decode.bad_nested"
    CARD_NUMBER = "mask.card_number"
    CARD_DETAILS = "mask.card_details"
    IBAN = "mask.iban"
    NATIONAL_ID = "mask.national_id"
    EMAIL = "mask.email"
    PHONE = "mask.phone"
    SECRET_IN_URL = "mask.secret_in_url"  # noqa: S105 - a reason, not a secret
    OUT_OF_RANGE = "normalize.out_of_range"
    NOT_FINITE = "normalize.not_finite"
    TOO_LATE = "velocity.too_late"
    BAD_RECORD = "record.bad_record"
    RECORD_VERSION = "record.unknown_version"
    BUG = "internal.bug"
    SINK_CLICKHOUSE = "sink.clickhouse"
    SINK_REDIS = "sink.redis"
    SINK_KAFKA = "sink.kafka"


class ReasonFacts(NamedTuple):
    """What operations staff need to know about a reason."""

    stage: str
    fault: Fault
    disposition: Disposition
    meaning: str
    remedy: str


REASONS: Mapping[Reason, ReasonFacts] = {
    Reason.BAD_ENVELOPE: ReasonFacts(
        "decode", "operator", "poison",
        "The record on events.raw does not start with an ingest envelope.",
        "Find out who writes to events.raw: only the ingest tier may.",
    ),
    Reason.BAD_HEADER: ReasonFacts(
        "decode", "client", "poison",
        "The sealed event is shorter than its clear header or does not start with its mark.",
        "Check the agent's version on the merchant's page.",
    ),
    Reason.UNKNOWN_VERSION: ReasonFacts(
        "decode", "operator", "transient",
        "The sealed event is of a format version that this build does not read.",
        "Deploy a build that reads it, then redrive.",
    ),
    Reason.UNKNOWN_KEY: ReasonFacts(
        "decode", "operator", "transient",
        "The event names a master key that this flow does not hold.",
        "Give the flow the key, then redrive; or leave it, if the key was retired.",
    ),
    Reason.NOT_AUTHENTIC: ReasonFacts(
        "decode", "client", "rejected",
        "The payload does not authenticate under its session's key: altered, or sealed with another key.",
        "Look for tampering by session; nothing can be recovered.",
    ),
    Reason.UNKNOWN_CODEC: ReasonFacts(
        "decode", "client", "poison",
        "The payload's first byte names no codec that this build reads.",
        "Check the agent's version.",
    ),
    Reason.TOO_LARGE: ReasonFacts(
        "decode", "client", "rejected",
        "The payload is, or says that it unpacks to, more than the limit.",
        "Treat as an attack unless the agent's version is new.",
    ),
    Reason.INFLATE_FAILED: ReasonFacts(
        "decode", "client", "poison",
        "The compressed payload cannot be unpacked to the size that it states.",
        "Check the agent's version.",
    ),
    Reason.BAD_LAYOUT: ReasonFacts(
        "decode", "client", "poison",
        "The payload's blocks do not add up to its length.",
        "Check the agent's version.",
    ),
    Reason.BAD_NESTED: ReasonFacts(
        "decode", "client", "poison",
        "The nested JSON form is not valid JSON or names an unknown signal.",
        "Compare with `clickgoose schema json`.",
    ),
    Reason.CARD_NUMBER: ReasonFacts(
        "verify_mask", "merchant", "rejected",
        "A text, several texts together, or an id holds what passes for a card number.",
        "Tell the merchant which field leaks: the detail names it; the value was redacted here.",
    ),
    Reason.CARD_DETAILS: ReasonFacts(
        "verify_mask", "merchant", "rejected",
        "A text holds a card's security code or date of expiry beside the words for it.",
        "Tell the merchant which field leaks: the detail names it; the value was redacted here.",
    ),
    Reason.IBAN: ReasonFacts(
        "verify_mask", "merchant", "rejected",
        "A text or an id holds an international bank account number.",
        "Tell the merchant which field leaks: the detail names it; the value was redacted here.",
    ),
    Reason.NATIONAL_ID: ReasonFacts(
        "verify_mask", "merchant", "rejected",
        "A text holds an Aadhaar number, or a text or an id a permanent account number of India.",
        "Tell the merchant which field leaks: the detail names it; the value was redacted here.",
    ),
    Reason.EMAIL: ReasonFacts(
        "verify_mask", "merchant", "rejected",
        "A text or an id holds an e-mail address.",
        "Tell the merchant which field leaks: the detail names it; the value was redacted here.",
    ),
    Reason.PHONE: ReasonFacts(
        "verify_mask", "merchant", "rejected",
        "A text holds a phone number, or an id one with its plus sign.",
        "Tell the merchant which field leaks: the detail names it; the value was redacted here.",
    ),
    Reason.SECRET_IN_URL: ReasonFacts(
        "verify_mask", "merchant", "rejected",
        "A URL kept its query, fragment or credentials, or a text holds a token, password or session id.",
        "Tell the merchant: the agent strips them, so another client sent this.",
    ),
    Reason.OUT_OF_RANGE: ReasonFacts(
        "normalize", "client", "poison",
        "A number that must be right lies outside the catalogue's range.",
        "Look for spoofing by device.",
    ),
    Reason.NOT_FINITE: ReasonFacts(
        "normalize", "client", "poison",
        "A number is infinite.",
        "Look for spoofing by device.",
    ),
    Reason.TOO_LATE: ReasonFacts(
        "velocity", "client", "rejected",
        "The event is older than the configured lateness allows.",
        "Raise flow.lateness_seconds and redrive, if the delay was ours.",
    ),
    Reason.BAD_RECORD: ReasonFacts(
        "record", "operator", "poison",
        "The record on events.decisions is not the record of a decision.",
        "Find out who writes to events.decisions: only the ingest tier may. The payload was redacted here.",
    ),
    Reason.RECORD_VERSION: ReasonFacts(
        "record", "operator", "transient",
        "The record of a decision is of a version that this build does not read.",
        "Deploy a build that reads it, then redrive.",
    ),
    Reason.BUG: ReasonFacts(
        "any", "clickgoose", "transient",
        "A stage raised on this row; the rest of its batch went on.",
        "Report it, deploy the fix, then redrive.",
    ),
    Reason.SINK_CLICKHOUSE: ReasonFacts(
        "clickhouse", "infrastructure", "transient",
        "The scored row could not be written to ClickHouse within the bounded retries.",
        "Bring ClickHouse back: the flow redrives its rows by itself.",
    ),
    Reason.SINK_REDIS: ReasonFacts(
        "redis", "infrastructure", "transient",
        "The result could not be written to Redis within the bounded retries.",
        "Bring Redis back: the flow redrives its rows by itself.",
    ),
    Reason.SINK_KAFKA: ReasonFacts(
        "scored", "infrastructure", "transient",
        "The scored record could not be appended to events.scored: Kafka refused it.",
        "Check the topic's size limit, then redrive.",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One row that did not go on. ``detail`` never holds a field's value."""

    reason: Reason
    stage: str
    detail: str
    topic: str
    partition: int
    offset: int
    received_at: int  # ms; Kafka's time stamp where the envelope could not be read
    first_failed_at: int  # ms; when the source polled the row
    payload: bytes  # as received, a redriven record as such (schemas.redriven.original_of), but redacted for mask.*
    payload_format: PayloadFormat
    payload_sha256: str  # of the payload as received, always
    event_id: str | None = None  # hex
    merchant: str | None = None
    processor: str = "clickgoose"
    attempts: int = 1
    appended_at: int = 0  # ms, Kafka's own time stamp; 0 where a build before did not keep it
    told: bytes = b""  # schemas.told: what was counted of the event before it failed, empty where nothing was

    def redacted(self, payload: bytes) -> DeadLetter:
        """Return the letter with a payload that holds no personal data."""
        return replace(self, payload=payload, payload_format="redacted", told=b"")


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(DeadLetter)


def encode_dead_letter(letter: DeadLetter) -> bytes:
    """Return the JSON record for ``events.dead_letter``; the payload is base64 inside."""
    return _ENCODER.encode(letter)


def decode_dead_letter(data: bytes) -> DeadLetter:
    """Read a record back. msgspec.ValidationError says where it is wrong."""
    return _DECODER.decode(data)


def dead_letter_headers(letter: DeadLetter) -> list[tuple[str, bytes]]:
    """Return the Kafka headers: the same facts, readable without parsing the value."""
    facts: dict[str, object] = {
        "reason": letter.reason.value,
        "stage": letter.stage,
        "disposition": REASONS[letter.reason].disposition,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "event_id": letter.event_id or "",
        "merchant": letter.merchant or "",
        "processor": letter.processor,
        "attempts": letter.attempts,
        "first_failed_at": letter.first_failed_at,
        "payload_sha256": letter.payload_sha256,
        "payload_format": letter.payload_format,
    }
    return [(f"clickgoose.{name}", str(value).encode()) for name, value in facts.items()]


def dead_letters(batch: RawBatch, rows: Iterable[int], reason: Reason, stage: str, detail: str) -> list[DeadLetter]:
    """Return a letter for each of the rows of a batch, with its ids where the batch knows them."""
    event: Event | None = getattr(batch, "event", None)
    return [_letter(batch, event, int(row), reason, stage, detail) for row in rows]


def _letter(batch: RawBatch, event: Event | None, row: int, reason: Reason, stage: str, detail: str) -> DeadLetter:
    origin = batch.origin
    value = batch.values[row]
    redriven = found_redriven(value)
    attempt, told = (redriven.attempt, redriven.told) if redriven else (0, b"")
    return DeadLetter(
        reason=reason,
        stage=stage,
        detail=detail,
        topic=origin.topic,
        partition=int(origin.partition[row]),
        offset=int(origin.offset[row]),
        received_at=int(origin.appended_at[row] if event is None else event.received_at[row]),
        first_failed_at=int(origin.polled_at[row]),
        payload=value,
        payload_format="envelope",
        payload_sha256=hashlib.sha256(value).hexdigest(),
        event_id=None if event is None else event.event_id[row].tobytes().hex(),
        merchant=None if event is None else event.merchant[row],
        appended_at=int(origin.appended_at[row]),
        attempts=attempt + 1,
        told=_told(batch, row) or told,
    )


def _told(batch: RawBatch, row: int) -> bytes:
    """Return what the row was told by the stages that count."""
    if not hasattr(batch, "velocity"):
        return b""
    from schemas.told import told_of  # noqa: PLC0415 - whoever only reads letters need not load the batches

    return told_of(batch, row)
