"""The tables of the shared counts in memory, and the steps of their compiled loops.

``memory_rows`` counts with them, ``memory_told`` keeps the answers, ``memory_upkeep`` does what is done seldom.

**An entity** is a row of ``entities``, found by its hash in ``index`` (open addressing). Its events lie sorted by
time in one block of ``pool``. Blocks have ``LEAST << level`` places: a full one moves to the next level, and what it
leaves is used again. An event is two words: ``time << 1 | later`` and its device. ``later`` says that the entity has a
later event of that device, so the devices of a window that ends at the newest event are its events that do not have
it: an event in order counts all windows by what enters and what leaves.

**Pairs** tell of an entity and a device when its latest event was, and how many events the entity had before it. They
go with that event. The number leads to the event as long as no late one was put before it; else it is searched for.

**Memory** is what counting waits for: six entities a row, each with a place of the index, a record, a block and a pair
that no row before has touched. So ``fetch`` touches what the next rows need, all of one kind of it before that of the
next: loads that do not need each other wait together.

Python owns the arrays and makes them longer: before a query the tables, and the pool where ``count_rows`` stops short.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from flows.stages.device_state.compiled import SOURCES, kernels_of, step
from schemas.batches import I32, I64
from schemas.velocity import ENTITIES, WINDOW_MS

_LOOPS = [Path(__file__).parent / f"memory_{name}.py" for name in ("kernels", "rows", "told", "upkeep")]
kernel = kernels_of(*SOURCES, *_LOOPS)

# Words of a state.
NEWEST, SLOTS, FREE_SLOT, LIVE, PAIRED, POOL_END, TOLD_FIRST, TOLD, PARTITIONS, BORN, STAMP, EVENTS = range(12)
INDEXED, NOT_INDEXED, FETCHED, WORDS = range(12, 16)
KINDS = len(ENTITIES)
# Words of an entity. AT is where its block begins, FIRST its first event there; HEAD and DEVICES one a window; GONE is
# how many of its first events were dropped.
KEY, AT, LEVEL, FIRST, COUNT, HEAD, DEVICES, BORN_AT, GONE, ENTITY_WORDS = 0, 1, 2, 3, 4, 5, 8, 11, 12, 16
AHEAD = 64
"""Rows, and entities to be dropped, whose memory is asked for before the first of them is worked on."""
LEAST = 4
LEVELS = 40
PERIODS = len(WINDOW_MS)
CELLS = 2 * PERIODS
"""Numbers of an answer to a kind: events by window, then devices."""
_FACTOR, _OTHER = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)
_HALF = np.uint64(32)
_LOW, _WIDTH = 0xFFFFFFFF, 32
_TRIED = 4


@step
def home_of(one: Any, two: Any) -> Any:
    """Return where a search begins, before it is cut to the table: nobody can choose hashes under a secret key."""
    word = (np.uint64(one) * _FACTOR) ^ np.uint64(two)
    word = (word ^ (word >> _HALF)) * _OTHER
    return np.int64((word ^ (word >> _HALF)) >> np.uint64(1))


@step
def slot_of(index: I32, entities: I64, key: Any) -> Any:
    mask = len(index) - 1
    place = home_of(key, 0) & mask
    while index[place]:
        slot = np.int64(index[place]) - 1
        if entities[slot, KEY] == key:
            return slot
        place = (place + 1) & mask
    return -1


@step
def enter(index: I32, key: int, slot: int) -> None:
    mask = len(index) - 1
    place = home_of(key, 0) & mask
    while index[place]:
        place = (place + 1) & mask
    index[place] = slot + 1


@step
def remove_entity(words: I64, index: I32, entities: I64, slot: int) -> None:
    mask = len(index) - 1
    hole = home_of(entities[slot, KEY], 0) & mask
    while index[hole] != slot + 1:
        hole = (hole + 1) & mask
    at = (hole + 1) & mask
    while index[at]:
        home = home_of(entities[np.int64(index[at]) - 1, KEY], 0) & mask
        if ((at - home) & mask) >= ((at - hole) & mask):
            index[hole] = index[at]
            hole = at
        at = (at + 1) & mask
    index[hole] = 0
    entities[slot, KEY] = 0
    entities[slot, AT] = words[FREE_SLOT]
    words[FREE_SLOT] = slot
    words[LIVE] -= 1


@step
def pair_slot(pairs: I64, pair: int) -> Any:
    """Return whose pair it is."""
    return (pairs[pair, 0] & _LOW) - 1


@step
def pair_at(pairs: I64, slot: int, device: int) -> int:
    """Return where a pair is, or the empty place where it would be."""
    mask = len(pairs) - 1
    place = home_of(device, slot) & mask
    while pairs[place, 0] and (pair_slot(pairs, place) != slot or pairs[place, 1] != device):
        place = (place + 1) & mask
    return place


@step
def put_pair(entities: I64, pairs: I64, pair: int, slot: int, device: int, time: int, event: int) -> None:
    """Note that the latest event of a device is one that so many of the entity's events lie before."""
    before = (entities[slot, GONE] + event) & _LOW
    pairs[pair, 0], pairs[pair, 1], pairs[pair, 2] = before << _WIDTH | (slot + 1), device, time


