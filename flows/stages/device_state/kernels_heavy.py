"""The events of heavy devices: chunks, counters of windows, and when each value was last seen.

An event in order moves the windows on and costs what leaves them: each event leaves each window once. A late one finds
its chunk by bisection and looks at its own window, at most ``SCANNED`` events of it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from flows.stages.device_state.compiled import step
from flows.stages.device_state.kernels_lists import (
    FIVE_MINUTES,
    clear_scratch,
    give_block,
    move_events,
    move_events_back,
    present_bits,
    put_event,
    scan_event,
    scan_range,
    take_block,
    time_at,
    value_of,
)
from flows.stages.device_state.kernels_tables import find, insert, mix, remove, set_value, value_at
from flows.stages.device_state.layout import (
    CHUNK,
    CHUNK_CLASS,
    CLASS,
    DAY,
    DIRECTORY_CLASS,
    H_CLASS,
    H_COUNTS,
    H_DIRECTORY,
    H_HEAD,
    H_LENGTH,
    HEAVY_END,
    HEAVY_FREE,
    HEAVY_WORDS,
    HOUR,
    IS_HEAVY,
    LAST,
    LENGTH,
    NEVER,
    SCANNED,
    SIZES,
    START,
    TAG,
    VALUES,
)
from flows.stages.device_state.memory import devices_32_of, devices_of, heavy_of, pool_of

_BITS, _M32 = 31, 0xFFFFFFFF
_KINDS = 5
_WINDOW_MS = np.array([FIVE_MINUTES, HOUR, DAY], np.int64)


@step
def _key(state: Any, slot: Any, kind: Any, value: Any) -> Any:
    """Return the tag of a value of a device; never 0."""
    devices = devices_of(state)
    tag = mix(np.uint64(devices[slot, TAG]) ^ mix(np.uint64(value << 3 | kind) + np.uint64(1)))
    return tag if tag != np.uint64(0) else np.uint64(1)


@step
def _entry(state: Any, heavy: Any, chunk: Any) -> Any:
    """Return where the directory describes a chunk."""
    heavies = heavy_of(state)
    return heavies[heavy, H_DIRECTORY] + heavies[heavy, H_HEAD] + chunk


@step
def _append_chunk(state: Any, heavy: Any, start: Any, length: Any, first: Any) -> None:
    heavies = heavy_of(state)
    number = heavies[heavy, H_CLASS]
    head, used = heavies[heavy, H_HEAD], heavies[heavy, H_LENGTH]
    if head + used == SIZES[number]:
        directory = heavies[heavy, H_DIRECTORY]
        if 2 * head >= SIZES[number]:
            move_events(state, directory + head, directory, used)
        else:
            larger = take_block(state, number + 1)
            move_events(state, directory + head, larger, used)
            give_block(state, directory, number)
            heavies[heavy, H_DIRECTORY] = larger
            heavies[heavy, H_CLASS] = number + 1
        heavies[heavy, H_HEAD] = 0
    put_event(state, _entry(state, heavy, used), start, length, first)
    heavies[heavy, H_LENGTH] = used + 1


@step
def _chunk_of(state: Any, heavy: Any, time: Any) -> Any:
    """Return the last chunk that begins at or before a time, the first where none does."""
    pool = pool_of(state)
    heavies = heavy_of(state)
    low, high = np.int64(0), heavies[heavy, H_LENGTH]
    while high - low > 1:
        middle = (low + high) >> 1
        if pool[_entry(state, heavy, middle), 2] <= time:
            low = middle
        else:
            high = middle
    return low


@step
def _after(state: Any, start: Any, length: Any, time: Any) -> Any:
    """Return how many events of a chunk are at or before a time."""
    low, high = np.int64(0), length
    while low < high:
        middle = (low + high) >> 1
        if time_at(state, start + middle) <= time:
            low = middle + 1
        else:
            high = middle
    return low


@step
def new_heavy(state: Any) -> Any:
    """Return an empty heavy record with a directory."""
    heavies = heavy_of(state)
    used = state[HEAVY_FREE]
    if used > 0:
        state[HEAVY_FREE] = heavies[used - 1, 0]
        heavy = used - 1
    else:
        heavy = state[HEAVY_END]
        state[HEAVY_END] = heavy + 1
    for word in range(HEAVY_WORDS):
        heavies[heavy, word] = 0
    heavies[heavy, H_CLASS] = DIRECTORY_CLASS
    heavies[heavy, H_DIRECTORY] = take_block(state, DIRECTORY_CLASS)
    return heavy


@step
def adopt_chunk(state: Any, slot: Any, heavy: Any, start: Any, length: Any) -> None:
    """Make a block of events, whose bits say what is newest, the last chunk, and count it for the windows."""
    devices = devices_of(state)
    pool = pool_of(state)
    heavies = heavy_of(state)
    _append_chunk(state, heavy, start, length, time_at(state, start))
    last = devices[slot, LAST]
    for at in range(start, start + length):
        word = pool[at, 0]
        age = last - (word >> 21)
        if age >= DAY:
            continue
        for window in range(3):
            if age < _WINDOW_MS[window]:
                heavies[heavy, H_COUNTS + window] += 1
        for kind in range(_KINDS):
            if not word >> kind & 1:
                continue
            insert(
                state,
                VALUES,
                _key(state, slot, kind, value_of(word, pool[at, 1], pool[at, 2], kind)),
                np.uint32((word >> 21) & _M32),
            )
            for window in range(3):
                if age < _WINDOW_MS[window]:
                    heavies[heavy, H_COUNTS + (kind + 1) * 3 + window] += 1


@step
def make_heavy(state: Any, slot: Any) -> None:
    """Turn a list that fills a block of the size of a chunk into a directory with one chunk."""
    devices_32 = devices_32_of(state)
    heavy = new_heavy(state)
    adopt_chunk(state, slot, heavy, np.int64(devices_32[slot, START]), np.int64(devices_32[slot, LENGTH]))
    devices_32[slot, START] = heavy
    devices_32[slot, CLASS] = IS_HEAVY


@step
def is_newest(state: Any, slot: Any, place: Any, kind: Any) -> Any:
    """Return the value's place in the table where an event of the last 24 hours is the newest of it, else -1."""
    pool = pool_of(state)
    word = pool[place, 0]
    if not word >> kind & 1:
        return np.int64(-1)
    found = find(state, VALUES, _key(state, slot, kind, value_of(word, pool[place, 1], pool[place, 2], kind)))
    if found >= 0 and value_at(state, VALUES, found) == (word >> 21) & _M32:
        return found
    return np.int64(-1)


