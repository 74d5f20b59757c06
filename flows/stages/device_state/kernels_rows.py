"""A batch of rows, one after the other."""

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
    tag_at,
    value_at,
    wants_growth,
)
from flows.stages.device_state.layout import (
    BY_SESSION,
    BY_TAG,
    CACHE_LINE,
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
    IN_OCCURRED,
    J_COUNTED,
    J_SCORE,
    J_WATERMARK,
    JOURNAL_END,
    JOURNAL_LENGTH,
    JOURNAL_ON,
    LATENESS,
    LATEST,
    LOG_TARGET,
    OUT_FATE,
    OUT_STATISTICS,
    PENDING_HEAD,
    PENDING_TAIL,
    POOL_END,
    POOL_LENGTH,
    POOL_NEED,
    ROWS_IN,
    SALT,
    SESSION_END,
    SESSION_FREE,
    SESSION_LENGTH,
    SESSION_WORDS,
    START,
    VALUES,
    WATERMARK,
)
from flows.stages.device_state.memory import (
    devices_32_of,
    devices_of,
    in_account_of,
    in_address_of,
    in_appended_of,
    in_country_of,
    in_device_of,
    in_event_of,
    in_latitude_of,
    in_longitude_of,
    in_merchant_of,
    in_occurred_of,
    in_offset_of,
    in_received_of,
    in_session_of,
    journal_f_of,
    journal_of,
    log_offsets_of,
    out_fate_of,
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
from flows.stages.device_state.pointers import NOT_PLAIN, address_of, are_plain, numbers_of
from schemas.velocity import SCORE_LAG

_ROWS = 8  # a sweep goes on every so many rows
_SWEPT_IDS, _SWEPT_DEVICES, _SWEPT_SESSIONS = 8 * _ROWS, 2 * _ROWS, 4 * _ROWS  # places
_AHEAD = 256  # rows whose memory is asked for before the first of them is counted
_M32 = np.uint64(0xFFFFFFFF)
_HIGH = np.uint64(32)
_ONE = np.uint64(1)
_ROWS_IN = numbers_of(ROWS_IN)


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
def note(state: Any, kind: Any, tag: Any, first: Any, second: Any, third: Any) -> Any:
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
        at = note(state, J_SCORE, tag, 0, 0, 0)
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
def keep_up(state: Any) -> None:
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
def point(state: Any, columns: Any, first: Any, end: Any) -> None:
    """Note where the columns of a tuple lie, those from the word ``first`` on."""
    for word in range(first, end):
        state[word] = address_of(columns, word - first)


@step
def _time_of(occurred: Any, received: Any, appended: Any, row: Any) -> Any:
    """Return when a row counts, as ``schemas.event_time`` says, so that an event's word holds it."""
    return max(0, min(occurred[row], received[row], appended[row], LATEST))


@step
def _address_and_account(first: Any, second: Any, account: Any, salt: Any) -> Any:
    """Return an event's second word: a hash of its address, and of its account, which is 0 only where there is none."""
    low = account & _M32
    if low == np.uint64(0) and account != np.uint64(0):
        low = _ONE
    return np.int64((mix(mix(second + salt) ^ first) & ~_M32) | low)


@step
def _fate_of(state: Any, row: Any) -> Any:
    """Let the watermark follow a row and note its id; return what becomes of it, its tag and when it counts."""
    merchant = in_merchant_of(state)
    time = _time_of(in_occurred_of(state), in_received_of(state), in_appended_of(state), row)
    before = state[WATERMARK]
    watermark = max(before, time)
    state[WATERMARK] = watermark
    hour = watermark // HOUR
    event = tag_of(in_event_of(state), row, np.uint64(state[SALT]) + merchant[row])
    place = find(state, IDS, event)
    if place >= 0 and is_known(state, place, hour):
        if watermark > before:
            note(state, J_WATERMARK, 0, watermark, 0, 0)
        return DROPPED, event, time
    if time < watermark - state[LATENESS]:
        return DEAD, event, time
    if place >= 0:
        set_value(state, IDS, place, hour)
    else:
        insert(state, IDS, event, np.uint32(hour))
    return COUNTED, event, time


@step
def _count(state: Any, row: Any, event: Any, time: Any) -> None:
    """Count a row for its device and its session."""
    addresses, merchant, account, country = (
        in_address_of(state),
        in_merchant_of(state),
        in_account_of(state),
        in_country_of(state),
    )
    latitude, longitude = in_latitude_of(state)[row], in_longitude_of(state)[row]
    salt, log_offsets = np.uint64(state[SALT]), log_offsets_of(state)
    state[EVENTS] += 1
    device = tag_of(in_device_of(state), row, salt)
    session = tag_of(in_session_of(state), row, salt ^ device)
    word_1 = _address_and_account(addresses[row, 0], addresses[row, 1], account[row], salt)
    word_2 = np.int64((merchant[row] << _HIGH) | (session & _M32))
    word_0 = (time << 21) | (np.int64(country[row]) << 5)
    word_0 |= present_bits(word_0, word_1)
    add_event(state, device, word_0, word_1, word_2, latitude, longitude, row)
    add_log(state, session, time, log_offsets[row], log_offsets[row + 1], row)
    at = note(state, J_COUNTED, device, word_0, word_1, word_2)
    if at >= 0:
        journal, journal_f = journal_of(state), journal_f_of(state)
        journal[at, 5] = np.int64(event)
        journal[at, 6] = np.int64(session)
        journal_f[at, 14] = latitude
        journal_f[at, 15] = longitude


@kernel
def count_rows(words: int, rows: int, out: int, first: int, end: int) -> int:
    """Count rows until arrays are too short; return the row to go on with, ``end`` where there is none.

    ``words`` is the address of a state, ``rows`` and ``out`` are the ids of a RowsIn and a RowsOut: see ``pointers``.
    """
    if not are_plain(rows, _ROWS_IN):
        return NOT_PLAIN
    state = words_at(words)
    point(state, rows, IN_OCCURRED, LOG_TARGET + 1)
    point(state, out, OUT_FATE, OUT_STATISTICS + 1)
    offset, fate = in_offset_of(state), out_fate_of(state)
    fetched = first
    for row in range(first, end):
        if is_short(state):
            return row
        if row >= fetched:
            fetched = min(end, row + _AHEAD)
            _fetch(state, row, fetched)
        _see_scores(state, offset[row])
        if (row - first) % _ROWS == 0:
            keep_up(state)
        fate[row], event, time = _fate_of(state, row)
        if fate[row] == COUNTED:
            _count(state, row, event, time)
    return end