@step
def remove_pair(words: I64, pairs: I64, slot: int, device: int) -> None:
    mask = len(pairs) - 1
    hole = pair_at(pairs, slot, device)
    at = (hole + 1) & mask
    while pairs[at, 0]:
        home = home_of(pairs[at, 1], pair_slot(pairs, at)) & mask
        if ((at - home) & mask) >= ((at - hole) & mask):
            pairs[hole, 0], pairs[hole, 1], pairs[hole, 2] = pairs[at, 0], pairs[at, 1], pairs[at, 2]
            hole = at
        at = (at + 1) & mask
    pairs[hole, 0] = 0
    words[PAIRED] -= 1


@step
def block(words: I64, pool: I64, free: I64, level: int) -> int:
    at = free[level, 0]
    if at >= 0:
        free[level, 0] = pool[at, 0]
        free[level, 1] -= 1
        return at
    at = words[POOL_END]
    words[POOL_END] += LEAST << level
    return at


@step
def give_back(pool: I64, free: I64, at: int, level: int) -> None:
    pool[at, 0] = free[level, 0]
    free[level, 0] = at
    free[level, 1] += 1


@step
def new_entity(words: I64, index: I32, entities: I64, pool: I64, free: I64, key: int, level: int) -> int:
    slot = words[FREE_SLOT]
    if slot >= 0:
        words[FREE_SLOT] = entities[slot, AT]
    else:
        slot = words[SLOTS]
        words[SLOTS] += 1
    for word in range(ENTITY_WORDS):
        entities[slot, word] = 0
    entities[slot, KEY] = key
    entities[slot, AT] = block(words, pool, free, level)
    entities[slot, LEVEL] = level
    entities[slot, BORN_AT] = words[BORN]
    words[BORN] += 1
    words[LIVE] += 1
    enter(index, key, slot)
    return slot


@step
def move(pool: I64, source: int, target: int, count: int) -> None:
    """Copy events; where they overlap the target lies before the source."""
    for event in range(count):
        pool[target + event, 0] = pool[source + event, 0]
        pool[target + event, 1] = pool[source + event, 1]


@step
def insert(words: I64, entities: I64, pool: I64, free: I64, slot: int, place: int, word: int, device: int) -> None:
    """Put an event at a place of an entity's events."""
    at, level, first, count = entities[slot, AT], entities[slot, LEVEL], entities[slot, FIRST], entities[slot, COUNT]
    if first + count == LEAST << level:
        if 2 * first >= LEAST << level:
            move(pool, at + first, at, count)
        else:
            larger = block(words, pool, free, level + 1)
            move(pool, at + first, larger, count)
            give_back(pool, free, at, level)
            at = larger
            entities[slot, AT], entities[slot, LEVEL] = at, level + 1
        entities[slot, FIRST] = first = 0
    for event in range(at + first + count, at + first + place, -1):
        pool[event, 0] = pool[event - 1, 0]
        pool[event, 1] = pool[event - 1, 1]
    pool[at + first + place, 0] = word
    pool[at + first + place, 1] = device
    entities[slot, COUNT] = count + 1
    words[EVENTS] += 1


@step
def after(pool: I64, base: int, count: int, time: int) -> int:
    """Return how many events are not later than a time."""
    low, high = 0, count
    while low < high:
        middle = (low + high) >> 1
        if pool[base + middle, 0] >> 1 <= time:
            low = middle + 1
        else:
            high = middle
    return low


@step
def latest_at(entities: I64, pool: I64, pairs: I64, pair: int, slot: int) -> int:
    """Return the place of a device's latest event among those of its entity, by its pair."""
    base, count = entities[slot, AT] + entities[slot, FIRST], entities[slot, COUNT]
    device, time = pairs[pair, 1], pairs[pair, 2]
    place = ((pairs[pair, 0] >> _WIDTH) - entities[slot, GONE]) & _LOW
    for _ in range(_TRIED):
        if place < count and pool[base + place, 1] == device and not pool[base + place, 0] & 1:
            return place
        place += 1
    place = after(pool, base, count, time) - 1
    while pool[base + place, 1] != device:
        place -= 1
    return place


@step
def fetch(
    words: I64, index: I32, entities: I64, pool: I64, pairs: I64, slots: I64,
    rows: I64, devices: I64, first: int, end: int,
) -> None:  # fmt: skip
    """Find the entities of rows, [AHEAD, KINDS], -1 where one is not known, and touch what counting them will need."""
    touched, mask, pairs_mask = np.int64(0), len(index) - 1, len(pairs) - 1
    for row in range(first, end):
        for kind in range(KINDS):
            home = home_of(rows[row, kind], 0) & mask
            slots[row - first, kind] = home
            touched ^= np.int64(index[home])
    for each in range(end - first):
        for kind in range(KINDS):
            known = np.int64(index[slots[each, kind]]) - 1
            if known >= 0:
                touched ^= entities[known, KEY] ^ entities[known, DEVICES]
    for row in range(first, end):
        for kind in range(KINDS):
            slot = slot_of(index, entities, rows[row, kind]) if rows[row, kind] else -1
            slots[row - first, kind] = slot
            if slot >= 0:
                base = entities[slot, AT] + entities[slot, FIRST]
                touched ^= pool[base + entities[slot, COUNT] - 1, 0]
                for window in range(PERIODS):
                    touched ^= pool[base + entities[slot, HEAD + window], 0]
                touched ^= pairs[home_of(devices[row], slot) & pairs_mask, 0]
    words[FETCHED] = touched
