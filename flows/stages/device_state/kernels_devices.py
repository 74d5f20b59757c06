"""Devices: found or begun, counted, forgotten; what is remembered of their lives."""

from __future__ import annotations

from typing import Any

import numpy as np

from flows.stages.device_state.compiled import step
from flows.stages.device_state.kernels_heavy import add_heavy, forget_events, last_place, make_heavy
from flows.stages.device_state.kernels_lists import (
    add_light,
    forget_expired,
    make_room,
    present_bits,
    put_event,
    take_block,
    time_at,
)
from flows.stages.device_state.kernels_tables import find, insert, remove, value_at
from flows.stages.device_state.layout import (
    BY_TAG,
    CHUNK,
    CLASS,
    DAY,
    DEVICE_END,
    DEVICE_FREE,
    DEVICE_SWEPT,
    DEVICE_WORDS,
    FIRST,
    HOUR,
    HOURS_AT,
    IDLE,
    IS_HEAVY,
    LAST,
    LATENESS,
    LENGTH,
    LIFE,
    NEVER,
    PLACE_AT,
    PLACES,
    SCORES,
    START,
    TAG,
    WATERMARK,
)
from flows.stages.device_state.memory import (
    devices_8_of,
    devices_32_of,
    devices_f_of,
    devices_of,
    out_counts_of,
    out_first_of,
    out_hours_of,
    out_latitude_of,
    out_life_of,
    out_longitude_of,
    out_place_at_of,
    out_previous_of,
    out_scores_of,
    pool_of,
)
from schemas.velocity import HOURS, PLACES_KEPT, SCORES_KEPT

_NAN = np.float32(np.nan)


@step
def cutoff_of(state: Any) -> Any:
    """Return the time that no window of an event to come reaches back to."""
    return state[WATERMARK] - state[LATENESS] - DAY


@step
def is_idle(state: Any, slot: Any) -> Any:
    """Return whether a device is forgotten, whether or not its memory was taken back."""
    devices = devices_of(state)
    return devices[slot, LAST] < state[WATERMARK] - state[IDLE]


@step
def _begin(state: Any, slot: Any, tag: Any, time: Any) -> None:
    """Begin a life in a slot that holds no list."""
    devices_32 = devices_32_of(state)
    devices_f = devices_f_of(state)
    devices = devices_of(state)
    for word in range(DEVICE_WORDS):
        devices[slot, word] = 0
    devices[slot, FIRST] = time
    devices[slot, LAST] = NEVER
    devices[slot, TAG] = np.int64(tag)
    devices_32[slot, START] = take_block(state, 0)
    for at in range(SCORES_KEPT):
        devices_f[slot, SCORES + at] = _NAN
    for at in range(PLACES_KEPT):
        devices_f[slot, PLACES + at] = _NAN
        devices_f[slot, PLACES + PLACES_KEPT + at] = _NAN
        devices[slot, PLACE_AT + at] = -1


@step
def new_slot(state: Any) -> Any:
    devices = devices_of(state)
    used = state[DEVICE_FREE]
    if used > 0:
        state[DEVICE_FREE] = devices[used - 1, 0]
        return used - 1
    slot = state[DEVICE_END]
    state[DEVICE_END] = slot + 1
    return slot


@step
def _slot_of(state: Any, tag: Any, time: Any) -> Any:
    """Return the record of a device, a new one where it is not known or forgotten."""
    found = find(state, BY_TAG, tag)
    if found >= 0:
        slot = np.int64(value_at(state, BY_TAG, found))
        if is_idle(state, slot):
            forget_events(state, slot)
            _begin(state, slot, tag, time)
        return slot
    slot = new_slot(state)
    insert(state, BY_TAG, tag, np.uint32(slot))
    _begin(state, slot, tag, time)
    return slot


@step
def _write_history(state: Any, slot: Any, row: Any) -> None:
    out_hours = out_hours_of(state)
    out_latitude = out_latitude_of(state)
    out_longitude = out_longitude_of(state)
    out_place_at = out_place_at_of(state)
    out_scores = out_scores_of(state)
    devices_f = devices_f_of(state)
    devices_8 = devices_8_of(state)
    devices = devices_of(state)
    for at in range(HOURS):
        out_hours[row, at] = devices_8[slot, HOURS_AT + at]
    for at in range(SCORES_KEPT):
        out_scores[row, at] = devices_f[slot, SCORES + at]
    for at in range(PLACES_KEPT):
        out_latitude[row, at] = devices_f[slot, PLACES + at]
        out_longitude[row, at] = devices_f[slot, PLACES + PLACES_KEPT + at]
        out_place_at[row, at] = devices[slot, PLACE_AT + at]


@step
def _remember_hour(state: Any, slot: Any, time: Any) -> None:
    devices_8 = devices_8_of(state)
    place = HOURS_AT + time // HOUR % HOURS
    if devices_8[slot, place] == 255:
        for at in range(HOURS):
            devices_8[slot, HOURS_AT + at] >>= 1
    devices_8[slot, place] += 1