@step
def _leave(state: Any, slot: Any, heavy: Any, window: Any, low: Any, high: Any) -> None:
    """Take the events of ``(low, high]`` out of a window; what leaves the longest one is forgotten as a value."""
    pool = pool_of(state)
    heavies = heavy_of(state)
    chunk = _chunk_of(state, heavy, low)
    longest = window == 2
    counts = H_COUNTS + window
    while chunk < heavies[heavy, H_LENGTH]:
        entry = _entry(state, heavy, chunk)
        start, length = pool[entry, 0], pool[entry, 1]
        for at in range(start + _after(state, start, length, low), start + length):
            if time_at(state, at) > high:
                return
            heavies[heavy, counts] -= 1
            for kind in range(_KINDS):
                found = is_newest(state, slot, at, kind)
                if found >= 0:
                    heavies[heavy, counts + (kind + 1) * 3] -= 1
                    if longest:
                        remove(state, VALUES, found)
        chunk += 1


@step
def _move_windows(state: Any, slot: Any, heavy: Any, time: Any) -> None:
    """Let the windows end at a time that no event is after."""
    devices = devices_of(state)
    heavies = heavy_of(state)
    last = devices[slot, LAST]
    for window in range(3):
        low, high = last - _WINDOW_MS[window], time - _WINDOW_MS[window]
        if high >= last and window < 2:
            for kind in range(_KINDS + 1):
                heavies[heavy, H_COUNTS + kind * 3 + window] = 0
        elif high > low:
            _leave(state, slot, heavy, window, low, high)


