"""A batch of rows, and the repetition of a journal."""

from __future__ import annotations

from typing import Any

import numpy as np

from flows.stages.device_state.compiled import kernel, step
from flows.stages.device_state.kernels_devices import add_event, add_score, sweep_devices
from flows.stages.device_state.kernels_lists import present_bits
from flows.stages.device_state.kernels_sessions import add_log, sweep_sessions
from flows.stages.device_state.kernels_tables import (
    find,
    first_place,
    grow_on,
    insert,
    is_growing,
    mix,
    places_of,
    remove,
    set_value,
    slice_of,
    tag_at,
    value_at,
    wants_growth,
)
from flows.stages.device_state.layout import (
    BY_SESSION,
    BY_TAG,
    CACHE_LINE,
    CODE_CARD,
    CODE_CATEGORY,
    CODE_COUNTED,
    CODE_ON_CARDS,
    CODE_SUMMED,
    COUNTED,
    DEAD,
    DEVICE_END,
    DEVICE_FREE,
    DEVICE_LENGTH,
    DROPPED,
    EVENTS,
    FETCHED,
    HEAVY_END,
    HEAVY_LENGTH,
    HOUR,
    HOURS_KEPT,
    IDS,
    IDS_SWEPT,
    IN_DEVICE,
    IN_EVENT,
    IN_MERCHANT,
    IN_SESSION,
    J_COUNTED,
    J_NOTED,
    J_SCORE,
    J_WATERMARK,
    JOURNAL_END,
    JOURNAL_LENGTH,
    JOURNAL_ON,
    LATENESS,
    LATEST,
    LOG_CODE,
    LOG_TARGET,
    LOG_TIME,
    LOG_VALUE,
    OUT_COUNTS,
    OUT_FIRST,
    OUT_HOURS,
    OUT_LATITUDE,
    OUT_LIFE,
    OUT_LONGITUDE,
    OUT_PLACE_AT,
    OUT_PREVIOUS,
    OUT_SCORES,
    OUT_SESSION_COUNTS,
    OUT_SESSION_EVENTS,
    OUT_SESSION_STARTED,
    OUT_SESSION_SUMS,
    PENDING_HEAD,
    PENDING_TAIL,
    POOL_END,
    POOL_LENGTH,
    POOL_NEED,
    SALT,
    SESSION_END,
    SESSION_FREE,
    SESSION_LENGTH,
    SESSION_WORDS,
    START,
    VALUES,
    WATERMARK,
    RowsIn,
    RowsOut,
)
from flows.stages.device_state.memory import (
    devices_32_of,
    devices_of,
    in_device_of,
    in_event_of,
    in_merchant_of,
    in_session_of,
    journal_f_of,
    journal_of,
    pending_offset_of,
    pending_score_of,
    pending_tag_of,
    pool_of,
    scratch_of,
    sessions_of,
    tags_of,
    values_of,
    words_at,
)
from schemas.activity_statistics import CodeColumns
from schemas.velocity import SCORE_LAG

_ROWS = 8  # a sweep goes on every so many rows
_SWEPT_IDS, _SWEPT_DEVICES, _SWEPT_SESSIONS = 8 * _ROWS, 2 * _ROWS, 4 * _ROWS  # places
_AHEAD = 256  # rows whose memory is asked for before the first of them is counted
_M32 = np.uint64(0xFFFFFFFF)
_HIGH = np.uint64(32)
_ONE = np.uint64(1)


@step
def is_short(state: Any) -> Any:
    """Return whether arrays must grow before another row: it needs at most this much."""
    pending = state[PENDING_TAIL] - state[PENDING_HEAD]
    return (
        state[POOL_END] + state[POOL_NEED] > state[POOL_LENGTH]
        or (state[DEVICE_FREE] == 0 and state[DEVICE_END] >= state[DEVICE_LENGTH])
        or (state[SESSION_FREE] == 0 and state[SESSION_END] >= state[SESSION_LENGTH])
        or state[HEAVY_END] >= state[HEAVY_LENGTH]
        or (state[JOURNAL_ON] != 0 and state[JOURNAL_END] + pending + 2 > state[JOURNAL_LENGTH])
        or wants_growth(state, BY_TAG) != 0
        or wants_growth(state, IDS) != 0
        or wants_growth(state, BY_SESSION) != 0
        or wants_growth(state, VALUES) != 0
    )


