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
_HALF, _TOP, _ONE = np.uint64(32), np.uint64(56), np.uint64(1)
_ONES = np.uint64(0x0101010101010101)
_LOW = np.uint64(0x7F7F7F7F7F7F7F7F)
_HIGH = np.uint64(0x8080808080808080)


class TagTable:
    """Tags and values must not be 0. 13 bytes a lane, at most 70% of the lanes in use."""

    def __init__(self, expected: int = 0) -> None:
        self._used = 0
        self._stash: dict[int, int] = {}
        self._clear(expected)

    def __len__(self) -> int:
        """Return the number of tags."""
        return self._used + len(self._stash)

    def _clear(self, expected: int) -> None:
        buckets = 1 << max(_FEWEST, int(expected / _FULLEST / LANES)).bit_length()
        self._mask = np.uint64(buckets - 1)
        self._words: U64 = np.zeros(buckets, np.uint64)
        self._tags: U64 = np.zeros(buckets * LANES, np.uint64)
        self._values: U32 = np.zeros(buckets * LANES, np.uint32)

    @property
    def nbytes(self) -> int:
        """Return the bytes of the arrays."""
        return self._words.nbytes + self._tags.nbytes + self._values.nbytes

    def _buckets(self, tags: U64) -> I64:
        """Return int64[2, n]."""
        buckets = np.empty((2, len(tags)), np.int64)
        buckets[0] = tags & self._mask
        buckets[1] = tags >> _HALF & self._mask
        return buckets

    def lookup(self, tags: U64) -> U32:
        """Return the values uint32[n], 0 where a tag is not there."""
        values = np.zeros(len(tags), np.uint32)
        buckets = self._buckets(tags)
        differ = self._words.take(buckets) ^ _bytes_of(tags) * _ONES
        agree = (differ - _ONES & ~differ & _HIGH).reshape(-1)
        lanes_of = buckets.reshape(-1) * LANES
        places = agree.nonzero()[0]
        while places.size:
            flags = agree.take(places)
            at = lanes_of.take(places) + _lowest_lane(flags)
            rows = places - (places >= len(tags)) * len(tags)
            same = self._tags.take(at) == tags.take(rows)
            values[rows[same]] = self._values.take(at[same])
            flags = (flags & flags - _ONE)[~same]  # the byte agreed and the tag did not: the next lane, if any
            places = places[~same]
            agree[places] = flags
            places = places[flags != 0]
        if self._stash:
            for row in np.flatnonzero(values == 0).tolist():
                values[row] = self._stash.get(int(tags[row]), 0)
        return values

    def insert(self, tags: U64, values: U32) -> None:
        """Add tags that are not there, each once."""
        if self._used + len(tags) > self._tags.size * _FULLEST:
            self._rebuild(self._used + len(tags))
        for at in range(0, len(tags), _BULK):
            self._place(tags[at : at + _BULK], values[at : at + _BULK])

    def _place(self, tags: U64, values: U32) -> None:
        while tags.size:
            buckets = self._buckets(tags)
            words = self._words.take(buckets)
            free = ~((words & _LOW) + _LOW | words | _LOW)  # the highest bit of every free lane
            lanes = np.bitwise_count(free)
            second = lanes[1] > lanes[0]
            chosen = np.where(second, buckets[1], buckets[0])
            free = np.where(second, free[1], free[0])
            if not free.all():
                full = free == 0
                self._stash.update(zip(tags[full].tolist(), values[full].tolist(), strict=True))
                tags, values, chosen, free = (column[~full] for column in (tags, values, chosen, free))
            lane = _lowest_lane(free)
            at = chosen * LANES + lane
            self._tags[at] = tags
            won = self._tags.take(at) == tags  # of rows that chose one bucket the last has the lane; the others again
            everyone = bool(won.all())
            if not everyone:
                chosen, lane, at = chosen[won], lane[won], at[won]
            winners = tags if everyone else tags[won]
            self._values[at] = values if everyone else values[won]
            self._words[chosen] |= _bytes_of(winners) << (lane.astype(np.uint64) << np.uint64(3))
            self._used += len(winners)
            if everyone:
                return
            tags, values = tags[~won], values[~won]

    def _rebuild(self, expected: int) -> None:
        tags, values = self.items()
        self._stash.clear()
        self._used = 0
        self._clear(expected)
        for at in range(0, len(tags), _BULK):
            self._place(tags[at : at + _BULK], values[at : at + _BULK])

    def items(self) -> tuple[U64, U32]:
        """Return every tag and its value; the order has no meaning."""
        lanes = np.flatnonzero(self._words.astype("<u8", copy=False).view(np.uint8))
        stash = self._stash.items()
        tags = np.fromiter((tag for tag, _ in stash), np.uint64, len(stash))
        values = np.fromiter((value for _, value in stash), np.uint32, len(stash))
        return np.concatenate((self._tags[lanes], tags)), np.concatenate((self._values[lanes], values))

    def drop_below(self, least: int) -> None:
        """Remove every tag whose value is less."""
        self._keep(self._values >= least)
        self._stash = {tag: value for tag, value in self._stash.items() if value >= least}

    def drop_values(self, gone: Bool) -> None:
        """Remove every tag whose value v has ``gone[v]``."""
        self._keep(~gone[self._values])
        self._stash = {tag: value for tag, value in self._stash.items() if not gone[value]}

    def _keep(self, kept: Bool) -> None:
        """Free the lanes that are not kept, bool[lanes]."""
        self._words &= kept.view("<u8") * np.uint64(0xFF)
        used = (self._words & _LOW) + _LOW | self._words
        self._used = int(np.bitwise_count(used & _HIGH).sum(dtype=np.int64))


def _bytes_of(tags: U64) -> U64:
    """Return each tag's control byte, 1 to 255."""
    return np.maximum(tags >> _TOP, _ONE)


def _lowest_lane(flags: U64) -> I64:
    """Return the lane of the lowest flag; a lane's flag is the highest bit of its byte. No word may be 0."""
    return np.bitwise_count((flags & -flags) - _ONE).astype(np.int64) >> 3
