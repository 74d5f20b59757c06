"""Sorted lists of event times, one a device, in blocks of one pool, and the earliest time of each list's life.

A list lies in one block of 4, 8, 16, ... entries; blocks that a list has outgrown are used again for lists of their
size. Counting is a scan of short lists and a bisection of long ones, so that a device with a million events costs
twenty steps. What is older than the cutoff is dropped when its list needs room, except for the newest of it: so the
event before an event is always known.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from schemas.batches import I64
from schemas.columns import segments

_NEVER = np.iinfo(np.int64).min
_SCANNED = 16
_LOOPED = 16  # different long lists in one call up to which each is searched by itself
_BULK = 65_536
_CAPACITY = np.concatenate((np.zeros(1, np.int64), 4 << np.arange(40)))
_GROWTH = 1.25
_LANES = np.arange(_SCANNED)[:, None]
START, LENGTH, CLASS, FIRST = range(4)  # the columns of a record; class: index into _CAPACITY, 0 where no block

A = TypeVar("A", bound=np.generic)


def grow(column: NDArray[A], needed: int) -> None:
    """Make a column at least ``needed`` rows long in place, new rows 0. The caller holds no view of it."""
    if needed > len(column):
        rows = max(needed, int(len(column) * _GROWTH))
        column.resize((rows, *column.shape[1:]), refcheck=False)


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
    """Lists by slot, a small number. ``read`` gives records int64[n, 4], which the other readers take."""

    def __init__(self) -> None:
        self._records = np.zeros((1024, 4), np.int64)
        self._times = np.zeros(4096, np.int64)
        self._end = 0  # entries of the pool that were ever given out
        self._free: defaultdict[int, Stack] = defaultdict(Stack)

    @property
    def nbytes(self) -> int:
        """Return the bytes of the arrays."""
        return self._records.nbytes + self._times.nbytes + sum(stack.nbytes for stack in self._free.values())

    def clear(self, slots: I64) -> None:
        """Make slots usable, with empty lists. They must be new ones, or forgotten."""
        grow(self._records, int(slots.max(initial=-1)) + 1)
        self._records[slots] = (0, 0, 0, np.iinfo(np.int64).max)

    def read(self, slots: I64) -> I64:
        """Return the lists' records."""
        return self._records.take(slots, axis=0)

    def last(self, records: I64) -> I64:
        """Return the newest time of each list; the smallest int64 where it is empty."""
        length = records[:, LENGTH]
        return np.where(length > 0, self._times.take(records[:, START] + length - 1, mode="clip"), _NEVER)

    def counts_after(self, records: I64, bounds: I64) -> I64:
        """Return int64[K, n]: how many times of list i are after ``bounds[k, i]``, int64[K, n]."""
        start, length = records[:, START], records[:, LENGTH]
        longest = int(length.max(initial=0))
        if longest <= _SCANNED:
            return self._scan(start, length, bounds, longest)
        long = length > _SCANNED
        rows = long.nonzero()[0]
        counts = np.empty(bounds.shape, np.int64)
        counts[:, rows] = self._search(start.take(rows), length.take(rows), bounds.take(rows, axis=1), longest)
        rows = (~long).nonzero()[0]
        if rows.size:
            counts[:, rows] = self._scan(start.take(rows), length.take(rows), bounds.take(rows, axis=1), _SCANNED)
        return counts

    def _search(self, start: I64, length: I64, bounds: I64, longest: int) -> I64:
        """Count in long lists: where they are few, equal ones side by side, one search a list is the cheapest."""
        turns = (start[1:] != start[:-1]).nonzero()[0] + 1
        if len(turns) >= _LOOPED:
            return self._bisect(start, length, bounds, longest)
        counts = np.empty(bounds.shape, np.int64)
        for a, b in pairwise((0, *turns.tolist(), len(start))):
            times = self._times[start[a] : start[a] + length[a]]
            counts[:, a:b] = length[a] - times.searchsorted(bounds[:, a:b], side="right")
        return counts

    def _scan(self, start: I64, length: I64, bounds: I64, longest: int) -> I64:
        lanes = _LANES[:longest]
        entries = self._times.take(start + length - 1 - lanes, mode="clip")  # newest first
        after = entries > bounds[:, None, :]
        after &= lanes < length
        counts: I64 = np.add.reduce(after.view(np.int8), axis=1, dtype=np.int8).astype(np.int64)
        return counts

    def _bisect(self, start: I64, length: I64, bounds: I64, longest: int) -> I64:
        low = np.zeros(bounds.shape, np.int64)
        high = np.broadcast_to(length, bounds.shape).copy()
        for _ in range(longest.bit_length()):
            middle = (low + high) >> 1
            before = self._times.take(start + middle, mode="clip") <= bounds
            before &= low < high
            low = np.where(before, middle + 1, low)
            high = np.where(before, high, middle)
        return length - low

    def at_from_end(self, records: I64, back: I64) -> I64:
        """Return the time at ``back`` places from the end (0: the newest) of each list, -1 where it is shorter."""
        place = records[:, LENGTH] - 1 - back
        return np.where(place >= 0, self._times.take(records[:, START] + place, mode="clip"), -1)

    def add(self, slots: I64, counts: I64, times: I64, earliest: I64, cutoff: int) -> None:
        """Add times int64[sum(counts)], grouped by list: ``counts[g]`` of them to list ``slots[g]``, each slot once.

        ``earliest[g]``: of that list's life, the new times included.
        """
        records = self.read(slots)
        self._reserve(records, counts, cutoff)
        first_free = records[:, START] + records[:, LENGTH]
        single = len(times) == len(slots)
        previous = self.last(records)
        if not single:
            heads = np.cumsum(counts) - counts
            within = np.empty(len(times), np.int64)
            within[1:] = times[:-1]
            within[heads] = previous
            previous = within
        disordered = times < previous
        if disordered.any():
            late = np.flatnonzero(disordered)
            groups = late if single else np.unique(np.searchsorted(heads, late, side="right") - 1)
            times = self._interleave(records[groups], groups, counts, times)
        self._times[first_free if single else segments(first_free, counts)] = times
        records[:, LENGTH] += counts
        records[:, FIRST] = earliest
        self._records[slots] = records

    def _interleave(self, records: I64, groups: I64, counts: I64, times: I64) -> I64:
        """Sort the new times of some groups into the ends of their lists; return what is to be appended instead."""
        added = counts[groups]
        fresh = segments((np.cumsum(counts) - counts)[groups], added)
        earliest = np.minimum.reduceat(times[fresh], np.cumsum(added) - added)
        tails = self.counts_after(records, earliest[None, :])[0]
        stored = segments(records[:, START] + records[:, LENGTH] - tails, tails)
        owners = np.concatenate((np.repeat(groups, tails), np.repeat(groups, added)))
        merged = np.concatenate((self._times[stored], times[fresh]))
        merged = merged[np.lexsort((merged, owners))]
        ends = np.cumsum(tails + added)
        self._times[stored] = merged[segments(ends - tails - added, tails)]
        times = times.copy()
        times[fresh] = merged[segments(ends - added, added)]
        return times

    def _reserve(self, records: I64, counts: I64, cutoff: int) -> None:
        """Give lists without room for ``counts`` more a bigger block, or the same one without what has expired."""
        tight = (records[:, LENGTH] + counts > _CAPACITY.take(records[:, CLASS])).nonzero()[0]
        if not tight.size:
            return
        moved, counts = records[tight], counts[tight]
        start, length = moved[:, START].copy(), moved[:, LENGTH].copy()
        old = self._times.take(start) <= cutoff
        if old.any():
            expired = length - self.counts_after(moved, np.full((1, len(moved)), cutoff, np.int64))[0] - 1
            expired = np.maximum(expired, 0)
            start += expired
            length -= expired
        entries = self._times.take(_places(start, length))
        self._release(moved)
        # A quarter of a longer block stays free: a steady list then moves once for every fourth of its events.
        wanted = length + counts
        self._acquire(moved, np.where(wanted >= _SCANNED, wanted * 4 // 3, wanted))
        self._times[_places(moved[:, START], length)] = entries
        moved[:, LENGTH] = length
        records[tight] = moved

    def _release(self, records: I64) -> None:
        """Take the blocks of records that are then without one."""
        classes = records[:, CLASS]
        for number in _present(classes):
            if number:
                self._free[number].push(records[classes == number, START])

    def _acquire(self, records: I64, wanted: I64) -> None:
        """Give records blocks of at least so many entries."""
        classes = np.searchsorted(_CAPACITY, wanted)
        for number in _present(classes):
            taken = (classes == number).nonzero()[0]
            used = self._free[number].pop(len(taken))
            more = len(taken) - len(used)
            size = int(_CAPACITY[number])
            fresh = self._end + size * np.arange(more)
            self._end += size * more
            records[taken, START] = np.concatenate((used, fresh))
        grow(self._times, self._end)
        records[:, CLASS] = classes

    def forget(self, slots: I64) -> None:
        """Empty lists and give their blocks back."""
        self._release(self.read(slots))
        self.clear(slots)

    def shrink_before(self, slots: I64, cutoff: int) -> None:
        """Cut lists that ended at or before the cutoff down to their newest time."""
        records = self.read(slots)
        last = self.last(records)
        idle = (records[:, LENGTH] > 1) & (last <= cutoff)
        slots, records = slots[idle], records[idle]
        self._release(records)
        self._acquire(records, np.ones(len(slots), np.int64))
        self._times[records[:, START]] = last[idle]
        records[:, LENGTH] = 1
        self._records[slots] = records

    def dump(self, slots: I64) -> tuple[I64, I64, I64]:
        """Return the lists' earliest times and lengths, and their entries, one list after the other."""
        first, lengths = self._records[slots, FIRST], self._records[slots, LENGTH]
        times = np.empty(int(lengths.sum()), np.int64)
        end = 0
        for at in range(0, len(slots), _BULK):
            places = segments(self._records[slots[at : at + _BULK], START], lengths[at : at + _BULK])
            start, end = end, end + len(places)
            self._times.take(places, out=times[start:end], mode="clip")
        return first, lengths, times

    def fill(self, slots: I64, dumped: tuple[I64, I64, I64]) -> None:
        """Write what was dumped into slots that are clear."""
        first, lengths, times = dumped
        end = 0
        for at in range(0, len(slots), _BULK):
            rows = slice(at, at + _BULK)
            records = self.read(slots[rows])
            self._acquire(records, lengths[rows])
            places = segments(records[:, START], lengths[rows])
            start, end = end, end + len(places)
            self._times[places] = times[start:end]
            records[:, LENGTH], records[:, FIRST] = lengths[rows], first[rows]
            self._records[slots[rows]] = records


def _places(start: I64, length: I64) -> I64:
    """Return the places of all entries of some lists, in an order that depends on the lengths only."""
    longest = int(length.max())
    if longest > _SCANNED:
        return segments(start, length)
    lanes = _LANES[:longest]
    places: I64 = (start + lanes)[lanes < length]
    return places


def _present(classes: I64) -> list[int]:
    """Return the distinct numbers, ascending: they are few and small."""
    return np.bincount(classes).nonzero()[0].tolist()