@step
def _remember_place(state: Any, slot: Any, time: Any, latitude: Any, longitude: Any) -> None:
    """Note when a device was last at a place; places are sorted by that time, the newest first."""
    devices_f = devices_f_of(state)
    devices = devices_of(state)
    if np.isnan(latitude) or np.isnan(longitude):
        return
    at = PLACES_KEPT - 1  # where the place was, or of the oldest, which gives way
    for each in range(PLACES_KEPT):
        if devices_f[slot, PLACES + each] == latitude and devices_f[slot, PLACES + PLACES_KEPT + each] == longitude:
            at = each
            time = max(time, devices[slot, PLACE_AT + each])
    if devices[slot, PLACE_AT + at] > time:
        return
    while at > 0 and devices[slot, PLACE_AT + at - 1] <= time:
        devices[slot, PLACE_AT + at] = devices[slot, PLACE_AT + at - 1]
        devices_f[slot, PLACES + at] = devices_f[slot, PLACES + at - 1]
        devices_f[slot, PLACES + PLACES_KEPT + at] = devices_f[slot, PLACES + PLACES_KEPT + at - 1]
        at -= 1
    devices[slot, PLACE_AT + at] = time
    devices_f[slot, PLACES + at] = latitude
    devices_f[slot, PLACES + PLACES_KEPT + at] = longitude


@step
def add_event(
    state: Any,
    tag: Any,
    word_0: Any,
    word_1: Any,
    word_2: Any,
    latitude: Any,
    longitude: Any,
    row: Any,
) -> None:
    """Count an event of a device and add it to its life. ``word_0`` has the bits of all values that are present."""
    out_counts = out_counts_of(state)
    out_first = out_first_of(state)
    out_life = out_life_of(state)
    out_previous = out_previous_of(state)
    devices_32 = devices_32_of(state)
    devices = devices_of(state)
    time = word_0 >> 21
    slot = _slot_of(state, tag, time)
    cutoff = cutoff_of(state)
    if devices_32[slot, CLASS] != IS_HEAVY:
        forget_expired(state, slot, cutoff)
        if devices_32[slot, LENGTH] == CHUNK:
            make_heavy(state, slot)
        else:
            make_room(state, slot)
    if devices_32[slot, CLASS] == IS_HEAVY:
        previous = add_heavy(state, slot, time, cutoff, word_0, word_1, word_2, out_counts, row)
    else:
        previous = add_light(state, slot, time, cutoff, word_0, word_1, word_2, out_counts, row)
    devices[slot, FIRST] = min(devices[slot, FIRST], time)
    devices[slot, LAST] = max(devices[slot, LAST], time)
    devices_32[slot, LIFE] += np.uint32(1)
    out_first[row] = devices[slot, FIRST]
    out_previous[row] = previous
    out_life[row] = devices_32[slot, LIFE]
    _write_history(state, slot, row)
    _remember_hour(state, slot, time)
    _remember_place(state, slot, time, latitude, longitude)


@step
def add_score(state: Any, tag: Any, score: Any) -> None:
    """Remember a score of a device, unless that is forgotten."""
    devices_f = devices_f_of(state)
    found = find(state, BY_TAG, tag)
    if found < 0:
        return
    slot = np.int64(value_at(state, BY_TAG, found))
    if is_idle(state, slot):
        return
    for at in range(SCORES_KEPT - 1, 0, -1):
        devices_f[slot, SCORES + at] = devices_f[slot, SCORES + at - 1]
    devices_f[slot, SCORES] = score


@step
def _keep_newest(state: Any, slot: Any) -> None:
    devices_32 = devices_32_of(state)
    pool = pool_of(state)
    place = last_place(state, slot)
    time, first, second = time_at(state, place), pool[place, 1], pool[place, 2]
    word = (time << 21) | (pool[place, 0] & (0xFFFF << 5))
    forget_events(state, slot)
    start = take_block(state, 0)
    put_event(state, start, word | present_bits(word, first), first, second)
    devices_32[slot, START] = start
    devices_32[slot, LENGTH] = 1
    devices_32[slot, CLASS] = 0


@step
def _drop_device(state: Any, slot: Any) -> None:
    """Take back the memory of a device."""
    devices = devices_of(state)
    forget_events(state, slot)
    remove(state, BY_TAG, find(state, BY_TAG, np.uint64(devices[slot, TAG])))
    devices[slot, TAG] = 0
    devices[slot, 0] = state[DEVICE_FREE]
    state[DEVICE_FREE] = slot + 1


@step
def sweep_devices(state: Any, records: Any) -> None:
    """Look at some devices: forgotten ones go, and the events of those that no window can reach, but for the newest."""
    devices = devices_of(state)
    devices_32 = devices_32_of(state)
    cutoff = cutoff_of(state)
    slot = state[DEVICE_SWEPT]
    for _ in range(records):
        slot += 1
        if slot >= state[DEVICE_END]:
            slot = 0
        # The last time first: it says enough of nearly all, and the tag lies in another cache line.
        if devices[slot, LAST] > cutoff or devices[slot, TAG] == 0:
            continue
        if is_idle(state, slot):
            _drop_device(state, slot)
        elif devices_32[slot, CLASS] == IS_HEAVY or devices_32[slot, LENGTH] > 1:
            _keep_newest(state, slot)
    state[DEVICE_SWEPT] = slot
