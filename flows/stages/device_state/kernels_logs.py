"""Activity logs, folded into a session entry by entry, as ``schemas.activity_statistics`` accumulates them.

A sum is built in the order of the entries: so it is that of the logs joined. Of whole numbers a sum is the same in any
order, as long as a double holds it, and that is what logs have: milliseconds and pixels. So a log is tallied by code,
in words that do not wait for each other; only of a code that has a value which is no small whole number, or the sum of
which is none, is the sum built in turn.
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
_SQUARES = S_SUMS + SUMS.index("key_interval_squares")
_SHORTEST = S_SUMS + SUMS.index("key_interval_least")
_SHORT = 24  # entries: a log below is folded as quickly in turn
_EXACT = 2.0**53
_LAST_CODE = np.uint32(TALLY_CODES - 1)
_COPY, _COPY_BITS = np.uint32(TALLY_COPIES - 1), np.uint32(TALLY_COPIES.bit_length() - 1)
_COPIES = np.uint64(TALLY_COPIES)
_PLACES = np.uint64(TALLY_ENTRIES)  # where they begin in the scratch, behind the numbers
_COUNT, _COUNT_SHIFT, _SUM = np.uint64(TALLY_COUNT), np.uint64(TALLY_COUNT.bit_length() - 1), np.uint64(TALLY_ODD - 1)
_HAS_ODD, _ODD = np.uint64(TALLY_COUNT - TALLY_ODD), np.uint32(TALLY_ODD)
_VALUES, _NO_VALUE, _ABOVE = np.float32(TALLY_VALUES), np.float32(0), np.float32(0.5)
_NOTHING = np.uint64(0)
_LOOKED_AT = np.uint64(64)
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
            _tally(state, entries)
            _join_copies(state)
            _take_sums(state, slot, np.uint64(at), entries)
            _take_counts(state, slot, np.uint64(at), entries)
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
def _tame(value: Any) -> Any:
    """Return a value as it counts: what is not above 0 as 0, and a large one as LARGEST."""
    number = np.float64(value)
    if not number > 0.0:
        number = np.float64(0.0)
    return np.float64(min(number, LARGEST))


@step
def _sum_in_turn(state: Any, slot: Any, first: Any, end: Any) -> None:
    """Add up the values of entries in their order."""
    log_code, log_value, sessions_f = log_code_of(state), log_value_of(state), sessions_f_of(state)
    summed, key = code_summed_of(state), state[KEY_CODE]
    for entry in range(first, end):
        code, value = log_code[entry], _tame(log_value[entry])
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

    Then where each entry is tallied. Without a branch, and apart from the tally, so that it is done for many at once.
    """
    log_value, log_code, numbers = log_value_of(state), log_code_of(state), scratch_32_of(state)
    for entry in range(np.uint64(0), entries):
        value = log_value[first + entry]
        tame = value if value > _NO_VALUE else _NO_VALUE
        small = tame if tame < _VALUES else _ABOVE
        number = np.int32(small)
        numbers[entry] = np.uint32(number) if np.float32(number) == small else _ODD
    for entry in range(np.uint64(0), entries):
        code = np.uint32(log_code[first + entry])
        known = code if code < _LAST_CODE else _LAST_CODE
        numbers[_PLACES + entry] = known << _COPY_BITS | (np.uint32(entry) & _COPY)


@step
def _tally(state: Any, entries: Any) -> None:
    """Tally entries by code."""
    numbers, tally = scratch_32_of(state), tally_of(state)
    for entry in range(np.uint64(0), entries):
        tally[np.uint64(numbers[_PLACES + entry])] += _COUNT + np.uint64(numbers[entry])


@step
def _join_copies(state: Any) -> None:
    """Join the copies of the tally in the first one, and empty the others."""
    tally, codes = tally_of(state), codes_of(state)
    at = np.int64(0)
    while codes[at, _CODE] >= 0:
        first = np.uint64(codes[at, _CODE]) * _COPIES
        total = _NOTHING
        for copy in range(_COPIES):
            total += tally[first + copy]
            tally[first + copy] = _NOTHING
        tally[first] = total
        at += 1


@step
def _take_sums(state: Any, slot: Any, first: Any, entries: Any) -> None:
    """Add what was tallied to the sums: of a code whose sum may be no whole number, its entries in turn."""
    tally, codes, sessions_f = tally_of(state), codes_of(state), sessions_f_of(state)
    at = np.int64(0)
    while codes[at, _CODE] >= 0:
        total = tally[np.uint64(codes[at, _CODE]) * _COPIES]
        if total and codes[at, _SUMMED] != NOT_COUNTED:
            place, added = S_SUMS + codes[at, _SUMMED], np.float64(total & _SUM)
            exact = not total & _HAS_ODD and _stays_whole(sessions_f[slot, place], added)
            is_key = codes[at, _CODE] == state[KEY_CODE]
            if exact and is_key:
                exact = _take_intervals(state, slot, first, entries)
            if exact:
                sessions_f[slot, place] += added
            else:
                _sum_code_in_turn(state, slot, codes[at, _CODE], place, is_key, first, first + entries)
        at += 1


