"""The keyed stages as one: a state, a frame and an offset for all, so that none can be ahead of another.

The first two lie side by side, and ``apply`` runs them; the last one, ``decide``, lies behind the score. The first says
which slices are due, and the others write the same. A frame of all is, little-endian: ``magic 4 | version u16 |
reserved u16 | bytes of the first u64 | bytes of the second u64``, and their snapshots in turn.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from schemas.batches import Decided, RawBatch
from schemas.stage import Applies, KeyedStage, Session, Snapshot, StageOut
from scoring.decide import Decide, DecideSession

In = TypeVar("In", bound=RawBatch)
Mid = TypeVar("Mid", bound=RawBatch)
Out = TypeVar("Out", bound=RawBatch)
InMid = TypeVar("InMid", bound=RawBatch, contravariant=True)
OutOut = TypeVar("OutOut", bound=RawBatch, covariant=True)

_HEAD = struct.Struct("<4sHHQQ")
_MAGIC = b"CGKS"
_VERSION = 2


class Following(Session[InMid, OutOut], Protocol[InMid, OutOut]):
    """A session that writes the slices that it is told to."""

    def snapshot_of(self, first_slice: int, slices: int) -> Snapshot:
        """Return the next snapshot, with these slices whole. The first one must cover all of them."""
        ...


class FollowingStage(Protocol[InMid, OutOut]):
    """A keyed stage whose sessions write the slices that they are told to."""

    @property
    def name(self) -> str:
        """Return the stage's name."""
        ...

    def open(self, snapshots: Sequence[bytes], /) -> Following[InMid, OutOut]:
        """Open as ``KeyedStage`` says."""
        ...


@dataclass(frozen=True, slots=True)
class Chain(Generic[In, Mid, Out]):
    """A keyed stage of the three."""

    first: KeyedStage[In, Mid]
    second: FollowingStage[Mid, Out]
    last: Decide

    @property
    def name(self) -> str:
        """Return the names of those that ``apply`` runs."""
        return f"{self.first.name}+{self.second.name}"

    def open(self, snapshots: Sequence[bytes], /) -> ChainSession[In, Mid, Out]:
        """Return the session of a key after the given snapshots; without any, an empty one.

        ValueError where one is not a snapshot of these stages, or of another build, or they do not cover all slices.
        """
        first, second, last = (_Part(snapshots, part) for part in range(3))
        names = (self.first.name, self.second.name)
        return ChainSession(self.first.open(first), self.second.open(second), self.last.open(last), names)


class ChainSession(Generic[In, Mid, Out]):
    """The open state of one key of the three."""

    def __init__(
        self, first: Session[In, Mid], second: Following[Mid, Out], last: DecideSession, names: tuple[str, str]
    ) -> None:
        self.first = first
        self.second = second
        self.last = last
        self._names = names

    @property
    def steps(self) -> tuple[tuple[str, Applies[In, Mid]], tuple[str, Applies[Mid, Out]]]:
        """Return what ``apply`` does in turn, with the names of the stages: to measure each of them."""
        return (self._names[0], self.first), (self._names[1], self.second)

    def apply(self, batch: In, /) -> StageOut[Out]:
        """Apply a batch to the first and what it gives to the second."""
        counted = self.first.apply(batch)
        out = self.second.apply(counted.oks)
        return StageOut(out.oks, (*counted.errs, *out.errs), counted.dropped + out.dropped)

    def remember(self, batch: Decided, /) -> None:
        """Tell the first two of the scores and decisions."""
        self.first.remember(batch)
        self.second.remember(batch)

    def snapshot(self, *, whole: bool = False) -> Snapshot:
        """Return the next snapshot of all."""
        one = self.first.snapshot(whole=whole)
        two, three = (session.snapshot_of(one.first_slice, one.slices) for session in (self.second, self.last))
        head = _HEAD.pack(_MAGIC, _VERSION, 0, len(one.data), len(two.data))
        return Snapshot(b"".join((head, one.data, two.data, three.data)), one.first_slice, one.slices)


class _Part(Sequence[bytes]):
    """The snapshots of one of the stages, taken out of those of all when they are asked for."""

    def __init__(self, snapshots: Sequence[bytes], part: int) -> None:
        self._snapshots = snapshots
        self._part = part

    def __len__(self) -> int:
        return len(self._snapshots)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return _Part(self._snapshots[index], self._part)
        return _split(self._snapshots[index])[self._part]


def _split(data: bytes) -> tuple[bytes, bytes, bytes]:
    if len(data) < _HEAD.size or data[:4] != _MAGIC:
        raise ValueError("not a snapshot of velocity, recognize and decide together: rebuild the state from Kafka")
    _, version, _, first, second = _HEAD.unpack_from(data)
    start, middle = _HEAD.size, _HEAD.size + first
    if version != _VERSION or middle + second > len(data):
        raise ValueError(f"not a snapshot of three stages of version {_VERSION}: rebuild the state from Kafka")
    return data[start:middle], data[middle : middle + second], data[middle + second :]
