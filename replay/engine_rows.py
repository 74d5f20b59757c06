"""One parcel of a replay: through the stages that its start leaves, and what became of its rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, cast

import numpy as np

from flows.by_partition import TogetherSessions, by_partition
from flows.parcel import Parcel
from flows.pipeline import Keyed, Pipeline
from flows.run_stage import Monitor
from flows.stages.velocity import VelocitySession
from replay.checkpoint import Account
from replay.checkpoint_states import Sessions
from replay.engine_selection import Chosen, timeless
from replay.plan import Plan, Start
from schemas.batches import Decided, RawBatch

NEVER: Final = np.iinfo(np.int64).max


class DecideOnly:
    """The sessions of events that were counted before: only ``decide`` has a state, and nothing is to be remembered."""

    def __init__(self, keyed: Keyed) -> None:
        self.first, self.second, self.last = keyed.first, keyed.second, keyed.last

    def remember(self, batch: Decided, /) -> None:
        """Do nothing: what scores and decisions are remembered for lies before the start."""


def through(
    pipeline: Pipeline, start: Start, parcel: Parcel[RawBatch], sessions: Mapping[int, Sessions], monitor: Monitor
) -> Parcel[Decided]:
    """Run a parcel through all stages from the start on. Sessions are given in the order of its partitions."""
    keyed: Keyed = next(iter(sessions.values())) if len(sessions) == 1 else TogetherSessions(sessions)
    entering: Parcel[Any] = parcel
    if start is Start.ENRICHED:
        return pipeline.decided(entering, DecideOnly(keyed), monitor)
    if start is Start.SEALED:
        entering = pipeline.extracted(entering, monitor)
    decided = pipeline.decided(pipeline.enriched(entering, keyed, monitor), keyed, monitor)
    for partition, rows in by_partition(decided.batch, list(sessions)):
        cast(VelocitySession, sessions[partition].first).note_scored(rows)
    return decided


class Rows:
    """Which rows of a plan are of its range, and what is written of them."""

    def __init__(self, plan: Plan) -> None:
        self._chosen = Chosen(plan.selection)
        self.range_first: dict[int, int] = {}
        for piece in plan.range:
            self.range_first[piece.partition] = min(self.range_first.get(piece.partition, NEVER), piece.first)

    def in_range(self, batch: RawBatch) -> Any:
        """Return which rows are of the range, bool[n]."""
        partition, offset = batch.origin.partition, batch.origin.offset
        inside = np.zeros(len(offset), np.bool_)
        for number, first in self.range_first.items():
            inside |= (partition == number) & (offset >= first)
        return inside

    def count_in_range(self, parcel: Parcel[RawBatch]) -> int:
        """Return how many rows are of the range; most parcels are wholly in or out of it."""
        begins = [self.range_first.get(span.partition, NEVER) for span in parcel.spans]
        if all(first <= span.first for first, span in zip(begins, parcel.spans, strict=True)):
            return len(parcel.batch)
        if all(span.next <= first for first, span in zip(begins, parcel.spans, strict=True)):
            return 0
        return int(self.in_range(parcel.batch).sum())

    def settle(self, read: Parcel[RawBatch], decided: Parcel[Decided]) -> tuple[Account, Parcel[Decided] | None]:
        """Account for a parcel's rows; return what of them is written, None where nothing is."""
        rows = self.count_in_range(read)
        if not rows:
            return Account(warmed=read.rows_in), None
        dead = [one for one in decided.errs if one.offset >= self.range_first.get(one.partition, NEVER)]
        everything = rows == read.rows_in
        inside = np.ones(len(decided.batch), np.bool_) if everything else self.in_range(decided.batch)
        scored = int(inside.sum())
        chosen, letters = self._chosen.rows(decided.batch, inside), self._chosen.letters(dead, read.batch)
        written = int(chosen.sum())
        account = Account(
            warmed=read.rows_in - rows,
            read=rows,
            scored=scored,
            dead=len(dead),
            dropped=rows - scored - len(dead),
            written=written,
            written_dead=len(letters),
        )
        if not (written or letters):
            return account, None
        batch = decided.batch.take(np.flatnonzero(chosen))
        total = written + len(letters) + account.dropped
        return account, timeless(replace(decided, batch=batch, errs=letters, rows_in=total, dropped=account.dropped))
