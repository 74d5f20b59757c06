"""The devices of one partition: when each was seen."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from flows.stages.device_state.tag_table import TagTable
from flows.stages.device_state.time_lists import FIRST, Stack, TimeLists
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

    def __init__(self, windows: tuple[int, ...], expected: int = 0) -> None:
        self._spans: I64 = np.array((0, *windows), np.int64)[:, None]
        self._table = TagTable(expected)
        self._lists = TimeLists()
        self._slots = 0  # slots that were ever given out
        self._free = Stack()

    def __len__(self) -> int:
        """Return the number of devices."""
        return len(self._table)

    @property
    def nbytes(self) -> int:
        """Return the bytes of the arrays."""
        return self._table.nbytes + self._lists.nbytes + self._free.nbytes

    def observe(self, tags: U64, times: I64, cutoff: int) -> Seen:
        """Count and then add rows, in order: each row sees the rows before it, of this call too."""
        order, slots = self._sorted_slots(tags)
        times = times[order]
        records = self._lists.read(slots)
        after = self._lists.counts_after(records, times - self._spans)
        counts = after[1:] - (after[0] - 1)
        previous = self._lists.at_from_end(records, after[0])
        first = np.minimum(records[:, FIRST], times)
        heads, sizes = _runs(slots)
        if len(heads) < len(slots):
            _see_each_other(heads, sizes, times, self._spans, counts, first, previous)
            self._lists.add(slots[heads], sizes, times, first[heads + sizes - 1], cutoff)
        else:
            self._lists.add(slots, sizes, times, first, cutoff)
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        return Seen(counts.take(back, axis=1), first.take(back), previous.take(back))

    def add(self, tags: U64, times: I64, cutoff: int) -> None:
        """Add rows without counting: what ``observe`` does to the state."""
        order, slots = self._sorted_slots(tags)
        times = times[order]
        heads, sizes = _runs(slots)
        listed = slots[heads]
        first = np.minimum(self._lists.read(listed)[:, FIRST], np.minimum.reduceat(times, heads))
        self._lists.add(listed, sizes, times, first, cutoff)

    def _sorted_slots(self, tags: U64) -> tuple[I64, I64]:
        """Return the rows sorted by device, in their order within a device, and the slots of the sorted rows."""
        values = self._table.lookup(tags)
        if not values.all():
            unknown = values == 0
            fresh, where = np.unique(tags[unknown], return_inverse=True)
            slots = self._new_slots(len(fresh))
            self._table.insert(fresh, (slots + 1).astype(np.uint32))
            values[unknown] = slots[where] + 1
        order = np.argsort(values, kind="stable")
        return order, values.take(order).astype(np.int64) - 1

    def _new_slots(self, count: int) -> I64:
        used = self._free.pop(count)
        slots = np.concatenate((used, np.arange(self._slots, self._slots + count - len(used))))
        self._slots += count - len(used)
        self._lists.clear(slots)
        return slots

    def sweep(self, idle_before: int, cutoff: int) -> None:
        """Forget devices not seen since ``idle_before``; shorten the lists of those not seen since ``cutoff``."""
        _, values = self._table.items()
        slots = np.sort(values).astype(np.int64) - 1
        idle = self._lists.last(self._lists.read(slots)) < idle_before
        if idle.any():
            gone = np.zeros(self._slots + 1, np.bool_)
            gone[slots[idle] + 1] = True
            self._table.drop_values(gone)
            self._lists.forget(slots[idle])
            self._free.push(slots[idle])
        self._lists.shrink_before(slots[~idle], cutoff)

    def dump(self) -> tuple[U64, I64, I64, I64]:
        """Return tags, first times and list lengths by device, and all lists one after the other."""
        tags, values = self._table.items()
        order = np.argsort(values)
        return tags[order], *self._lists.dump(values[order].astype(np.int64) - 1)

    @classmethod
    def load(cls, windows: tuple[int, ...], dumped: tuple[U64, I64, I64, I64]) -> Devices:
        """Return the devices of a dump."""
        tags, *lists = dumped
        devices = cls(windows, len(tags))
        slots = devices._new_slots(len(tags))
        devices._table.insert(tags, (slots + 1).astype(np.uint32))
        devices._lists.fill(slots, (lists[0], lists[1], lists[2]))
        return devices


def _runs(slots: I64) -> tuple[I64, I64]:
    """Return where each run of equal slots begins, and how long it is."""
    begins = np.empty(len(slots), np.bool_)
    begins[:1] = True
    np.not_equal(slots[1:], slots[:-1], out=begins[1:])
    heads = begins.nonzero()[0]
    sizes = np.empty(len(heads), np.int64)
    np.subtract(heads[1:], heads[:-1], out=sizes[:-1])
    sizes[-1:] = len(slots) - heads[-1:]
    return heads, sizes


def _see_each_other(heads: I64, sizes: I64, times: I64, spans: I64, counts: I64, first: I64, previous: I64) -> None:
    """Add what rows of one device in one call see of each other: every row the rows of its group before it."""
    steps = times[1:] - times[:-1]
    steps[heads[1:] - 1] = 0
    if steps.min() >= 0 and times.max() - times.min() < spans[1:].min():
        # In order and close together, as live traffic is: every row sees every row before it in every window.
        ranks = np.arange(len(times)) - np.repeat(heads, sizes)
        later = ranks.nonzero()[0]
        counts += ranks
        first[:] = np.repeat(first[heads], sizes)
        previous[later] = np.maximum(previous[later], times[later - 1])
    else:
        _see_by_pairs(heads, sizes, times, spans, counts, first, previous)


def _see_by_pairs(heads: I64, sizes: I64, times: I64, spans: I64, counts: I64, first: I64, previous: I64) -> None:
    """Do the same for any times, by comparing every row with all those that it sees."""
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
