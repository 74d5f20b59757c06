"""Scores that come back: what ``enrich`` keeps of the rows that it sent, until ``score`` says what became of them.

The keyed stages of ``enrich`` remember scores and decisions. Rows may be applied only when the scores of those
``SCORE_LAG`` offsets before them are remembered: until then they wait. So what a row sees is what it sees in one
process, whatever the two are doing.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol, cast

import numpy as np

from flows.checkpoints import Checkpoints
from flows.metrics import FlowMetrics
from flows.parcel import Parcel, Span
from flows.sources.lane import Arrived
from flows.stage_records import Outcomes
from flows.stage_state import positions_of
from schemas.batch_layout import no_rows
from schemas.batches import Decided, Decision, Enriched, Event, Network, Normalized, Origin, Recognized, Score
from schemas.columns import Columns
from schemas.velocity import SCORE_LAG

log = logging.getLogger("clickgoose.flow")
_SAID_EVERY_SECONDS: Final = 10.0
_MOST_WAITING: Final = 4_096  # records of outcomes that are further than what was applied: after a start


@dataclass(frozen=True, slots=True, eq=False)
class Sent(Columns):
    """What is kept of a row in flight."""

    origin: Origin
    event: Event
    network: Network


@dataclass(frozen=True, slots=True, eq=False)
class Remembered(Sent):
    """What the keyed stages read of a decided row."""

    score: Score
    decision: Decision


_NOBODY: Final = no_rows(Remembered)
_NONE_TOLD: Final = no_rows(Outcomes)


class Inbox(Protocol):
    """Where outcomes come from, by partition, each range once and in order."""

    def receive(self, seconds: float, /) -> list[Arrived[Outcomes]]:
        """Return what came, waiting at most so long for the first."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class ScoresBack:
    """Of one process; used by the thread of its dataflow alone."""

    def __init__(
        self,
        inbox: Inbox,
        checkpoints: Checkpoints[Normalized, Recognized],
        partitions: Iterable[int],
        metrics: FlowMetrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inbox, self._checkpoints, self._metrics, self._clock = inbox, checkpoints, metrics, clock
        self._came: Mapping[int, deque[Arrived[Outcomes]]] = {partition: deque() for partition in partitions}
        self._sent: Mapping[int, deque[Sent]] = {partition: deque() for partition in partitions}
        self._since = clock()  # when a score came last, or none was waited for
        self._said = self._since

    def sent(self, parcel: Parcel[Enriched]) -> Parcel[Enriched]:
        """Keep what is needed of a parcel that goes to ``score``."""
        batch = parcel.batch
        for span in parcel.spans:
            rows = np.flatnonzero(batch.origin.partition == span.partition)
            if len(rows):
                kept = Sent(batch.origin, batch.event, batch.network).take(rows)
                self._sent[span.partition].append(kept)
        return parcel

    def serve(self, seconds: float = 0.0) -> None:
        """Read outcomes and let the keyed stages remember them; wait at most so long for the first."""
        if sum(map(len, self._came.values())) < _MOST_WAITING:
            for arrived in self._inbox.receive(seconds):
                self._came[arrived.span.partition].append(arrived)
        remembered = [self._remember(partition) for partition in self._came]
        if any(remembered) or self.drained():
            self._since = self._said = self._clock()
        self._metrics.scores_waited.set(self._clock() - self._since)
        self._complain()

    def may_apply(self, span: Span) -> bool:
        """Tell whether the scores that rows of a span must see are remembered."""
        applied, scored = self._checkpoints.reached(span.partition)
        return applied == scored or (scored is not None and span.next <= scored + SCORE_LAG)

    def drained(self) -> bool:
        """Tell whether all that was applied is remembered: only then a frame can be written."""
        return all(applied == scored for applied, scored in map(self._checkpoints.reached, self._came))

    def close(self) -> None:
        """Let go of the connections."""
        self._inbox.close()

    def _complain(self) -> None:
        if self._clock() - self._said > _SAID_EVERY_SECONDS:
            self._said = self._clock()
            waits = {p: r for p in self._came if (r := self._checkpoints.reached(p))[0] != r[1]}
            log.warning(
                "enrich waits for scores since %.0f s: does `clickgoose flow run --stage score` run for partitions %s?",
                self._clock() - self._since, ", ".join(map(str, waits)),
            )  # fmt: skip

    def _remember(self, partition: int) -> bool:
        """Remember what came, up to what was applied: after a start, scores may be further than this process."""
        came, done = self._came[partition], False
        while came:
            applied, scored = self._checkpoints.reached(partition)
            span = came[0].span
            if applied is None or scored is None or scored == applied:
                break
            if span.first > scored:
                self._give_up(partition, scored, min(span.first, applied))
                done = True
                continue
            until = min(span.next, applied)
            if until > scored:
                rows = self._told(partition, came[0].batch, scored, until)
                parcel = Parcel((Span(partition, scored, until),), cast(Decided, rows), len(rows))
                self._checkpoints.remember(parcel)
                done = True
            if until < span.next:
                break
            positions_of(self._checkpoints, partition).scores = came.popleft().position
        return done

    def _give_up(self, partition: int, first: int, next_: int) -> None:
        """Go on without scores that no longer come: ranges follow each other but for what retention took."""
        log.warning(
            "the scores of offsets %d to %d are no longer in events.outcomes: enrich goes on without them",
            first, next_ - 1, extra={"partition": partition},
        )  # fmt: skip
        self._metrics.scores_lost.inc(next_ - first)
        rows = self._told(partition, _NONE_TOLD, first, next_)
        self._checkpoints.remember(Parcel((Span(partition, first, next_),), cast(Decided, rows), 0))

    def _told(self, partition: int, outcomes: Outcomes, first: int, next_: int) -> Remembered:
        """Return the rows of a range of offsets whose outcome is told, and forget those of it that were kept."""
        low, high = np.searchsorted(outcomes.offset, (first, next_))
        sent = self._sent[partition]
        parts = []
        while sent and sent[0].origin.offset[0] < next_:
            part = sent.popleft()
            inside = int(np.searchsorted(part.origin.offset, next_))
            parts.append(part.take(np.arange(inside)))
            if inside < len(part):
                sent.appendleft(part.take(np.arange(inside, len(part))))
                break
        if not parts:
            return _NOBODY
        kept = Sent.concat(parts)
        _, ours, theirs = np.intersect1d(
            kept.origin.offset, outcomes.offset[low:high], assume_unique=True, return_indices=True
        )
        kept, told = kept.take(ours), outcomes.take(theirs + low)
        origin = replace(kept.origin, offset=np.require(kept.origin.offset, np.int64, ("C", "W")))
        score = Score.of("", np.require(told.score, np.float32, ("C", "W")))  # as the loops are compiled for
        return Remembered(origin, kept.event, kept.network, score, Decision.of(told.by_policy))
