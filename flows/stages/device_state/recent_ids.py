"""The event ids of the last hours: which events were counted already."""

from __future__ import annotations

import numpy as np

from flows.stages.device_state.tag_table import TagTable
from schemas.batches import I64, U32, U64, Bool


class RecentIds:
    """Tags of ids with the hour in which each was counted; an hour expires as a whole."""

    def __init__(self, hours_kept: int) -> None:
        self._hours_kept = hours_kept
        self._table = TagTable()
        self._hour = np.uint32(0)

    def __len__(self) -> int:
        """Return the number of ids remembered."""
        return len(self._table)

    @property
    def nbytes(self) -> int:
        """Return the bytes of the arrays."""
        return self._table.nbytes

    def advance(self, hour: int) -> None:
        """Let the hour begin; forget what was counted over ``hours_kept`` hours before it."""
        self._hour = np.uint32(hour + 1)  # the table's 0 means empty
        self._table.drop_below(hour + 1 - self._hours_kept)

    def admit(self, tags: U64, barred: Bool | None) -> Bool | None:
        """Return which rows are duplicates, None where none is; remember the others but for the barred ones.

        A row is a duplicate where an earlier row, of this call too, was remembered. ``barred`` rows, None where there
        are none, are not counted, so they make no later row a duplicate.
        """
        known = self._table.lookup(tags)
        in_order = np.sort(tags)
        repeated = bool((in_order[1:] == in_order[:-1]).any())
        if barred is None and not repeated and not known.any():
            self.add(tags)
            return None
        duplicate = known != 0
        passed = duplicate if barred is None else duplicate | barred
        if repeated:
            duplicate |= _repeats(tags, passed)
            passed = passed | duplicate
        self.add(tags[~passed])
        return duplicate

    def add(self, tags: U64) -> None:
        """Remember ids that are not remembered, each once."""
        self._table.insert(tags, np.full(len(tags), self._hour, np.uint32))

    def dump(self) -> tuple[U64, U32]:
        """Return all tags and their hours."""
        return self._table.items()

    @classmethod
    def load(cls, hours_kept: int, tags: U64, hours: U32) -> RecentIds:
        """Return the ids of a dump; call ``advance`` before use."""
        ids = cls(hours_kept)
        ids._table = TagTable(len(tags))
        ids._table.insert(tags, hours)
        return ids


def _repeats(tags: U64, ignored: Bool) -> Bool:
    """Return which rows have an earlier row of the same tag that is not ignored."""
    order = np.argsort(tags, kind="stable")
    in_order = tags[order]
    counted = ~ignored[order]
    before: I64 = np.cumsum(counted) - counted
    heads = np.flatnonzero(np.concatenate((np.ones(1, np.bool_), in_order[1:] != in_order[:-1])))
    base: I64 = np.repeat(before[heads], np.diff(heads, append=len(tags)))
    repeats = np.empty(len(tags), np.bool_)
    repeats[order] = before > base
    return repeats