@step
def _take_intervals(state: Any, slot: Any, first: Any, entries: Any) -> Any:
    """Note the squares of intervals between keys, which are whole numbers, and the shortest, where doubles hold them.

    Returns whether they do.
    """
    log_code, numbers, key = log_code_of(state), scratch_32_of(state), np.uint16(state[KEY_CODE])
    sessions_f = sessions_f_of(state)
    squares, shortest = np.int64(0), _ODD
    for entry in range(np.uint64(0), entries):
        is_key, number = log_code[first + entry] == key, numbers[entry]
        square = np.int64(number) * np.int64(number)
        squares += square if is_key else np.int64(0)
        shortest = min(shortest, number if is_key else _ODD)
    if not _stays_whole(sessions_f[slot, _SQUARES], np.float64(squares)):
        return False
    sessions_f[slot, _SQUARES] += np.float64(squares)
    sessions_f[slot, _SHORTEST] = min(sessions_f[slot, _SHORTEST], np.float64(shortest))
    return True


@step
def _stays_whole(sum_: Any, added: Any) -> Any:
    return sum_ + added <= _EXACT and sum_ == np.floor(sum_)


@step
def _sum_code_in_turn(state: Any, slot: Any, code: Any, place: Any, is_key: Any, first: Any, end: Any) -> None:
    """Add up the values of a code's entries in their order."""
    log_code, log_value, sessions_f = log_code_of(state), log_value_of(state), sessions_f_of(state)
    wanted, sum_ = np.uint16(code), sessions_f[slot, place]
    squares, shortest = sessions_f[slot, _SQUARES], sessions_f[slot, _SHORTEST]
    entry = first
    while entry < end:
        if _is_far(state, wanted, entry, end):
            entry += _LOOKED_AT
            continue
        for each in range(entry, min(entry + _LOOKED_AT, end)):
            if log_code[each] == wanted:
                value = _tame(log_value[each])
                sum_ += value
                squares += value * value
                shortest = min(shortest, value)
        entry += _LOOKED_AT
    sessions_f[slot, place] = sum_
    if is_key:
        sessions_f[slot, _SQUARES], sessions_f[slot, _SHORTEST] = squares, shortest


@step
def _is_far(state: Any, code: Any, first: Any, end: Any) -> Any:
    """Return whether a code is in none of the next _LOOKED_AT entries, which are compared at once."""
    log_code = log_code_of(state)
    if first + _LOOKED_AT > end:
        return False
    found = np.uint16(0)
    for entry in range(_LOOKED_AT):
        found |= np.uint16(1) if log_code[first + entry] == code else np.uint16(0)
    return found == np.uint16(0)


@step
def _take_counts(state: Any, slot: Any, first: Any, entries: Any) -> None:
    """Add what was tallied to the counts, and empty the tally; of what counts on cards, look where it was."""
    tally, codes, sessions_32 = tally_of(state), codes_of(state), sessions_32_of(state)
    on_cards, at = code_on_cards_of(state), np.int64(0)
    while codes[at, _CODE] >= 0:
        place = np.uint64(codes[at, _CODE]) * _COPIES
        counted = np.uint32(tally[place] >> _COUNT_SHIFT)
        tally[place] = _NOTHING
        if codes[at, _CATEGORY] != NOT_COUNTED:
            sessions_32[slot, S_COUNTS + codes[at, _CATEGORY]] += counted
        if codes[at, _COUNTED] != NOT_COUNTED:
            sessions_32[slot, S_COUNTS + codes[at, _COUNTED]] += counted
        if counted and on_cards[codes[at, _CODE]] != NOT_COUNTED:
            _count_on_cards(state, slot, codes[at, _CODE], first, first + entries)
        at += 1


@step
def _count_on_cards(state: Any, slot: Any, code: Any, first: Any, end: Any) -> None:
    """Count the entries of a code whose target is part of a card."""
    log_code, log_target, sessions_32 = log_code_of(state), log_target_of(state), sessions_32_of(state)
    card, wanted, entry = code_card_of(state), np.uint16(code), first
    place = S_COUNTS + np.int64(code_on_cards_of(state)[code])
    while entry < end:
        if _is_far(state, wanted, entry, end):
            entry += _LOOKED_AT
            continue
        for each in range(entry, min(entry + _LOOKED_AT, end)):
            if log_code[each] == wanted and card[log_target[each]]:
                sessions_32[slot, place] += np.uint32(1)
        entry += _LOOKED_AT
