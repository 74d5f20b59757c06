"""A table from 64-bit tags to 32-bit values, in three arrays, read and written a batch at a time.

A tag has two buckets of eight lanes and goes into the emptier one, so nothing is ever probed or moved. A bucket's
eight control bytes are one word: 0 for a free lane, else a byte of the tag; words are compared as words, and only
lanes whose byte agrees are looked at (Abseil's Swiss tables do the same with vector registers). Tags whose buckets are
both full go into a small dict: tags chosen to collide cost a share of their sender's own rate, and can never make the
table grow.
"""

from __future__ import annotations

import numpy as np

from schemas.batches import I64, U32, U64, Bool

LANES = 8
_FULLEST = 0.7
_FEWEST = 1024
_BULK = 65_536
_MOVED = 32
_HALF, _TOP, _ONE = np.uint64(32), np.uint64(56), np.uint64(1)
_ONES = np.uint64(0x0101010101010101)
_LOW = np.uint64(0x7F7F7F7F7F7F7F7F)
_HIGH = np.uint64(0x8080808080808080)


class _Lanes:
    """Buckets of eight lanes in three arrays. 13 bytes a lane."""

    def __init__(self, buckets: int) -> None:
        self.used = 0
        self._mask = np.uint64(buckets - 1)
        self.words: U64 = np.zeros(buckets, np.uint64)
        self.tags: U64 = np.zeros(buckets * LANES, np.uint64)
        self.values: U32 = np.zeros(buckets * LANES, np.uint32)

    @property
    def nbytes(self) -> int:
        return self.words.nbytes + self.tags.nbytes + self.values.nbytes

    def _buckets(self, tags: U64) -> I64:
        """Return int64[2, n]."""
        buckets = np.empty((2, len(tags)), np.int64)
        buckets[0] = tags & self._mask
        buckets[1] = tags >> _HALF & self._mask
        return buckets

    def lookup(self, tags: U64, values: U32) -> None:
        """Write the values of the tags that are here."""
        buckets = self._buckets(tags)
        differ = self.words.take(buckets) ^ _bytes_of(tags) * _ONES
        agree = (differ - _ONES & ~differ & _HIGH).reshape(-1)
        lanes_of = buckets.reshape(-1) * LANES
        places = agree.nonzero()[0]
        while places.size:
            flags = agree.take(places)
            at = lanes_of.take(places) + _lowest_lane(flags)
            rows = places - (places >= len(tags)) * len(tags)
            same = self.tags.take(at) == tags.take(rows)
            values[rows[same]] = self.values.take(at[same])
            flags = (flags & flags - _ONE)[~same]  # the byte agreed and the tag did not: the next lane, if any
            places = places[~same]
            agree[places] = flags
            places = places[flags != 0]

    def place(self, tags: U64, values: U32) -> tuple[U64, U32]:
        """Add tags; return those whose buckets are both full, with their values."""
        crowded: list[tuple[U64, U32]] = []
        while tags.size:
            buckets = self._buckets(tags)
            words = self.words.take(buckets)
            free = ~((words & _LOW) + _LOW | words | _LOW)  # the highest bit of every free lane
            lanes = np.bitwise_count(free)
            second = lanes[1] > lanes[0]
            chosen = np.where(second, buckets[1], buckets[0])
            free = np.where(second, free[1], free[0])
            if not free.all():
                full = free == 0
                crowded.append((tags[full], values[full]))
                tags, values, chosen, free = (column[~full] for column in (tags, values, chosen, free))
            lane = _lowest_lane(free)
            at = chosen * LANES + lane
            self.tags[at] = tags
            won = self.tags.take(at) == tags  # of rows that chose one bucket the last has the lane; the others again
            self.values[at[won]] = values[won]
            self.words[chosen[won]] |= _bytes_of(tags[won]) << (lane[won].astype(np.uint64) << np.uint64(3))
            self.used += int(np.count_nonzero(won))
            tags, values = tags[~won], values[~won]
        if not crowded:
            return tags, values
        return np.concatenate([part for part, _ in crowded]), np.concatenate([part for _, part in crowded])

    def items(self, first: int = 0, end: int | None = None) -> tuple[U64, U32]:
        """Return the tags and values of the buckets from ``first`` to ``end``."""
        controls = self.words[first:end].astype("<u8", copy=False).view(np.uint8)
        lanes = np.flatnonzero(controls) + first * LANES
        return self.tags.take(lanes), self.values.take(lanes)

    def empty(self, first: int, end: int) -> None:
        """Free the lanes of the buckets from ``first`` to ``end``."""
        self.words[first:end] = 0

    def keep(self, kept: Bool) -> None:
        """Free the lanes that are not kept, bool[lanes]."""
        self.words &= kept.view("<u8") * np.uint64(0xFF)
        used = (self.words & _LOW) + _LOW | self.words
        self.used = int(np.bitwise_count(used & _HIGH).sum(dtype=np.int64))


