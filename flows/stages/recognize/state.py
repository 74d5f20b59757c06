"""The state of one partition: tables of a fixed size, what changed in them, and their slices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from flows.stages.device_state.arrays import Growing
from flows.stages.device_state.pointers import NOT_PLAIN, plain_ones
from flows.stages.device_state.tables import address_of
from flows.stages.recognize.frames import Frame, Records, Whole
from flows.stages.recognize.in_use import take_records, used
from flows.stages.recognize.kernels import begin, note_decided, recognize_rows, rescale
from flows.stages.recognize.layout import (
    BEGUN,
    COMBINATION,
    COPY,
    DECIDED_AT,
    DECIDED_HEAD,
    DECIDED_LENGTH,
    DECIDED_TAIL,
    DIRTY_PREVALENCE,
    ENTITY,
    EVERYBODY_AT,
    LENGTHS_AT,
    LEVELS,
    LEVELS_AT,
    PLACES_AT,
    PREVALENCE_HALF,
    PREVALENCE_MARK,
    PROBED,
    REPUTATION_HALF,
    REPUTATION_MARK,
    ROWS,
    SHOWN_AT,
    SPAN,
    STATE_WORDS,
    TABLES_AT,
    TOLD,
    WATERMARK,
    WORDS,
    Decided,
    Known,
    Rows,
    Tables,
)
from schemas.batches import U32, U64
from schemas.recognition import COMBINATIONS, REPUTED, PrevalenceSeed
from schemas.velocity import SCORE_LAG, SLICES

SEED_WEIGHT = 4_000.0
"""Events that a seed stands for when the first one comes: it fades as they do."""
_DIRTY = slice(DIRTY_PREVALENCE, WORDS)
_RECORDS, _WEIGHTS = (COMBINATION, ENTITY, COPY), (1, 2, 0)
_DECIDED = 1 << 13  # events: less than half of them wait


class Sizes(NamedTuple):
    """Records of each table."""

    combinations: int = 1 << 18
    entities: int = 1 << 18
    copies: int = 1 << 19


class HalfLives(NamedTuple):
    """In milliseconds of event time."""

    prevalence: int
    reputation: int


class _Words(NamedTuple):
    """A table as words of 32 bits: of a record two of its key, then its weights."""

    words: U32  # [records, w]
    weights: int


class RecognitionState:
    """Counts of combinations and of networks, and what came lately."""

    def __init__(self, sizes: Sizes, half_lives: HalfLives, seed: PrevalenceSeed | None = None) -> None:
        if any(size % SLICES or size < SLICES * PROBED for size in sizes):
            raise ValueError(f"recognize: a table has a multiple of {SLICES} records, at least {SLICES * PROBED}")
        records = [Growing(record, size).array[:size] for size, record in zip(sizes, _RECORDS, strict=True)]
        self.tables = _empty(sizes, records)
        self._words_of = [
            _Words(table.view(np.uint32).reshape(len(table), -1), weights)
            for table, weights in zip(records, _WEIGHTS, strict=True)
        ]
        self.tables.words[[PREVALENCE_HALF, REPUTATION_HALF]] = half_lives
        self.capacities = (sizes.combinations // SLICES, sizes.entities // SLICES, sizes.copies // SLICES)
        self._address = address_of(self.tables.words)
        self._replace_decided(_no_decisions(0))
        self._point(sizes)
        if seed is not None and len(seed.keys):
            begin(self.tables, seed.kinds, seed.keys, seed.counts, SEED_WEIGHT)

    def _point(self, sizes: Sizes) -> None:
        """Tell the kernels where the tables lie."""
        tables, words = self.tables, self.tables.words
        words[LENGTHS_AT : LENGTHS_AT + 3] = sizes
        first = (tables.combinations, tables.entities, tables.copies)
        words[TABLES_AT : TABLES_AT + 3] = [address_of(keys) for keys in first]  # of records, the key comes first
        words[PLACES_AT : PLACES_AT + 3] = [address_of(places) for places in tables.places]
        whole = (tables.levels, tables.shown, tables.everybody)
        words[[LEVELS_AT, SHOWN_AT, EVERYBODY_AT]] = [address_of(array) for array in whole]

    @property
    def nbytes(self) -> int:
        """Return the bytes of the tables: they never change."""
        sizes = (capacity * SLICES for capacity in self.capacities)
        return sum(size * (record.itemsize + 4) for size, record in zip(sizes, _RECORDS, strict=True))

    @property
    def records(self) -> tuple[int, int, int]:
        """Return how many records of each table are in use."""
        found = [int(np.count_nonzero(keys)) for keys, _ in self._records()]
        return found[0], found[1], found[2]

    @property
    def bytes_per_slice(self) -> int:
        """Return about how many bytes a slice takes in a snapshot."""
        return sum(count * size for count, size in zip(self.records, (16, 20, 12), strict=True)) // SLICES

    def count(self, rows: Rows) -> Known:
        """Say what is known of each row, and count it."""
        known = nothing_known(len(rows.time))
        self.count_part(rows, known, 0, len(rows.time))
        return known

    def count_part(self, rows: Rows, known: Known, first: int, end: int) -> None:
        """Do that with the rows from ``first`` to ``end``, and write what is known to theirs of ``known``."""
        if recognize_rows(self._address, id(rows), id(known), SCORE_LAG, first, end) == NOT_PLAIN:
            rows = Rows(*plain_ones(rows, ROWS))
            recognize_rows(self._address, id(rows), id(known), SCORE_LAG, first, end)

    def note(self, told: tuple[NDArray[Any], ...], deny: int, first: int, end: int) -> None:
        """Take note of decisions, some rows of ``layout.TOLD`` in the order of offsets; ``deny``: which counts."""
        while True:
            done = note_decided(self._address, id(told), deny, first, end)
            if done == NOT_PLAIN:
                told = tuple(plain_ones(told, TOLD))
            elif done:
                return
            else:
                self._replace_decided(self.decided(), end - first)

    def decide(self, decided: Decided) -> None:
        """Take note of decisions, in the order of their offsets."""
        joined: list[Any] = [np.concatenate(column) for column in zip(self.decided(), decided, strict=True)]
        self._replace_decided(Decided(*joined))

    def decided(self) -> Decided:
        """Return the decisions that no row has seen."""
        waiting = slice(*self.tables.words[[DECIDED_HEAD, DECIDED_TAIL]].tolist())
        columns: list[Any] = [column[waiting] for column in self._decided]
        return Decided(*columns)

    def _replace_decided(self, decided: Decided, more: int = 0) -> None:
        """Have room for these decisions and as many more as wait, or as are said."""
        rows, words = len(decided.offset), self.tables.words
        fresh = _no_decisions(max(_DECIDED, 4 * (rows + more)))
        for column, kept in zip(fresh, decided, strict=True):
            column[:rows] = kept
        self._decided = fresh
        words[DECIDED_AT : DECIDED_AT + 4] = [address_of(column) for column in fresh]
        words[[DECIDED_HEAD, DECIDED_TAIL, DECIDED_LENGTH]] = 0, rows, len(fresh.offset)

    def frame(self, first: int, slices: int) -> Frame:
        """Return a snapshot with these slices; what changed is counted anew from here."""
        tables = self.tables
        changed = [
            _taken(table, np.sort(places[:count]).astype(np.uint32), forget=True)
            for table, places, count in zip(self._words_of, tables.places, tables.words[_DIRTY].tolist(), strict=True)
        ]
        tables.words[_DIRTY] = 0
        if slices == SLICES:
            changed = [_taken(table, np.empty(0, np.uint32)) for table in self._words_of]
        sliced = [
            _taken(table, used(keys, first * capacity, (first + slices) * capacity))
            for table, (keys, _), capacity in zip(self._words_of, self._records(), self.capacities, strict=True)
        ]
        whole = Whole(tables.words[:WORDS].copy(), tables.levels.copy(), tables.shown.copy(), tables.everybody.copy())
        return Frame(
            first, slices, self.capacities, whole, self.decided(), (changed[0], changed[1], changed[2]),
            (sliced[0], sliced[1], sliced[2]),
        )  # fmt: skip

    def read(self, frame: Frame) -> None:
        """Take over what a later frame says: the slices that it holds whole, and what changed in the others."""
        self._follow_landmarks(frame.whole.words)
        tables = self.tables
        tables.words[:WORDS] = frame.whole.words
        tables.words[_DIRTY] = 0
        tables.levels[:], tables.shown[:], tables.everybody[:] = frame.whole[1:]
        self._replace_decided(frame.decided)
        for (keys, weights), capacity, changed, sliced in zip(
            self._records(), self.capacities, frame.changed, frame.sliced, strict=True
        ):
            _put(keys, weights, changed)
            keys[frame.first_slice * capacity : (frame.first_slice + frame.slices) * capacity] = 0
            _put(keys, weights, sliced)

    def _follow_landmarks(self, words: NDArray[np.int64]) -> None:
        """Divide the weights that are there as the kernel did when landmarks moved."""
        own, tables = self.tables.words, self.tables
        if own[BEGUN]:
            spans = (words[PREVALENCE_MARK] - own[PREVALENCE_MARK]) // (SPAN * words[PREVALENCE_HALF])
            if spans > 0:
                rescale(tables.combination_weight, spans)
            spans = (words[REPUTATION_MARK] - own[REPUTATION_MARK]) // (SPAN * words[REPUTATION_HALF])
            if spans > 0:
                rescale(tables.entity_weight, spans)
                rescale(tables.entity_denied, spans)

    def _records(self) -> list[tuple[U64, tuple[NDArray[np.float32], ...]]]:
        tables = self.tables
        return [
            (tables.combinations, (tables.combination_weight,)),
            (tables.entities, (tables.entity_weight, tables.entity_denied)),
            (tables.copies, ()),
        ]

    @property
    def watermark(self) -> int:
        """Return the largest event time so far."""
        return int(self.tables.words[WATERMARK])


def nothing_known(rows: int) -> Known:
    """Return columns to be written."""
    kinds = len(REPUTED) + 1
    return Known(
        np.empty((rows, len(COMBINATIONS)), np.float32), np.empty((rows, len(COMBINATIONS)), np.float32),
        np.empty((rows, kinds)), np.empty((rows, kinds)), np.empty(rows, np.uint8),
    )  # fmt: skip


def _empty(sizes: Sizes, records: Sequence[NDArray[Any]]) -> Tables:
    """Return empty tables over records.

    A record lies together, with its mark: a row that is looked up waits for memory once.
    """
    combinations, entities, copies = records
    places = [np.empty(size, np.int32) for size in sizes]
    kinds = len(COMBINATIONS)
    return Tables(
        words=np.zeros(STATE_WORDS, np.int64),
        combinations=combinations["key"],
        combination_weight=combinations["weight"],
        levels=np.zeros((kinds, LEVELS)),
        shown=np.zeros(kinds),
        entities=entities["key"],
        entity_weight=entities["weight"],
        entity_denied=entities["denied"],
        everybody=np.zeros(2),
        copies=copies["key"],
        changed=(combinations["changed"], entities["changed"], copies["changed"]),
        places=(places[0], places[1], places[2]),
    )


def _no_decisions(rows: int) -> Decided:
    return Decided(
        np.empty(rows, np.int64), np.empty(rows, np.int64), np.empty((rows, len(REPUTED)), np.uint64),
        np.empty(rows, np.bool_),
    )  # fmt: skip


def _taken(table: _Words, places: U32, *, forget: bool = False) -> Records:
    """Return records at places of a table; ``forget``: from here on they did not change."""
    keys, weights = np.empty(len(places), np.uint64), np.empty((len(places), table.weights), np.float32)
    take_records(table.words, places, keys.view(np.uint32).reshape(-1, 2), weights.view(np.uint32), forget)
    return Records(places, keys, weights)


def _put(keys: U64, weights: Sequence[NDArray[np.float32]], records: Records) -> None:
    keys[records.places] = records.keys
    for column, table in enumerate(weights):
        table[records.places] = records.weights[:, column]
