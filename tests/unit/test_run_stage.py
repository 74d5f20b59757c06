"""run_stage: rows are counted, bugs are found by halves, and too many of them stop the job."""

from __future__ import annotations

import logging
from collections.abc import Callable
from itertools import count

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from flows.metrics import FlowMetrics
from flows.parcel import Parcel, Span
from flows.run_stage import BugBudget, Monitor, TooManyBugs, run_session, run_stage
from schemas.batches import RawBatch
from schemas.dead_letter import Reason, dead_letters
from schemas.stage import StageOut
from tests.strategies import same
from tests.wire import parcel, raw_batch

Apply = Callable[[RawBatch], StageOut[RawBatch]]


class Fake:
    """A stage whose work is given; it remembers the sizes of the batches that it saw."""

    name = "decode"

    def __init__(self, apply: Apply = StageOut) -> None:
        self._apply = apply
        self.sizes: list[int] = []

    def __call__(self, batch: RawBatch, /) -> StageOut[RawBatch]:
        self.sizes.append(len(batch))
        return self._apply(batch)

    def apply(self, batch: RawBatch, /) -> StageOut[RawBatch]:
        return self(batch)

    def snapshot(self, *, full: bool = False) -> bytes:
        return b"full" if full else b""


def records(rows: int) -> Parcel[RawBatch]:
    return parcel(raw_batch([b"%d" % row for row in range(rows)], partition=2, first=100))


def raising_on(*bad: int, error: Exception | None = None) -> Apply:
    def apply(batch: RawBatch) -> StageOut[RawBatch]:
        if set(batch.origin.offset.tolist()) & {100 + row for row in bad}:
            raise error or ZeroDivisionError("the value of a field")
        return StageOut(batch)

    return apply


def monitor(limit: float = 0.05) -> tuple[Monitor, CollectorRegistry]:
    registry = CollectorRegistry()
    clock = count(0, 2_000_000)  # 2 ms a look
    return Monitor(lambda: next(clock), FlowMetrics(registry), limit), registry


def test_a_parcel_passes_with_a_mark_of_the_stage_and_its_batch_untouched() -> None:
    watch, registry = monitor()
    before = records(3)
    after = run_stage(Fake(), before, watch)
    assert after.batch.ledger.marks == (*before.batch.ledger.marks, "decode")
    assert after.batch.ledger.micros[:, -1].tolist() == [2000] * 3
    assert same(after.batch.origin, before.batch.origin)
    assert (after.spans, after.rows_in, after.errs, after.dropped) == (before.spans, 3, (), 0)
    assert registry.get_sample_value("clickgoose_stage_rows_total", {"stage": "decode", "outcome": "ok"}) == 3
    assert registry.get_sample_value("clickgoose_stage_duration_seconds_sum", {"stage": "decode"}) == 0.002


def test_dead_and_dropped_rows_are_counted_once_each_and_travel_on() -> None:
    watch, registry = monitor()

    def apply(batch: RawBatch) -> StageOut[RawBatch]:
        letters = dead_letters(batch, [0], Reason.BAD_LAYOUT, "decode", "why")
        return StageOut(batch.take(np.arange(2, len(batch))), letters, 1)

    first = run_stage(Fake(apply), records(6), watch)
    second = run_stage(Fake(apply), first, watch)
    assert (len(second.batch), len(second.errs), second.dropped, second.rows_in) == (2, 2, 2, 6)
    labels = {"stage": "decode", "outcome": "dead"}
    assert registry.get_sample_value("clickgoose_stage_rows_total", labels) == 2
    assert registry.get_sample_value("clickgoose_stage_rows_total", {**labels, "outcome": "dropped"}) == 2
    reason = {"stage": "decode", "reason": "decode.bad_layout"}
    assert registry.get_sample_value("clickgoose_dead_letters_total", reason) == 2


@pytest.mark.parametrize("change", [1, -1])
def test_a_stage_that_invents_or_loses_a_row_stops_the_job(change: int) -> None:
    def apply(batch: RawBatch) -> StageOut[RawBatch]:
        return StageOut(batch, (), change) if change > 0 else StageOut(batch.take(np.arange(1)))

    with pytest.raises(AssertionError, match="a stage took 2 rows and gave"):
        run_stage(Fake(apply), records(2), Monitor.silent())


