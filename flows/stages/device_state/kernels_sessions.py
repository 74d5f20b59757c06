"""Sessions of devices: their activity so far, entry by entry, as ``schemas.activity_statistics`` accumulates it."""

from __future__ import annotations

from typing import Any

import numpy as np

from flows.stages.device_state.compiled import step
from flows.stages.device_state.kernels_logs import fold
from flows.stages.device_state.kernels_statistics import tell_statistics
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
    out_session_events_of,
    out_session_started_of,
    out_statistics_of,
    sessions_32_of,
    sessions_f_of,
    sessions_of,
)
from schemas.activity_statistics import COUNTS, NO_TIME, SUMS

_LEAST = S_COUNTS + COUNTS.index("time_least")
_SHORTEST = S_SUMS + SUMS.index("key_interval_least")


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
def add_log(state: Any, tag: Any, time: Any, first: Any, end: Any, row: Any) -> None:
    """Add the log of an event to its session, and say what that is then."""
    slot = _slot_of(state, tag, time)
    fold(state, slot, first, end)
    out_events, out_started = out_session_events_of(state), out_session_started_of(state)
    sessions, sessions_32, sessions_f = sessions_of(state), sessions_32_of(state), sessions_f_of(state)
    sessions[slot, S_TOUCHED] = state[WATERMARK]
    sessions[slot, S_STARTED] = min(sessions[slot, S_STARTED], time)
    sessions_32[slot, S_EVENTS] += np.uint32(1)
    out_events[row] = sessions_32[slot, S_EVENTS]
    out_started[row] = sessions[slot, S_STARTED]
    tell_statistics(sessions_32, S_COUNTS, sessions_f, S_SUMS, slot, out_statistics_of(state), row)


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
