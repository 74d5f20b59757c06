"""The loops between the columns of a query and the bytes that a call of the script takes and gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from flows.stages.device_state.compiled import kernels_of, step
from schemas import velocity
from schemas.batches import F32, I32, I64, U8, U64
from schemas.velocity import ENTITIES

kernel = kernels_of(Path(__file__), Path(str(velocity.__file__)))

KINDS = len(ENTITIES)
GROUP_BYTES, ROW_BYTES, RECORD_BYTES, ANSWER_BYTES = 10, 17, 12, 33
# Of a shard: where its groups and rows end, its oldest and its newest time.
GROUPS_END, ROWS_END, OLDEST, NEWEST, SHARD_WORDS = range(5)
_LATEST = (1 << 48) - 1  # times travel in 48 bits


@step
def put(place: U8, at: int, value: Any, width: int) -> None:
    for byte in range(width):
        place[at + byte] = (value >> (8 * byte)) & 255


@step
def shard_of(entity: Any, below: Any) -> Any:
    return np.int64((entity >> np.uint64(1)) >> below)


@step
def slot_of(slots: I32, partition: int) -> Any:
    slot = 0
    while slots[slot] != partition:
        slot += 1
    return slot


@kernel
def pack_rows(
    entities: U64, order: I64, device: U64, time: I64, partition: I32, offset: I64, slots: I32,
    below: Any, clocks: I64, shards: I64, spans: I64, groups: U8, rows: U8, records: U8,
) -> None:  # fmt: skip
    """Write groups, rows and records by shard, entity and order of rows; ``order`` sorts ``entities``, which is flat.

    ``below`` is 63 less the bits that choose one of ``shards``. ``clocks`` is room for a number an entity; ``spans``,
    [slots, 2], gets each partition's lowest and highest offset.
    """
    for shard in range(len(shards)):
        shards[shard, OLDEST], shards[shard, NEWEST] = _LATEST, -1
    for row in range(len(time)):
        at = min(time[row], _LATEST)
        for pair in range(row * KINDS, (row + 1) * KINDS):
            if entities[pair]:
                shard = shard_of(entities[pair], below)
                shards[shard, OLDEST] = min(at, shards[shard, OLDEST])
                shards[shard, NEWEST] = max(at, shards[shard, NEWEST])
                clocks[pair] = shards[shard, NEWEST]
        slot = slot_of(slots, partition[row])
        spans[slot, 0], spans[slot, 1] = min(offset[row], spans[slot, 0]), max(offset[row], spans[slot, 1])
    found, group, size, last, shard = 0, 0, 0, np.uint64(0), shard_of(np.uint64(0), below)
    for place in range(len(order)):
        pair = order[place]
        entity = entities[pair]
        if not entity:
            continue
        row = pair // KINDS
        if entity != last:
            here = shard_of(entity, below)
            for ended in range(shard, here):
                shards[ended, GROUPS_END], shards[ended, ROWS_END] = group, found
            last, shard, size = entity, here, 0
            put(groups, group * GROUP_BYTES, np.int64(entity), 8)
            group += 1
        size += 1
        put(groups, group * GROUP_BYTES - 2, size, 2)
        at = found * ROW_BYTES
        put(rows, at, offset[row], 8)
        rows[at + 8] = pair % KINDS
        put(rows, at + 9, slot_of(slots, partition[row]), 2)
        put(rows, at + 11, clocks[pair], 6)
        put(records, found * RECORD_BYTES, min(time[row], _LATEST), 6)
        put(records, found * RECORD_BYTES + 6, np.int64(device[row]), 6)
        found += 1
    for ended in range(shard, len(shards)):
        shards[ended, GROUPS_END], shards[ended, ROWS_END] = group, found


@kernel
def put_answers(counts: F32, partition: I32, offset: I64, wanted: int, answers: U8) -> None:
    """Write a partition's answers into their rows of ``counts``, [n, KINDS, 6]; what is of no row is passed over."""
    mine = np.flatnonzero(partition == wanted)
    numbers = np.empty(ANSWER_BYTES - 9, np.uint8)
    for at in range(0, len(answers), ANSWER_BYTES):
        sought = np.int64(0)
        for byte in range(8):
            sought |= np.int64(answers[at + byte]) << (8 * byte)
        low, high = 0, len(mine)
        while low < high:
            middle = (low + high) // 2
            if offset[mine[middle]] < sought:
                low = middle + 1
            else:
                high = middle
        if low < len(mine) and offset[mine[low]] == sought:
            numbers[:] = answers[at + 9 : at + ANSWER_BYTES]
            counts[mine[low], answers[at + 8]] = numbers.view(np.float32)
