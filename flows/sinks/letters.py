"""Letters for rows that a destination did not take: the rows themselves, and why they wait."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from flows.sinks.destination import Backup
from flows.sinks.encoded import EncodedParcel
from flows.sinks.written import heads_of
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
        origin, values = item.parcel.batch.origin, item.parcel.batch.values
        rows = zip(
            heads_of(item.results),
            origin.polled_at.tolist(),
            origin.appended_at.tolist(),
            payloads,
            values,
            strict=True,
        )
        return [
            DeadLetter(
                reason=self.reason,
                stage=self.stage,
                detail=self.detail,
                topic=head.topic,
                partition=head.partition,
                offset=head.offset,
                received_at=head.received_at,
                first_failed_at=polled_at,
                payload=payload,
                payload_format=self.payload_format,
                payload_sha256=hashlib.sha256(value).hexdigest(),
                event_id=head.event_id,
                merchant=head.merchant,
                appended_at=appended_at,
            )
            for head, polled_at, appended_at, payload, value in rows
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


class NamingBackup:
    """A backup whose letters name the build that could not deliver them."""

    def __init__(self, backup: Backup, processor: str) -> None:
        self._backup = backup
        self._processor = processor

    def append(self, letters: Sequence[DeadLetter]) -> None:
        """Append them, named."""
        self._backup.append([replace(letter, processor=self._processor) for letter in letters])
