"""The arrays of the shared counts in memory: made, made longer, and handed to the compiled loops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from flows.lookups.memory_kernels import (
    AHEAD,
    BORN_AT,
    CELLS,
    COUNT,
    ENTITY_WORDS,
    EVENTS,
    FREE_SLOT,
    INDEXED,
    KEY,
    KINDS,
    LEAST,
    LEVELS,
    LIVE,
    NEWEST,
    NOT_INDEXED,
    PAIRED,
    PARTITIONS,
    POOL_END,
    SLOTS,
    TOLD,
    TOLD_FIRST,
    WORDS,
)
from flows.lookups.memory_rows import NO_ROOM, QUERY, Query, Tables, count_rows
from flows.lookups.memory_upkeep import (
    copy_events,
    fill_index,
    fill_pairs,
    finish_entities,
    forget,
    take_events,
)
from flows.stages.device_state.arrays import Growing
from flows.stages.device_state.pointers import NOT_PLAIN, plain_ones
from schemas.batches import F32, I64
from schemas.shared import SharedQuery
from schemas.velocity import ENTITIES, MEASURES, WINDOWS

_SHAPE: Final = (len(ENTITIES), len(MEASURES), len(WINDOWS))
_CELLS: Final = KINDS * CELLS
_LEAST_ROWS: Final = 1 << 10


class Runs(NamedTuple):
    """Events of entities: ``times`` and ``devices`` of the first entity, then those of the second."""

    names: I64
    lengths: I64
    times: I64
    devices: I64


class MemoryTables:
    """All that is kept. ``answers`` is how many are remembered at most."""

    def __init__(self, lateness_ms: int, answers: int) -> None:
        self._lateness, self._answers = lateness_ms, answers
        self.words = np.zeros(WORDS, np.int64)
        self.words[FREE_SLOT] = -1
        self._entities = Growing(np.int64, _LEAST_ROWS, ENTITY_WORDS)
        self._pool = Growing(np.int64, LEAST * _LEAST_ROWS, 2)
        self._free = np.zeros((LEVELS, 2), np.int64)
        self._free[:, 0] = -1
        self._index = np.zeros(_LEAST_ROWS, np.int32)
        self._pairs = np.zeros((_LEAST_ROWS, 3), np.int64)
        self._scratch = np.zeros((_LEAST_ROWS, 2), np.int64)
        self._slots = np.zeros((AHEAD, KINDS), np.int64)
        self._partitions = np.zeros((0, 2), np.int64)
        self._told_index = np.zeros(2, np.int32)
        self._told_places = Growing(np.int64, 1, 2)
        self._told = Growing(np.float32, 1, _CELLS)
        self._ring_length = 1

    @property
    def newest(self) -> int:
        """Return the largest time of a row that was counted."""
        return int(self.words[NEWEST])

    @property
    def entities(self) -> int:
        """Return how many entities are known."""
        return int(self.words[LIVE])

    @property
    def events(self) -> int:
        """Return how many events of them are kept."""
        return int(self.words[EVENTS])

    @property
    def nbytes(self) -> int:
        """Return the bytes of all arrays."""
        grown = (self._entities, self._pool, self._told_places, self._told)
        plain = (self._index, self._pairs, self._scratch, self._slots, self._told_index)
        return sum(array.nbytes for array in (*grown, *plain))

    def count(self, query: SharedQuery) -> F32:
        """Count rows and return their counts."""
        rows, done = len(query), 0
        counts = np.empty((rows, _CELLS), np.float32)
        asked = Query(query.entities, query.device, query.time, query.partition, query.offset, counts)
        while done < rows:
            found = self._count(asked, done)
            if found == NOT_PLAIN:
                asked = Query(*plain_ones(asked, QUERY))
            elif found == NO_ROOM:
                self._make_room(KINDS * rows, rows, rows)
            else:
                done = found
                if done < rows:
                    self._make_room_for(asked.entities[done].view(np.int64))
        return counts.reshape(rows, *_SHAPE)

    def _count(self, query: Query, first: int) -> int:
        """Count from a row on; no view of what may grow is left when it returns."""
        tables = Tables(
            self.words, self._entities.array, self._pool.array, self._free, self._index, self._pairs, self._scratch,
            self._slots, self._partitions, self._told_index, *self._ring(),
        )  # fmt: skip
        return count_rows(id(tables), id(query), self._lateness, self._answers, first)

    def _make_room(self, pairs: int, answers: int, partitions: int) -> None:
        """See to it that so many more entities, each with a device, answers and partitions fit."""
        words = self.words
        self._entities.lengthen(int(words[LIVE]) + pairs)
        if 2 * (int(words[LIVE]) + pairs) > len(self._index):
            self._index = np.zeros(_power_of_two(4 * (int(words[LIVE]) + pairs)), np.int32)
            fill_index(words, self._entities.array, self._index)
        if 5 * (int(words[PAIRED]) + pairs) > 3 * len(self._pairs):
            old, self._pairs = self._pairs, np.zeros((2 * _power_of_two(int(words[PAIRED]) + pairs), 3), np.int64)
            fill_pairs(old, self._pairs)
        if int(words[PARTITIONS]) + partitions > len(self._partitions):
            wanted = np.zeros((2 * (int(words[PARTITIONS]) + partitions), 2), np.int64)
            wanted[: words[PARTITIONS]] = self._partitions[: words[PARTITIONS]]
            self._partitions = wanted
        if min(int(words[TOLD]) + answers, self._answers) > self._ring_length:
            self._lengthen_ring(min(max(2 * self._ring_length, int(words[TOLD]) + answers), self._answers))

    def _lengthen_ring(self, length: int) -> None:
        """Let it have so many answers, of which there was room for fewer: so its first one is the oldest."""
        self._told_places.lengthen(length)
        self._told.lengthen(length)
        self._ring_length = length
        self._told_index = np.zeros(_power_of_two(2 * length), np.int32)
        self.words[[INDEXED, NOT_INDEXED]] = 0, self.words[TOLD]

    def _ring(self) -> tuple[I64, F32]:
        return self._told_places.array[: self._ring_length], self._told.array[: self._ring_length]

    def _make_room_for(self, row: I64) -> None:
        """See to it that a row fits into the pool, and its entities into what ``count_rows`` works with."""
        known = self._entities.array[: self.words[SLOTS]]
        counts = [int(known[known[:, KEY] == key, COUNT].max(initial=0)) for key in row[row != 0].tolist()]
        longest = max(counts, default=0) + KINDS
        if 2 * longest > len(self._scratch):
            self._scratch = np.zeros((_power_of_two(4 * longest), 2), np.int64)
        self._pool.lengthen(int(self.words[POOL_END]) + 4 * sum(counts) + 6 * LEAST * KINDS * KINDS)

    def forget(self, oldest: int) -> None:
        """Drop what lies before a time and in no window of an entity's newest event."""
        forget(self.words, self._entities.array, self._pool.array, self._free, self._index, self._pairs, oldest)

    def applied(self) -> dict[int, int]:
        """Return the last offset of each partition."""
        return dict(self._partitions[: self.words[PARTITIONS]].tolist())

    def told(self) -> tuple[I64, F32]:
        """Return the answers that are remembered, the oldest first: partitions and offsets, and counts [n, CELLS]."""
        order = (self.words[TOLD_FIRST] + np.arange(self.words[TOLD])) % self._ring_length
        places, told = self._ring()
        return places[order], told[order]

    def oldest_first(self) -> tuple[I64, I64, I64]:
        """Return the entities in the order in which they became known: slots, names, and numbers of events."""
        known = self._entities.array[: self.words[SLOTS]]
        slots = np.flatnonzero(known[:, KEY])
        slots = slots[np.argsort(known[slots, BORN_AT])]
        return slots, known[slots, KEY], known[slots, COUNT]

    def events_of(self, slots: Sequence[int], firsts: Sequence[int], lengths: Sequence[int]) -> tuple[I64, I64]:
        """Return times and devices of runs of events."""
        times, devices = np.empty(sum(lengths), np.int64), np.empty(sum(lengths), np.int64)
        chosen, starts, counts = (np.array(column, np.int64) for column in (slots, firsts, lengths))
        copy_events(self._entities.array, self._pool.array, chosen, starts, counts, times, devices)
        return times, devices

    def restore(self, runs: Runs, applied: dict[int, int], places: I64, told: F32, newest: int) -> None:
        """Take over what other tables knew, into empty ones. ValueError where an entity's events are out of order."""
        self._make_room(0, len(told), len(applied))
        self._entities.lengthen(len(runs.names))
        self._index = np.zeros(_power_of_two(4 * len(runs.names) + 2), np.int32)
        self._pairs = np.zeros((_power_of_two(2 * len(runs.times) + 2), 3), np.int64)
        self._pool.lengthen(4 * len(runs.times) + 2 * LEAST * len(runs.names))
        state = (self.words, self._entities.array, self._pool.array)
        if not runs.names.all() or not take_events(*state, self._free, self._index, *runs):
            raise ValueError("a block of shared counts does not add up: its events are out of order")
        finish_entities(*state, self._pairs)
        self._partitions[: len(applied)] = np.array(list(applied.items()), np.int64).reshape(-1, 2)
        kept = min(len(told), self._answers)
        ring = self._ring()
        ring[0][:kept], ring[1][:kept] = places[len(places) - kept :], told[len(told) - kept :]
        self.words[[NEWEST, PARTITIONS, TOLD, NOT_INDEXED]] = newest, len(applied), kept, kept


def _power_of_two(least: int) -> int:
    return max(_LEAST_ROWS, 1 << max(0, least - 1).bit_length())
