"""Processes that are measured at the same time: each with its own devices, partition and state, behind one barrier.

Each loads and warms up, waits until all have, and then does its share; what the feed makes meanwhile is not measured.
The rate is that of all events by the seconds of the slowest.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from threading import BrokenBarrierError
from typing import Any, Final, Protocol

from infra.bench.events import Size
from infra.bench.feed import Feed, Turns, own_records
from infra.bench.measure import Figures, ProcessFigures, RowsLost, batch_sizes, combined, rss_peak_mb

POOL: Final = 20_000
POOLS: Final = {Size.FULL: POOL, Size.CHECKOUT: 3 * POOL}
"""So many events are made at the most, 200 MB; then they come again (``infra.bench.feed``)."""
SETTLED: Final = 250_000
"""Events of a process after which nothing may grow. Caches are at their bounds by then, also those that fill slowest:
what the shared counts told (131,072 events), and which devices are known (those of 30 days, which are five laps)."""
_LEAST_POINTS: Final = 10
_LOOK_SECONDS: Final = 0.1
_LOAD_SECONDS: Final = 300.0
_UNSCORED: Final = 0.01  # at the most: a rate of events that were refused would be another one's


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured."""

    what: str  # floor, pipeline, or the name of a stage
    path: Path  # infra.bench.events.recorded_file
    batch: int = 256
    processes: int = 1
    events: int = POOL  # of all processes together
    seconds: float = 0.0
    others: Sequence[int] = ()  # batch sizes that take turns with ``batch``


@dataclass(slots=True)
class Done:
    """What one process found: ``stages`` are CPU seconds, ``account`` counts its rows by what became of them."""

    stages: dict[str, float] = field(default_factory=dict)
    account: dict[str, int] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)


class Work(Protocol):
    """Something that was loaded, and can be measured."""

    def warm_up(self, records: Sequence[bytes]) -> None:
        """Do some records that are not measured, and forget them."""
        ...

    def __call__(self, feed: Feed) -> Done:
        """Do all that the feed gives."""
        ...


@dataclass(frozen=True, slots=True)
class _Report:
    """What a process tells its parent."""

    events: int
    wall: float
    cpu: float
    rss_peak_mb: float
    sizes: dict[int, int]
    turns: dict[int, Turns]
    course: list[tuple[int, float]]
    done: Done


def bench_processes(plan: Plan, advance: Callable[[float], None] = lambda share: None) -> Figures:
    """Measure; ``advance`` gets the share of the work that is done, step by step. RowsLost where rows were lost."""
    reports = _run(plan, advance)
    account = _account(plan, reports)
    events = sum(report.events for report in reports)
    names = [f"{plan.what} {number}" for number in range(len(reports))]
    processes = [
        ProcessFigures(name, one.events, one.cpu, one.rss_peak_mb) for name, one in zip(names, reports, strict=True)
    ]
    figures = combined(plan.what, plan.batch, events, max(report.wall for report in reports), processes)
    sizes: Counter[int] = Counter()
    for report in reports:
        sizes.update(report.sizes)
    return replace(
        figures,
        cpu_us_per_event_of_stages=_stages(reports, events, figures.cpu_us_per_event),
        batch_sizes=batch_sizes(sizes.elements()),
        details={**account, **reports[0].done.details, **_memory(names, reports)},
    )


def bench_turns(plan: Plan, advance: Callable[[float], None] = lambda share: None) -> dict[int, Figures]:
    """Measure batches of several sizes in turn in the same processes; return the figures of each size.

    What stages took is not told apart by size, and the last frame of the state log is no size's. RowsLost where rows
    were lost, or no events were left for one of the sizes.
    """
    reports = _run(plan, advance)
    account = _account(plan, reports)
    found = {}
    for size in (*plan.others, plan.batch):
        turns = [report.turns.get(size, Turns()) for report in reports]
        processes = [
            ProcessFigures(f"{plan.what} {number}", one.events, one.watch.cpu, report.rss_peak_mb)
            for number, (one, report) in enumerate(zip(turns, reports, strict=True))
        ]
        events, seconds = sum(one.events for one in turns), max(one.watch.wall for one in turns)
        found[size] = replace(combined(plan.what, size, events, seconds, processes), details=dict(account))
    return found


def _account(plan: Plan, reports: Sequence[_Report]) -> Counter[str]:
    """Return the rows of all processes by what became of them; RowsLost where some came to no end."""
    account: Counter[str] = Counter()
    for report in reports:
        account.update(report.done.account)
    check_account(plan.what, sum(report.events for report in reports), account)
    return account


def check_account(name: str, events: int, account: Mapping[str, int]) -> None:
    """RowsLost where events came to no end, or so many were not scored that the rate would be of something else."""
    ended = sum(account.values())
    if ended != events:
        told = ", ".join(f"{count} {fate}" for fate, count in account.items())
        raise RowsLost(f"{name}: {events} events in, {told}")
    unscored = ended - account.get("scored", 0)
    if unscored > _UNSCORED * events:
        raise RowsLost(f"{name}: {unscored} of {events} events were not scored, more than {_UNSCORED:.0%}")


