"""Letters for rows that a destination did not take: the rows themselves, and why they wait."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from flows.sinks.encoded import EncodedParcel
from schemas.dead_letter import DeadLetter, PayloadFormat, Reason


@dataclass(frozen=True, slots=True)
class Undelivered:
    """Which destination refused, what it said, and in which form the letters carry the rows."""

    reason: Reason
    stage: str
    detail: str
    payload_format: PayloadFormat

    def scored(self, item: EncodedParcel, payloads: Sequence[bytes]) -> list[DeadLetter]:
        """Return one letter for each scored row of a parcel; one payload a row."""
        polled = item.parcel.batch.origin.polled_at.tolist()
        rows = zip(item.results, polled, payloads, item.parcel.batch.values, strict=True)
        return [
            DeadLetter(
                reason=self.reason,
                stage=self.stage,
                detail=self.detail,
                topic=result.origin.topic,
                partition=result.origin.partition,
                offset=result.origin.offset,
                received_at=result.received_at,
                first_failed_at=polled_at,
                payload=payload,
                payload_format=self.payload_format,
                payload_sha256=hashlib.sha256(value).hexdigest(),
                event_id=result.event_id,
                merchant=result.merchant,
            )
            for result, polled_at, payload, value in rows
        ]

    def dead(self, letter: DeadLetter, payload: bytes) -> DeadLetter:
        """Return a letter for a dead letter that the destination did not take."""
        return replace(
            letter,
            reason=self.reason,
            stage=self.stage,
            detail=self.detail,
            payload=payload,
            payload_format=self.payload_format,
        )
