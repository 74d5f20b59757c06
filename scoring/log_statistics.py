"""Statistics of activity logs as ``schemas.activity_statistics`` has them, to the last bit, by a compiled loop."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from schemas.activity_statistics import COUNTS, LARGEST, NOT_COUNTED, STATISTICS, SUMS, code_columns
from schemas.batches import F32, Activity
from schemas.columns import plain
from scoring.log_loops import Kinds, tell_logs

_MEANS: Final = (
    ("key_interval_mean", "key_intervals", "keys"),
    ("click_hold_mean", "click_holds", "clicks"),
    ("submitted_after", "submitted_after", "submissions"),
)
_DERIVED: Final = ("duration", "untrusted", "key_interval_deviation", "key_interval_least")
_LARGEST: Final = np.float32(LARGEST)
_NOWHERE: Final = max(len(COUNTS), len(SUMS))
_OF, _COUNT, _SUM = STATISTICS.index, COUNTS.index, SUMS.index


def log_statistics(activity: Activity) -> F32:
    """Return float32[STATISTICS, n]."""
    table = np.empty((len(activity), len(STATISTICS)), np.float32)
    put_log_statistics(activity, table, 0)
    return table.T


def put_log_statistics(activity: Activity, table: F32, column: int) -> None:
    """Write the statistics into the columns of float32[n, F] that begin at ``column``; the table is contiguous."""
    log = (
        plain(activity.offsets, np.int64),
        plain(activity.time, np.uint32),
        plain(activity.value, np.float32),
        plain(activity.code, np.uint16),
        plain(activity.target, np.uint8),
    )
    tell_logs(log, _LARGEST, _kinds(), _wanted(), table, column)


@cache
def log_tables() -> tuple[NDArray[Any], ...]:
    """Return what ``log_loops.tell_logs`` takes as kinds and wanted, as ``matrix_loops.put_features`` reads it."""
    (*kinds, places), (*wanted, duration, untrusted, of_keys) = _kinds(), _wanted()
    flat = np.array([*duration, *untrusted, *of_keys], np.int64)
    return (*kinds, np.array(places, np.int64), *wanted, flat)


@cache
def _kinds() -> Kinds:
    """Return the tables of ``schemas.activity_statistics.code_columns`` by kind: one for each code that is counted."""
    columns = code_columns()
    by_code = np.stack((columns.category, columns.counted, columns.summed))
    codes = np.flatnonzero((by_code != NOT_COUNTED).any(axis=0))
    kind = np.full(by_code.shape[1], len(codes), np.uint8)
    kind[codes] = np.arange(len(codes))
    by_kind = np.full((len(by_code), len(codes) + 1), _NOWHERE, np.uint8)
    by_kind[:, :-1] = np.where(by_code[:, codes] == NOT_COUNTED, _NOWHERE, by_code[:, codes])
    on_cards = [
        (code, columns.counted[code], columns.counted_on_cards[code])
        for code in np.flatnonzero(columns.counted_on_cards != NOT_COUNTED).tolist()
    ]
    (key,) = np.flatnonzero(columns.counted == _COUNT("keys")).tolist()
    places = (
        _NOWHERE,
        _COUNT("time_least"),
        _COUNT("time_most"),
        _SUM("key_interval_squares"),
        _SUM("key_interval_least"),
        key,
    )
    return Kinds(kind, by_kind[0], by_kind[1], by_kind[2], np.array(on_cards, np.int64), columns.card, places)


@cache
def _wanted() -> Any:
    """Return how each statistic is made, as ``scoring.log_loops`` takes it."""
    derived = {*_DERIVED, *(name for name, _, _ in _MEANS)}
    copied = [name for name in STATISTICS if name not in derived]
    return (
        np.array([(_OF(name), _COUNT(name)) for name in copied if name in COUNTS], np.int64),
        np.array([(_OF(name), _SUM(name)) for name in copied if name not in COUNTS], np.int64),
        np.array([(_OF(name), _SUM(total), _COUNT(count)) for name, total, count in _MEANS], np.int64),
        (_OF("duration"), _COUNT("time_least"), _COUNT("time_most")),
        (_OF("untrusted"), _SUM("untrusted"), _COUNT("untrusted")),
        (
            _OF("key_interval_deviation"),
            _OF("key_interval_least"),
            _COUNT("keys"),
            _SUM("key_intervals"),
            _SUM("key_interval_squares"),
            _SUM("key_interval_least"),
        ),
    )
