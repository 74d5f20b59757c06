"""Sorted lists of event times, one a device, in blocks of one pool.

A list lies in one block of 2, 4, 8, ... entries; blocks that a list has outgrown are used again for lists of their
size. Counting is a scan of short lists and a bisection of long ones, so that a device with a million events costs
twenty steps. What is older than the cutoff is dropped when its list needs room, except for the newest of it: the
event before an event is then always known.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from schemas.batches import I64
from schemas.columns import segments

_NEVER = np.iinfo(np.int64).min
_SCANNED = 16
_CAPACITY = np.concatenate((np.zeros(1, np.int64), 2 << np.arange(40)))
_GROWTH = 1.25
_LANES = np.arange(_SCANNED)[:, None]

A = TypeVar("A", bound=np.generic)


def grow(column: NDArray[A], needed: int) -> None:
    """Make a column at least ``needed`` long in place, new items 0. The caller holds no view of it."""
    if needed > len(column):
        column.resize(max(needed, int(len(column) * _GROWTH)), refcheck=False)


class Stack:
    """Numbers to be used again, the last first."""

    def __init__(self) -> None:
        self._items = np.zeros(16, np.int64)
        self._count = 0

    @property
    def nbytes(self) -> int:
        """Return the bytes of the array."""
        return self._items.nbytes

    def push(self, items: I64) -> None:
        """Put items on top."""
        grow(self._items, self._count + len(items))
        self._items[self._count : self._count + len(items)] = items
        self._count += len(items)

    def pop(self, most: int) -> I64:
        """Take items from the top, at most so many."""
        taken = min(most, self._count)
        self._count -= taken
        return self._items[self._count : self._count + taken].copy()


class TimeLists:
    """Lists by slot, a small number. A slot that was never written has an empty list."""

    def __init__(self) -> None:
        self._start = np.zeros(1024, np.int64)
        self._length = np.zeros(1024, np.int32)
        self._class = np.zeros(1024, np.uint8)  # index into _CAPACITY, 0: no block
        self._times = np.zeros(2048, np.int64)
        self._end = 0  # entries of the pool that were ever given out
        self._free: defaultdict[int, Stack] = defaultdict(Stack)

    @property
    def nbytes(self) -> int:
        """Return the bytes of the arrays."""
        free = sum(stack.nbytes for stack in self._free.values())
        return self._start.nbytes + self._length.nbytes + self._class.nbytes + self._times.nbytes + free

    def room_for(self, slots: int) -> None:
        """Make slots 0 to ``slots - 1`` usable."""
        for column in (self._start, self._length, self._class):
            grow(column, slots)

    def lengths(self, slots: I64) -> I64:
        """Return how many times each list holds."""
        return self._length.take(slots).astype(np.int64)

    def last(self, slots: I64) -> I64:
        """Return the newest time of each list; the smallest int64 where it is empty."""
        length = self._length.take(slots)
        newest = self._times.take(self._start.take(slots) + length - 1, mode="clip")
        return np.where(length > 0, newest, _NEVER)

    def counts_after(self, slots: I64, bounds: I64) -> I64:
        """Return int64[K, n]: how many times of list ``slots[i]`` are after ``bounds[k, i]``, int64[K, n]."""
        start, length = self._start.take(slots), self._length.take(slots)
        long = length > _SCANNED
        if not long.any():
            return self._scan(start, length, bounds)
        counts = np.empty(bounds.shape, np.int64)
        counts[:, long] = self._bisect(start[long], length[long], bounds[:, long])
        short = ~long
        counts[:, short] = self._scan(start[short], length[short], bounds[:, short])
        return counts

    def _scan(self, start: I64, length: NDArray[np.int32], bounds: I64) -> I64:
        lanes = _LANES[: int(length.max(initial=0))]
        entries = self._times.take(start + length - 1 - lanes, mode="clip")  # newest first
        after = entries > bounds[:, None, :]
        after &= lanes < length
        return np.add.reduce(after.view(np.int8), axis=1, dtype=np.int8).astype(np.int64)

    def _bisect(self, start: I64, length: NDArray[np.int32], bounds: I64) -> I64:
        low = np.zeros(bounds.shape, np.int64)
        high = np.broadcast_to(length.astype(np.int64), bounds.shape).copy()
        for _ in range(int(length.max()).bit_length()):
            middle = (low + high) >> 1
            before = self._times.take(start + middle, mode="clip") <= bounds
            before &= low < high
            low = np.where(before, middle + 1, low)
            high = np.where(before, high, middle)
        return length - low

    def at_from_end(self, slots: I64, back: I64) -> I64:
        """Return the time at ``back`` places from the end (0: the newest) of each list, -1 where it is shorter."""
        place = self._length.take(slots) - 1 - back
        return np.where(place >= 0, self._times.take(self._start.take(slots) + place, mode="clip"), -1)

    def add(self, slots: I64, counts: I64, times: I64, cutoff: int) -> None:
        """Add times int64[sum(counts)], grouped by list: ``counts[g]`` of them to list ``slots[g]``, each slot once."""
        self._reserve(slots, counts, cutoff)
        ends = np.cumsum(counts)
        previous = np.empty(len(times), np.int64)
        previous[1:] = times[:-1]
        previous[ends - counts] = self.last(slots)
        disordered = times < previous
        length = self._length.take(slots).astype(np.int64)
        first_free = self._start.take(slots) + length
        if disordered.any():
            groups = np.unique(np.searchsorted(ends, np.flatnonzero(disordered), side="right"))
            times = self._interleave(slots[groups], groups, counts, times)
        self._times[segments(first_free, counts)] = times
        self._length[slots] = length + counts

    def _interleave(self, slots: I64, groups: I64, counts: I64, times: I64) -> I64:
        """Sort the new times of some groups into the ends of their lists; return what is to be appended instead."""
        starts = (np.cumsum(counts) - counts)[groups]
        fresh = segments(starts, counts[groups])
        earliest = np.minimum.reduceat(times[fresh], np.cumsum(counts[groups]) - counts[groups])
        tails = self.counts_after(slots, earliest[None, :])[0]
        stored = segments(self._start[slots] + self._length[slots] - tails, tails)
        owners = np.concatenate((np.repeat(groups, tails), np.repeat(groups, counts[groups])))
        merged = np.concatenate((self._times[stored], times[fresh]))
        merged = merged[np.lexsort((merged, owners))]
        ends = np.cumsum(tails + counts[groups])
        self._times[stored] = merged[segments(ends - tails - counts[groups], tails)]
        times = times.copy()
        times[fresh] = merged[segments(ends - counts[groups], counts[groups])]
        return times

    def _reserve(self, slots: I64, counts: I64, cutoff: int) -> None:
        """Give lists without room for ``counts`` more a bigger block, or the same one without what has expired."""
        needed = self._length.take(slots) + counts
        tight = needed > _CAPACITY[self._class.take(slots)]
        if not tight.any():
            return
        slots, counts = slots[tight], counts[tight]
        length = self._length.take(slots).astype(np.int64)
        bound = np.full((1, len(slots)), cutoff, np.int64)
        expired = np.maximum(length - self.counts_after(slots, bound)[0] - 1, 0)
        kept = length - expired
        entries = self._times[segments(self._start.take(slots) + expired, kept)]
        self._release(slots)
        # A quarter of a longer block stays free: a steady list then moves once for every fourth of its events.
        wanted = kept + counts
        self._acquire(slots, np.where(wanted >= _SCANNED, wanted * 4 // 3, wanted))
        self._times[segments(self._start.take(slots), kept)] = entries
        self._length[slots] = kept

    def _release(self, slots: I64) -> None:
        classes = self._class.take(slots)
        for number in np.unique(classes[classes > 0]).tolist():
            self._free[number].push(self._start[slots[classes == number]])
        self._class[slots] = 0
        self._length[slots] = 0

    def _acquire(self, slots: I64, wanted: I64) -> None:
        classes = np.searchsorted(_CAPACITY, wanted)
        for number in np.unique(classes).tolist():
            taken = slots[classes == number]
            used = self._free[number].pop(len(taken))
            self._start[taken[: len(used)]] = used
            size = int(_CAPACITY[number])
            more = len(taken) - len(used)
            self._start[taken[len(used) :]] = self._end + size * np.arange(more)
            self._end += size * more
        grow(self._times, self._end)
        self._class[slots] = classes

    def forget(self, slots: I64) -> None:
        """Empty lists and give their blocks back."""
        self._release(slots)

    def shrink_before(self, slots: I64, cutoff: int) -> None:
        """Cut lists that ended at or before the cutoff down to their newest time."""
        last = self.last(slots)
        idle = (self._length.take(slots) > 1) & (last <= cutoff)
        slots, last = slots[idle], last[idle]
        self._release(slots)
        self._acquire(slots, np.ones(len(slots), np.int64))
        self._times[self._start[slots]] = last
        self._length[slots] = 1

    def dump(self, slots: I64) -> I64:
        """Return the times of the lists, one list after the other."""
        return self._times[segments(self._start.take(slots), self.lengths(slots))]

    def fill(self, slots: I64, counts: I64, times: I64) -> None:
        """Write whole sorted lists into empty slots."""
        self._acquire(slots, counts)
        self._times[segments(self._start.take(slots), counts)] = times
        self._length[slots] = counts
