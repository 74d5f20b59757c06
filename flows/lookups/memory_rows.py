"""The loop over the rows of a query of the shared counts in memory, compiled."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from flows.lookups.memory_kernels import (
    AHEAD,
    AT,
    CELLS,
    COUNT,
    DEVICES,
    FIRST,
    HEAD,
    KINDS,
    LEAST,
    LEVEL,
    LIVE,
    NEWEST,
    PAIRED,
    PARTITIONS,
    PERIODS,
    POOL_END,
    STAMP,
    TOLD,
    after,
    fetch,
    home_of,
    insert,
    kernel,
    latest_at,
    new_entity,
    pair_at,
    put_pair,
    slot_of,
)
from flows.lookups.memory_told import tell, told_at
from flows.stages.device_state.compiled import step
from flows.stages.device_state.pointers import NOT_PLAIN, are_plain, matrix_in, numbers_of, vector_in
from schemas.batches import F32, I32, I64, U64
from schemas.velocity import WINDOW_MS

NO_ROOM = -2
_vector_i64, _vector_i32 = vector_in(np.int64), vector_in(np.int32)
_rows_i64, _rows_f32 = matrix_in(np.int64), matrix_in(np.float32)


class Tables(NamedTuple):
    """The arrays that ``MemoryTables`` has."""

    words: I64
    entities: I64  # [e, ENTITY_WORDS]
    pool: I64  # [p, 2]
    free: I64  # [LEVELS, 2]
    by_name: I32
    pairs: I64  # [p, 3]
    scratch: I64  # [s, 2]
    slots: I64  # [AHEAD, KINDS]
    partitions: I64  # [p, 2]
    told_index: I32
    told_places: I64  # [t, 2]
    told: F32  # [t, KINDS * CELLS]


class Query(NamedTuple):
    """Rows to count, and their counts, as columns of ``QUERY``."""

    entities: U64  # [n, KINDS]
    device: U64
    time: I64
    partition: I32
    offset: I64
    counts: F32  # [n, KINDS * CELLS], to be written


QUERY = (np.uint64, np.uint64, np.int64, np.int32, np.int64, np.float32)
_NUMBERS = numbers_of(QUERY)


@step
def _add(
    words: I64, entities: I64, pool: I64, free: I64, pairs: I64, slot: int, time: int, device: int, late: bool
) -> None:
    """Count an event. ``late``: the entity has a later one."""
    base, count = entities[slot, AT] + entities[slot, FIRST], entities[slot, COUNT]
    newest = pool[base + count - 1, 0] >> 1 if count else time
    pair = pair_at(pairs, slot, device)
    known = pairs[pair, 0] != 0
    before = pairs[pair, 2]
    later = known and before > time
    for window in range(PERIODS):
        inside = newest - WINDOW_MS[window]
        if late and time <= inside:
            entities[slot, HEAD + window] += 1
        elif not known or before <= inside:
            entities[slot, DEVICES + window] += 1
    place = after(pool, base, count, time) if late else count
    if not known:
        words[PAIRED] += 1
    elif not later:
        pool[base + latest_at(entities, pool, pairs, pair, slot), 0] |= 1
    if not later:
        put_pair(entities, pairs, pair, slot, device, time, place)
    insert(words, entities, pool, free, slot, place, time << 1 | (1 if later else 0), device)
    if late:
        return
    base = entities[slot, AT] + entities[slot, FIRST]
    for window in range(PERIODS):
        head, gone = entities[slot, HEAD + window], 0
        while pool[base + head, 0] >> 1 <= time - WINDOW_MS[window]:
            gone += 1 - (pool[base + head, 0] & 1)
            head += 1
        entities[slot, HEAD + window] = head
        entities[slot, DEVICES + window] -= gone


@step
def _read(
    words: I64, entities: I64, pool: I64, scratch: I64, slot: int, time: int, counts: F32, row: int, cell: int
) -> None:
    """Tell what the windows that end at a time hold; nothing where the shortest is empty."""
    base, count = entities[slot, AT] + entities[slot, FIRST], entities[slot, COUNT]
    end = after(pool, base, count, time)
    words[STAMP] += 1
    stamp, mask, devices, event = words[STAMP], len(scratch) - 1, 0, end
    for window in range(PERIODS):
        start = after(pool, base, end, time - WINDOW_MS[window])
        if window == 0 and start == end:
            return
        while event > start:
            event -= 1
            device = pool[base + event, 1]
            place = home_of(device, 0) & mask
            while scratch[place, 0] == stamp and scratch[place, 1] != device:
                place = (place + 1) & mask
            if scratch[place, 0] != stamp:
                scratch[place, 0], scratch[place, 1] = stamp, device
                devices += 1
        counts[row, cell + window] = end - start
        counts[row, cell + PERIODS + window] = devices


@step
def _has_room(
    words: I64, index: I32, entities: I64, pool: I64, free: I64, scratch: I64, slots: I64, rows: I64, row: int, at: int
) -> bool:
    """Return whether a row fits whatever becomes of it; note where its entities are, at a row of ``slots``."""
    wanted = 0
    for kind in range(KINDS):
        slot = slots[at, kind]
        if slot < 0 and rows[row, kind]:  # perhaps a row before it made it
            slots[at, kind] = slot = slot_of(index, entities, rows[row, kind])
        low, high = 0, 2  # levels that blocks may be taken of: an entity may be of several kinds
        if slot >= 0:
            first, count, level = entities[slot, FIRST], entities[slot, COUNT], entities[slot, LEVEL]
            if 2 * (count + KINDS) > len(scratch):
                return False
            if first + count + KINDS <= LEAST << level or 2 * first >= max(LEAST << level, 2 * KINDS):
                continue
            low, high = level + 1, level + (2 if level else 3)
        for level in range(low, high):
            if free[level, 1] < KINDS:
                wanted += LEAST << level
    return words[POOL_END] + wanted <= len(pool)


@step
def _applied_at(words: I64, partitions: I64, partition: Any) -> int:
    for at in range(words[PARTITIONS]):
        if partitions[at, 0] == partition:
            return at
    at = words[PARTITIONS]
    words[PARTITIONS] += 1
    partitions[at, 0] = partition
    partitions[at, 1] = -1
    return at


@step
def _count_row(
    words: I64, entities: I64, pool: I64, free: I64, index: I32, pairs: I64, scratch: I64,
    slots: I64, at: int, rows: I64, row: int, device: int, time: int, new: bool, counts: F32,
) -> None:  # fmt: skip
    for kind in range(KINDS):
        key, cell = rows[row, kind], kind * CELLS
        if not key:
            continue
        slot = slots[at, kind]
        if slot < 0:  # perhaps an earlier kind made it
            slot = slot_of(index, entities, key)
        if not new:
            if slot >= 0:  # else not even the row itself: it is gone
                _read(words, entities, pool, scratch, slot, time, counts, row, cell)
            continue
        if slot < 0:
            slot = new_entity(words, index, entities, pool, free, key, 0)
        count = entities[slot, COUNT]
        late = count > 0 and time < pool[entities[slot, AT] + entities[slot, FIRST] + count - 1, 0] >> 1
        _add(words, entities, pool, free, pairs, slot, time, device, late)
        if late:
            _read(words, entities, pool, scratch, slot, time, counts, row, cell)
            continue
        for window in range(PERIODS):
            counts[row, cell + window] = count + 1 - entities[slot, HEAD + window]
            counts[row, cell + PERIODS + window] = entities[slot, DEVICES + window]


@step
def _has_room_for(
    words: I64, entities: I64, index: I32, pairs: I64, partitions: I64, told: F32, answers: int, rows: int
) -> bool:
    """Return whether rows fit into the tables whatever becomes of them."""
    live, paired = words[LIVE] + KINDS * rows, words[PAIRED] + KINDS * rows
    return (
        live <= len(entities)
        and 2 * live <= len(index)
        and 5 * paired <= 3 * len(pairs)
        and words[PARTITIONS] + rows <= len(partitions)
        and min(words[TOLD] + rows, answers) <= len(told)
    )


@kernel
def count_rows(tables: int, query: int, lateness: int, answers: int, first: int) -> int:
    """Count rows [n, KINDS] from the first on; counts are [n, KINDS * CELLS].

    ``tables`` and ``query`` are the ids of a Tables and of a Query: see ``device_state.pointers``. Returns how many
    are done: the next one needs a longer pool or scratch. NO_ROOM where the tables are too short for the rows.
    """
    if not are_plain(query, _NUMBERS):
        return NOT_PLAIN
    words, entities, pool, free = (
        _vector_i64(tables, 0),
        _rows_i64(tables, 1),
        _rows_i64(tables, 2),
        _rows_i64(tables, 3),
    )
    index, pairs, scratch, slots, partitions = (
        _vector_i32(tables, 4),
        _rows_i64(tables, 5),
        _rows_i64(tables, 6),
        _rows_i64(tables, 7),
        _rows_i64(tables, 8),
    )
    told_index, told_places, told = _vector_i32(tables, 9), _rows_i64(tables, 10), _rows_f32(tables, 11)
    rows, devices, times = _rows_i64(query, 0), _vector_i64(query, 1), _vector_i64(query, 2)
    of_partition, offsets, counts = _vector_i32(query, 3), _vector_i64(query, 4), _rows_f32(query, 5)
    if not _has_room_for(words, entities, index, pairs, partitions, told, answers, len(rows) - first):
        return NO_ROOM
    for row in range(first, len(rows)):
        at = (row - first) % AHEAD
        if at == 0:
            fetch(words, index, entities, pool, pairs, slots, rows, devices, row, min(row + AHEAD, len(rows)))
        partition, offset, time = np.int64(of_partition[row]), offsets[row], times[row]
        applied = _applied_at(words, partitions, partition)
        new = offset > partitions[applied, 1]
        if not new:
            place = told_at(words, told_index, told_places, partition, offset)
            if place >= 0:
                for cell in range(KINDS * CELLS):
                    counts[row, cell] = told[place, cell]
                continue
        if not _has_room(words, index, entities, pool, free, scratch, slots, rows, row, at):
            return row
        for cell in range(KINDS * CELLS):
            counts[row, cell] = np.nan
        if new:
            partitions[applied, 1] = offset
            words[NEWEST] = max(words[NEWEST], time)
        if time >= words[NEWEST] - lateness:
            _count_row(
                words,
                entities,
                pool,
                free,
                index,
                pairs,
                scratch,
                slots,
                at,
                rows,
                row,
                devices[row],
                time,
                new,
                counts,
            )
        if new:
            tell(words, told_places, told, answers, partition, offset, counts, row)
    return len(rows)
