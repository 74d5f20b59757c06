"""The contract of a stage: a batch goes in, a batch comes out, and every row is accounted for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from itertools import pairwise
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np

from schemas.batches import I32, I64, Decided, RawBatch
from schemas.columns import widen
from schemas.dead_letter import DeadLetter

In = TypeVar("In", bound=RawBatch, contravariant=True)
Out = TypeVar("Out", bound=RawBatch, covariant=True)
Given = TypeVar("Given", bound=RawBatch)
Made = TypeVar("Made", bound=RawBatch)
Kept = TypeVar("Kept")


class StageOut(NamedTuple, Generic[Out]):
    """``rows_in == len(oks) + len(errs) + dropped``, always."""

    oks: Out
    errs: Sequence[DeadLetter] = ()
    dropped: int = 0


def joined(batch: Given, parts: Sequence[Given], outs: Sequence[Made]) -> Made:
    """Join what a stage gave for the parts of a batch, in their order.

    Only sections that it added are copied where all rows go on. The others are handed on as they are by every stage
    (tests/contract/test_stages.py), so the batch has them.
    """
    if sum(map(len, outs)) < len(batch):
        kept, before = list[I64](), 0
        for part, out in zip(parts, outs, strict=True):
            kept.append(before + np.searchsorted(part.origin.offset, out.origin.offset))
            before += len(part)
        batch = batch.take(np.concatenate(kept))
    had = {field.name for field in fields(batch)}
    added = [field.name for field in fields(outs[0]) if field.name not in had]
    sections = {name: type(getattr(outs[0], name)).concat([getattr(out, name) for out in outs]) for name in added}
    return widen(type(outs[0]), batch, **sections)


Part = tuple[Kept, int, int]
"""A session and which rows of a batch are its own: from the first to the last, which is excluded."""


def parts_of(partition: I32, sessions: Mapping[int, Kept]) -> list[Part[Kept]]:
    """Return the parts of a batch in which the rows of each partition lie together; none where it has no rows."""
    rows = len(partition)
    if not rows:
        return []
    if partition[0] == partition[-1]:  # then all rows between are of it as well
        return [(sessions[int(partition[0])], 0, rows)]
    edges = (0, *(np.flatnonzero(partition[1:] != partition[:-1]) + 1).tolist(), rows)
    return [(sessions[int(partition[first])], first, end) for first, end in pairwise(edges)]


def each_part(batch: Given, parts: Sequence[Part[Any]]) -> StageOut[Any]:
    """Apply the parts of a batch to their sessions one after the other, and join what they give."""
    own = [batch.part(first, end) for _, first, end in parts]
    outs = [session.apply(rows) for (session, _, _), rows in zip(parts, own, strict=True)]
    oks = joined(batch, own, [out.oks for out in outs])
    return StageOut(oks, [letter for out in outs for letter in out.errs], sum(out.dropped for out in outs))


class Stage(Protocol[In, Out]):
    """A stateless stage. It reads no clock, no environment and no client."""

    @property
    def name(self) -> str:
        """Return the stage's name, one of a closed set: it is a metric label."""
        ...

    def __call__(self, batch: In, /) -> StageOut[Out]:
        """Return the rows that go on, the rows that do not, and how many were dropped."""
        ...


class Applies(Protocol[In, Out]):
    """Something with state that takes batches."""

    def apply(self, batch: In, /) -> StageOut[Out]:
        """Apply a batch in order. Applying a+b equals applying a and then b."""
        ...


class Snapshot(NamedTuple):
    """What changed since the snapshot before, and the whole of some slices of the state as it is now.

    Slices are taken in turn, ``schemas.velocity.SLICES`` in all: any snapshots in a row that cover them all hold the
    whole state after the last of them.
    """

    data: bytes
    first_slice: int
    slices: int


class Session(Applies[In, Out], Protocol[In, Out]):
    """The open state of one key (a Kafka partition) of a keyed stage."""

    def remember(self, batch: Decided, /) -> None:
        """Take note of the scores of rows that were applied, in the order of their offsets."""
        ...

    def snapshot(self, *, whole: bool = False) -> Snapshot:
        """Return the next snapshot. ``whole``, and the first of a session that began empty: it covers all slices."""
        ...


class KeyedStage(Protocol[In, Out]):
    """A stateful stage: one session a key, restored from the data of snapshots in a row that cover all slices."""

    @property
    def name(self) -> str:
        """Return the stage's name."""
        ...

    def open(self, snapshots: Sequence[bytes], /) -> Session[In, Out]:
        """Return a session whose state is that after the last of the snapshots; without any, an empty one.

        ValueError where one is not a snapshot of this build, or they do not cover all slices.
        """
        ...
