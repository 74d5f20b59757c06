"""A state of one number a slice, snapshotted as velocity's is: what changed, and the whole of some slices in turn."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from schemas.stage import Snapshot
from schemas.velocity import SLICES

_HEAD = struct.Struct("<HHI")
_PAIR = struct.Struct("<HQ")


class SlicedSums:
    """The sum of what was added to each slice."""

    def __init__(self) -> None:
        self.sums: dict[int, int] = {}
        self._changed: list[tuple[int, int]] = []
        self._turn = 0
        self._empty = True

    @classmethod
    def opened(cls, snapshots: Sequence[bytes]) -> SlicedSums:
        """Load each slice where it comes, and apply what changed to slices that were loaded before."""
        session, known = cls(), set[int]()
        for data in snapshots:
            first, slices, changes = _HEAD.unpack_from(data)
            pairs = [_PAIR.unpack_from(data, at) for at in range(_HEAD.size, len(data), _PAIR.size)]
            for number, value in pairs[:changes]:
                if number in known:
                    session.sums[number] = session.sums.get(number, 0) + value
            fresh = {(first + at) % SLICES for at in range(slices)}
            for number in fresh:
                session.sums.pop(number, None)
            session.sums |= dict(pairs[changes:])
            known |= fresh
            session._turn = (first + slices) % SLICES
        if snapshots and len(known) < SLICES:
            raise ValueError("the snapshots do not cover all slices")
        session._empty = not snapshots
        return session

    def add(self, number: int, value: int) -> None:
        """Add to a slice."""
        self.sums[number] = self.sums.get(number, 0) + value
        self._changed.append((number, value))

    def snapshot(self, slices: int, *, whole: bool = False) -> Snapshot:
        """Return what changed and the next slices; ``whole``, and the first, have all."""
        if whole or self._empty:
            slices = SLICES
        first, self._turn, self._empty = self._turn, (self._turn + slices) % SLICES, False
        fresh = {(first + at) % SLICES for at in range(slices)}
        pairs = [*self._changed, *((number, value) for number, value in self.sums.items() if number in fresh)]
        data = _HEAD.pack(first, slices, len(self._changed)) + b"".join(_PAIR.pack(*pair) for pair in pairs)
        self._changed = []
        return Snapshot(data, first, slices)
