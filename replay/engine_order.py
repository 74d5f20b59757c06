"""Rows of several partitions in the order of the merge, for the stages in which partitions see each other.

Inside a parcel the rows of a partition lie together, as keyed stages want them. What devices share and what rules
remember is of all partitions, so ``relate`` and ``judge`` are given the rows in the order of the merge. So what they
say does not depend on where parcels were cut, nor on rows that no longer come to them.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, Generic, TypeVar, cast

import numpy as np

from flows.pipeline import Pipeline
from replay.merge import Ranked
from schemas.batches import Decoded, RawBatch, Scored, Texts
from schemas.columns import Rows, widen
from schemas.stage import Stage, StageOut

In = TypeVar("In", bound=RawBatch)
Out = TypeVar("Out", bound=RawBatch)


class MergeOrder:
    """The order of the parcel that is being worked on."""

    def __init__(self) -> None:
        self._now: Ranked | None = None

    def set(self, now: Ranked) -> None:
        """Begin a parcel."""
        self._now = now

    def turn(self, batch: RawBatch) -> Rows | None:
        """Return the rows of a batch in the order of the merge, None where they lie so; all are of the parcel."""
        now = self._now
        if now is None or now.rank is None or len(now.parcel.spans) == 1:
            return None
        rank = now.rank[_positions(now.parcel.batch, batch)]
        return None if bool((np.diff(rank) > 0).all()) else rank.argsort(kind="stable")


def _positions(parcel: RawBatch, batch: RawBatch) -> Rows:
    """Return where rows lie in the parcel; of both, the rows are in the order of partition and offset."""
    found = np.empty(len(batch), np.intp)
    partitions = np.unique(batch.origin.partition)
    for number in partitions.tolist():
        first, end = np.searchsorted(parcel.origin.partition, [number, number + 1])
        rows = slice(*np.searchsorted(batch.origin.partition, [number, number + 1]))
        found[rows] = first + parcel.origin.offset[first:end].searchsorted(batch.origin.offset[rows])
    return found


class InOrder(Generic[In, Out]):
    """A stage that sees rows in the order of the merge, and hands them on as they lay."""

    def __init__(self, stage: Stage[In, Out], order: MergeOrder) -> None:
        self._stage = stage
        self._order = order

    @property
    def name(self) -> str:
        """Return the stage's name."""
        return self._stage.name

    def __call__(self, batch: In, /) -> StageOut[Out]:
        """Do what the stage does."""
        turn = self._order.turn(batch)
        if turn is None:
            return self._stage(batch)
        out = self._stage(_light(batch).take(turn))
        return StageOut(_handed_on(batch, out.oks), out.errs, out.dropped)


def _light(batch: In) -> In:
    """Return a batch without what is large and of no use to these stages: to ask for it is an IndexError."""
    kept: Any = batch
    rows = len(batch)
    if isinstance(kept, Decoded):
        columns = {name: getattr(kept.signals, name)[:, :0] for name in ("numbers", "known", "booleans", "categories")}
        none = np.empty((rows, 0), np.int32)
        kept = replace(kept, signals=replace(kept.signals, **columns, texts=Texts((b"",) * rows, none, none)))
    if isinstance(kept, Scored):
        columns = {
            name: getattr(kept.score, name)[:, :0] for name in ("features", "observed", "factor", "contribution")
        }
        kept = replace(kept, score=replace(kept.score, **columns))
    return cast(In, kept)


def _handed_on(batch: In, out: Out) -> Out:
    """Return the rows that go on as they lay: only what the stage added is moved."""
    back = np.lexsort((out.origin.offset, out.origin.partition))
    had = {field.name for field in fields(batch)}
    added = {field.name: getattr(out, field.name).take(back) for field in fields(out) if field.name not in had}
    kept = batch if len(out) == len(batch) else batch.take(_positions(batch, out.take(back)))
    return widen(type(out), kept, **added)


def in_order(pipeline: Pipeline, order: MergeOrder, *, remembers: bool = True) -> Pipeline:
    """Return the pipeline with the stages in which partitions see each other in order.

    ``remembers``: rules look at events or remember them. Without, ``judge`` says the same in any order.
    """
    judge = InOrder(pipeline.judge, order) if remembers else pipeline.judge
    return replace(pipeline, relate=InOrder(pipeline.relate, order), judge=judge)
