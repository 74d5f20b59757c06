"""record: the stage that reads the records of decisions, as events.decisions carries them."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np

from schemas.batches import RawBatch
from schemas.dead_letter import DeadLetter, Reason, dead_letters
from schemas.decision_record import DecisionRecord, RecordError, decode_record
from schemas.personal_data import redact
from schemas.stage import StageOut

_MOST_OF_A_PAYLOAD: Final = 64 << 10  # bytes of what is no record that are kept


@dataclass(frozen=True, slots=True, eq=False)
class Recorded(RawBatch):
    """Records of decisions. ``values`` holds each as it was received."""

    records: tuple[DecisionRecord, ...]


class ReadRecords:
    """Rows that are no record become dead letters; nobody knows what is in those, so they are redacted first."""

    name = "record"

    def __call__(self, batch: RawBatch, /) -> StageOut[Recorded]:
        """Read every row."""
        read = [_read(value) for value in batch.values]
        good = [row for row, found in enumerate(read) if isinstance(found, DecisionRecord)]
        kept = batch.take(np.array(good, np.intp))
        sections = {field.name: getattr(kept, field.name) for field in fields(RawBatch)}
        records = tuple([found for found in read if isinstance(found, DecisionRecord)])
        bad = [(row, found) for row, found in enumerate(read) if isinstance(found, RecordError)]
        return StageOut(Recorded(**sections, records=records), [self._letter(batch, row, why) for row, why in bad])

    def _letter(self, batch: RawBatch, row: int, why: RecordError) -> DeadLetter:
        reason = Reason.RECORD_VERSION if why.later else Reason.BAD_RECORD
        (letter,) = dead_letters(batch, [row], reason, self.name, str(why))
        if why.later:
            return replace(letter, payload_format="record")
        return letter.redacted(redact(letter.payload[:_MOST_OF_A_PAYLOAD].decode("utf-8", "replace")).encode())


def _read(value: bytes) -> DecisionRecord | RecordError:
    try:
        return decode_record(value)
    except RecordError as error:
        return error
