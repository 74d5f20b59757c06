"""The devices of one partition: when each was seen."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from flows.stages.device_state.tag_table import TagTable
from flows.stages.device_state.time_lists import Stack, TimeLists, grow
from schemas.batches import I64, U64
from schemas.columns import segments

_NEVER = np.iinfo(np.int64).min


class Seen(NamedTuple):
    """What is known of each row's device, the row itself included, later rows not."""

    counts: I64  # [windows, n]
    first: I64
    previous: I64  # -1 where none


class Devices:
    """Event times by device tag, and the earliest of each device's life."""

    def __init__(self, windows: tuple[int, ...]) -> None:
        self._spans: I64 = np.array((0, *windows), np.int64)[:, None]
        self._table = TagTable()
        self._lists = TimeLists()
        self._first = np.zeros(1024, np.int64)
        self._slots = 0  # slots that were ever given out
        self._free = Stack()

    def __len__(self) -> int:
        """Return the number of devices."""
        return len(self._table)

    @property
    def nbytes(self) -> int:
        """Return the bytes of the arrays."""
        return self._table.nbytes + self._lists.nbytes + self._first.nbytes

    def observe(self, tags: U64, times: I64, cutoff: int) -> Seen:
        """Count and then add rows, in order: each row sees the rows before it, of this call too."""
        order, slots = self._sorted_slots(tags)
        times = times[order]
        bounds = times - self._spans
        after = self._lists.counts_after(slots, bounds)
        counts = after[1:] - after[0] + 1
        previous = self._lists.at_from_end(slots, after[0])
        heads = np.flatnonzero(np.concatenate((_TRUE, slots[1:] != slots[:-1])))
        first = np.minimum(self._first.take(slots), times)
        if len(heads) < len(slots):
            _see_each_other(heads, times, self._spans, counts, first, previous)
        self._add(slots, heads, times, first, cutoff)
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        return Seen(counts[:, back], first[back], previous[back])

    def add(self, tags: U64, times: I64, cutoff: int) -> None:
        """Add rows without counting: what ``observe`` does to the state."""
        order, slots = self._sorted_slots(tags)
        times = times[order]
        heads = np.flatnonzero(np.concatenate((_TRUE, slots[1:] != slots[:-1])))
        earliest = np.minimum.reduceat(times, heads)
        first = np.minimum(self._first.take(slots), np.repeat(earliest, np.diff(heads, append=len(slots))))
        self._add(slots, heads, times, first, cutoff)

    def _add(self, slots: I64, heads: I64, times: I64, first: I64, cutoff: int) -> None:
        counts = np.diff(heads, append=len(slots))
        listed = slots[heads]
        self._first[listed] = first[heads + counts - 1]
        self._lists.add(listed, counts, times, cutoff)

    def _sorted_slots(self, tags: U64) -> tuple[I64, I64]:
        """Return the rows sorted by device, in their order within a device, and the slots of the sorted rows."""
        values = self._table.lookup(tags)
        unknown = values == 0
        if unknown.any():
            fresh, where = np.unique(tags[unknown], return_inverse=True)
            slots = self._new_slots(len(fresh))
            self._table.insert(fresh, (slots + 1).astype(np.uint32))
            values[unknown] = slots[where] + 1
        order = np.argsort(values, kind="stable")
        return order, values[order].astype(np.int64) - 1

    def _new_slots(self, count: int) -> I64:
        used = self._free.pop(count)
        slots = np.concatenate((used, np.arange(self._slots, self._slots + count - len(used))))
        self._slots += count - len(used)
        grow(self._first, self._slots)
        self._lists.room_for(self._slots)
        self._first[slots] = np.iinfo(np.int64).max
        return slots

    def sweep(self, idle_before: int, cutoff: int) -> None:
        """Forget devices not seen since ``idle_before``; shorten the lists of those not seen since ``cutoff``."""
        _, values = self._table.items()
        slots = np.sort(values).astype(np.int64) - 1
        idle = slots[self._lists.last(slots) < idle_before]
        if idle.size:
            gone = np.zeros(self._slots + 1, np.bool_)
            gone[idle + 1] = True
            self._table.remove_values(gone)
            self._lists.forget(idle)
            self._free.push(idle)
        self._lists.shrink_before(slots, cutoff)

    def dump(self) -> tuple[U64, I64, I64, I64]:
        """Return tags, first times and list lengths by device, and all lists one after the other."""
        tags, values = self._table.items()
        order = np.argsort(values)
        slots = values[order].astype(np.int64) - 1
        return tags[order], self._first[slots], self._lists.lengths(slots), self._lists.dump(slots)

    @classmethod
    def load(cls, windows: tuple[int, ...], dumped: tuple[U64, I64, I64, I64]) -> Devices:
        """Return the devices of a dump."""
        tags, first, lengths, times = dumped
        devices = cls(windows)
        devices._table = TagTable(len(tags))
        slots = devices._new_slots(len(tags))
        devices._table.insert(tags, (slots + 1).astype(np.uint32))
        devices._first[slots] = first
        devices._lists.fill(slots, lengths, times)
        return devices


_TRUE = np.ones(1, np.bool_)


def _see_each_other(heads: I64, times: I64, spans: I64, counts: I64, first: I64, previous: I64) -> None:
    """Add what rows of one device in one call see of each other: every row all rows of its group before it."""
    sizes = np.diff(heads, append=len(times))
    begins = np.repeat(heads, sizes)
    ranks = np.arange(len(times)) - begins
    later = np.flatnonzero(ranks)
    pairs = ranks[later]
    others = times[segments(begins[later], pairs)]
    own = np.repeat(times[later], pairs)
    starts = np.cumsum(pairs) - pairs
    not_after = others <= own
    age = own - others
    for row, span in enumerate(spans[1:, 0].tolist()):
        counts[row, later] += np.add.reduceat((age < span) & not_after, starts, dtype=np.int64)
    first[later] = np.minimum(first[later], np.minimum.reduceat(others, starts))
    nearest = np.maximum.reduceat(np.where(not_after, others, _NEVER), starts)
    previous[later] = np.maximum(previous[later], nearest)
