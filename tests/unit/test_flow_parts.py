"""The parts of the flow: what the command refuses, what several of them in one process share, and their breaker."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bytewax.testing import TestingSink, TestingSource
from prometheus_client import CollectorRegistry, Counter, generate_latest
from typer.testing import CliRunner

from flows.bind import run_bytewax
from flows.breaker import Breaker, BreakerLimits
from flows.checkpoints import Checkpoints
from flows.parcel import Parcel, Span
from flows.progress import Progress
from flows.run_stage import Monitor, run_stage
from flows.scores_back import ScoresBack
from flows.sinks.batches import only_letters
from flows.sources.lane import Arrived
from flows.stage_records import Outcomes
from flows.stage_state import Part, stream_digest
from flows.staged import StagedParts, build_enrich, build_extract, build_score, state_of
from infra.cli import app
from infra.cli.flow_parts import cause, ending
from infra.flow import bench_parts
from infra.flow_processes import STOPPED
from infra.flow_staged_together import StagesTogether, roots_of
from schemas.batches import RawBatch
from schemas.dead_letter import DeadLetter, Reason
from tests.wire import raw_batch

STREAM = stream_digest("events.raw")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--stage", "decode"], "there is no stage 'decode' of the flow: give extract, enrich, score or all"),
        (["--stage", "score", "--stage", ""], "there is no stage '' of the flow: give extract, enrich, score or all"),
        (["--stage", "all", "--processes", "2", "--as-cluster"], "--stage runs processes of their own"),
    ],
)
def test_a_stage_that_there_is_not_is_refused_with_one_sentence(words: list[str], sentence: str) -> None:
    done = CliRunner().invoke(app, ["flow", "run", *words])
    assert done.exit_code == 2
    assert done.stdout == ""
    (said,) = done.stderr.strip().splitlines()
    assert said.startswith(sentence)


def test_parts_keep_their_state_in_the_same_place_whether_they_run_alone_or_together() -> None:
    home = Path("h")
    assert roots_of([Part.SCORE], None, home) == {Part.SCORE: Path("h/flow-score")}
    assert roots_of(list(Part), None, home) == {part: Path(f"h/flow-{part}") for part in Part}
    assert roots_of([Part.SCORE], Path("s"), home) == {Part.SCORE: Path("s")}
    assert roots_of(list(Part), Path("s"), home) == {part: Path(f"s/{part}") for part in Part}


class Running:
    """Stands for the process of a part. It reads when it was told to; it ends when it is stopped, or breaks at once."""

    said: list[str]

    def __init__(self, part: Part, said: list[str], breaks: BaseException | None = None) -> None:
        self.part, self.said, self._breaks = part, said, breaks
        self.registry = CollectorRegistry()
        Counter("rows", "Rows", ["sink"], registry=self.registry).labels("redis").inc(len(part))
        self._reading, self._stopped = threading.Event(), threading.Event()

    def run(self) -> None:
        self.said.append(f"{self.part} begins")
        if self._breaks is not None:
            raise self._breaks
        self._reading.set()
        self._stopped.wait(30)
        self.said.append(f"{self.part} ends")

    def reads(self) -> bool:
        return self._reading.is_set() and not self._stopped.is_set()

    def stop(self) -> None:
        self._stopped.set()


def together(said: list[str], broken: Part | None = None) -> StagesTogether:
    each: Any = [Running(part, said, ValueError("no disk") if part is broken else None) for part in Part]
    return StagesTogether(each)


def test_parts_together_begin_with_the_last_one_and_end_with_it() -> None:
    said = list[str]()
    running = together(said)

    def ready() -> None:
        assert running.reads()
        said.append("ready")
        running.stop()

    running.run(ready)
    begun, ended = [f"{part} begins" for part in reversed(Part)], [f"{part} ends" for part in Part]
    assert said == [*begun, "ready", *ended]
    assert not running.reads()


@pytest.mark.parametrize("broken", list(Part))
def test_a_part_that_breaks_ends_the_others_and_says_why(broken: Part) -> None:
    said, readies = list[str](), list[None]()
    with pytest.raises(ValueError, match="no disk"):
        together(said, broken).run(lambda: readies.append(None))
    others = {part for part in Part if f"{part} begins" in said and part is not broken}
    assert {f"{part} ends" for part in others} <= set(said)
    assert not readies


def test_their_metrics_are_one_page_that_tells_them_apart() -> None:
    page = generate_latest(together([]).registry).decode()
    assert page.count("# TYPE rows_total counter") == 1
    for part in Part:
        assert f'rows_total{{part="{part}",sink="redis"}} {len(part):.1f}' in page


def nothing(part: Part) -> Any:
    """Return what a part reads, without a row."""
    pipeline, monitor = bench_parts()[0], Monitor.silent()
    raw: Parcel[RawBatch] = Parcel((Span(0, 0, 0),), raw_batch([]), 0)
    if part is Part.EXTRACT:
        return raw.batch
    verified = pipeline.extracted(raw, monitor)
    return (verified if part is Part.ENRICH else pipeline.enriched(verified, pipeline.keyed.open([]), monitor)).batch


def a_parcel(part: Part, first: int, dead: int) -> Parcel[Any]:
    """Return a hundred rows of which so many died of what is the operator's fault, and the others went elsewhere."""
    errs = tuple(
        DeadLetter(Reason.UNKNOWN_KEY, "decode", "", "events.raw", 0, first + row, 0, 0, b"", "envelope", "")
        for row in range(dead)
    )
    return Parcel((Span(0, first, first + 100),), nothing(part), 100, errs, 100 - dead)


