"""Blocks of the pool, and the events of devices that have few of them: how they count and how they are added."""

from __future__ import annotations

from typing import Any

import numpy as np

from flows.stages.device_state.compiled import step
from flows.stages.device_state.kernels_tables import mix
from flows.stages.device_state.layout import (
    CLASS,
    DAY,
    FREE,
    HOUR,
    LENGTH,
    POOL_END,
    POOL_NEED,
    SCANNED,
    SECOND,
    SIZES,
    START,
)
from flows.stages.device_state.memory import devices_32_of, pool_of, scratch_of
from schemas.velocity import KINDS

_M16, _M32 = 0xFFFF, 0xFFFFFFFF
_TIME, _COUNTRY, _BITS = 21, 5, 31
FIVE_MINUTES = 300 * SECOND
_LANE = 10
_LANES = np.array(
    [1 | sum(1 << _LANE * (kind + 1) for kind in range(5) if bits >> kind & 1) for bits in range(32)], np.int64
)
"""Six counters of ten bits in one word: 1 event, and 1 of each kind whose bit is set."""
ADDRESS, ACCOUNT, COUNTRY, MERCHANT, SESSION = range(5)  # the bits of an event; kinds are one more


@step
def take_block(state: Any, number: Any) -> Any:
    """Return where a block of a class begins; there is room."""
    pool = pool_of(state)
    used = state[FREE + number]
    if used > 0:
        state[FREE + number] = pool[used - 1, 0]
        return used - 1
    start = state[POOL_END]
    size = SIZES[number]
    state[POOL_END] = start + size
    state[POOL_NEED] = max(state[POOL_NEED], size * 4)
    return start


@step
def give_block(state: Any, start: Any, number: Any) -> None:
    pool = pool_of(state)
    pool[start, 0] = state[FREE + number]
    state[FREE + number] = start + 1


@step
def move_events(state: Any, source: Any, target: Any, count: Any) -> None:
    """Copy events; from the first to the last, so that they may move towards the front."""
    pool = pool_of(state)
    for at in range(count):
        pool[target + at, 0] = pool[source + at, 0]
        pool[target + at, 1] = pool[source + at, 1]
        pool[target + at, 2] = pool[source + at, 2]


@step
def move_events_back(state: Any, source: Any, target: Any, count: Any) -> None:
    """Copy events from the last to the first, so that they may move towards the end."""
    pool = pool_of(state)
    for at in range(count - 1, -1, -1):
        pool[target + at, 0] = pool[source + at, 0]
        pool[target + at, 1] = pool[source + at, 1]
        pool[target + at, 2] = pool[source + at, 2]


@step
def put_event(state: Any, place: Any, word_0: Any, word_1: Any, word_2: Any) -> None:
    pool = pool_of(state)
    pool[place, 0] = word_0
    pool[place, 1] = word_1
    pool[place, 2] = word_2


@step
def time_at(state: Any, place: Any) -> Any:
    pool = pool_of(state)
    return pool[place, 0] >> _TIME


@step
def value_of(word_0: Any, word_1: Any, word_2: Any, kind: Any) -> Any:
    """Return the value of a kind, by its bit; 0 where absent."""
    if kind == ADDRESS:
        return (word_1 >> 32) & _M32
    if kind == ACCOUNT:
        return word_1 & _M32
    if kind == COUNTRY:
        return (word_0 >> _COUNTRY) & _M16
    if kind == MERCHANT:
        return (word_2 >> 32) & _M32
    return word_2 & _M32


@step
def present_bits(word_0: Any, word_1: Any) -> Any:
    """Return the bits of the kinds that have a value."""
    bits = 1 << ADDRESS | 1 << MERCHANT | 1 << SESSION
    if word_1 & _M32:
        bits |= 1 << ACCOUNT
    if (word_0 >> _COUNTRY) & _M16:
        bits |= 1 << COUNTRY
    return bits


@step
def same_bits(state: Any, place: Any, word_0: Any, word_1: Any, word_2: Any) -> Any:
    """Return the bits of the kinds whose value is that of the event at a place."""
    pool = pool_of(state)
    first = pool[place, 1] ^ word_1
    second = pool[place, 2] ^ word_2
    bits = 0
    if (first >> 32) & _M32 == 0:
        bits |= 1 << ADDRESS
    if first & _M32 == 0:
        bits |= 1 << ACCOUNT
    if ((pool[place, 0] ^ word_0) >> _COUNTRY) & _M16 == 0:
        bits |= 1 << COUNTRY
    if (second >> 32) & _M32 == 0:
        bits |= 1 << MERCHANT
    if second & _M32 == 0:
        bits |= 1 << SESSION
    return bits


@step
def count_newest(
    state: Any, slot: Any, time: Any, word_0: Any, word_1: Any, word_2: Any, counts: Any, row: Any
) -> None:
    """Count for an event that no event of the list is after. It becomes the newest of its values."""
    devices_32 = devices_32_of(state)
    pool = pool_of(state)
    start = np.int64(devices_32[slot, START])
    near = _LANES[word_0 & _BITS]
    middle, far = np.int64(0), np.int64(0)
    for at in range(start + np.int64(devices_32[slot, LENGTH]) - 1, start - 1, -1):
        word = pool[at, 0]
        age = time - (word >> _TIME)
        if age >= DAY:
            break
        bits = word & _BITS
        if bits:
            replaced = bits & same_bits(state, at, word_0, word_1, word_2)
            if replaced:
                bits ^= replaced
                pool[at, 0] = word ^ replaced
        if age < FIVE_MINUTES:
            near += _LANES[bits]
        elif age < HOUR:
            middle += _LANES[bits]
        else:
            far += _LANES[bits]
    middle += near
    far += middle
    for kind in range(6):
        counts[row, kind * 3] = near >> _LANE * kind & 1023
        counts[row, kind * 3 + 1] = middle >> _LANE * kind & 1023
        counts[row, kind * 3 + 2] = far >> _LANE * kind & 1023


