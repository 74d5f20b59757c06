"""Between columns and the few blobs that one call of the script takes and gives: one call a shard."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.batches import F32, I64, U8, U64
from schemas.shared import SharedQuery, unknown
from schemas.velocity import ENTITIES, MEASURES, WINDOWS

SHARD_BITS: Final = 3
SHARDS: Final = 1 << SHARD_BITS
"""Into so many hash tags all entities are cut, for ever: a cluster can spread them over as many nodes."""
_DEVICE: Final = np.uint64((1 << 48) - 1)
_LATEST: Final = (1 << 48) - 1  # times travel in 48 bits
_ANSWER: Final = np.dtype([("offset", "<u8"), ("kind", "u1"), ("counts", "<f4", (len(MEASURES), len(WINDOWS)))])


class ShardCall(NamedTuple):
    """What one shard is asked: its number, the entities with their numbers of rows, and the rows."""

    shard: int
    groups: bytes  # an entity: 8 bytes of its hash, uint16 rows
    rows: bytes  # slot uint16, kind uint8, and 48 bits each of offset, time, device and clock


class PackedQuery(NamedTuple):
    """The calls of a query; ``slots`` gives the partitions by the number that rows carry."""

    slots: NDArray[np.int32]
    calls: list[ShardCall]


def pack(query: SharedQuery) -> PackedQuery:
    """Return the calls: rows by shard, then by entity, then in their order."""
    slots, slot = np.unique(query.partition, return_inverse=True)
    flat = query.entities.ravel()
    pairs = np.flatnonzero(flat)
    entity = flat[pairs]
    shard = (entity >> np.uint64(64 - SHARD_BITS)).astype(np.int64)
    row, kind = np.divmod(pairs, len(ENTITIES))
    time = np.minimum(query.time[row], _LATEST)
    order = np.argsort(entity, kind="stable")  # the highest bits are the shard
    packed = np.empty((len(pairs), 27), np.uint8)
    packed[:, 0:2] = _bytes(slot[row], 2)
    packed[:, 2] = kind
    packed[:, 3:9] = _bytes(query.offset[row], 6)
    packed[:, 9:15] = _bytes(time, 6)
    packed[:, 15:21] = _bytes((query.device & _DEVICE)[row], 6)
    packed[:, 21:27] = _bytes(_clocks(shard, time), 6)
    return PackedQuery(slots, list(_calls(entity[order], shard[order], packed[order])))


def _bytes(values: NDArray[Any], width: int) -> U8:
    return np.ascontiguousarray(values, "<i8").view(np.uint8).reshape(-1, 8)[:, :width]


def _clocks(shard: I64, time: I64) -> I64:
    """Return the newest time up to each row among those of its shard."""
    by_shard = np.argsort(shard, kind="stable")
    lifted = time[by_shard] + (shard[by_shard] << 49)  # above every time of the shards before
    clocks = np.empty_like(time)
    clocks[by_shard] = np.maximum.accumulate(lifted) - (shard[by_shard] << 49)
    return clocks


def _calls(entity: U64, shard: I64, rows: U8) -> Iterator[ShardCall]:
    if not len(entity):
        return
    starts = np.flatnonzero(np.concatenate(([True], entity[1:] != entity[:-1])))
    groups = np.empty((len(starts), 10), np.uint8)
    groups[:, :8] = np.ascontiguousarray(entity[starts], "<u8").view(np.uint8).reshape(-1, 8)
    groups[:, 8:] = _bytes(np.diff(np.append(starts, len(entity))), 2)
    of_group = shard[starts]
    for number in np.unique(of_group).tolist():
        first, last = np.searchsorted(of_group, (number, number + 1))
        end = starts[last] if last < len(starts) else len(entity)
        yield ShardCall(number, groups[first:last].tobytes(), rows[starts[first] : end].tobytes())


def unpack(query: SharedQuery, slots: NDArray[np.int32], replies: Sequence[Sequence[Sequence[bytes]]]) -> F32:
    """Return the counts of a query from its shards' replies: by slot, this call's answers and earlier ones.

    An earlier answer stands above what this call read: it is what the row was told when it was counted.
    """
    counts = unknown(len(query))
    for slot, partition in enumerate(slots.tolist()):
        rows = np.flatnonzero(query.partition == partition)
        offsets = query.offset[rows]
        for blobs in ([of[slot][0] for of in replies], [blob for of in replies for blob in of[slot][1:]]):
            found = np.frombuffer(b"".join(blobs), _ANSWER)
            if not len(found):
                continue
            at = np.minimum(np.searchsorted(offsets, found["offset"]), len(offsets) - 1)
            mine = offsets[at] == found["offset"]
            counts[rows[at[mine]], found["kind"][mine]] = found["counts"][mine]
    return counts
