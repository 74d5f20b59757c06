"""Shared counts in memory, exact: for training, benchmarks, tests and replays. One process, one thread.

``dump`` gives all of them as blocks of bytes, none over a few MB, and ``load`` takes them back: MessagePack, with the
columns as little-endian arrays. What follows from the events of an entity is not in them, and is made again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeVar

import msgspec
import numpy as np

from flows.lookups.memory_kernels import CELLS, KINDS
from flows.lookups.memory_tables import MemoryTables, Runs
from schemas.batches import F32, I64
from schemas.shared import SharedAnswer, SharedQuery
from schemas.velocity import WINDOW_MS

_SWEEP_ROWS: Final = 16_384  # what is kept longer than it counts is at most what so many rows told
_DUMP_VERSION: Final = 1
_BLOCK_EVENTS: Final = 131_072  # of a dump: 4 MB at most
_BLOCK_ANSWERS: Final = 8_192
_T = TypeVar("_T")


class MemorySharedCounts:
    """What RedisSharedCounts means, for entities of any weight: a window is exactly (time - length, time].

    Kept: what any window of an event reaches into that is at most ``lateness_ms`` older than the newest. The counting
    is a compiled loop over flat arrays.
    """

    def __init__(self, lateness_ms: int = 86_400_000, answers: int = 131_072) -> None:
        self._lateness = lateness_ms
        self._answers = answers
        self._tables = MemoryTables(lateness_ms, answers)
        self._rows = 0

    @property
    def entities(self) -> int:
        """Return how many entities are known."""
        return self._tables.entities

    @property
    def events(self) -> int:
        """Return how many events of entities are kept."""
        return self._tables.events

    @property
    def nbytes(self) -> int:
        """Return the bytes of all that is kept."""
        return self._tables.nbytes

    def count(self, query: SharedQuery, /) -> SharedAnswer:
        """Count rows; one that was counted before is told what it was told then."""
        counts = self._tables.count(query)
        self._rows += len(query)
        if self._rows >= _SWEEP_ROWS:
            self._rows = 0
            self.forget()
        return SharedAnswer(counts, False)

    def forget(self) -> None:
        """Take back the memory of what no window of a row that may still come reaches into."""
        self._tables.forget(self._tables.newest - self._lateness - WINDOW_MS[-1])

    def dump(self) -> Iterator[bytes]:
        """Yield all that is known; nothing may be counted before the last block was taken."""
        tables = self._tables
        places, told = tables.told()
        yield _encode(
            _Head(
                _DUMP_VERSION, self._lateness, self._answers, tables.newest, self._rows, tables.applied(),
                tables.events, len(told),
            )
        )  # fmt: skip
        yield from _dumped_events(tables)
        for first in range(0, len(told), _BLOCK_ANSWERS):
            some = slice(first, first + _BLOCK_ANSWERS)
            yield _encode(_Answers(_packed(places[some], "<i8"), _packed(told[some], "<f4")))

    def load(self, blocks: Iterable[bytes]) -> None:
        """Know what was dumped, and nothing else. ValueError where it was not dumped by counts like these."""
        left = iter(blocks)
        head = _decoded(next(left, b""), _Head)
        if head.version != _DUMP_VERSION or (head.lateness, head.answers) != (self._lateness, self._answers):
            raise ValueError("the shared counts were dumped by another build, or with another lateness")
        runs, answers, events, answered = list[Runs](), list[tuple[I64, F32]](), 0, 0
        while events < head.events:
            runs.append(_read_events(_decoded(next(left, b""), _Events)))
            events += len(runs[-1].times)
        while answered < head.answered:
            answers.append(_read_answers(_decoded(next(left, b""), _Answers)))
            answered += len(answers[-1][1])
        if next(left, None) is not None:
            raise ValueError("a dump of shared counts has more than it says")
        tables = MemoryTables(self._lateness, self._answers)
        tables.restore(_joined_runs(runs), head.applied, *_joined_answers(answers), head.newest)
        self._tables, self._rows = tables, head.rows


class _Head(msgspec.Struct, array_like=True):
    version: int
    lateness: int
    answers: int
    newest: int
    rows: int
    applied: dict[int, int]
    events: int  # of all entities
    answered: int


class _Events(msgspec.Struct, array_like=True):
    """Events by entity; one whose events do not fit into the rest of a block goes on in the next."""

    names: bytes  # uint64, one an entity
    lengths: bytes  # int64, one an entity
    times: bytes  # int64, one an event
    devices: bytes  # uint64, one an event


class _Answers(msgspec.Struct, array_like=True):
    places: bytes  # int64[n, 2]: partition and offset
    counts: bytes  # float32[n, ENTITIES, MEASURES, WINDOWS]


_encode = msgspec.msgpack.Encoder().encode


def _decoded(block: bytes, kind: type[_T]) -> _T:
    try:
        return msgspec.msgpack.decode(block, type=kind)
    except msgspec.DecodeError as error:
        raise ValueError(f"not a dump of shared counts: {error}") from None


def _packed(values: Any, dtype: str) -> bytes:
    return np.ascontiguousarray(values, dtype).tobytes()


def _dumped_events(tables: MemoryTables) -> Iterator[bytes]:
    slots, names, counts = tables.oldest_first()
    parts: list[tuple[int, int, int]] = []  # slot, first event, events
    part_names, events = list[int](), 0
    for slot, name, count in zip(slots.tolist(), names.tolist(), counts.tolist(), strict=True):
        for first in range(0, count, _BLOCK_EVENTS):
            parts.append((slot, first, min(_BLOCK_EVENTS, count - first)))
            part_names.append(name)
            events += parts[-1][2]
            if events >= _BLOCK_EVENTS:
                yield _dumped_parts(tables, part_names, parts)
                parts, part_names, events = [], [], 0
    if parts:
        yield _dumped_parts(tables, part_names, parts)


def _dumped_parts(tables: MemoryTables, names: list[int], parts: list[tuple[int, int, int]]) -> bytes:
    slots, firsts, lengths = zip(*parts, strict=True)
    times, devices = tables.events_of(slots, firsts, lengths)
    return _encode(_Events(_packed(names, "<i8"), _packed(lengths, "<i8"), _packed(times, "<i8"), devices.tobytes()))


def _read_events(block: _Events) -> Runs:
    columns = (block.names, block.lengths, block.times, block.devices)  # the hashes as int64: the loops take them so
    names, lengths, times, devices = (np.frombuffer(column, "<i8").astype(np.int64) for column in columns)
    sound = len(names) == len(lengths) and int(lengths.sum()) == len(times) == len(devices)
    if not sound or int(lengths.min(initial=0 if not len(lengths) else 1)) < 1:
        raise ValueError("a block of shared counts does not add up")
    return Runs(names, lengths, times, devices)


def _joined_runs(runs: list[Runs]) -> Runs:
    if not runs:
        return Runs(*[np.empty(0, np.int64)] * 4)
    return Runs(*(np.concatenate(columns) for columns in zip(*runs, strict=True)))


def _read_answers(block: _Answers) -> tuple[I64, F32]:
    places = np.frombuffer(block.places, "<i8").astype(np.int64).reshape(-1, 2)
    counts = np.frombuffer(block.counts, "<f4").astype(np.float32).reshape(-1, CELLS * KINDS)
    if not len(places) or len(places) != len(counts):
        raise ValueError("a block of shared answers does not add up")
    return places, counts


def _joined_answers(answers: list[tuple[I64, F32]]) -> tuple[I64, F32]:
    if not answers:
        return np.empty((0, 2), np.int64), np.empty((0, CELLS * KINDS), np.float32)
    return np.concatenate([places for places, _ in answers]), np.concatenate([counts for _, counts in answers])
