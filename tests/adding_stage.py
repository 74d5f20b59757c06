"""A keyed stage whose state can be looked at: for tests of what keeps states."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from schemas.batches import Decided, RawBatch
from schemas.stage import Snapshot, StageOut
from schemas.velocity import SLICES


class Adding:
    """A keyed stage whose state is the list of the offsets that it saw, and of those whose scores it was told."""

    name = "velocity"

    def open(self, snapshots: Sequence[bytes], /) -> AddingSession:
        session = AddingSession(None if not len(snapshots) else [])
        for data in snapshots:
            if not data.startswith(b"adding "):
                raise ValueError("not of this build")
            for word in data.split()[1:]:
                (session.scored if word.startswith(b"s") else session.seen).append(int(word.lstrip(b"s")))
        return session


class AddingSession:
    def __init__(self, seen: list[int] | None) -> None:
        self.empty = seen is None
        self.seen: list[int] = []
        self.scored: list[int] = []
        self._fresh: list[bytes] = []

    def apply(self, batch: RawBatch, /) -> StageOut[RawBatch]:
        for offset, value in zip(batch.origin.offset.tolist(), batch.values, strict=True):
            if value == b"bug":
                raise ZeroDivisionError
            self.seen.append(offset)
            self._fresh.append(b"%d" % offset)
        kept = np.flatnonzero([value != b"gone" for value in batch.values])
        return StageOut(batch.take(kept), dropped=len(batch) - len(kept))

    def remember(self, batch: Decided, /) -> None:
        self.scored += batch.origin.offset.tolist()
        self._fresh += [b"s%d" % offset for offset in batch.origin.offset.tolist()]

    def snapshot(self, *, whole: bool = False) -> Snapshot:
        everything = [b"%d" % offset for offset in self.seen] + [b"s%d" % offset for offset in self.scored]
        shown, self._fresh = (everything if whole else self._fresh), []
        covers, self.empty = whole or self.empty, False
        return Snapshot(b" ".join([b"adding", b"", *shown]), 0, SLICES if covers else 0)