@step
def _see_values(
    state: Any, slot: Any, heavy: Any, time: Any, newest: Any, word_0: Any, word_1: Any, word_2: Any
) -> Any:
    """Count an event in the windows that end at ``newest``; return its bits."""
    heavies = heavy_of(state)
    bits = 0
    for window in range(3):
        if newest - time < _WINDOW_MS[window]:
            heavies[heavy, H_COUNTS + window] += 1
    if newest - time >= DAY:
        return bits
    present = present_bits(word_0, word_1)
    for kind in range(_KINDS):
        if not present >> kind & 1:
            continue
        key = _key(state, slot, kind, value_of(word_0, word_1, word_2, kind))
        found = find(state, VALUES, key)
        last = newest - ((newest - value_at(state, VALUES, found)) & _M32) if found >= 0 else NEVER
        if found < 0:
            insert(state, VALUES, key, np.uint32(time & _M32))
        elif last < time:
            set_value(state, VALUES, found, time & _M32)
        if last < time:
            bits |= 1 << kind
        for window in range(3):
            low = newest - _WINDOW_MS[window]
            if time > low >= last:
                heavies[heavy, H_COUNTS + (kind + 1) * 3 + window] += 1
    return bits


@step
def _count_late(
    state: Any,
    heavy: Any,
    chunk: Any,
    within: Any,
    time: Any,
    word_0: Any,
    word_1: Any,
    word_2: Any,
    counts: Any,
    row: Any,
) -> None:
    """Count for an event that goes behind ``within`` events of a chunk: events exactly, values of SCANNED events."""
    pool = pool_of(state)
    counts[row, :] = 0
    for window in range(3):
        low = time - _WINDOW_MS[window]
        total, each, length = np.int64(1), chunk, within
        while True:
            entry = _entry(state, heavy, each)
            if length and pool[entry, 2] <= low:
                total += length - _after(state, pool[entry, 0], length, low)
                break
            total += length
            if each == 0:
                break
            each -= 1
            length = pool[_entry(state, heavy, each), 1]
        counts[row, window] = total
    mask = clear_scratch(state, np.int64(min(counts[row, 2], SCANNED)) + 1)
    scan_event(state, word_0, word_1, word_2, mask, counts, row, 0)
    left, each, length = np.int64(SCANNED), chunk, within
    while True:
        start = pool[_entry(state, heavy, each), 0]
        left = scan_range(state, start, start + length, time, left, mask, counts, row)
        if left == 0 or each == 0:
            break
        each -= 1
        length = pool[_entry(state, heavy, each), 1]


@step
def _split(state: Any, heavy: Any, chunk: Any) -> None:
    """Divide a full chunk into two halves."""
    pool = pool_of(state)
    heavies = heavy_of(state)
    entry = _entry(state, heavy, chunk)
    start, half = pool[entry, 0], CHUNK // 2
    fresh = take_block(state, CHUNK_CLASS)
    move_events(state, start + half, fresh, CHUNK - half)
    pool[entry, 1] = half
    _append_chunk(state, heavy, fresh, CHUNK - half, time_at(state, fresh))
    for each in range(heavies[heavy, H_LENGTH] - 1, chunk + 1, -1):
        here = _entry(state, heavy, each)
        move_events(state, here - 1, here, 1)
    put_event(state, _entry(state, heavy, chunk + 1), fresh, CHUNK - half, time_at(state, fresh))


@step
def _insert_event(state: Any, heavy: Any, chunk: Any, within: Any, word_0: Any, word_1: Any, word_2: Any) -> None:
    """Add an event behind ``within`` events of a chunk."""
    pool = pool_of(state)
    heavies = heavy_of(state)
    if pool[_entry(state, heavy, chunk), 1] == CHUNK:
        if within == CHUNK and chunk == heavies[heavy, H_LENGTH] - 1:
            _append_chunk(state, heavy, take_block(state, CHUNK_CLASS), 0, word_0 >> 21)
            chunk, within = chunk + 1, np.int64(0)
        else:
            _split(state, heavy, chunk)
            if within > CHUNK // 2:
                chunk, within = chunk + 1, within - CHUNK // 2
    entry = _entry(state, heavy, chunk)
    start, length = pool[entry, 0], pool[entry, 1]
    move_events_back(state, start + within, start + within + 1, length - within)
    put_event(state, start + within, word_0, word_1, word_2)
    pool[entry, 1] = length + 1
    pool[entry, 2] = time_at(state, start)


