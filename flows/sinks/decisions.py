"""Records of decisions on their way to ClickHouse, and those that are none to the backup."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from flows.parcel import Parcel, Span
from flows.sinks.clickhouse import ClickHouse
from flows.sinks.destination import Backup
from flows.sinks.encoded import LETTER_BYTES
from flows.sinks.packed_rows import pack_rows
from flows.sinks.tables import Table, join, letter_columns, objects
from flows.stages.read_records import Recorded
from schemas.dead_letter import DeadLetter, Reason

ROW_BYTES = 2_000  # a record as an object, beside its JSON


@dataclass(frozen=True, slots=True)
class RecordedParcel:
    """What a writer carries."""

    parcel: Parcel[Recorded]

    @property
    def spans(self) -> tuple[Span, ...]:
        """Return what is acknowledged once the parcel is held."""
        return self.parcel.spans

    @property
    def rows(self) -> int:
        """Return the rows that sinks have to hold: recorded and dead-lettered."""
        return len(self.parcel.batch) + len(self.parcel.errs)

    @property
    def size(self) -> int:
        """Return about how many bytes it takes."""
        values = sum(map(len, self.parcel.batch.values)) + sum(len(letter.payload) for letter in self.parcel.errs)
        return values + ROW_BYTES * len(self.parcel.batch) + LETTER_BYTES * len(self.parcel.errs)


def decision_columns(batch: Recorded) -> Table:
    """Return the columns of ``decisions``; the table makes the others from the record itself."""
    records, origin = batch.records, batch.origin
    return {
        "merchant": objects(record.merchant.encode() for record in records),
        "event_id": objects(record.event_id.encode() for record in records),
        "event_type": objects(record.event_type.encode() for record in records),
        "occurred_at": np.array([record.occurred_at for record in records], "datetime64[ms]"),
        "received_at": np.array([record.received_at for record in records], "datetime64[ms]"),
        "topic": objects([origin.topic.encode()] * len(records)),
        "partition": origin.partition,
        "offset": origin.offset,
        "record": objects(batch.values),
    }


class DecisionTable:
    """Writes decisions and dead letters to ClickHouse. A row written again replaces itself."""

    name = ClickHouse.name

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse

    def write(self, parcels: Sequence[RecordedParcel]) -> None:
        """Insert the rows; DestinationError names ClickHouse's error, never a value."""
        tables: dict[str, Table] = {}
        if found := [decision_columns(item.parcel.batch) for item in parcels if len(item.parcel.batch)]:
            tables["decisions"] = join(found)
        if dead := [letter for item in parcels for letter in item.parcel.errs]:
            tables["dead_letters"] = letter_columns(dead)
        self._clickhouse.insert(tables)

    def probe(self) -> bool:
        """Tell whether ClickHouse answers."""
        return self._clickhouse.probe()

    def letters(self, parcels: Sequence[RecordedParcel], detail: str) -> list[DeadLetter]:
        """Return one letter a row, which a redriver of ClickHouse writes back: its payload is the row, by table."""
        found: list[DeadLetter] = []
        for item in parcels:
            batch = item.parcel.batch
            packed = pack_rows({"decisions": decision_columns(batch)}) if len(batch) else []
            found += [_letter(batch, row, payload, detail) for row, payload in enumerate(packed)]
            dead = pack_rows({"dead_letters": letter_columns(item.parcel.errs)}) if item.parcel.errs else []
            found += [_again(letter, payload, detail) for letter, payload in zip(item.parcel.errs, dead, strict=True)]
        return found

    def close(self) -> None:
        """Disconnect."""
        self._clickhouse.close()


def _letter(batch: Recorded, row: int, payload: bytes, detail: str) -> DeadLetter:
    origin, record = batch.origin, batch.records[row]
    return DeadLetter(
        reason=Reason.SINK_CLICKHOUSE,
        stage=ClickHouse.name,
        detail=detail,
        topic=origin.topic,
        partition=int(origin.partition[row]),
        offset=int(origin.offset[row]),
        received_at=record.received_at,
        first_failed_at=int(origin.polled_at[row]),
        payload=payload,
        payload_format="rows",
        payload_sha256=hashlib.sha256(batch.values[row]).hexdigest(),
        merchant=record.merchant,
    )


def _again(letter: DeadLetter, payload: bytes, detail: str) -> DeadLetter:
    return replace(
        letter,
        reason=Reason.SINK_CLICKHOUSE,
        stage=ClickHouse.name,
        detail=detail,
        payload=payload,
        payload_format="rows",
    )


class DeadRecords:
    """Appends the parcels' dead letters to the backup topic; without a backup of its own: its writer retries."""

    name = "dead_letter"

    def __init__(self, backup: Backup) -> None:
        self._backup = backup

    def concerned(self, parcel: RecordedParcel) -> bool:
        """Tell whether there are letters."""
        return bool(parcel.parcel.errs)

    def write(self, parcels: Sequence[RecordedParcel]) -> None:
        """Append the letters."""
        self._backup.append([letter for item in parcels for letter in item.parcel.errs])

    def close(self) -> None:
        """The backup is shared, and closes with the process."""
