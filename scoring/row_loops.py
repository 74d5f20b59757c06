"""The loops that lay out a batch's features, compiled: all columns but those of the activity logs.

Numba keeps what it compiled as ``scoring.compiled`` says; all that the loops are compiled with stands in this file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

F = TypeVar("F", bound=Callable[..., Any])
SINCE_FIRST, SINCE_PREVIOUS, SESSION_AGE, TRAVEL, AGES = range(5)  # rows of the ages
_NAN, _NOUGHT = np.float32(np.nan), np.float32(0)
_HOUR_MS = 3_600_000
_SECOND_MS = 1000.0


def _kernel(function: F) -> F:
    """Compile a function that Python calls. It lets go of the interpreter's lock while it runs."""
    return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy")(function))


def _part(function: F) -> F:
    """Make a function a part of the kernels that call it."""
    return cast(F, numba.njit(error_model="numpy", inline="always")(function))


@_part
def _seconds(milliseconds: Any) -> Any:
    """Return a time in seconds, float32; of a negative one, 0."""
    return np.float32((milliseconds if milliseconds > 0 else 0) / _SECOND_MS)


@_kernel
def put_ages(times: Any, places: Any, ages: Any) -> Any:
    """Write seconds since the first and the previous event and the session's start into float32[AGES, n]; NaN: none.

    ``times``: int64[n] of the event, of the first and the previous one (-1: none), and of the session's start.
    ``places``: latitudes and longitudes of the places before, float32[n, k], and of the event. The last row of the ages
    is NaN where a place is not known, 0 where the device stayed and 1 where it moved. Returns how many moved; -1, and
    nothing is written, where columns differ in length.
    """
    time, first, previous, started = times
    north_before, east_before, north, east = places
    least = min(len(first), len(previous), len(started), len(north_before), len(east_before), len(north), len(east))
    if least < len(time):
        return -1
    moved = 0
    for row in range(len(time)):
        ages[SINCE_FIRST, row] = _seconds(time[row] - first[row])
        ages[SINCE_PREVIOUS, row] = _NAN if previous[row] < 0 else _seconds(time[row] - previous[row])
        ages[SESSION_AGE, row] = _seconds(time[row] - started[row])
        far, wide = north_before[row, 0] - north[row], east_before[row, 0] - east[row]
        known = far + wide
        stayed = far == _NOUGHT and wide == _NOUGHT
        ages[TRAVEL, row] = _NAN if np.isnan(known) else np.float32(not stayed)
        moved += not (stayed or np.isnan(known))
    return moved


@_part
def _put_signals(table: Any, places: Any, signals: Any) -> None:
    """Write numbers, booleans and categories; of these 16 bits: every value that occurs often keeps its own number."""
    numbers, booleans, known, categories = signals
    for row in range(len(table)):
        line = table[row, places[0] :]
        for at in range(numbers.shape[1]):
            line[at] = numbers[row, at]
        line = table[row, places[1] :]
        for at in range(booleans.shape[1]):
            line[at] = np.float32(booleans[row, at]) if known[row, at] else _NAN
        line = table[row, places[2] :]
        for at in range(categories.shape[1]):
            category = categories[row, at]
            line[at] = np.float32(category & np.uint32(0xFFFF)) if category else _NAN


@_part
def _put_said(table: Any, places: Any, environment: Any, checks: Any, smart: Any) -> None:
    """Write environment, checks and smart signals."""
    codes, is_code = environment
    check_count, check_bits = checks
    results, confidences = smart
    for row in range(len(table)):
        line = table[row, places[3] :]
        for at in range(len(codes)):
            line[at] = _NAN if is_code[at] and codes[at, row] == _NOUGHT else codes[at, row]
        line, bits = table[row, places[4] :], check_bits[row]
        for at in range(check_count):
            line[at] = np.float32(bits >> np.uint64(at) & np.uint64(1))
        line, sure = table[row, places[5] :], table[row, places[6] :]
        for at in range(results.shape[1]):
            line[at] = np.float32(results[row, at]) if results[row, at] >= 0 else _NAN
            sure[at] = confidences[row, at]


