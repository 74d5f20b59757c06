"""Activity logs, folded into a session entry by entry, as ``schemas.activity_statistics`` accumulates them.

A sum is built in the order of the entries: so it is that of the logs joined. Of whole numbers a sum is the same in any
order, as long as a double holds it, and that is what logs have: milliseconds and pixels. So a log is tallied by code,
in words that do not wait for each other; only where a value that is summed is no small whole number, or a sum is none,
are the sums built in turn.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from flows.stages.device_state.compiled import step
from flows.stages.device_state.layout import (
    KEY_CODE,
    S_COUNTS,
    S_SUMS,
    TALLY_CODES,
    TALLY_COPIES,
    TALLY_COUNT,
    TALLY_ENTRIES,
    TALLY_ODD,
    TALLY_VALUES,
)
from flows.stages.device_state.memory import (
    code_card_of,
    code_category_of,
    code_counted_of,
    code_on_cards_of,
    code_summed_of,
    codes_of,
    log_code_of,
    log_target_of,
    log_time_of,
    log_value_of,
    scratch_32_of,
    sessions_32_of,
    sessions_f_of,
    tally_of,
)
from schemas.activity_statistics import COUNTS, LARGEST, NOT_COUNTED, SUMS

_LEAST, _MOST = S_COUNTS + COUNTS.index("time_least"), S_COUNTS + COUNTS.index("time_most")
_KEYS = S_COUNTS + COUNTS.index("keys")
_SQUARES = S_SUMS + SUMS.index("key_interval_squares")
_SHORTEST = S_SUMS + SUMS.index("key_interval_least")
_SHORT = 24  # entries: a log below is folded as quickly in turn
_EXACT = 2.0**53
_LAST_CODE, _CODE_BITS = np.uint16(TALLY_CODES - 1), np.uint64(TALLY_CODES.bit_length() - 1)
_COPY = np.uint64(TALLY_COPIES - 1)
_COUNT, _COUNT_SHIFT, _SUM = np.uint64(TALLY_COUNT), np.uint64(TALLY_COUNT.bit_length() - 1), np.uint64(TALLY_ODD - 1)
_HAS_ODD, _ODD = np.uint64(TALLY_COUNT - TALLY_ODD), np.uint32(TALLY_ODD)
_VALUES, _NO_VALUE, _ABOVE = np.float32(TALLY_VALUES), np.float32(0), np.float32(0.5)
_NOTHING = np.uint64(0)
_CODE, _CATEGORY, _COUNTED, _SUMMED = range(4)


@step
def fold(state: Any, slot: Any, first: Any, end: Any) -> None:
    """Add the entries of a log to a session."""
    if end - first < _SHORT:
        _count_in_turn(state, slot, first, end)
        _sum_in_turn(state, slot, first, end)
    else:
        for at in range(first, end, TALLY_ENTRIES):
            entries = np.uint64(min(TALLY_ENTRIES, end - at))
            _fold_times(state, slot, np.uint64(at), entries)
            _read_numbers(state, np.uint64(at), entries)
            _tally(state, slot, np.uint64(at), entries)
            squares, shortest = _keys_of(state, np.uint64(at), entries)
            if _is_exact(state, slot, squares):
                _take_sums(state, slot, squares, shortest)
            else:
                _sum_in_turn(state, slot, at, at + np.int64(entries))
            _take_counts(state, slot)
    sessions_32 = sessions_32_of(state)
    sessions_32[slot, S_COUNTS] += np.uint32(end - first)


@step
def _count_in_turn(state: Any, slot: Any, first: Any, end: Any) -> None:
    """Count entries, and note the first and the last time.

    The arrays are looked up once: what is written may, for all that the compiler knows, be their addresses.
    """
    log_code, log_target, log_time = log_code_of(state), log_target_of(state), log_time_of(state)
    category, counted = code_category_of(state), code_counted_of(state)
    on_cards, card = code_on_cards_of(state), code_card_of(state)
    sessions_32 = sessions_32_of(state)
    least, most = sessions_32[slot, _LEAST], sessions_32[slot, _MOST]
    for entry in range(first, end):
        code, time = log_code[entry], log_time[entry]
        least, most = min(least, time), max(most, time)
        if category[code] != NOT_COUNTED:
            sessions_32[slot, S_COUNTS + np.int64(category[code])] += np.uint32(1)
        if counted[code] != NOT_COUNTED:
            sessions_32[slot, S_COUNTS + np.int64(counted[code])] += np.uint32(1)
        if on_cards[code] != NOT_COUNTED and card[log_target[entry]]:
            sessions_32[slot, S_COUNTS + np.int64(on_cards[code])] += np.uint32(1)
    sessions_32[slot, _LEAST], sessions_32[slot, _MOST] = least, most


@step
def _sum_in_turn(state: Any, slot: Any, first: Any, end: Any) -> None:
    """Add up the values of entries in their order."""
    log_code, log_value, sessions_f = log_code_of(state), log_value_of(state), sessions_f_of(state)
    summed, key = code_summed_of(state), state[KEY_CODE]
    for entry in range(first, end):
        code, value = log_code[entry], np.float64(log_value[entry])
        if not value > 0.0:
            value = np.float64(0.0)
        value = np.float64(min(value, LARGEST))
        if summed[code] != NOT_COUNTED:
            sessions_f[slot, S_SUMS + np.int64(summed[code])] += value
        if code == key:
            sessions_f[slot, _SQUARES] += value * value
            sessions_f[slot, _SHORTEST] = min(sessions_f[slot, _SHORTEST], value)


@step
def _fold_times(state: Any, slot: Any, first: Any, entries: Any) -> None:
    log_time, sessions_32 = log_time_of(state), sessions_32_of(state)
    least, most = sessions_32[slot, _LEAST], sessions_32[slot, _MOST]
    for entry in range(first, first + entries):
        time = log_time[entry]
        least, most = min(least, time), max(most, time)
    sessions_32[slot, _LEAST], sessions_32[slot, _MOST] = least, most


@step
def _read_numbers(state: Any, first: Any, entries: Any) -> None:
    """Write values that are small whole numbers as such, _ODD for others; what is not above 0 counts as 0.

    Without a branch, and apart from the tally, so that it is done for many entries at once.
    """
    log_value, numbers = log_value_of(state), scratch_32_of(state)
    for entry in range(np.uint64(0), entries):
        value = log_value[first + entry]
        tame = value if value > _NO_VALUE else _NO_VALUE
        small = tame if tame < _VALUES else _ABOVE
        number = np.int32(small)
        numbers[entry] = np.uint32(number) if np.float32(number) == small else _ODD


@step
def _tally(state: Any, slot: Any, first: Any, entries: Any) -> None:
    """Tally entries by code, and count those on cards, which are few."""
    log_code, numbers, log_target = log_code_of(state), scratch_32_of(state), log_target_of(state)
    on_cards, card = code_on_cards_of(state), code_card_of(state)
    tally, sessions_32 = tally_of(state), sessions_32_of(state)
    for entry in range(np.uint64(0), entries):
        code = log_code[first + entry]
        place = (entry & _COPY) << _CODE_BITS | np.uint64(min(code, _LAST_CODE))
        tally[place] += _COUNT + np.uint64(numbers[entry])
        if on_cards[code] != NOT_COUNTED and card[log_target[first + entry]]:
            sessions_32[slot, S_COUNTS + np.int64(on_cards[code])] += np.uint32(1)


@step
def _keys_of(state: Any, first: Any, entries: Any) -> Any:
    """Return the sum of the squares of intervals between keys, and the shortest; of those that are whole numbers."""
    log_code, numbers, key = log_code_of(state), scratch_32_of(state), np.uint16(state[KEY_CODE])
    squares, shortest = np.int64(0), _ODD
    for entry in range(np.uint64(0), entries):
        is_key, number = log_code[first + entry] == key, numbers[entry]
        square = np.int64(number) * np.int64(number)
        squares += square if is_key else np.int64(0)
        shortest = min(shortest, number if is_key else _ODD)
    return squares, shortest


@step
def _is_exact(state: Any, slot: Any, squares: Any) -> Any:
    """Return whether all sums are whole numbers that doubles hold; join the copies of the tally."""
    tally, codes, sessions_f = tally_of(state), codes_of(state), sessions_f_of(state)
    exact = _stays_whole(sessions_f[slot, _SQUARES], np.float64(squares))
    at = np.int64(0)
    while codes[at, _CODE] >= 0:
        code = np.uint64(codes[at, _CODE])
        total = _NOTHING
        for copy in range(TALLY_COPIES):
            place = np.uint64(copy) << _CODE_BITS | code
            total += tally[place]
            tally[place] = _NOTHING
        tally[code] = total
        if total and codes[at, _SUMMED] != NOT_COUNTED:
            sum_ = sessions_f[slot, S_SUMS + codes[at, _SUMMED]]
            exact = exact and not total & _HAS_ODD and _stays_whole(sum_, np.float64(total & _SUM))
        at += 1
    return exact


@step
def _stays_whole(sum_: Any, added: Any) -> Any:
    return sum_ + added <= _EXACT and sum_ == np.floor(sum_)


@step
def _take_sums(state: Any, slot: Any, squares: Any, shortest: Any) -> None:
    tally, codes, sessions_f = tally_of(state), codes_of(state), sessions_f_of(state)
    at = np.int64(0)
    while codes[at, _CODE] >= 0:
        if codes[at, _SUMMED] != NOT_COUNTED:
            sessions_f[slot, S_SUMS + codes[at, _SUMMED]] += np.float64(tally[np.uint64(codes[at, _CODE])] & _SUM)
        at += 1
    sessions_f[slot, _SQUARES] += np.float64(squares)
    if shortest < _ODD:
        sessions_f[slot, _SHORTEST] = min(sessions_f[slot, _SHORTEST], np.float64(shortest))


@step
def _take_counts(state: Any, slot: Any) -> None:
    """Add what was tallied to the counts, and empty the tally."""
    tally, codes, sessions_32 = tally_of(state), codes_of(state), sessions_32_of(state)
    at = np.int64(0)
    while codes[at, _CODE] >= 0:
        code = np.uint64(codes[at, _CODE])
        entries = np.uint32(tally[code] >> _COUNT_SHIFT)
        tally[code] = _NOTHING
        if codes[at, _CATEGORY] != NOT_COUNTED:
            sessions_32[slot, S_COUNTS + codes[at, _CATEGORY]] += entries
        if codes[at, _COUNTED] != NOT_COUNTED:
            sessions_32[slot, S_COUNTS + codes[at, _COUNTED]] += entries
        at += 1
