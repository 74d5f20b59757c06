"""The order of a replay: rows of several partitions made one sequence, and the sequence cut into parcels.

Rows come in the order of (the largest key of their partition so far, partition, offset), where the key is the time at
which Kafka appended them unless another one is given, and a parcel is the next ``rows`` of them. So the parcels depend
on what is read and on nothing else: not on how a source cuts its chunks, nor on when it was asked. Inside a parcel the
rows of a partition lie together, as ``Parcel`` says, and their ranks say how they follow each other.

A parcel ends earlier in five places, all of them places in the data: where the first row of the range follows rows that
are warmed up, so that the parcels of a range do not depend on how much was warmed up; where the state of a snapshot
takes over; before a row whose offset is SCORE_LAG above that of another one of its partition in the parcel, which must
see that one's score; before a redriven row that follows one that is none, as that may be what was sent again, and is
scored by now; and where rows were written by different builds and cannot lie in one batch.

One chunk a partition is held, and the rows of the parcel that is not full yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from flows.parcel import Parcel, Span
from replay.parts import SourceFailed
from schemas.batches import I64, Bool, Decoded, RawBatch
from schemas.columns import Rows
from schemas.redriven import is_redriven
from schemas.velocity import SCORE_LAG

_NEVER = np.iinfo(np.int64).max


Key = Callable[[RawBatch], I64]
"""Gives rows of one partition, in the order of their offsets, what they are ordered by: int64[n]."""


def appended_at(batch: RawBatch) -> I64:
    """Return when Kafka appended each row, ms."""
    return batch.origin.appended_at


def redriven_rows(batch: RawBatch) -> Bool:
    """Return which rows were sent again by a redrive, bool[n]."""
    if isinstance(batch, Decoded):
        return np.asarray(batch.event.attempt > 0)
    return np.fromiter(map(is_redriven, batch.values), np.bool_, len(batch))


class Place(NamedTuple):
    """Where a partition is: the next offset to read, and the largest key of what was read before."""

    next: int
    high: int = 0


class Ranked(NamedTuple):
    """A parcel with the place of each row among the others, int64[n]; None where there is one partition only."""

    parcel: Parcel[RawBatch]
    rank: I64 | None


class Cut(NamedTuple):
    """The next rows, and where each partition is once they are done. Of several parcels the first goes first."""

    parcels: tuple[Ranked, ...]
    places: dict[int, Place]


@dataclass(slots=True)
class Lane:
    """One partition: its chunks, where they begin, and from which offset on they are of the range.

    No parcel has rows of it both below ``apart`` and from there on.
    """

    partition: int
    chunks: Iterator[RawBatch]
    place: Place
    range_first: int = _NEVER
    apart: int = 0
    key: Key = appended_at
    _chunk: RawBatch | None = field(default=None, init=False)
    _offset: I64 = field(default_factory=lambda: np.empty(0, np.int64), init=False)
    _high: I64 = field(default_factory=lambda: np.empty(0, np.int64), init=False)
    _redriven: Rows = field(default_factory=lambda: np.empty(0, np.intp), init=False)  # first ones of their runs
    _ends_redriven: bool = field(default=False, init=False)
    _at: int = field(default=0, init=False)
    _read: Place = field(default=Place(0), init=False)
    _parts: list[RawBatch] = field(default_factory=list, init=False)
    _ranks: list[I64] = field(default_factory=list, init=False)
    _first: int = field(default=0, init=False)  # offset of the first row in the parcel that is not full yet

    def __post_init__(self) -> None:
        """Begin to read at the place."""
        self._read = self.place

    def filled(self) -> bool:
        """Read the next chunk where none is left; return whether there is one. SourceFailed where it is not sound."""
        while self._at == len(self._offset):
            self._chunk, self._offset, self._high, self._at = None, self._offset[:0], self._high[:0], 0
            chunk = next(self.chunks, None)
            if chunk is None:
                return False
            if len(chunk):
                self._take_in(chunk)
        return True

    def _take_in(self, chunk: RawBatch) -> None:
        origin = chunk.origin
        offset = origin.offset.astype(np.int64, copy=False)
        in_order = offset[0] >= self._read.next and bool((np.diff(offset) > 0).all())
        if not in_order or bool((origin.partition != self.partition).any()):
            raise SourceFailed(
                f"partition {self.partition} gave rows of another partition or out of order behind offset "
                f"{self._read.next}: its store is damaged"
            )
        high = np.maximum.accumulate(np.maximum(self.key(chunk), self._read.high))
        self._read = Place(int(offset[-1]) + 1, int(high[-1]))
        redriven = redriven_rows(chunk)
        self._redriven = np.flatnonzero(np.diff(redriven, prepend=self._ends_redriven) & redriven)
        self._ends_redriven = bool(redriven[-1])
        self._chunk, self._offset, self._high, self._at = chunk, offset, high.astype(np.int64, copy=False), 0

    def last(self) -> tuple[int, int]:
        """Return where the last row of the chunk lies in the order, but for its offset."""
        return int(self._high[-1]), self.partition

    def before(self, bound: tuple[int, int]) -> I64:
        """Return the keys so far of those rows of the chunk that lie at or before a bound."""
        high = self._high[self._at :]
        count = high.searchsorted(bound[0], "right" if self.partition <= bound[1] else "left")
        return high[:count]

    def in_range(self, count: int) -> Any:
        """Return which of the next rows are of the range, bool[count]."""
        return self._offset[self._at : self._at + count] >= self.range_first

    def too_far(self, count: int) -> int | None:
        """Return which of the next rows is the first that cannot lie in the parcel, None where all can."""
        first = self._first if self._parts else int(self._offset[self._at])
        offset = self._offset[self._at : self._at + count]
        end = min(first + SCORE_LAG, self.apart if first < self.apart else _NEVER)
        if len(self._redriven):
            found = self._redriven.searchsorted(self._at, "left" if self._parts else "right")
            if found < len(self._redriven):
                end = min(end, int(self._offset[self._redriven[found]]))
        return None if offset[-1] < end else int(offset.searchsorted(end))

    def give(self, rank: I64) -> None:
        """Put the next rows, as many as there are ranks, into the parcel."""
        assert self._chunk is not None, "filled comes first"  # noqa: S101 - for the reader
        end = self._at + len(rank)
        if not self._parts:
            self._first = int(self._offset[self._at])
        self._parts.append(self._chunk.take(np.arange(self._at, end)))
        self._ranks.append(rank)
        self.place = Place(int(self._offset[end - 1]) + 1, int(self._high[end - 1]))
        self._at = end

    def parts(self) -> list[tuple[RawBatch, I64]]:
        """Return what was put into the parcel, with ranks, and begin the next one."""
        parts = list(zip(self._parts, self._ranks, strict=True))
        self._parts, self._ranks = [], []
        return parts


def merged(lanes: Sequence[Lane], rows: int) -> Iterator[Cut]:
    """Yield all rows of the lanes, cut after every ``rows`` of them. SourceFailed as the lanes' chunks raise it.

    Lanes that begin inside of the range go on as the merge did that was there: at a place that a cut names.
    """
    if not 1 <= rows <= SCORE_LAG:
        raise ValueError(f"a parcel of a replay has 1 to {SCORE_LAG} rows, not {rows}")
    return _Merge(sorted(lanes, key=lambda lane: lane.partition), rows).cuts()


class _Merge:
    def __init__(self, lanes: list[Lane], rows: int) -> None:
        self._lanes = lanes
        self._rows = rows
        self._waiting = 0
        self._begun = any(lane.place.next > lane.range_first for lane in lanes)

    def cuts(self) -> Iterator[Cut]:
        while filled := [lane for lane in self._lanes if lane.filled()]:
            yield from self._round(filled)
        if self._waiting:
            yield self._cut()

    def _round(self, lanes: list[Lane]) -> Iterator[Cut]:
        """Take what no row that is still to be read can come before: all up to the first end of a chunk."""
        bound = min(lane.last() for lane in lanes)
        keys = [lane.before(bound) for lane in lanes]
        order = np.repeat(np.arange(len(lanes)), [len(key) for key in keys])
        if sum(map(bool, map(len, keys))) > 1:
            order = order[np.concatenate(keys).argsort(kind="stable")]
        first = self._first_of_range(lanes, keys, order)
        at = 0
        while at < len(order):
            if at == first and self._waiting:
                yield self._cut()
            end = min(at + self._rows - self._waiting, len(order), first if at < first else len(order))
            counts = self._within(lanes, order[at:end])
            if not counts.any():
                yield self._cut()
                continue
            given = int(counts.sum())
            turns = order[at : at + given]
            for number in np.flatnonzero(counts).tolist():
                lanes[number].give(np.flatnonzero(turns == number) + self._waiting)
            self._waiting += given
            at += given
            if self._waiting == self._rows:
                yield self._cut()

    def _first_of_range(self, lanes: list[Lane], keys: list[I64], order: Rows) -> int:
        """Return where the range begins, if it does here; else the number of rows."""
        if self._begun:
            return len(order)
        inside = np.empty(len(order), np.bool_)
        for number, (lane, key) in enumerate(zip(lanes, keys, strict=True)):
            inside[order == number] = lane.in_range(len(key))
        found = np.flatnonzero(inside)
        self._begun = bool(len(found))
        return int(found[0]) if len(found) else len(order)

    def _within(self, lanes: list[Lane], order: Rows) -> Rows:
        """Return how many of the next rows each lane may give before one that cannot lie in the parcel."""
        counts = np.bincount(order, minlength=len(lanes))
        end = len(order)
        for number, lane in enumerate(lanes):
            if counts[number] and (far := lane.too_far(int(counts[number]))) is not None:
                end = min(end, int(np.flatnonzero(order == number)[far]))
        return counts if end == len(order) else np.bincount(order[:end], minlength=len(lanes))

    def _cut(self) -> Cut:
        parts = [part for lane in self._lanes for part in lane.parts()]
        self._waiting = 0
        alone = len(self._lanes) == 1
        parcels = tuple(Ranked(_parcel(batch), None if alone else rank) for batch, rank in _joined(parts))
        return Cut(parcels, {lane.partition: lane.place for lane in self._lanes})


def _joined(parts: Sequence[tuple[RawBatch, I64]]) -> list[tuple[RawBatch, I64]]:
    """Join parts where they can be; a batch ends before a row of another build, wherever the chunks were cut."""
    batches = [batch for batch, _ in parts]
    try:
        return [(type(batches[0]).concat(batches), np.concatenate([rank for _, rank in parts]))]
    except ValueError:  # they disagree on a value that all rows of a batch share
        return _joined_in_turn(parts)


def _joined_in_turn(parts: Sequence[tuple[RawBatch, I64]]) -> list[tuple[RawBatch, I64]]:
    joined = [parts[0]]
    for batch, rank in parts[1:]:
        before, ranks = joined[-1]
        try:
            joined[-1] = type(batch).concat([before, batch]), np.concatenate((ranks, rank))
        except ValueError:
            joined.append((batch, rank))
    return joined


def _parcel(batch: RawBatch) -> Parcel[RawBatch]:
    """Return the parcel of a batch; its spans reach from the first to the last row of each partition."""
    partition, offset = batch.origin.partition, batch.origin.offset
    edges = np.flatnonzero(np.diff(partition, prepend=partition[0] - 1))
    ends = [*edges[1:].tolist(), len(batch)]
    spans = [
        Span(int(partition[first]), int(offset[first]), int(offset[end - 1]) + 1)
        for first, end in zip(edges.tolist(), ends, strict=True)
    ]
    return Parcel(tuple(spans), batch, len(batch))
