"""The records between the processes of the staged topology: an encoded batch of one partition, and what it covers.

A record lies on the partition of ``events.raw`` that its rows are of. Its headers say which range of offsets of that
partition it covers, also where no row of it is left, and of which ``events.raw`` they are. The ranges of a partition
follow each other without a gap; one that was sent again after a kill overlaps those before it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from confluent_kafka import Message

from flows.parcel import Span
from schemas.batch_codec import encode_in_parts
from schemas.batches import F32, I64, U8, RawBatch
from schemas.columns import Columns

EXTRACTED: Final = "events.extracted"
ENRICHED: Final = "events.enriched"
OUTCOMES: Final = "events.outcomes"
SPAN: Final = "clickgoose.span"
STREAM: Final = "clickgoose.stream"
MOST_BYTES: Final = 900_000  # of a record's batch, unless one row is larger
_SPAN: Final = struct.Struct("<qq")


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes(Columns):
    """What ``score`` tells ``enrich`` of rows, in the order of their offsets: what keyed stages remember."""

    offset: I64
    score: F32
    by_policy: U8  # schemas.result.DECISIONS


class StageRecord(NamedTuple):
    """One record to be."""

    span: Span
    value: bytes
    rows: int

    def headers(self, stream: bytes) -> list[tuple[str, str | bytes | None]]:
        """Return the headers."""
        return [(SPAN, _SPAN.pack(self.span.first, self.span.next)), (STREAM, stream)]


class Head(NamedTuple):
    """What the headers of a record say."""

    span: Span
    stream: bytes


def head_of(message: Message) -> Head | None:
    """Return what a record's headers say; None where it is no record of a stage."""
    headers = dict(message.headers() or ())
    span, stream, partition = headers.get(SPAN), headers.get(STREAM), message.partition()
    if not isinstance(span, bytes) or len(span) != _SPAN.size or not isinstance(stream, bytes) or partition is None:
        return None
    first, next_ = _SPAN.unpack(span)
    return Head(Span(partition, first, next_), stream) if first <= next_ else None


class Chain:
    """Lets the ranges of a partition's records follow each other without a gap, over offsets that hold no record."""

    def __init__(self, starts: Mapping[int, int | None]) -> None:
        """``starts``: where the first range of each partition begins; None: where its first parcel does."""
        self._next = {partition: offset for partition, offset in starts.items() if offset is not None}

    def link(self, span: Span) -> Span:
        """Return a parcel's span, which begins where the last one ended."""
        first = min(self._next.get(span.partition, span.first), span.first)
        self._next[span.partition] = span.next
        return span._replace(first=first)


def records_of(spans: Iterable[Span], batch: RawBatch, most_bytes: int = MOST_BYTES) -> Iterator[StageRecord]:
    """Yield the records of a batch in which the rows of each span lie together; one at least for each span."""
    for span in spans:
        rows = batch.take(np.flatnonzero(batch.origin.partition == span.partition))
        pieces = list(encode_in_parts(rows, most_bytes))
        firsts = [int(piece.origin.offset[0]) for piece, _ in pieces[1:]]
        edges = [span.first, *firsts, span.next]
        for at, (piece, value) in enumerate(pieces):
            yield StageRecord(Span(span.partition, edges[at], edges[at + 1]), value, len(piece))
