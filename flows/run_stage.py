"""run_stage: the only place that measures and guards a stage, whether in the flow, a test, a replay or a benchmark."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from traceback import walk_tb
from typing import Any, TypeVar

import numpy as np
from prometheus_client import CollectorRegistry

from flows.breaker import Breaker, BreakerLimits, FlowStopped
from flows.metrics import FlowMetrics
from flows.parcel import Parcel
from flows.tallies import Spread, Tally
from schemas.batches import Decided, Judged, RawBatch, Scored
from schemas.columns import with_section
from schemas.dead_letter import DeadLetter, Reason, dead_letters
from schemas.stage import Applies, Stage, StageOut

In = TypeVar("In", bound=RawBatch)
Out = TypeVar("Out", bound=RawBatch)
log = logging.getLogger("clickgoose.flow")

_BUDGET_MIN_ROWS = 1_000
_BUDGET_WINDOW = 100_000
_SPENT_AT_ONCE = 1_000  # rows without a bug: to count every small batch of each stage tells nothing sooner
_FRAMES = 16  # the innermost of a stack: more would tell one endless recursion from itself


class TooManyBugs(FlowStopped):
    """The share of rows on which a stage raised passed the limit: stopping loses nothing, going on would hide it."""


class BugBudget:
    """How many rows of each stage may fail by a bug of ours before the job stops. Old rows fade: counts are halved."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._spent: dict[str, tuple[int, int]] = {}
        self.stopped: FlowStopped | None = None

    def spend(self, stage: str, rows: int, bugs: int) -> None:
        """Count a batch; TooManyBugs when the stage's share passes the limit."""
        all_rows, all_bugs = self._spent.get(stage, (0, 0))
        all_rows, all_bugs = all_rows + rows, all_bugs + bugs
        if bugs and all_rows >= _BUDGET_MIN_ROWS and all_bugs > self._limit * all_rows:
            sentence = (
                f"stage {stage} failed on {all_bugs} of the last {all_rows} rows, more than {self._limit:.0%}; "
                "the flow stops here and resumes from its last checkpoint: deploy a fix, or raise flow.bug_share_limit"
            )
            log.error("%s", sentence)  # in a cluster nobody else would say it
            self.stopped = TooManyBugs(sentence)
            raise self.stopped
        fading = all_rows > _BUDGET_WINDOW
        self._spent[stage] = (all_rows // 2, all_bugs // 2) if fading else (all_rows, all_bugs)


@dataclass(slots=True)
class _Book:
    """What is counted of a stage at every batch. ``unspent``: rows that the bug budget was not told of yet."""

    took: Spread
    passed: Tally
    unspent: int = 0


class _Books(dict[str, _Book]):
    """The books of all stages: finding series by their labels costs more than counting."""

    def __init__(self, metrics: FlowMetrics) -> None:
        super().__init__()
        self._metrics = metrics

    def __missing__(self, name: str) -> _Book:
        seconds, rows = self._metrics.stage_seconds.labels(name), self._metrics.stage_rows.labels(name, "ok")
        book = self[name] = _Book(seconds, rows)
        return book


class Monitor:
    """What run_stage measures with: a clock in nanoseconds, metrics, the bug budget and the circuit breaker.

    ``processor``: the build that dead letters name.
    """

    def __init__(
        self,
        clock: Callable[[], int],
        metrics: FlowMetrics,
        bug_share_limit: float = 0.05,
        *,
        processor: str = "clickgoose",
        limits: BreakerLimits | None = None,
    ) -> None:
        self.clock = clock
        self.metrics = metrics
        self.books = _Books(metrics)
        self.budget = BugBudget(bug_share_limit)
        self.breaker = Breaker(limits, metrics.dead_share)
        self.processor = processor

    @property
    def stopped(self) -> FlowStopped | None:
        """Return why the flow stopped itself, which a cluster's own exception hides."""
        return self.budget.stopped or self.breaker.stopped

    @classmethod
    def silent(cls) -> Monitor:
        """Return one with a clock that stands still and metrics that nobody reads: for tests and replays."""
        return cls(lambda: 0, FlowMetrics(CollectorRegistry()))


def run_stage(stage: Stage[In, Out], parcel: Parcel[In], monitor: Monitor) -> Parcel[Out]:
    """Run a stateless stage on a parcel. A row on which it raises becomes ``internal.bug``; the others go on."""
    bugs: list[DeadLetter] = []
    started = monitor.clock()
    try:
        out = stage(parcel.batch)
    except (MemoryError, FlowStopped):
        raise
    except Exception as error:  # a bug of ours, whatever it is: find its row, keep the others
        out = _without_bugs(stage, parcel.batch, error, bugs)
    return _measured(stage.name, parcel, out, started, monitor, len(bugs))


def run_session(name: str, session: Applies[In, Out], parcel: Parcel[In], monitor: Monitor) -> Parcel[Out]:
    """Apply a parcel to the open state of its partition. An exception is not guarded: the state may be torn."""
    started = monitor.clock()
    out = session.apply(parcel.batch)
    return _measured(name, parcel, out, started, monitor)


def _measured(
    name: str, before: Parcel[In], out: StageOut[Out], started: int, monitor: Monitor, bugs: int = 0
) -> Parcel[Out]:
    """Return the parcel after a stage, and count it: in few calls, as ten stages of each batch end here."""
    ended = monitor.clock()
    batch, letters, dropped = out
    if letters:
        letters = [replace(letter, processor=monitor.processor) for letter in letters]
    marked = with_section(batch, "ledger", batch.ledger.mark(name, ended // 1000))
    after = before.after(marked, letters, dropped)
    book = monitor.books[name]
    book.took.observe((ended - started) / 1e9)
    book.passed.value += len(batch.values)
    if letters or dropped:
        _count_lost(name, letters, dropped, monitor.metrics)
    for count in _ADDING[type(before.batch), type(batch)]:
        count(batch, monitor.metrics)
    book.unspent += len(before.batch.values)
    if bugs or book.unspent >= _SPENT_AT_ONCE:
        unspent, book.unspent = book.unspent, 0
        monitor.budget.spend(name, unspent, bugs)
    return after


def _count_lost(name: str, letters: Sequence[DeadLetter], dropped: int, metrics: FlowMetrics) -> None:
    if dropped:
        metrics.stage_rows.labels(name, "dropped").inc(dropped)
    if letters:
        metrics.stage_rows.labels(name, "dead").inc(len(letters))
        for letter in letters:
            metrics.dead_letters.labels(letter.stage, letter.reason.value).inc()


_Count = Callable[[Any, FlowMetrics], None]
_COUNTED: Mapping[type[RawBatch], _Count] = {
    Scored: lambda batch, metrics: metrics.on_score(batch.score),
    Judged: lambda batch, metrics: metrics.rules.on_rules(batch.rules),
    Decided: lambda batch, metrics: metrics.rules.on_decision(batch.decision),
}


class _Adding(dict[tuple[type, type], tuple[_Count, ...]]):
    """What counts the sections that a stage added, by the types of the batches before and after it."""

    def __missing__(self, types: tuple[type, type]) -> tuple[_Count, ...]:
        before, after = types
        counts = tuple(
            count for kind, count in _COUNTED.items() if issubclass(after, kind) and not issubclass(before, kind)
        )
        self[types] = counts
        return counts


_ADDING = _Adding()


def _without_bugs(stage: Stage[In, Out], batch: In, error: Exception, bugs: list[DeadLetter]) -> StageOut[Out]:
    """Return what a stage that raised gives for the rows on which it does not."""

    def guarded(part: In) -> StageOut[Out]:
        try:
            return stage(part)
        except (MemoryError, FlowStopped):
            raise
        except Exception as bug:
            return _bisect(guarded, stage.name, part, bug, bugs)

    return _bisect(guarded, stage.name, batch, error, bugs)


def _bisect(
    guarded: Callable[[In], StageOut[Out]], name: str, batch: In, error: Exception, bugs: list[DeadLetter]
) -> StageOut[Out]:
    rows = len(batch)
    if rows <= 1:
        log.error("stage raised", extra={"stage": name, "rows": rows, "error": type(error).__name__})
        detail = f"the stage raised {type(error).__name__}, stack {stack_of(error)}"
        letters = dead_letters(batch, range(rows), Reason.BUG, name, detail)
        bugs += letters
        return StageOut(_no_rows(guarded, batch, error), letters)
    middle = rows // 2
    left = guarded(batch.take(np.arange(middle)))
    right = guarded(batch.take(np.arange(middle, rows)))
    oks = type(left.oks).concat([left.oks, right.oks])
    return StageOut(oks, (*left.errs, *right.errs), left.dropped + right.dropped)


def stack_of(error: BaseException) -> str:
    """Return eight hexadecimal digits that name where in the code it was raised: alike bugs have one.

    Lines are counted from the beginning of their function, so that a change elsewhere in a file changes nothing. How
    the row was found, by the first call or by halves, is left out.
    """
    frames = [
        f"{frame.f_globals.get('__name__')}.{frame.f_code.co_qualname}:{line - frame.f_code.co_firstlineno}"
        for frame, line in walk_tb(error.__traceback__)
        if frame.f_globals.get("__name__") != __name__
    ]
    return hashlib.sha256("\n".join(frames[-_FRAMES:]).encode()).hexdigest()[:8]


def _no_rows(guarded: Callable[[In], StageOut[Out]], batch: In, error: Exception) -> Out:
    """Return the stage's own idea of an empty batch; a stage that cannot do even that is broken: raise."""
    if len(batch) == 0:
        raise error
    return guarded(batch.take(np.arange(0))).oks