def _stages(reports: Sequence[_Report], events: int, whole: float) -> dict[str, float]:
    """Return CPU µs an event by stage; what is in none of them is ``rest``."""
    spent: Counter[str] = Counter()
    for report in reports:
        spent.update(report.done.stages)
    if not spent:
        return {}
    shares = {name: round(seconds / events * 1e6, 3) for name, seconds in spent.items()}
    return {**shares, "rest": round(whole - sum(shares.values()), 3)}


def _memory(names: Sequence[str], reports: Sequence[_Report]) -> dict[str, Any]:
    """Return the memory's course, and how much it grew where the run was long enough to tell."""
    courses = {name: report.course for name, report in zip(names, reports, strict=True)}
    grown = {name: found for name, course in courses.items() if (found := grown_mb(course)) is not None}
    if not grown:
        return {"rss_mb_by_events": courses}
    return {"rss_settled_after_events": SETTLED, "rss_grown_mb_once_settled": grown, "rss_mb_by_events": courses}


def grown_mb(course: Sequence[tuple[int, float]], settled: int = SETTLED, points: int = _LEAST_POINTS) -> float | None:
    """Return by how much the peak of the second half of what came once settled lies above that of the first half.

    What goes up and down does not count as growth. None where that was not as long as it took to settle, or a half has
    fewer than ``points``.
    """
    if not course or course[-1][0] < 2 * settled:
        return None
    middle = (settled + course[-1][0]) / 2
    halves = (
        [mb for events, mb in course if settled < events <= middle],
        [mb for events, mb in course if events > middle],
    )
    return round(max(halves[1]) - max(halves[0]), 1) if min(map(len, halves)) >= points else None


def _run(plan: Plan, advance: Callable[[float], None]) -> list[_Report]:
    context = multiprocessing.get_context("spawn")
    barrier, shares = context.Barrier(plan.processes), context.Array("d", plan.processes)
    children, ends = [], []
    for ordinal in range(plan.processes):
        mine, theirs = context.Pipe(duplex=False)
        child = context.Process(target=_child, args=(plan, ordinal, barrier, shares, theirs), daemon=True)
        child.start()
        theirs.close()
        children.append(child)
        ends.append(mine)
    told = 0.0
    try:
        found: dict[int, Any] = {}
        while len(found) < plan.processes:
            for ordinal, end in enumerate(ends):
                if ordinal not in found and end.poll(_LOOK_SECONDS / plan.processes):
                    found[ordinal] = _received(end, plan.what)
            share = sum(shares[:]) / plan.processes
            advance(share - told)
            told = share
        return [found[ordinal] for ordinal in range(plan.processes)]
    finally:
        for child in children:
            if len(found) < plan.processes:
                child.terminate()
            child.join()


def _received(end: Connection, what: str) -> _Report:
    try:
        told = end.recv()
    except EOFError:
        raise RowsLost(f"a process of {what} ended while it was measured") from None
    if isinstance(told, _Report):
        return told
    raise RowsLost(str(told))


def _child(plan: Plan, ordinal: int, barrier: Any, shares: Any, end: Connection) -> None:
    """Measure one process's share, and tell what was found: a report, or a sentence."""
    try:
        end.send(_measured(plan, ordinal, barrier, shares))
    except BrokenBarrierError:
        end.send(f"another process of {plan.what} did not get ready")
    except RowsLost as lost:
        barrier.abort()
        end.send(str(lost))
    except Exception as error:  # whatever it is, the parent says it in one sentence
        barrier.abort()
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(frame.filename).name}, line {frame.lineno}"
        end.send(f"a process of {plan.what} failed with {type(error).__name__} in {where}: {error}")


def _measured(plan: Plan, ordinal: int, barrier: Any, shares: Any) -> _Report:
    from infra.bench.works import work_of  # noqa: PLC0415 - with all that it imports, in the process that is measured
    from infra.traffic.dataset import dataset_keys  # noqa: PLC0415

    parent = os.getppid()

    def on_progress(share: float) -> None:
        shares[ordinal] = share
        if os.getppid() != parent:
            raise SystemExit  # nobody is left to tell

    records = own_records(plan.path, plan.processes, ordinal)
    if not records:
        raise RowsLost(f"{plan.processes} processes are too many for the devices of {plan.path.name}")
    work = work_of(plan.what, plan.batch, ordinal)
    work.warm_up(records)
    events = plan.events // plan.processes + (ordinal < plan.events % plan.processes)
    feed = Feed(records, dataset_keys(), events, plan.seconds, plan.batch, plan.others, on_progress)
    gc.collect()
    gc.freeze()
    barrier.wait(_LOAD_SECONDS)
    done = work(feed)
    return _Report(
        feed.given, feed.watch.wall, feed.watch.cpu, rss_peak_mb(), dict(feed.sizes), feed.turns, feed.course, done
    )
