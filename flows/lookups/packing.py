"""Between columns and the few blobs that one call of the script takes and gives: one call a shard."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from flows.lookups.packing_kernels import (
    GROUP_BYTES,
    GROUPS_END,
    NEWEST,
    OLDEST,
    RECORD_BYTES,
    ROW_BYTES,
    ROWS_END,
    SHARD_WORDS,
    pack_rows,
    put_answers,
)
from schemas.batches import F32, I32, I64, U8
from schemas.columns import plain
from schemas.shared import SharedQuery, unknown
from schemas.velocity import MEASURES, WINDOWS

_HIGHEST = np.iinfo(np.int64).max


class ShardCall(NamedTuple):
    """What one shard is asked: its number, the entities with their numbers of rows, and the rows."""

    shard: int
    groups: bytes  # an entity: 8 bytes of its hash, uint16 rows
    rows: bytes  # uint64 offset, uint8 kind, uint16 slot, and 48 bits of the clock: the newest time up to the row
    records: bytes  # of the same rows, as the store keeps them: 48 bits each of time and device
    times: bytes  # 48 bits each of the oldest and the newest


class PackedSlot(NamedTuple):
    """A partition of a query, and its lowest and highest offset there."""

    partition: int
    lowest: int
    highest: int


class PackedQuery(NamedTuple):
    """The calls of a query; ``slots`` gives the partitions by the number that rows carry."""

    slots: list[PackedSlot]
    calls: list[ShardCall]


def pack(query: SharedQuery, shards_in_all: int) -> PackedQuery:
    """Return the calls: rows by shard, then by entity, then in their order. Shards: a power of two."""
    partitions = sorted(set(query.partition.tolist()))
    entities = plain(query.entities, np.uint64).ravel()
    spans = np.empty((len(partitions), 2), np.int64)
    spans[:] = _HIGHEST, -1
    shards = np.empty((shards_in_all, SHARD_WORDS), np.int64)
    room, clocks = len(entities), np.empty(len(entities), np.int64)
    groups, rows = np.empty(GROUP_BYTES * room, np.uint8), np.empty(ROW_BYTES * room, np.uint8)
    records = np.empty(RECORD_BYTES * room, np.uint8)
    pack_rows(
        entities, np.argsort(entities, kind="stable"), plain(query.device, np.uint64), plain(query.time, np.int64),
        *_places(query), np.array(partitions, np.int32), np.uint64(64 - shards_in_all.bit_length()), clocks, shards,
        spans, groups, rows, records,
    )  # fmt: skip
    slots = [PackedSlot(partition, *span) for partition, span in zip(partitions, spans.tolist(), strict=True)]
    return PackedQuery(slots, list(_calls(shards, groups, rows, records)))


def _calls(shards: I64, groups: U8, rows: U8, records: U8) -> Iterator[ShardCall]:
    first_group = first = 0
    for shard, of_shard in enumerate(shards.tolist()):
        last_group, last = of_shard[GROUPS_END], of_shard[ROWS_END]
        if last > first:
            yield ShardCall(
                shard,
                groups[GROUP_BYTES * first_group : GROUP_BYTES * last_group].tobytes(),
                rows[ROW_BYTES * first : ROW_BYTES * last].tobytes(),
                records[RECORD_BYTES * first : RECORD_BYTES * last].tobytes(),
                span_bytes(of_shard[OLDEST], of_shard[NEWEST]),
            )
        first_group, first = last_group, last


def _places(query: SharedQuery) -> tuple[I32, I64]:
    return plain(query.partition, np.int32), plain(query.offset, np.int64)


def span_bytes(first: int, last: int) -> bytes:
    """Return two numbers in 48 bits each."""
    return first.to_bytes(6, "little") + last.to_bytes(6, "little")


def unpack(query: SharedQuery, slots: Sequence[PackedSlot], replies: Sequence[Sequence[Sequence[bytes]]]) -> F32:
    """Return the counts of a query from its shards' replies: by slot, this call's answers and earlier ones.

    An earlier answer stands above what this call read: it is what the row was told when it was counted.
    """
    counts = unknown(len(query))
    flat = counts.reshape(*counts.shape[:2], len(MEASURES) * len(WINDOWS))
    places = _places(query)
    for slot, one in enumerate(slots):
        blobs = [of[slot][0] for of in replies]
        blobs += [blob for of in replies for blob in of[slot][1:]]
        put_answers(flat, *places, one.partition, np.frombuffer(bytearray().join(blobs), np.uint8))
    return counts