@step
def _note(state: Any, kind: Any, tag: Any, first: Any, second: Any, third: Any) -> Any:
    """Begin a row of the journal; return its number, -1 where none is kept."""
    journal = journal_of(state)
    if state[JOURNAL_ON] == 0:
        return np.int64(-1)
    at = state[JOURNAL_END]
    state[JOURNAL_END] = at + 1
    journal[at, 0] = kind
    journal[at, 1] = np.int64(tag)
    journal[at, 2] = first
    journal[at, 3] = second
    journal[at, 4] = third
    journal[at, 5] = 0
    journal[at, 6] = 0
    journal[at, 7] = 0
    return at


@step
def _see_scores(state: Any, offset: Any) -> None:
    """Let devices have the scores that were remembered SCORE_LAG offsets and more before this one."""
    pending_offset = pending_offset_of(state)
    pending_tag = pending_tag_of(state)
    pending_score = pending_score_of(state)
    journal_f = journal_f_of(state)
    head = state[PENDING_HEAD]
    while head < state[PENDING_TAIL] and pending_offset[head] <= offset - SCORE_LAG:
        tag, score = pending_tag[head], pending_score[head]
        add_score(state, tag, score)
        at = _note(state, J_SCORE, tag, 0, 0, 0)
        if at >= 0:
            journal_f[at, 14] = score
        head += 1
    state[PENDING_HEAD] = head


@step
def _never_0(tag: Any) -> Any:
    return tag if tag != np.uint64(0) else _ONE


@step
def tag_of(ids: Any, row: Any, salt: Any) -> Any:
    """Return the tag of 16 bytes; never 0."""
    return _never_0(mix(mix(ids[row, 1] + salt) ^ ids[row, 0]))


@step
def is_known(state: Any, place: Any, hour: Any) -> Any:
    """Return whether an id at a place of the table was counted lately enough."""
    return hour - value_at(state, IDS, place) <= state[HOURS_KEPT]


@step
def remember_id(state: Any, tag: Any, hour: Any) -> None:
    place = find(state, IDS, tag)
    if place >= 0:
        set_value(state, IDS, place, hour)
    else:
        insert(state, IDS, tag, np.uint32(hour))


@step
def _sweep_ids(state: Any, hour: Any) -> None:
    if is_growing(state, IDS):
        return
    tags, hours = tags_of(state, IDS), values_of(state, IDS)
    oldest, end = hour - state[HOURS_KEPT], places_of(state, IDS)
    place = state[IDS_SWEPT]
    for _ in range(_SWEPT_IDS):
        if place >= end:
            place = 0
        if tags[place] != np.uint64(0) and np.int64(hours[place]) < oldest:
            remove(state, IDS, place)
        else:
            place += 1
    state[IDS_SWEPT] = place


