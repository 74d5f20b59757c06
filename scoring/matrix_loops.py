"""The loops that lay out features, given columns as they lie: two calls a batch, whatever the columns are.

Numbers that are handed over are ids of tuples: see ``schemas.pointers``. Loops are those of ``row_loops`` and
``log_loops``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from schemas.activity_statistics import LARGEST
from schemas.environment import CHECKS
from schemas.kernels import kernels_of, part
from schemas.pointers import NOT_PLAIN, SOURCES, are_plain, array_in, numbers_of
from scoring import log_loops, row_loops
from scoring.log_loops import Kinds, tell_logs
from scoring.row_loops import put_ages, put_rows

kernel = kernels_of(*(Path(str(one)) for one in (__file__, row_loops.__file__, log_loops.__file__)), *SOURCES)
DIFFERENT: Final = -2
"""Columns differ in length, or do not fill their blocks: nothing was written."""
ENVIRONMENT: Final = (
    np.uint8, np.float32, np.uint8, np.float32, np.float32, np.uint8, np.float32, np.uint8, np.uint8, np.uint8,
    np.float32, np.float32, np.uint8, np.float32,
)  # fmt: skip
"""The types of the columns of the environment that are features."""
AGES_FROM: Final = (np.int64,) * 4 + (np.float32,) * 4
"""The types of the columns that ages are made of: four times, and places before and now."""
FEATURES_FROM: Final = (
    np.float32, np.bool_, np.bool_, np.uint32, np.uint64, np.int8, np.float32, np.uint32, np.uint32, np.uint8, np.int64,
    np.uint32, np.float32, np.float32, np.float32, np.float32, np.int64, np.uint32, np.float32, np.uint16, np.uint8,
    *ENVIRONMENT,
)  # fmt: skip
"""The types of the columns that features are made of, in the order in which ``put_features`` reads them."""
_AGES_FROM, _FEATURES_FROM = numbers_of(AGES_FROM), numbers_of(FEATURES_FROM)
_IS_BYTE: Final = np.array([kind is np.uint8 for kind in ENVIRONMENT])
_AGES, _TABLE = len(FEATURES_FROM), len(FEATURES_FROM) + 1  # what is written behind the columns
_FIRST: Final = len(FEATURES_FROM) - len(ENVIRONMENT)
_CHECKS, _LARGEST = len(CHECKS), np.float32(LARGEST)
_flags_in, _u16_in, _u32_in, _u64_in, _i64_in, _f32_in, _u8_in = (
    array_in(kind) for kind in (np.bool_, np.uint16, np.uint32, np.uint64, np.int64, np.float32, np.uint8)
)
_floats_in, _bytes_in, _words_in, _small_in, _places_in = (
    array_in(kind, 2) for kind in (np.float32, np.uint8, np.uint32, np.int8, np.int64)
)
_counts_in, _shared_in = array_in(np.uint32, 3), array_in(np.float32, 4)


@kernel
def put_log_free_ages(columns: int) -> int:
    """Write the last of the columns, float32[AGES, n], by the others: see ``row_loops.put_ages``.

    Return how many devices moved, ``NOT_PLAIN`` or ``DIFFERENT``.
    """
    if not are_plain(columns, _AGES_FROM):
        return NOT_PLAIN
    moved = put_ages(
        (_i64_in(columns, 0), _i64_in(columns, 1), _i64_in(columns, 2), _i64_in(columns, 3)),
        (_floats_in(columns, 4), _floats_in(columns, 5), _f32_in(columns, 6), _f32_in(columns, 7)),
        _floats_in(columns, 8),
    )
    return moved if moved >= 0 else DIFFERENT


@part
def _kinds(tables: Any) -> Any:
    at = _i64_in(tables, 9)
    return Kinds(
        _u8_in(tables, 3), _u8_in(tables, 4), _u8_in(tables, 5), _u8_in(tables, 6), _places_in(tables, 7),
        _flags_in(tables, 8), (at[0], at[1], at[2], at[3], at[4], at[5]),
    )  # fmt: skip


@part
def _wanted(tables: Any) -> Any:
    at = _i64_in(tables, 13)
    return (
        _places_in(tables, 10), _places_in(tables, 11), _places_in(tables, 12), (at[0], at[1], at[2]),
        (at[3], at[4], at[5]), (at[6], at[7], at[8], at[9], at[10], at[11]),
    )  # fmt: skip


@kernel
def put_features(columns: int, tables: int, activity: int) -> int:
    """Write the last of the columns, features float32[n, F], by the others: ``FEATURES_FROM`` and ages as logarithms.

    ``tables``: the first columns of blocks, which of the environment are codes, which entities are features, and what
    ``log_loops.tell_logs`` takes as kinds and wanted, numbers of one tuple in one array. ``activity``: the first column
    of the statistics of logs. Return 0, ``NOT_PLAIN`` or ``DIFFERENT``.
    """
    if not are_plain(columns, _FEATURES_FROM):
        return NOT_PLAIN
    table, offsets = _floats_in(columns, _TABLE), _i64_in(columns, 16)
    codes = np.empty((len(_IS_BYTE), len(table)), np.float32)
    for at in range(len(_IS_BYTE)):
        if _IS_BYTE[at]:
            coded = _u8_in(columns, _FIRST + at)
            if len(coded) != len(table):
                return DIFFERENT
            for row in range(len(table)):
                codes[at, row] = coded[row]
        else:
            shown = _f32_in(columns, _FIRST + at)
            if len(shown) != len(table):
                return DIFFERENT
            for row in range(len(table)):
                codes[at, row] = shown[row]
    signals = _floats_in(columns, 0), _bytes_in(columns, 1), _bytes_in(columns, 2), _words_in(columns, 3)
    fits = len(offsets) == len(table) + 1 and put_rows(
        table,
        _i64_in(tables, 0),
        (signals, (codes, _flags_in(tables, 1)), (_CHECKS, _u64_in(columns, 4)),
         (_small_in(columns, 5), _floats_in(columns, 6))),
        ((_counts_in(columns, 7), _u32_in(columns, 8), _bytes_in(columns, 9), _i64_in(columns, 10)),
         _floats_in(columns, _AGES), (_u32_in(columns, 11), _floats_in(columns, 12))),
        (_shared_in(columns, 13), _i64_in(tables, 2), (_floats_in(columns, 14), _floats_in(columns, 15))),
    )  # fmt: skip
    if not fits:
        return DIFFERENT
    log = offsets, _u32_in(columns, 17), _f32_in(columns, 18), _u16_in(columns, 19), _u8_in(columns, 20)
    tell_logs(log, _LARGEST, _kinds(tables), _wanted(tables), table, activity)
    return 0
