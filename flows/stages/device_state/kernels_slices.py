"""Slices of a state, written to columns and read from them. What is forgotten or expired is left out."""

from __future__ import annotations

from typing import Any

import numpy as np

from flows.stages.device_state.compiled import kernel, step
from flows.stages.device_state.kernels_devices import cutoff_of, is_idle, new_slot
from flows.stages.device_state.kernels_heavy import adopt_chunk, is_newest, new_heavy
from flows.stages.device_state.kernels_lists import put_event, take_block, time_at
from flows.stages.device_state.kernels_rows import is_known, is_short, remember_id
from flows.stages.device_state.kernels_sessions import is_over, new_session
from flows.stages.device_state.kernels_tables import (
    capacity_of,
    find,
    grow_on,
    insert,
    slice_count,
    tag_at,
    value_at,
)
from flows.stages.device_state.layout import (
    BY_SESSION,
    BY_TAG,
    CHUNK,
    CHUNK_CLASS,
    CLASS,
    DAY,
    DEVICE_WORDS,
    EVENTS,
    FETCHED,
    H_DIRECTORY,
    H_HEAD,
    H_LENGTH,
    HOUR,
    IDS,
    IS_HEAVY,
    LAST,
    LENGTH,
    POOL_LENGTH,
    S_TAG,
    SESSION_WORDS,
    SIZES,
    START,
    TAG,
    VALUES,
    WATERMARK,
    SliceColumns,
)
from flows.stages.device_state.memory import devices_32_of, devices_of, heavy_of, pool_of, sessions_of, words_at

_BITS = 31
_AHEAD = 64


@step
def _write_events(state: Any, slot: Any, start: Any, length: Any, columns: SliceColumns, at: Any) -> Any:
    """Write the events of one block; return the place after them. Of a heavy device, bits say again what is newest."""
    devices_32 = devices_32_of(state)
    devices = devices_of(state)
    pool = pool_of(state)
    heavy = devices_32[slot, CLASS] == IS_HEAVY
    last = devices[slot, LAST]
    for place in range(start, start + length):
        word = pool[place, 0]
        if last - (word >> 21) >= DAY:
            word &= ~_BITS
        elif heavy:
            for kind in range(5):
                if word >> kind & 1 and is_newest(state, slot, place, kind) < 0:
                    word ^= 1 << kind
        columns.events[at, 0] = word
        columns.events[at, 1] = pool[place, 1]
        columns.events[at, 2] = pool[place, 2]
        at += 1
    return at


@step
def _write_device(state: Any, slot: Any, columns: SliceColumns, ends: Any) -> Any:
    """Write a device and its events; return whether there was room."""
    devices_32 = devices_32_of(state)
    devices = devices_of(state)
    pool = pool_of(state)
    heavies = heavy_of(state)
    cutoff = cutoff_of(state)
    first = ends[1]
    start, length = np.int64(devices_32[slot, START]), np.int64(devices_32[slot, LENGTH])
    if devices_32[slot, CLASS] == IS_HEAVY:
        directory = heavies[start, H_DIRECTORY] + heavies[start, H_HEAD]
        chunks = heavies[start, H_LENGTH]
        skipped = 0
        while skipped + 1 < chunks and pool[directory + skipped + 1, 2] <= cutoff:
            skipped += 1
        if first + (chunks - skipped) * CHUNK > len(columns.events):
            return False
        at = first
        for chunk in range(skipped, chunks):
            at = _write_events(state, slot, pool[directory + chunk, 0], pool[directory + chunk, 1], columns, at)
        skipped = first
        while skipped + 1 < at and columns.events[skipped + 1, 0] >> 21 <= cutoff:
            skipped += 1
        if skipped > first:
            for each in range(at - skipped):
                for word in range(3):
                    columns.events[first + each, word] = columns.events[skipped + each, word]
            at -= skipped - first
    else:
        while length > 1 and time_at(state, start + 1) <= cutoff:
            start += 1
            length -= 1
        if first + length > len(columns.events):
            return False
        at = _write_events(state, slot, start, length, columns, first)
    row = ends[0]
    for word in range(DEVICE_WORDS):
        columns.devices[row, word] = devices[slot, word]
    columns.devices_32[row, START] = 0
    columns.devices_32[row, CLASS] = 0
    columns.devices_32[row, LENGTH] = at - first
    ends[0] = row + 1
    ends[1] = at
    return True


@step
def _fetch(state: Any, first: Any, end: Any) -> None:
    """Touch the records and the first events of devices: so their loads wait for memory together, not in turn."""
    devices = devices_of(state)
    devices_32 = devices_32_of(state)
    pool = pool_of(state)
    touched = np.int64(0)
    for place in range(first, end):
        slot = value_at(state, BY_TAG, place)
        touched ^= devices[slot, 0] ^ devices[slot, 8]
    for place in range(first, end):
        at = np.int64(devices_32[value_at(state, BY_TAG, place), START])
        if at < state[POOL_LENGTH]:
            touched ^= pool[at, 0]
    state[FETCHED] = touched


