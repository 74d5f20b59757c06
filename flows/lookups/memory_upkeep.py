"""What is done seldom to the shared counts in memory, compiled: forgetting, longer tables, dumps and loads."""

from __future__ import annotations

import numpy as np

from flows.lookups.memory_kernels import (
    AHEAD,
    AT,
    COUNT,
    DEVICES,
    EVENTS,
    FETCHED,
    FIRST,
    GONE,
    HEAD,
    KEY,
    LEAST,
    LEVEL,
    PAIRED,
    PERIODS,
    SLOTS,
    after,
    block,
    enter,
    give_back,
    home_of,
    kernel,
    move,
    new_entity,
    pair_at,
    pair_slot,
    put_pair,
    remove_entity,
    remove_pair,
    slot_of,
)
from flows.stages.device_state.compiled import step
from schemas.batches import I32, I64
from schemas.velocity import WINDOW_MS


@step
def _fetch_old(words: I64, entities: I64, pool: I64, index: I32, pairs: I64, first: int, end: int, oldest: int) -> None:
    """Touch what dropping the events of some entities will need, as ``memory_kernels.fetch`` does for rows."""
    touched, index_mask, pairs_mask = np.int64(0), len(index) - 1, len(pairs) - 1
    for slot in range(first, end):
        if entities[slot, KEY]:
            touched ^= pool[entities[slot, AT] + entities[slot, FIRST], 0]
    for slot in range(first, end):
        event = entities[slot, AT] + entities[slot, FIRST]
        last = event + min(entities[slot, COUNT], AHEAD)
        if not entities[slot, KEY] or pool[event, 0] >> 1 >= oldest:
            continue
        touched ^= np.int64(index[home_of(entities[slot, KEY], 0) & index_mask])
        while event < last and pool[event, 0] >> 1 < oldest:
            touched ^= pairs[home_of(pool[event, 1], slot) & pairs_mask, 0]
            event += 1
    words[FETCHED] = touched


@kernel
def forget(words: I64, entities: I64, pool: I64, free: I64, index: I32, pairs: I64, oldest: int) -> None:
    """Drop the events before a time that no window of a newest event holds, and entities that have none since then."""
    for slot in range(words[SLOTS]):
        if slot % AHEAD == 0:
            _fetch_old(words, entities, pool, index, pairs, slot, min(slot + AHEAD, words[SLOTS]), oldest)
        base, count = entities[slot, AT] + entities[slot, FIRST], entities[slot, COUNT]
        if not entities[slot, KEY] or pool[base, 0] >> 1 >= oldest:
            continue
        all_gone = pool[base + count - 1, 0] >> 1 < oldest
        gone = count if all_gone else min(after(pool, base, count, oldest - 1), entities[slot, HEAD + PERIODS - 1])
        for event in range(base, base + gone):
            if not pool[event, 0] & 1:
                remove_pair(words, pairs, slot, pool[event, 1])
        words[EVENTS] -= gone
        if all_gone:
            give_back(pool, free, entities[slot, AT], entities[slot, LEVEL])
            remove_entity(words, index, entities, slot)
            continue
        entities[slot, FIRST] += gone
        entities[slot, GONE] += gone
        entities[slot, COUNT] -= gone
        for window in range(PERIODS):
            entities[slot, HEAD + window] -= gone


@kernel
def fill_index(words: I64, entities: I64, index: I32) -> None:
    """Enter all entities into an empty index."""
    for slot in range(words[SLOTS]):
        if entities[slot, KEY]:
            enter(index, entities[slot, KEY], slot)


@kernel
def fill_pairs(old: I64, pairs: I64) -> None:
    """Enter all pairs into an empty table."""
    for place in range(len(old)):
        if old[place, 0]:
            at = pair_at(pairs, pair_slot(old, place), old[place, 1])
            for word in range(3):
                pairs[at, word] = old[place, word]


@kernel
def copy_events(entities: I64, pool: I64, slots: I64, firsts: I64, lengths: I64, times: I64, devices: I64) -> None:
    """Copy runs of events of entities, one run after the other."""
    at = 0
    for run in range(len(slots)):
        slot = slots[run]
        first = entities[slot, AT] + entities[slot, FIRST] + firsts[run]
        for event in range(first, first + lengths[run]):
            times[at], devices[at] = pool[event, 0] >> 1, pool[event, 1]
            at += 1


@kernel
def take_events(
    words: I64, entities: I64, pool: I64, free: I64, index: I32, names: I64, lengths: I64, times: I64, devices: I64
) -> bool:
    """Append runs of events to entities; return whether those of each are in order.

    ``finish_entities`` does the rest.
    """
    at = 0
    for run in range(len(names)):
        length, level = lengths[run], 0
        slot = slot_of(index, entities, names[run])
        count = entities[slot, COUNT] if slot >= 0 else 0
        while LEAST << level < count + length:
            level += 1
        if slot < 0:
            slot = new_entity(words, index, entities, pool, free, names[run], level)
        elif level > entities[slot, LEVEL]:
            larger = block(words, pool, free, level)
            move(pool, entities[slot, AT], larger, count)
            give_back(pool, free, entities[slot, AT], entities[slot, LEVEL])
            entities[slot, AT], entities[slot, LEVEL] = larger, level
        base = entities[slot, AT]
        for event in range(count, count + length):
            if event and pool[base + event - 1, 0] >> 1 > times[at]:
                return False
            pool[base + event, 0], pool[base + event, 1] = times[at] << 1, devices[at]
            at += 1
        entities[slot, COUNT] = count + length
        words[EVENTS] += length
    return True


@step
def _finish(words: I64, entities: I64, pool: I64, pairs: I64, slot: int) -> None:
    base, count = entities[slot, AT], entities[slot, COUNT]
    for event in range(base + count - 1, base - 1, -1):
        pair = pair_at(pairs, slot, pool[event, 1])
        if pairs[pair, 0]:
            pool[event, 0] |= 1
            continue
        put_pair(entities, pairs, pair, slot, pool[event, 1], pool[event, 0] >> 1, event - base)
        words[PAIRED] += 1
    for window in range(PERIODS):
        head = after(pool, base, count, (pool[base + count - 1, 0] >> 1) - WINDOW_MS[window])
        entities[slot, HEAD + window] = head
        for event in range(base + head, base + count):
            entities[slot, DEVICES + window] += 1 - (pool[event, 0] & 1)


@kernel
def finish_entities(words: I64, entities: I64, pool: I64, pairs: I64) -> None:
    """Find what the windows that end at the newest event hold, by the events that ``take_events`` took."""
    for slot in range(words[SLOTS]):
        _finish(words, entities, pool, pairs, slot)
