"""A table from 64-bit tags to 32-bit values, in two arrays, read and written a batch at a time.

A tag has two buckets of eight lanes and goes into the emptier one, so a lookup reads four cache lines at most and
never probes. A lane is alive while its value is at least ``floor``: raising the floor expires lanes without touching
them, and the next tags overwrite them. A tag whose buckets are both full goes into a small dict, so that tags chosen
to collide cost their sender's share only, and can never make the table grow.
"""

from __future__ import annotations

import numpy as np

from schemas.batches import I64, U32, U64, Bool

LANES = 8
_FULLEST = 0.7
_SMALLEST = 1024
_BULK = 65_536
_HALF = np.uint64(32)
_ONE = np.uint64(1)


class TagTable:
    """Tags must not be 0, values not below ``floor``. 12 bytes a lane, at most 70% of the lanes alive."""

    def __init__(self, expected: int = 0) -> None:
        self.floor = np.uint32(1)
        self._used = 0
        self._stash: dict[int, int] = {}
        self._clear(_buckets_for(expected))

    def __len__(self) -> int:
        """Return the number of tags alive."""
        return self._used + len(self._stash)

    def _clear(self, buckets: int) -> None:
        self._mask = np.uint64(buckets - 1)
        self._tags: U64 = np.zeros((buckets, LANES), np.uint64)
        self._values: U32 = np.zeros((buckets, LANES), np.uint32)

    @property
    def nbytes(self) -> int:
        """Return the bytes of the arrays."""
        return self._tags.nbytes + self._values.nbytes

    def _buckets(self, tags: U64) -> tuple[I64, I64]:
        return (tags & self._mask).astype(np.int64), (tags >> _HALF & self._mask).astype(np.int64)

    def lookup(self, tags: U64) -> U32:
        """Return the values uint32[n], 0 where a tag is not alive."""
        values = np.zeros(len(tags), np.uint32)
        for buckets in self._buckets(tags):
            equal = self._tags.take(buckets, axis=0) == tags[:, None]
            rows = np.flatnonzero(_lanes(equal))
            if rows.size:
                found = self._values.take(buckets[rows], axis=0)
                found *= equal[rows] & (found >= self.floor)
                values[rows] = np.maximum(values[rows], found.max(axis=1))
        if self._stash:
            for row in np.flatnonzero(values == 0).tolist():
                values[row] = self._stash.get(int(tags[row]), 0)
        return values

    def insert(self, tags: U64, values: U32) -> None:
        """Add tags that are not alive, each once."""
        if (self._used + len(tags)) > self._values.size * _FULLEST:
            self._rebuild(self._used + len(tags))
        for at in range(0, len(tags), _BULK):
            self._place(tags[at : at + _BULK], values[at : at + _BULK])

    def _place(self, tags: U64, values: U32) -> None:
        every_tag, every_value = self._tags.reshape(-1), self._values.reshape(-1)
        while tags.size:
            one, two = self._buckets(tags)
            free_one = _lanes(self._values.take(one, axis=0) < self.floor)
            free_two = _lanes(self._values.take(two, axis=0) < self.floor)
            second = np.bitwise_count(free_two) > np.bitwise_count(free_one)
            free = np.where(second, free_two, free_one)
            if not free.all():
                full = free == 0
                self._stash.update(zip(tags[full].tolist(), values[full].tolist(), strict=True))
                open_ = ~full
                tags, values, free, one, two = tags[open_], values[open_], free[open_], one[open_], two[open_]
                second = second[open_]
            # The lowest free lane: its byte is the lowest set bit, which has eight bits below it for each lane.
            lane = np.bitwise_count((free & -free) - _ONE) >> 3
            at = np.where(second, two, one) * LANES + lane
            every_tag[at] = tags
            won = every_tag[at] == tags  # of rows that wrote to one lane the last one has it; the others go again
            every_value[at[won]] = values[won]
            self._used += int(np.count_nonzero(won))
            tags, values = tags[~won], values[~won]

    def _rebuild(self, expected: int) -> None:
        tags, values = self.items()
        self._stash.clear()
        self._used = 0
        self._clear(_buckets_for(expected))
        for at in range(0, len(tags), _BULK):
            self._place(tags[at : at + _BULK], values[at : at + _BULK])

    def items(self) -> tuple[U64, U32]:
        """Return every tag alive and its value; the order has no meaning."""
        alive = self._values >= self.floor
        stash = self._stash.items()
        tags = np.fromiter((tag for tag, _ in stash), np.uint64, len(stash))
        values = np.fromiter((value for _, value in stash), np.uint32, len(stash))
        return np.concatenate((self._tags[alive], tags)), np.concatenate((self._values[alive], values))

    def raise_floor(self, floor: int) -> None:
        """Expire every tag whose value is below ``floor``."""
        self.floor = np.uint32(max(1, floor))
        self._used = int(np.count_nonzero(self._values >= self.floor))
        self._stash = {tag: value for tag, value in self._stash.items() if value >= self.floor}

    def remove_values(self, gone: Bool) -> None:
        """Remove every tag whose value v has ``gone[v]``; ``gone[0]`` must be False."""
        dead = gone[self._values]
        self._values[dead] = 0
        self._used -= int(np.count_nonzero(dead))
        self._stash = {tag: value for tag, value in self._stash.items() if not gone[value]}


def _lanes(flags: Bool) -> U64:
    """Return each row of bool[n, 8] as one word: byte i is 1 where flag i is set."""
    return np.ascontiguousarray(flags).view("<u8")[:, 0]


def _buckets_for(expected: int) -> int:
    lanes = max(_SMALLEST * LANES, int(expected / _FULLEST) + 1)
    return 1 << ((lanes + LANES - 1) // LANES - 1).bit_length()