@pytest.mark.parametrize("bad", [(0,), (63,), (5, 6), (0, 31, 63)])
def test_rows_on_which_a_stage_raises_are_found_by_halves_and_the_others_go_on(bad: tuple[int, ...]) -> None:
    stage = Fake(raising_on(*bad))
    after = run_stage(stage, records(64), Monitor.silent())
    assert [letter.offset - 100 for letter in after.errs] == list(bad)
    assert {letter.reason for letter in after.errs} == {Reason.BUG}
    assert after.batch.origin.offset.tolist() == [100 + row for row in range(64) if row not in bad]
    assert after.batch.values == tuple(b"%d" % row for row in range(64) if row not in bad)
    assert len(stage.sizes) <= 1 + len(bad) * (2 * 6 + 1)


def test_a_bug_on_every_row_leaves_none_and_all_of_them_as_letters() -> None:
    after = run_stage(Fake(raising_on(*range(5))), records(5), Monitor.silent())
    assert len(after.batch) == 0
    assert len(after.errs) == 5


def test_a_bug_is_logged_without_the_text_of_the_error(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "clickgoose.flow"):
        run_stage(Fake(raising_on(1)), records(2), Monitor.silent())
    (line,) = caplog.records
    assert vars(line)["error"] == "ZeroDivisionError"
    assert "the value of a field" not in caplog.text


def test_a_stage_that_cannot_take_an_empty_batch_is_broken_and_raises() -> None:
    def apply(batch: RawBatch) -> StageOut[RawBatch]:
        raise KeyError("always")

    with pytest.raises(KeyError):
        run_stage(Fake(apply), records(3), Monitor.silent())


def test_out_of_memory_is_not_taken_for_a_bug_on_a_row() -> None:
    with pytest.raises(MemoryError):
        run_stage(Fake(raising_on(1, error=MemoryError())), records(4), Monitor.silent())


def test_too_many_bugs_stop_the_job_and_name_the_stage() -> None:
    watch, _ = monitor(0.05)
    fine, some = Fake(), Fake(raising_on(*range(40)))
    for _ in range(3):
        run_stage(fine, records(300), watch)
    with pytest.raises(TooManyBugs, match="stage decode failed on 80 of the last 1500 rows, more than 5%"):
        for _ in range(2):
            run_stage(some, records(300), watch)


def test_rows_of_small_batches_without_a_bug_are_not_forgotten_when_one_comes() -> None:
    watch, _ = monitor(0.05)
    for _ in range(333):
        run_stage(Fake(), records(3), watch)
    with pytest.raises(TooManyBugs, match="stage decode failed on 60 of the last 1059 rows, more than 5%"):
        run_stage(Fake(raising_on(*range(60))), records(60), watch)


def test_few_bugs_are_lived_with_and_old_rows_fade() -> None:
    budget = BugBudget(0.05)
    for _ in range(300):
        budget.spend("decode", 1_000, 40)
    budget.spend("decode", 999, 0)
    with pytest.raises(TooManyBugs):
        for _ in range(30):  # without fading, 300,000 good enough rows would hide 60,000 more
            budget.spend("decode", 1_000, 100)


def test_a_stage_is_judged_by_its_own_rows() -> None:
    budget = BugBudget(0.05)
    with pytest.raises(TooManyBugs, match="stage enrich failed on 100 of the last 1000 rows"):
        for stage, bugs in (("decode", 0), ("verify_mask", 0), ("normalize", 0), ("enrich", 100)):
            budget.spend(stage, 1_000, bugs)


def test_the_first_thousand_rows_stop_nothing() -> None:
    BugBudget(0.0).spend("decode", 999, 999)


def test_a_session_is_measured_but_not_guarded() -> None:
    watch, registry = monitor()
    after = run_session("velocity", Fake(), records(2), watch)
    assert after.batch.ledger.marks[-1] == "velocity"
    assert registry.get_sample_value("clickgoose_stage_rows_total", {"stage": "velocity", "outcome": "ok"}) == 2
    with pytest.raises(ZeroDivisionError):
        run_session("velocity", Fake(raising_on(0)), records(2), watch)


def test_an_empty_parcel_passes() -> None:
    empty = Parcel((Span(0, 5, 9),), raw_batch([]), 0)
    after = run_stage(Fake(), empty, Monitor.silent())
    assert (len(after.batch), after.spans) == (0, (Span(0, 5, 9),))