@step
def _write_slice(state: Any, part: Any, columns: SliceColumns, ends: Any) -> Any:
    sessions = sessions_of(state)
    if (
        ends[0] + slice_count(state, BY_TAG, part) > len(columns.devices)
        or ends[2] + slice_count(state, IDS, part) > len(columns.ids)
        or ends[3] + slice_count(state, BY_SESSION, part) > len(columns.sessions)
    ):
        return False
    capacity = capacity_of(state, BY_TAG, part)
    for place in range(part * capacity, (part + 1) * capacity):
        if (place - part * capacity) % _AHEAD == 0:
            _fetch(state, place, min(place + _AHEAD, (part + 1) * capacity))
        if tag_at(state, BY_TAG, place) != np.uint64(0):
            slot = value_at(state, BY_TAG, place)
            if not is_idle(state, slot) and not _write_device(state, slot, columns, ends):
                return False
    capacity = capacity_of(state, IDS, part)
    hour = state[WATERMARK] // HOUR
    at = ends[2]
    for place in range(part * capacity, (part + 1) * capacity):
        if tag_at(state, IDS, place) != np.uint64(0) and is_known(state, place, hour):
            columns.ids[at] = tag_at(state, IDS, place)
            columns.hours[at] = value_at(state, IDS, place)
            at += 1
    ends[2] = at
    capacity = capacity_of(state, BY_SESSION, part)
    at = ends[3]
    for place in range(part * capacity, (part + 1) * capacity):
        if tag_at(state, BY_SESSION, place) != np.uint64(0):
            slot = np.int64(value_at(state, BY_SESSION, place))
            if not is_over(state, slot):
                for word in range(SESSION_WORDS):
                    columns.sessions[at, word] = sessions[slot, word]
                at += 1
    ends[3] = at
    return True


@kernel
def write_slices(words: Any, first: Any, end: Any, columns: SliceColumns, ends: Any) -> Any:
    """Write slices behind what the columns hold, int64[4] of devices, events, ids and sessions, and move that on.

    Return the slice to go on with when the columns are longer, ``end`` where all are written.
    """
    state = words_at(words.ctypes.data)
    for part in range(first, end):
        devices, events, ids, sessions = ends[0], ends[1], ends[2], ends[3]
        if not _write_slice(state, part, columns, ends):
            ends[0], ends[1], ends[2], ends[3] = devices, events, ids, sessions
            return part
    return end


@step
def _read_light(state: Any, slot: Any, events: Any, at: Any, length: Any) -> None:
    devices_32 = devices_32_of(state)
    number = 0
    while SIZES[number] < length:
        number += 1
    start = take_block(state, number)
    for each in range(length):
        put_event(state, start + each, events[at + each, 0], events[at + each, 1], events[at + each, 2])
    devices_32[slot, START] = start
    devices_32[slot, CLASS] = number


@kernel
def read_devices(words: Any, columns: SliceColumns, position: Any) -> Any:
    """Add devices and their events until arrays are too short; return whether all are there.

    ``position`` int64[4]: the device, the next event, how many of the device's events are there, and its slot.
    """
    state = words_at(words.ctypes.data)
    devices_32 = devices_32_of(state)
    devices = devices_of(state)
    while position[0] < len(columns.devices):
        if is_short(state):
            return False
        grow_on(state, BY_TAG, 1)
        grow_on(state, VALUES, 1)
        row, done, slot = position[0], position[2], position[3]
        length = np.int64(columns.devices_32[row, LENGTH])
        if done == 0:
            slot = new_slot(state)
            for word in range(DEVICE_WORDS):
                devices[slot, word] = columns.devices[row, word]
            insert(state, BY_TAG, np.uint64(columns.devices[row, TAG]), np.uint32(slot))
            state[EVENTS] += length
            if length <= CHUNK:
                _read_light(state, slot, columns.events, position[1], length)
                done = length
            else:
                devices_32[slot, START] = new_heavy(state)
                devices_32[slot, CLASS] = IS_HEAVY
        if done < length:
            size = min(length - done, CHUNK)
            start = take_block(state, CHUNK_CLASS)
            for each in range(size):
                place = position[1] + done + each
                put_event(
                    state, start + each, columns.events[place, 0], columns.events[place, 1], columns.events[place, 2]
                )
            adopt_chunk(state, slot, np.int64(devices_32[slot, START]), start, size)
            done += size
        position[2], position[3] = done, slot
        if done == length:
            position[0] = row + 1
            position[1] += length
            position[2] = 0
    return True


@kernel
def read_rest(words: Any, columns: SliceColumns, position: Any) -> Any:
    """Add ids and sessions, which replace those that are there; return as ``read_devices`` does.

    ``position`` int64[2]: the next id and the next session.
    """
    state = words_at(words.ctypes.data)
    sessions = sessions_of(state)
    while position[0] < len(columns.ids):
        if is_short(state):
            return False
        grow_on(state, IDS, 1)
        remember_id(state, columns.ids[position[0]], np.int64(columns.hours[position[0]]))
        position[0] += 1
    while position[1] < len(columns.sessions):
        if is_short(state):
            return False
        grow_on(state, BY_SESSION, 1)
        tag = np.uint64(columns.sessions[position[1], S_TAG])
        found = find(state, BY_SESSION, tag)
        slot = np.int64(value_at(state, BY_SESSION, found)) if found >= 0 else new_session(state, tag)
        for word in range(SESSION_WORDS):
            sessions[slot, word] = columns.sessions[position[1], word]
        position[1] += 1
    return True


@kernel
def find_sessions(words: Any, tags: Any, records: Any) -> Any:
    """Write the records of those sessions that are remembered, int64[n, 26]; return how many they are."""
    state = words_at(words.ctypes.data)
    sessions = sessions_of(state)
    at = 0
    for tag in tags:
        found = find(state, BY_SESSION, tag)
        if found >= 0 and not is_over(state, np.int64(value_at(state, BY_SESSION, found))):
            slot = np.int64(value_at(state, BY_SESSION, found))
            for word in range(SESSION_WORDS):
                records[at, word] = sessions[slot, word]
            at += 1
    return at
