"""The circuit breaker: a flow whose dead letters pass a limit stops, by Kafka partition, and says so.

Only letters of some faults count, by default those that no client can bring about: whoever sends rubbish neither stops
a flow nor, as its rows are left out of the share, hides that something else is wrong.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from prometheus_client import Gauge

from flows.parcel import Parcel, Span
from schemas.dead_letter import OUR_FAULTS, REASONS, DeadLetter, Fault

P = TypeVar("P", bound=Parcel[Any])
log = logging.getLogger("clickgoose.flow")
Cause = tuple[str, str]  # reason and stage


class FlowStopped(RuntimeError):
    """The flow stops itself on purpose: going on would hide what is wrong, and a restart alone changes nothing."""


class TooManyDeadLetters(FlowStopped):
    """A partition's dead letters passed a limit."""


@dataclass(frozen=True, slots=True)
class BreakerLimits:
    """When a flow stops. ``share`` is of the last ``rows`` rows of a partition, once it has ``least_rows``."""

    share: float = 0.25
    least_rows: int = 1_000
    rows: int = 10_000
    run: int = 2_000  # dead letters one after the other
    faults: tuple[Fault, ...] = OUR_FAULTS


@dataclass(slots=True)
class _Partition:
    """The last rows of one partition, by parcel: how many, and what of them died."""

    parcels: deque[tuple[int, Mapping[Cause, int]]] = field(default_factory=deque)
    rows: int = 0
    dead: int = 0
    run: int = 0

    @property
    def share(self) -> float:
        return self.dead / self.rows if self.rows else 0.0

    def add(self, rows: int, causes: Mapping[Cause, int], most: int) -> None:
        """Take in the rows of a parcel, and let go of those before the last ``most``."""
        if not rows:
            return
        self.parcels.append((rows, causes))
        self.rows += rows
        self.dead += sum(causes.values())
        while self.rows - self.parcels[0][0] >= most:
            old, gone = self.parcels.popleft()
            self.rows -= old
            self.dead -= sum(gone.values())

    def causes(self) -> Counter[Cause]:
        found: Counter[Cause] = Counter()
        for _, causes in self.parcels:
            found.update(causes)
        return found


class Breaker:
    """Watches every parcel behind the last stage. ``gauge``, by partition, shows the share at every scrape."""

    def __init__(self, limits: BreakerLimits | None = None, gauge: Gauge | None = None) -> None:
        self._limits = limits or BreakerLimits()
        self._gauge = gauge
        self._partitions: dict[int, _Partition] = {}
        self.stopped: FlowStopped | None = None

    def watch(self, parcel: P) -> P:
        """Hand a parcel on; TooManyDeadLetters where one of its partitions passes a limit."""
        for span in parcel.spans:
            state = self._partitions.get(span.partition) or self._new(span.partition)
            letters = [letter for letter in parcel.errs if letter.partition == span.partition] if parcel.errs else []
            rows = min(span.next - span.first, parcel.rows_in)
            if letters:
                self._judge(span, rows, letters, state)
            else:
                state.run = 0
                state.add(rows, {}, self._limits.rows)
        return parcel

    def _new(self, partition: int) -> _Partition:
        state = self._partitions[partition] = _Partition()
        if self._gauge is not None:
            self._gauge.labels(str(partition)).set_function(lambda: state.share)
        return state

    def _judge(self, span: Span, rows: int, letters: Iterable[DeadLetter], state: _Partition) -> None:
        ours, theirs = list[DeadLetter](), list[DeadLetter]()
        for letter in letters:
            (ours if REASONS[letter.reason].fault in self._limits.faults else theirs).append(letter)
        state.add(
            max(rows - len(theirs), len(ours)),
            Counter((letter.reason.value, letter.stage) for letter in ours),
            self._limits.rows,
        )
        longest = _runs(span, ours, theirs, state)
        limits = self._limits
        if ours and longest >= limits.run:
            self._trip(
                span.partition, state, f"{longest:,} dead letters came one after the other", "flow.dead_run_limit"
            )
        if ours and state.rows >= limits.least_rows and state.dead > limits.share * state.rows:
            said = f"{state.dead:,} of the last {state.rows:,} rows became dead letters, more than {limits.share:.0%}"
            self._trip(span.partition, state, said, "flow.dead_share_limit")

    def _trip(self, partition: int, state: _Partition, said: str, setting: str) -> None:
        ((reason, stage), _), *_ = state.causes().most_common(1)
        sentence = (
            f"partition {partition}: {said}, most often {reason} in stage {stage}; the flow stops here and resumes "
            "from its last checkpoint, so nothing is lost: see `clickgoose deadletters stats`, mend the cause, or "
            f"raise {setting}"
        )
        log.error("%s", sentence, extra={"partition": partition})  # in a cluster nobody else would say it
        self.stopped = TooManyDeadLetters(sentence)
        raise self.stopped


def _runs(span: Span, ours: list[DeadLetter], theirs: list[DeadLetter], state: _Partition) -> int:
    """Return how many letters that count came one after the other at most; rows of other letters are passed over."""
    places = sorted([(letter.offset, 1) for letter in ours] + [(letter.offset, 0) for letter in theirs])
    before, longest = span.first - 1, 0
    for offset, counts in places:
        state.run = counts + (state.run if offset == before + 1 else 0)
        longest = max(longest, state.run)
        before = offset
    if before != span.next - 1:
        state.run = 0
    return longest
