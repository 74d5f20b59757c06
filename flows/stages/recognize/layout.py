"""How the state of a partition lies in memory: words of the whole, tables of records, and rows of a batch.

A **record** lies together, with its mark: a row that is looked up waits for memory once. Behind the words that are in
snapshots come those that tell kernels where the arrays are.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from flows.stages.device_state.compiled import part
from flows.stages.device_state.memory import column_at, matrix_at, vector_at
from schemas.batches import F32, I32, I64, U8, U64, Bool
from schemas.recognition import COMBINATIONS, REPUTED

PROBED = 8
LEVELS = 64
"""Level 0: not seen before. Level 1 + 2k + h: a share of 2 ** (k - 31) times 1 to 1.5 (h = 0) or 1.5 to 2 (h = 1)."""
UNSEEN = 1 / 64
"""A decayed count below is not seen: an event six half-lives ago."""
LEAST_WEIGHT = 1_000.0
"""Events of a combination that must be known, decayed, before shares of a thousandth mean anything."""
SPAN = 64
"""Half-lives after which a landmark moves: float32 holds 2 ** 127."""
COPY_SECONDS = 86_400

# Words of a state.
WATERMARK, PREVALENCE_MARK, REPUTATION_MARK, PREVALENCE_HALF, REPUTATION_HALF, BEGUN = range(6)
DIRTY_PREVALENCE, DIRTY_REPUTATION, DIRTY_COPIES, WORDS = 6, 7, 8, 9  # so many are in snapshots; and behind them
DECIDED_HEAD, DECIDED_TAIL, DECIDED_LENGTH = range(WORDS, WORDS + 3)
LENGTHS_AT = WORDS + 3  # records of each table
TABLES_AT, PLACES_AT = LENGTHS_AT + 3, LENGTHS_AT + 6  # where their records lie, and which of them changed
LEVELS_AT, SHOWN_AT, EVERYBODY_AT = range(LENGTHS_AT + 9, LENGTHS_AT + 12)
DECIDED_AT = LENGTHS_AT + 12  # columns of Decided
FETCHED = DECIDED_AT + 4
STATE_WORDS = FETCHED + 1

COMBINATION = np.dtype([("key", "u8"), ("weight", "f4"), ("changed", "u1"), ("", "V3")])
ENTITY = np.dtype([("key", "u8"), ("weight", "f4"), ("denied", "f4"), ("changed", "u1"), ("", "V7")])
COPY = np.dtype([("key", "u8"), ("changed", "u1"), ("", "V7")])
_COMBINATION_BYTES, _ENTITY_BYTES, _COPY_BYTES = COMBINATION.itemsize, ENTITY.itemsize, COPY.itemsize
_COMBINATION_WEIGHT, _COMBINATION_CHANGED = 8, 12  # bytes from the key, as the types above have them
_ENTITY_WEIGHT, _ENTITY_DENIED, _ENTITY_CHANGED = 8, 12, 16
_COPY_CHANGED = 8


class Tables(NamedTuple):
    """The arrays of a state."""

    words: I64
    combinations: U64  # keys
    combination_weight: F32
    levels: Any  # float64[combinations, LEVELS]: weight of events by how usual they were when they came
    shown: Any  # float64[combinations]: weight of events that showed the combination
    entities: U64  # keys
    entity_weight: F32
    entity_denied: F32
    everybody: Any  # float64[2]: weight of all events whose decision is known, and of those denied
    copies: U64  # lower half of a key << 32 | seconds since the epoch
    changed: tuple[U8, U8, U8]  # by table and place: changed since the last snapshot
    places: tuple[I32, I32, I32]  # which ones, as many as the words say


class Rows(NamedTuple):
    """What the state needs of a batch."""

    time: I64
    offset: I64
    combinations: U64  # [n, COMBINATIONS]
    entities: U64  # [n, REPUTED]
    copies: U64  # [n, 3]


ROWS = (np.int64, np.int64, np.uint64, np.uint64, np.uint64)


class Known(NamedTuple):
    """What the state says of a batch."""

    seen: F32  # [n, COMBINATIONS]
    tail: F32  # [n, COMBINATIONS]
    weight: Any  # float64[n, REPUTED + 1], the last of everybody
    denied: Any  # float64[n, REPUTED + 1]
    copied: U8  # [n]


class Decided(NamedTuple):
    """Events whose decision no row has seen, in the order of their offsets."""

    offset: I64
    time: I64
    entities: U64  # [m, REPUTED]
    denied: Bool


TOLD = (np.int64, np.int64, np.int64, np.int64, np.uint8, np.uint32, np.uint8)
"""What is told of decisions: offset, three times, address uint8[n, 16], AS, and decision."""
_KINDS, _REPUTED, _WORD = len(COMBINATIONS), len(REPUTED), 8  # of words, the bytes
_column_u64, _column_f32, _column_u8 = column_at(np.uint64), column_at(np.float32), column_at(np.uint8)
_vector_i64, _vector_i32, _vector_f64 = vector_at(np.int64), vector_at(np.int32), vector_at(np.float64)
_vector_bool, _matrix_u64, _matrix_f64 = vector_at(np.bool_), matrix_at(np.uint64), matrix_at(np.float64)


@part
def tables_at(state: Any) -> Any:
    """Return the tables of a state, by the address of its words."""
    words = _vector_i64(state, STATE_WORDS, 0)
    one, two, three = words[TABLES_AT], words[TABLES_AT + 1], words[TABLES_AT + 2]
    ones, twos, threes = words[LENGTHS_AT], words[LENGTHS_AT + 1], words[LENGTHS_AT + 2]
    return Tables(
        words,
        _column_u64(one, ones, _COMBINATION_BYTES),
        _column_f32(one + _COMBINATION_WEIGHT, ones, _COMBINATION_BYTES),
        _matrix_f64(words[LEVELS_AT], _KINDS, LEVELS),
        _vector_f64(words[SHOWN_AT], _KINDS, 0),
        _column_u64(two, twos, _ENTITY_BYTES),
        _column_f32(two + _ENTITY_WEIGHT, twos, _ENTITY_BYTES),
        _column_f32(two + _ENTITY_DENIED, twos, _ENTITY_BYTES),
        _vector_f64(words[EVERYBODY_AT], 2, 0),
        _column_u64(three, threes, _COPY_BYTES),
        (
            _column_u8(one + _COMBINATION_CHANGED, ones, _COMBINATION_BYTES),
            _column_u8(two + _ENTITY_CHANGED, twos, _ENTITY_BYTES),
            _column_u8(three + _COPY_CHANGED, threes, _COPY_BYTES),
        ),
        (
            _vector_i32(words[PLACES_AT], ones, 0),
            _vector_i32(words[PLACES_AT + 1], twos, 0),
            _vector_i32(words[PLACES_AT + 2], threes, 0),
        ),
    )


@part
def decided_at(words: I64, first: Any, end: Any) -> Any:
    """Return a part of what is decided and not seen."""
    rows = end - first
    return Decided(
        _vector_i64(words[DECIDED_AT] + first * _WORD, rows, 0),
        _vector_i64(words[DECIDED_AT + 1] + first * _WORD, rows, 0),
        _matrix_u64(words[DECIDED_AT + 2] + first * _REPUTED * _WORD, rows, _REPUTED),
        _vector_bool(words[DECIDED_AT + 3] + first, rows, 0),
    )