class TagTable:
    """Tags and values must not be 0.

    It doubles when 70% of the lanes are in use. What it held moves into the bigger arrays with the inserts that
    follow, a few buckets each, so that no insert has to wait for the whole table.
    """

    def __init__(self, expected: int = 0) -> None:
        self._lanes = _Lanes(_buckets_for(expected))
        self._old: _Lanes | None = None  # being emptied from its first bucket on
        self._emptied = 0
        self._stash: dict[int, int] = {}

    def __len__(self) -> int:
        """Return the number of tags."""
        return sum(lanes.used for lanes in self._both()) + len(self._stash)

    @property
    def nbytes(self) -> int:
        """Return the bytes of the arrays."""
        return sum(lanes.nbytes for lanes in self._both())

    def _both(self) -> list[_Lanes]:
        return [self._lanes] if self._old is None else [self._lanes, self._old]

    def lookup(self, tags: U64) -> U32:
        """Return the values uint32[n], 0 where a tag is not there."""
        values = np.zeros(len(tags), np.uint32)
        for lanes in self._both():
            lanes.lookup(tags, values)
        if self._stash:
            for row in np.flatnonzero(values == 0).tolist():
                values[row] = self._stash.get(int(tags[row]), 0)
        return values

    def insert(self, tags: U64, values: U32) -> None:
        """Add tags that are not there, each once."""
        used = len(self) - len(self._stash) + len(tags)
        if used > self._lanes.tags.size * _FULLEST:
            self._move(None)
            self._old, self._emptied = self._lanes, 0
            self._lanes = _Lanes(_buckets_for(used))
        if self._old is not None:
            self._move(_MOVED + len(tags) // 2)
        for at in range(0, len(tags), _BULK):
            self._place(tags[at : at + _BULK], values[at : at + _BULK])

    def _place(self, tags: U64, values: U32) -> None:
        crowded, theirs = self._lanes.place(tags, values)
        if crowded.size:
            self._stash.update(zip(crowded.tolist(), theirs.tolist(), strict=True))

    def _move(self, buckets: int | None) -> None:
        """Move so many buckets, None: all, from the old arrays into the new ones."""
        while self._old is not None:
            end = self._emptied + min(buckets or _BULK, _BULK)
            tags, values = self._old.items(self._emptied, end)
            self._old.empty(self._emptied, end)
            self._old.used -= len(tags)
            self._place(tags, values)
            self._emptied = end
            if end >= len(self._old.words):
                self._old = None
            if buckets is not None:
                return

    def items(self) -> tuple[U64, U32]:
        """Return every tag and its value; the order has no meaning."""
        stash = self._stash.items()
        tags = [np.fromiter((tag for tag, _ in stash), np.uint64, len(stash))]
        values = [np.fromiter((value for _, value in stash), np.uint32, len(stash))]
        for lanes in self._both():
            found = lanes.items()
            tags.append(found[0])
            values.append(found[1])
        return np.concatenate(tags), np.concatenate(values)

    def drop_below(self, least: int) -> None:
        """Remove every tag whose value is less."""
        for lanes in self._both():
            lanes.keep(lanes.values >= least)
        self._stash = {tag: value for tag, value in self._stash.items() if value >= least}

    def drop_values(self, gone: Bool) -> None:
        """Remove every tag whose value v has ``gone[v]``."""
        for lanes in self._both():
            lanes.keep(~gone[lanes.values])
        self._stash = {tag: value for tag, value in self._stash.items() if not gone[value]}


def _buckets_for(expected: int) -> int:
    return 1 << max(_FEWEST, int(expected / _FULLEST / LANES)).bit_length()


def _bytes_of(tags: U64) -> U64:
    """Return each tag's control byte, 1 to 255."""
    return np.maximum(tags >> _TOP, _ONE)


def _lowest_lane(flags: U64) -> I64:
    """Return the lane of the lowest flag; a lane's flag is the highest bit of its byte. No word may be 0."""
    return np.bitwise_count((flags & -flags) - _ONE).astype(np.int64) >> 3