@step
def _keep_up(state: Any) -> None:
    """Do the share of some rows of what keeps the state small."""
    grow_on(state, BY_TAG, _ROWS)
    grow_on(state, IDS, _ROWS)
    grow_on(state, BY_SESSION, _ROWS)
    grow_on(state, VALUES, _ROWS)
    _sweep_ids(state, state[WATERMARK] // HOUR)
    sweep_devices(state, _SWEPT_DEVICES)
    sweep_sessions(state, _SWEPT_SESSIONS)


@step
def _fetch(state: Any, first: Any, end: Any) -> None:
    """Touch what rows will need: the loads of many rows wait for memory at the same time, those of one in turn."""
    devices_32 = devices_32_of(state)
    devices = devices_of(state)
    pool, sessions = pool_of(state), sessions_of(state)
    events, device_ids, session_ids = in_event_of(state), in_device_of(state), in_session_of(state)
    merchants = in_merchant_of(state)
    salt = np.uint64(state[SALT])
    touched = np.int64(0)
    slots = scratch_of(state)
    for row in range(first, end):
        place = first_place(state, IDS, tag_of(events, row, salt + merchants[row]))
        touched ^= np.int64(tag_at(state, IDS, place)) ^ np.int64(value_at(state, IDS, place))
        tag = tag_of(device_ids, row, salt)
        touched ^= value_at(state, BY_TAG, first_place(state, BY_TAG, tag))
        place = first_place(state, BY_SESSION, tag_of(session_ids, row, salt ^ tag))
        touched ^= np.int64(tag_at(state, BY_SESSION, place)) ^ np.int64(value_at(state, BY_SESSION, place))
    for row in range(first, end):
        place = find(state, BY_TAG, tag_of(device_ids, row, salt))
        slot = np.int64(-1)
        if place >= 0:
            slot = np.int64(value_at(state, BY_TAG, place))
            touched ^= devices[slot, 0] ^ devices[slot, 8]
        slots[row - first] = np.uint64(slot)
    for row in range(first, end):
        slot = np.int64(slots[row - first])
        if slot >= 0:
            at = np.int64(devices_32[slot, START])
            if at < state[POOL_LENGTH]:
                touched ^= pool[at, 0]
        place = find(state, BY_SESSION, tag_of(session_ids, row, salt ^ tag_of(device_ids, row, salt)))
        if place >= 0:
            session = value_at(state, BY_SESSION, place)
            for word in range(0, SESSION_WORDS, CACHE_LINE):
                touched ^= sessions[session, word]
    state[FETCHED] = touched


@step
def _point_out(state: Any, out: RowsOut) -> None:
    """Note where the answers go."""
    state[OUT_COUNTS] = out.counts.ctypes.data
    state[OUT_FIRST] = out.first.ctypes.data
    state[OUT_PREVIOUS] = out.previous.ctypes.data
    state[OUT_LIFE] = out.life.ctypes.data
    state[OUT_HOURS] = out.hours.ctypes.data
    state[OUT_SCORES] = out.scores.ctypes.data
    state[OUT_LATITUDE] = out.latitude.ctypes.data
    state[OUT_LONGITUDE] = out.longitude.ctypes.data
    state[OUT_PLACE_AT] = out.place_at.ctypes.data
    state[OUT_SESSION_EVENTS] = out.session_events.ctypes.data
    state[OUT_SESSION_STARTED] = out.session_started.ctypes.data
    state[OUT_SESSION_COUNTS] = out.session_counts.ctypes.data
    state[OUT_SESSION_SUMS] = out.session_sums.ctypes.data


@step
def _point(state: Any, rows: RowsIn, columns: CodeColumns, out: RowsOut) -> None:
    """Note where a batch lies."""
    state[IN_EVENT] = rows.event.ctypes.data
    state[IN_DEVICE] = rows.device.ctypes.data
    state[IN_SESSION] = rows.session.ctypes.data
    state[IN_MERCHANT] = rows.merchant.ctypes.data
    state[LOG_TIME] = rows.log_time.ctypes.data
    state[LOG_VALUE] = rows.log_value.ctypes.data
    state[LOG_CODE] = rows.log_code.ctypes.data
    state[LOG_TARGET] = rows.log_target.ctypes.data
    state[CODE_CATEGORY] = columns.category.ctypes.data
    state[CODE_COUNTED] = columns.counted.ctypes.data
    state[CODE_ON_CARDS] = columns.counted_on_cards.ctypes.data
    state[CODE_SUMMED] = columns.summed.ctypes.data
    state[CODE_CARD] = columns.card.ctypes.data
    _point_out(state, out)


@step
def _address_and_account(first: Any, second: Any, account: Any, salt: Any) -> Any:
    """Return an event's second word: a hash of its address, and of its account, which is 0 only where there is none."""
    low = account & _M32
    if low == np.uint64(0) and account != np.uint64(0):
        low = _ONE
    return np.int64((mix(mix(second + salt) ^ first) & ~_M32) | low)


@kernel
def count_rows(words: Any, rows: RowsIn, columns: CodeColumns, out: RowsOut, first: Any, end: Any) -> Any:
    """Count rows until arrays are too short; return the row to go on with, ``end`` where there is none."""
    state = words_at(words.ctypes.data)
    _point(state, rows, columns, out)
    journal_f = journal_f_of(state)
    journal = journal_of(state)
    salt = np.uint64(state[SALT])
    fetched = first
    for row in range(first, end):
        if is_short(state):
            return row
        if row >= fetched:
            fetched = min(end, row + _AHEAD)
            _fetch(state, row, fetched)
        _see_scores(state, rows.offset[row])
        if (row - first) % _ROWS == 0:
            _keep_up(state)
        time = max(0, min(rows.time[row], LATEST))
        before = state[WATERMARK]
        watermark = max(before, time)
        state[WATERMARK] = watermark
        hour = watermark // HOUR
        event = tag_of(rows.event, row, salt + rows.merchant[row])
        place = find(state, IDS, event)
        if place >= 0 and is_known(state, place, hour):
            out.fate[row] = DROPPED
            if watermark > before:
                _note(state, J_WATERMARK, 0, watermark, 0, 0)
            continue
        if time < watermark - state[LATENESS]:
            out.fate[row] = DEAD
            continue
        if place >= 0:
            set_value(state, IDS, place, hour)
        else:
            insert(state, IDS, event, np.uint32(hour))
        out.fate[row] = COUNTED
        state[EVENTS] += 1
        device = tag_of(rows.device, row, salt)
        session = tag_of(rows.session, row, salt ^ device)
        word_1 = _address_and_account(rows.address[row, 0], rows.address[row, 1], rows.account[row], salt)
        word_2 = np.int64((rows.merchant[row] << _HIGH) | (session & _M32))
        word_0 = (time << 21) | (np.int64(rows.country[row]) << 5)
        word_0 |= present_bits(word_0, word_1)
        add_event(state, device, word_0, word_1, word_2, rows.latitude[row], rows.longitude[row], row)
        add_log(state, session, time, rows.log_offsets[row], rows.log_offsets[row + 1], row)
        at = _note(state, J_COUNTED, device, word_0, word_1, word_2)
        if at >= 0:
            journal[at, 5] = np.int64(event)
            journal[at, 6] = np.int64(session)
            journal_f[at, 14] = rows.latitude[row]
            journal_f[at, 15] = rows.longitude[row]
    return end


@kernel
def note_rows(words: Any, tags: Any, unless: Any, times: Any, fate: Any, first: Any, end: Any) -> Any:
    """Note tags as ids, and count nothing; return as ``count_rows`` does. One that came is DROPPED.

    So is one where the tag of ``unless`` came before, which is not noted; 0: none.
    """
    state = words_at(words.ctypes.data)
    journal = journal_of(state)
    for row in range(first, end):
        if is_short(state):
            return row
        _keep_up(state)
        before = state[WATERMARK]
        watermark = max(before, 0, min(times[row], LATEST))
        state[WATERMARK] = watermark
        if watermark > before:
            _note(state, J_WATERMARK, 0, watermark, 0, 0)
        place = find(state, IDS, tags[row])
        other = find(state, IDS, unless[row]) if unless[row] else -1
        came = place >= 0 and is_known(state, place, watermark // HOUR)
        if came or (other >= 0 and is_known(state, other, watermark // HOUR)):
            fate[row] = DROPPED
            continue
        fate[row] = COUNTED
        remember_id(state, tags[row], watermark // HOUR)
        at = _note(state, J_NOTED, 0, 0, 0, 0)
        if at >= 0:
            journal[at, 5] = np.int64(tags[row])
    return end


@kernel
def repeat_journal(words: Any, rows: Any, rows_f: Any, loaded: Any, out: RowsOut, first: Any, end: Any) -> Any:
    """Do to the slices that are loaded, bool[SLICES], what a journal says; return as ``count_rows`` does."""
    state = words_at(words.ctypes.data)
    _point_out(state, out)
    for row in range(first, end):
        if is_short(state):
            return row
        grow_on(state, BY_TAG, 1)
        grow_on(state, IDS, 1)
        grow_on(state, VALUES, 1)
        kind = rows[row, 0]
        tag = np.uint64(rows[row, 1])
        if kind == J_WATERMARK:
            state[WATERMARK] = max(state[WATERMARK], rows[row, 2])
        elif kind == J_SCORE:
            if loaded[slice_of(tag)]:
                add_score(state, tag, rows_f[row, 14])
        elif kind == J_NOTED:
            noted = np.uint64(rows[row, 5])
            if loaded[slice_of(noted)]:
                remember_id(state, noted, state[WATERMARK] // HOUR)
        else:
            word_0 = rows[row, 2]
            state[WATERMARK] = max(state[WATERMARK], word_0 >> 21)
            event = np.uint64(rows[row, 5])
            if loaded[slice_of(event)]:
                remember_id(state, event, state[WATERMARK] // HOUR)
            if loaded[slice_of(tag)]:
                state[EVENTS] += 1
                add_event(state, tag, word_0, rows[row, 3], rows[row, 4], rows_f[row, 14], rows_f[row, 15], 0)
    return end