@_part
def _put_counted(table: Any, places: Any, counted: Any, ages: Any, session: Any) -> None:
    """Write velocity, history and session."""
    counts, events, hours, time = counted
    session_events, statistics = session
    kinds, windows, day = counts.shape[1], counts.shape[2], hours.shape[1]
    for row in range(len(table)):
        line = table[row, places[7] :]
        for kind in range(kinds):
            for window in range(windows):
                line[kind * windows + window] = counts[row, kind, window]
        line[kinds * windows] = ages[SINCE_FIRST, row]
        line[kinds * windows + 1] = ages[SINCE_PREVIOUS, row]
        total, near, hour = 0, 0, time[row] // _HOUR_MS % day
        for at in range(day):
            total += hours[row, at]
        for at in range(hour - 1, hour + 2):
            near += hours[row, at % day]
        line = table[row, places[8] :]
        line[0] = events[row]
        line[1] = np.float32(near) / np.float32(total) if total else _NAN
        line[2] = ages[TRAVEL, row]
        line = table[row, places[9] :]
        line[0], line[1] = session_events[row], ages[SESSION_AGE, row]
        for at in range(statistics.shape[1]):
            line[2 + at] = statistics[row, at]


@_part
def _put_shared(table: Any, places: Any, shared: Any, entities: Any, recognition: Any) -> None:
    """Write counts of some entities, devices an event of each, and what recognition says."""
    tail, denied = recognition
    measures, windows = shared.shape[2], shared.shape[3]
    ratios = len(entities) * measures * windows
    for row in range(len(table)):
        line = table[row, places[10] :]
        for at in range(len(entities)):
            counts = shared[row, entities[at]]
            for measure in range(measures):
                for window in range(windows):
                    line[(at * measures + measure) * windows + window] = counts[measure, window]
            for window in range(windows):
                line[ratios + at * windows + window] = counts[1, window] / counts[0, window]
        line = table[row, places[11] :]
        for at in range(tail.shape[1]):
            line[at] = tail[row, at]
        line = table[row, places[12] :]
        for at in range(denied.shape[1]):
            line[at] = denied[row, at]


@_part
def _fits(rows: Any, places: Any, shown: Any, counted: Any, shared: Any) -> Any:
    """Return whether the columns have the table's rows and fill its blocks."""
    (numbers, booleans, known, categories), (codes, is_code), (checks, bits), (results, sure) = shown
    (counts, events, hours, time), ages, (sessions, statistics) = counted
    entities_of, entities, (tail, denied) = shared
    measures = entities_of.shape[2] * entities_of.shape[3] + entities_of.shape[3]
    least = min(len(numbers), len(booleans), len(known), len(categories), codes.shape[1], len(bits), len(results))
    least = min(least, len(sure), len(counts), len(events), len(hours), len(time), ages.shape[1], len(sessions))
    least = min(least, len(statistics), len(entities_of), len(tail), len(denied))
    return (
        least == rows
        and numbers.shape[1] == places[1] - places[0]
        and booleans.shape[1] == known.shape[1] == places[2] - places[1]
        and categories.shape[1] == places[3] - places[2]
        and len(codes) == len(is_code) == places[4] - places[3]
        and checks == places[5] - places[4]
        and results.shape[1] == places[6] - places[5]
        and sure.shape[1] == places[7] - places[6]
        and counts.shape[1] * counts.shape[2] + 2 == places[8] - places[7]
        and places[9] - places[8] == 3
        and statistics.shape[1] + 2 == places[10] - places[9]
        and len(entities) * measures == places[11] - places[10]
        and tail.shape[1] == places[12] - places[11]
        and denied.shape[1] == places[13] - places[12]
    )


@_kernel
def put_rows(table: Any, places: Any, shown: Any, counted: Any, shared: Any) -> bool:
    """Write features into float32[n, F]; NaN where not known. False, and nothing written, where columns do not fit.

    ``places``: the first columns of numbers, booleans, categories, environment, checks, results and confidences of
    smart signals, velocity, history, session, shared, prevalence and reputation, and the one after these.
    ``shown``: numbers float32[n, N], booleans and known uint8[n, B], categories uint32[n, C]; environment float32[k, n]
    with whether each is a code, of which 0 is unknown; how many checks, and their bits uint64[n]; results int8[n, S],
    negative where not known, and confidences float32[n, S].
    ``counted``: counts uint32[n, K, W], events uint32[n], hours uint8[n, 24] and time int64[n]; ages float32[AGES, n],
    as ``put_ages`` has them but as logarithms; the session's events uint32[n] and statistics float32[n, T].
    ``shared``: counts float32[n, E, M, W]; which of the E are features; and of recognition tail and denied.
    """
    signals, environment, checks, smart = shown
    of_device, ages, session = counted
    counts, entities, recognition = shared
    if not _fits(len(table), places, shown, counted, shared):
        return False
    _put_signals(table, places, signals)
    _put_said(table, places, environment, checks, smart)
    _put_counted(table, places, of_device, ages, session)
    _put_shared(table, places, counts, entities, recognition)
    return True
