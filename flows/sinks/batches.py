"""What a process hands to the next one: batches as records of a topic between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from flows.parcel import Parcel, Span
from flows.sinks.encoded import EncodedParcel
from flows.sinks.kafka import Appender, Record
from flows.stage_records import Chain, Outcomes, StageRecord, records_of
from schemas.batch_codec import encode_batch
from schemas.batch_layout import no_rows
from schemas.batches import Decided, RawBatch

_NO_RESULTS: Final = no_rows(Decided)
_BESIDE: Final = 200  # bytes of a record beside its value


class RecordRefused(RuntimeError):
    """Kafka refuses a batch for good: nothing after it may go on."""


@dataclass(frozen=True, slots=True)
class HandedOn:
    """The records of a parcel."""

    spans: tuple[Span, ...]
    records: tuple[StageRecord, ...]

    @property
    def rows(self) -> int:
        """Return the rows that the records hold."""
        return sum(record.rows for record in self.records)

    @property
    def size(self) -> int:
        """Return about how many bytes they take."""
        return sum(len(record.value) + _BESIDE for record in self.records)


class KafkaBatches:
    """Appends the records, each on the partition of its rows. There is no backup: the writer retries."""

    def __init__(self, name: str, topic: str, stream: bytes, appender: Appender) -> None:
        self._name, self._topic, self._stream, self._appender = name, topic, stream, appender

    @property
    def name(self) -> str:
        """Return the sink's name."""
        return self._name

    def write(self, parcels: Sequence[HandedOn]) -> None:
        """Append all records in order; RecordRefused where Kafka will never take one."""
        records = [
            Record(self._topic, b"", record.value, record.headers(self._stream), record.span.partition)
            for item in parcels
            for record in item.records
        ]
        if self._appender.append(records):
            raise RecordRefused(
                f"Kafka refuses a batch as too large or invalid: raise max.message.bytes of the topic {self._topic}"
            )

    def close(self) -> None:
        """Let go of the producer."""
        self._appender.close()


def hand_on(starts: Mapping[int, int | None]) -> Callable[[Parcel[Any]], HandedOn]:
    """Return the step that makes records of a parcel's rows. ``starts``: where each partition resumes."""
    chain = Chain(starts)

    def step(parcel: Parcel[RawBatch]) -> HandedOn:
        return HandedOn(parcel.spans, tuple(records_of(map(chain.link, parcel.spans), parcel.batch)))

    return step


def tell_outcomes(starts: Mapping[int, int | None]) -> Callable[[Parcel[Decided]], HandedOn]:
    """Return the step that makes records of what ``enrich`` is told of a parcel's rows."""
    chain = Chain(starts)

    def step(parcel: Parcel[Decided]) -> HandedOn:
        return HandedOn(parcel.spans, tuple(_told(chain.link(span), parcel.batch) for span in parcel.spans))

    return step


def _told(span: Span, batch: Decided) -> StageRecord:
    here = batch.origin.partition == span.partition
    outcomes = Outcomes(batch.origin.offset[here], batch.score.score[here], batch.decision.by_policy[here])
    return StageRecord(span, encode_batch(outcomes), len(outcomes))


def only_letters(parcel: Parcel[Any]) -> EncodedParcel:
    """Return a parcel for the sinks of results and dead letters, which has no result: its rows go on elsewhere."""
    return EncodedParcel(replace(parcel, batch=_NO_RESULTS), (), ())