@step
def mark_among(state: Any, slot: Any, place: Any, word_0: Any, word_1: Any, word_2: Any) -> Any:
    """Return the first word of an event that goes before ``place``: with the bits of what it is the newest of."""
    devices_32 = devices_32_of(state)
    pool = pool_of(state)
    start = np.int64(devices_32[slot, START])
    bits = word_0 & _BITS
    for at in range(place, start + np.int64(devices_32[slot, LENGTH])):
        bits &= ~same_bits(state, at, word_0, word_1, word_2)
    for at in range(start, place):
        replaced = pool[at, 0] & bits & same_bits(state, at, word_0, word_1, word_2)
        pool[at, 0] ^= replaced
    return (word_0 & ~_BITS) | bits


@step
def make_room(state: Any, slot: Any) -> None:
    """Give a list that fills its block the next larger one."""
    devices_32 = devices_32_of(state)
    number = np.int64(devices_32[slot, CLASS])
    length = np.int64(devices_32[slot, LENGTH])
    if length < SIZES[number]:
        return
    start = np.int64(devices_32[slot, START])
    larger = take_block(state, number + 1)
    move_events(state, start, larger, length)
    give_block(state, start, number)
    devices_32[slot, START] = larger
    devices_32[slot, CLASS] = number + 1


@step
def forget_expired(state: Any, slot: Any, cutoff: Any) -> None:
    """Drop what is at or before the cutoff, but for the newest of it: the event before an event stays known."""
    devices_32 = devices_32_of(state)
    start = np.int64(devices_32[slot, START])
    length = np.int64(devices_32[slot, LENGTH])
    expired = 0
    while expired + 1 < length and time_at(state, start + expired + 1) <= cutoff:
        expired += 1
    if expired:
        move_events(state, start + expired, start, length - expired)
        devices_32[slot, LENGTH] = length - expired


@step
def clear_scratch(state: Any, events: Any) -> Any:
    """Empty as much of the scratch table as the values of so many events need; return its mask."""
    scratch = scratch_of(state)
    size = 64
    while size < 10 * events:
        size *= 2
    scratch[:size] = np.uint64(0)
    return size - 1


@step
def scan_event(
    state: Any, word_0: Any, word_1: Any, word_2: Any, mask: Any, counts: Any, row: Any, window: Any
) -> None:
    """Count those values of an event that were not met before, in a window and those that hold it."""
    scratch = scratch_of(state)
    present = present_bits(word_0, word_1)
    for kind in range(len(KINDS) - 1):
        if not present >> kind & 1:
            continue
        key = np.uint64(value_of(word_0, word_1, word_2, kind) << 3 | kind) + np.uint64(1)
        at = np.int64(mix(key)) & mask
        while scratch[at] != np.uint64(0) and scratch[at] != key:
            at = (at + 1) & mask
        if scratch[at] == key:
            continue
        scratch[at] = key
        for each in range(window, 3):
            counts[row, (kind + 1) * 3 + each] += 1


@step
def scan_range(state: Any, first: Any, after: Any, time: Any, left: Any, mask: Any, counts: Any, row: Any) -> Any:
    """Count a block's events from ``after`` back to ``first``, at most ``left``; return how many may follow."""
    pool = pool_of(state)
    for at in range(after - 1, first - 1, -1):
        word = pool[at, 0]
        age = time - (word >> _TIME)
        if age >= DAY or left == 0:
            return 0
        window = 0 if age < FIVE_MINUTES else 1 if age < HOUR else 2
        scan_event(state, word, pool[at, 1], pool[at, 2], mask, counts, row, window)
        left -= 1
    return left


@step
def add_light(
    state: Any, slot: Any, time: Any, cutoff: Any, word_0: Any, word_1: Any, word_2: Any, counts: Any, row: Any
) -> Any:
    """Count an event and add it to a short list that has room; return the time of the event before it, or -1."""
    devices_32 = devices_32_of(state)
    start = np.int64(devices_32[slot, START])
    length = np.int64(devices_32[slot, LENGTH])
    place = start + length
    while place > start and time_at(state, place - 1) > time:
        place -= 1
    previous = time_at(state, place - 1) if place > start else np.int64(-1)
    if place == start + length:
        count_newest(state, slot, time, word_0, word_1, word_2, counts, row)
        put_event(state, place, word_0, word_1, word_2)
    else:
        mask = clear_scratch(state, place - start + 1)
        counts[row, :] = 0
        scan_event(state, word_0, word_1, word_2, mask, counts, row, 0)
        scan_range(state, start, place, time, SCANNED, mask, counts, row)
        for window in range(3):
            counts[row, window] = 1
        for at in range(start, place):
            age = time - time_at(state, at)
            counts[row, 0] += age < FIVE_MINUTES
            counts[row, 1] += age < HOUR
            counts[row, 2] += age < DAY
        marked = mark_among(state, slot, place, word_0, word_1, word_2)
        move_events_back(state, place, place + 1, start + length - place)
        put_event(state, place, marked, word_1, word_2)
    devices_32[slot, LENGTH] = length + 1
    return previous