@step
def _drop_expired_chunks(state: Any, heavy: Any, cutoff: Any) -> None:
    """Give back chunks of which a later event is expired too: the newest expired one stays."""
    pool = pool_of(state)
    heavies = heavy_of(state)
    while heavies[heavy, H_LENGTH] > 1 and pool[_entry(state, heavy, 1), 2] <= cutoff:
        give_block(state, pool[_entry(state, heavy, 0), 0], CHUNK_CLASS)
        heavies[heavy, H_HEAD] += 1
        heavies[heavy, H_LENGTH] -= 1


@step
def add_heavy(
    state: Any, slot: Any, time: Any, cutoff: Any, word_0: Any, word_1: Any, word_2: Any, counts: Any, row: Any
) -> Any:
    """Count an event and add it; return the time of the event before it, -1 where none is known."""
    devices_32 = devices_32_of(state)
    devices = devices_of(state)
    pool = pool_of(state)
    heavies = heavy_of(state)
    heavy = np.int64(devices_32[slot, START])
    last = devices[slot, LAST]
    if time >= last:
        _move_windows(state, slot, heavy, time)
        bits = _see_values(state, slot, heavy, time, time, word_0, word_1, word_2)
        for kind in range(_KINDS + 1):
            for window in range(3):
                counts[row, kind * 3 + window] = heavies[heavy, H_COUNTS + kind * 3 + window]
        _drop_expired_chunks(state, heavy, cutoff)
        chunk = heavies[heavy, H_LENGTH] - 1
        within = pool[_entry(state, heavy, chunk), 1]
        previous = last
    else:
        _drop_expired_chunks(state, heavy, cutoff)
        chunk = _chunk_of(state, heavy, time)
        start = pool[_entry(state, heavy, chunk), 0]
        within = _after(state, start, pool[_entry(state, heavy, chunk), 1], time)
        previous = time_at(state, start + within - 1) if within else np.int64(-1)
        _count_late(state, heavy, chunk, within, time, word_0, word_1, word_2, counts, row)
        bits = _see_values(state, slot, heavy, time, last, word_0, word_1, word_2)
    _insert_event(state, heavy, chunk, within, (word_0 & ~_BITS) | bits, word_1, word_2)
    return previous


@step
def forget_events(state: Any, slot: Any) -> None:
    """Give back all that a list holds."""
    devices_32 = devices_32_of(state)
    devices = devices_of(state)
    pool = pool_of(state)
    heavies = heavy_of(state)
    number = np.int64(devices_32[slot, CLASS])
    if number != IS_HEAVY:
        give_block(state, np.int64(devices_32[slot, START]), number)
        return
    heavy = np.int64(devices_32[slot, START])
    last = devices[slot, LAST]
    _leave(state, slot, heavy, 2, last - DAY, last)
    for chunk in range(heavies[heavy, H_LENGTH]):
        give_block(state, pool[_entry(state, heavy, chunk), 0], CHUNK_CLASS)
    give_block(state, heavies[heavy, H_DIRECTORY], heavies[heavy, H_CLASS])
    heavies[heavy, 0] = state[HEAVY_FREE]
    state[HEAVY_FREE] = heavy + 1


@step
def last_place(state: Any, slot: Any) -> Any:
    """Return where the newest event of a list lies."""
    devices_32 = devices_32_of(state)
    pool = pool_of(state)
    heavies = heavy_of(state)
    start, length = np.int64(devices_32[slot, START]), np.int64(devices_32[slot, LENGTH])
    if devices_32[slot, CLASS] == IS_HEAVY:
        entry = _entry(state, start, heavies[start, H_LENGTH] - 1)
        start, length = pool[entry, 0], pool[entry, 1]
    return start + length - 1