def flowed(
    part: Part, parcels: list[Parcel[Any]], directory: Path
) -> tuple[list[Any], list[Any], BaseException | None]:
    """Run the dataflow of a part; return what it handed on and wrote, and what stopped it."""
    pipeline, monitor = bench_parts()[0], Monitor.silent()
    monitor.breaker = Breaker(BreakerLimits(share=0.3, least_rows=100))
    checkpoints: Checkpoints[Any, Any] = Checkpoints(
        directory, state_of(part, pipeline, STREAM), Progress(["out"]), monitor
    )
    starts = checkpoints.open({0: 1 << 40})
    checkpoints.begin(0, 0)
    handed, written = list[Any](), list[Any]()
    parts = StagedParts(
        TestingSource(parcels), pipeline, checkpoints, {"dead_letter": TestingSink(written)},
        ("onward", TestingSink(handed)), starts, monitor,
    )  # fmt: skip
    flow = {
        Part.EXTRACT: lambda: build_extract(parts),
        Part.ENRICH: lambda: build_enrich(parts, ScoresBack(Told(), checkpoints, [0], monitor.metrics)),
        Part.SCORE: lambda: build_score(parts, only_letters),
    }[part]()
    stopped = None
    try:
        run_bytewax(flow, timedelta(seconds=0.1))
    except Exception as error:
        stopped = error
    finally:
        checkpoints.finish()
    return handed, written, stopped


@pytest.mark.parametrize("part", list(Part))
def test_every_part_stops_behind_its_last_stage_when_too_many_rows_died(part: Part, tmp_path: Path) -> None:
    fine = a_parcel(part, 0, 10)
    handed, written, stopped = flowed(part, [fine, a_parcel(part, 100, 60)], tmp_path)
    assert stopped is not None
    assert ending(stopped) == STOPPED
    assert "70 of the last 200 rows became dead letters, more than 30%, most often decode.unknown_key" in cause(stopped)
    assert [item.spans for item in handed] == [fine.spans]  # what trips it goes nowhere: it is read again
    assert [item.parcel.errs for item in written] == [fine.errs]


@pytest.mark.parametrize("part", list(Part))
def test_no_part_stops_below_the_limit(part: Part, tmp_path: Path) -> None:
    parcels = [a_parcel(part, 0, 10), a_parcel(part, 100, 49)]
    handed, written, stopped = flowed(part, parcels, tmp_path)
    assert stopped is None
    assert [item.spans for item in handed] == [item.spans for item in written] == [one.spans for one in parcels]


class Told:
    """Outcomes that are given by hand."""

    def __init__(self) -> None:
        self.coming: list[Arrived[Outcomes]] = []

    def receive(self, seconds: float, /) -> list[Arrived[Outcomes]]:
        given, self.coming = self.coming, []
        return given

    def close(self) -> None:
        pass


def outcomes(first: int, next_: int) -> Arrived[Outcomes]:
    rows = np.arange(first, next_)
    return Arrived(Span(0, first, next_), Outcomes(rows, rows.astype(np.float32), rows.astype(np.uint8)), next_)


def test_scores_that_retention_took_are_given_up_and_later_ones_remembered(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monitor = Monitor.silent()
    stage = state_of(Part.ENRICH, bench_parts()[0], STREAM)
    checkpoints: Checkpoints[Any, Any] = Checkpoints(tmp_path, stage, Progress(["out"]), monitor)
    checkpoints.open({0: 1 << 40})
    told = Told()
    scores = ScoresBack(told, checkpoints, [0], monitor.metrics)
    checkpoints.begin(0, 0)
    pipeline = bench_parts()[0]
    empty = run_stage(pipeline.normalize, Parcel((), nothing(Part.ENRICH), 0), monitor).batch

    def apply(first: int, next_: int) -> None:
        checkpoints.apply(Parcel((Span(0, first, next_),), empty, next_ - first, (), next_ - first))

    apply(0, 500)
    told.coming = [outcomes(2_000, 2_100)]
    assert not scores.drained()
    scores.serve()
    assert scores.drained()  # else it would wait for ever for what no longer comes
    assert "the scores of offsets 0 to 499 are no longer in events.outcomes" in caplog.text
    apply(500, 1_500)
    scores.serve()
    apply(1_500, 2_050)
    scores.serve()
    assert checkpoints.reached(0) == (2_050, 2_050)
    assert "1500 to 1999" in caplog.text
    assert monitor.metrics.scores_lost._value.get() == 2_000
    apply(2_050, 2_150)
    scores.serve()
    assert checkpoints.reached(0) == (2_150, 2_100)  # the score of the others may still come
    checkpoints.finish()
