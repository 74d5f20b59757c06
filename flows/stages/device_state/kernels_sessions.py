"""Sessions of devices: their activity so far, entry by entry, as ``schemas.activity_statistics`` accumulates it."""

from __future__ import annotations

from typing import Any

import numpy as np

from flows.stages.device_state.compiled import step
from flows.stages.device_state.kernels_tables import find, first_place, insert, remove, tag_at, value_at
from flows.stages.device_state.layout import (
    BY_SESSION,
    FETCHED,
    S_COUNTS,
    S_EVENTS,
    S_STARTED,
    S_SUMS,
    S_TAG,
    S_TOUCHED,
    SESSION_END,
    SESSION_FREE,
    SESSION_IDLE,
    SESSION_SWEPT,
    SESSION_WORDS,
    WATERMARK,
)
from flows.stages.device_state.memory import (
    code_card_of,
    code_category_of,
    code_counted_of,
    code_on_cards_of,
    code_summed_of,
    log_code_of,
    log_target_of,
    log_time_of,
    log_value_of,
    out_session_counts_of,
    out_session_events_of,
    out_session_started_of,
    out_session_sums_of,
    sessions_32_of,
    sessions_f_of,
    sessions_of,
)
from schemas.activity_statistics import COUNTS, LARGEST, NO_TIME, NOT_COUNTED, SUMS

_LEAST, _MOST = S_COUNTS + COUNTS.index("time_least"), S_COUNTS + COUNTS.index("time_most")
_KEYS = S_COUNTS + COUNTS.index("keys")
_SQUARES = S_SUMS + SUMS.index("key_interval_squares")
_SHORTEST = S_SUMS + SUMS.index("key_interval_least")
_COUNTS, _SUMS = len(COUNTS), len(SUMS)


@step
def is_over(state: Any, slot: Any) -> Any:
    """Return whether a session is forgotten, whether or not its memory was taken back."""
    sessions = sessions_of(state)
    return sessions[slot, S_TOUCHED] < state[WATERMARK] - state[SESSION_IDLE]


@step
def _begin(state: Any, slot: Any, tag: Any, time: Any) -> None:
    sessions_32 = sessions_32_of(state)
    sessions_f = sessions_f_of(state)
    sessions = sessions_of(state)
    for word in range(SESSION_WORDS):
        sessions[slot, word] = 0
    sessions[slot, S_TAG] = np.int64(tag)
    sessions[slot, S_STARTED] = time
    sessions_32[slot, _LEAST] = NO_TIME
    sessions_f[slot, _SHORTEST] = np.inf


@step
def new_session(state: Any, tag: Any) -> Any:
    """Return a record for a session that is not in the table; its fields are anything."""
    sessions = sessions_of(state)
    used = state[SESSION_FREE]
    if used > 0:
        slot = used - 1
        state[SESSION_FREE] = sessions[slot, S_STARTED]
    else:
        slot = state[SESSION_END]
        state[SESSION_END] = slot + 1
    insert(state, BY_SESSION, tag, np.uint32(slot))
    return slot


@step
def _slot_of(state: Any, tag: Any, time: Any) -> Any:
    found = find(state, BY_SESSION, tag)
    if found < 0:
        slot = new_session(state, tag)
        _begin(state, slot, tag, time)
        return slot
    slot = np.int64(value_at(state, BY_SESSION, found))
    if is_over(state, slot):
        _begin(state, slot, tag, time)
    return slot


@step
def _fold(state: Any, slot: Any, first: Any, end: Any) -> None:
    """Add entries of a log. A sum is built in the order of the entries: so it is that of the logs joined.

    The arrays are looked up once: what is written may, for all that the compiler knows, be their addresses.
    """
    log_code, log_target, log_time, log_value = (
        log_code_of(state),
        log_target_of(state),
        log_time_of(state),
        log_value_of(state),
    )
    category, counted, summed = code_category_of(state), code_counted_of(state), code_summed_of(state)
    on_cards, card = code_on_cards_of(state), code_card_of(state)
    sessions_32, sessions_f = sessions_32_of(state), sessions_f_of(state)
    least, most = sessions_32[slot, _LEAST], sessions_32[slot, _MOST]
    for entry in range(first, end):
        code, time, value = log_code[entry], log_time[entry], np.float64(log_value[entry])
        if not value > 0.0:
            value = np.float64(0.0)
        value = np.float64(min(value, LARGEST))
        least, most = min(least, time), max(most, time)
        if category[code] != NOT_COUNTED:
            sessions_32[slot, S_COUNTS + np.int64(category[code])] += np.uint32(1)
        if counted[code] != NOT_COUNTED:
            count = S_COUNTS + np.int64(counted[code])
            sessions_32[slot, count] += np.uint32(1)
            if count == _KEYS:
                sessions_f[slot, _SQUARES] += value * value
                sessions_f[slot, _SHORTEST] = min(sessions_f[slot, _SHORTEST], value)
        if on_cards[code] != NOT_COUNTED and card[log_target[entry]]:
            sessions_32[slot, S_COUNTS + np.int64(on_cards[code])] += np.uint32(1)
        if summed[code] != NOT_COUNTED:
            sessions_f[slot, S_SUMS + np.int64(summed[code])] += value
    sessions_32[slot, S_COUNTS] += np.uint32(end - first)
    sessions_32[slot, _LEAST], sessions_32[slot, _MOST] = least, most


@step
def add_log(state: Any, tag: Any, time: Any, first: Any, end: Any, row: Any) -> None:
    """Add the log of an event to its session, and say what that is then."""
    slot = _slot_of(state, tag, time)
    _fold(state, slot, first, end)
    out_counts, out_sums = out_session_counts_of(state), out_session_sums_of(state)
    out_events, out_started = out_session_events_of(state), out_session_started_of(state)
    sessions, sessions_32, sessions_f = sessions_of(state), sessions_32_of(state), sessions_f_of(state)
    sessions[slot, S_TOUCHED] = state[WATERMARK]
    sessions[slot, S_STARTED] = min(sessions[slot, S_STARTED], time)
    sessions_32[slot, S_EVENTS] += np.uint32(1)
    out_events[row] = sessions_32[slot, S_EVENTS]
    out_started[row] = sessions[slot, S_STARTED]
    for at in range(_COUNTS):
        out_counts[row, at] = sessions_32[slot, S_COUNTS + at]
    for at in range(_SUMS):
        out_sums[row, at] = sessions_f[slot, S_SUMS + at]


@step
def sweep_sessions(state: Any, records: Any) -> None:
    """Look at some sessions, and take back the memory of those that are over."""
    sessions = sessions_of(state)
    slot, touched = state[SESSION_SWEPT], state[FETCHED]
    for _ in range(records):  # so that the loads of their places wait for memory together
        slot = slot + 1 if slot + 1 < state[SESSION_END] else 0
        if sessions[slot, S_TAG] != 0 and is_over(state, slot):
            touched ^= np.int64(
                tag_at(state, BY_SESSION, first_place(state, BY_SESSION, np.uint64(sessions[slot, S_TAG])))
            )
    slot, state[FETCHED] = state[SESSION_SWEPT], touched
    for _ in range(records):
        slot = slot + 1 if slot + 1 < state[SESSION_END] else 0
        if sessions[slot, S_TAG] != 0 and is_over(state, slot):
            remove(state, BY_SESSION, find(state, BY_SESSION, np.uint64(sessions[slot, S_TAG])))
            sessions[slot, S_TAG] = 0
            sessions[slot, S_STARTED] = state[SESSION_FREE]
            state[SESSION_FREE] = slot + 1
    state[SESSION_SWEPT] = slot
