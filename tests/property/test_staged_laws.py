"""The pipeline in three parts, without Kafka: however records are cut and scores delayed, rows are those of one run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from flows.checkpoints import Checkpoints
from flows.parcel import Parcel
from flows.pipeline import Pipeline
from flows.progress import Progress
from flows.run_stage import Monitor, run_stage
from flows.scores_back import ScoresBack
from flows.sinks.batches import HandedOn, hand_on, tell_outcomes
from flows.sources.lane import Arrived, Lane
from flows.stage_records import Head, Outcomes
from flows.stage_state import Part, stream_digest
from flows.staged import state_of
from infra.bench.events import parcels, recorded_events
from infra.flow import bench_parts
from schemas.batches import Decided, Enriched, Verified
from schemas.velocity import SCORE_LAG
from tests.strategies import same

STREAM = stream_digest("events.raw")
EVENTS = 2_600


class Hop:
    """Records on their way between two parts."""

    def __init__(self, kind: type[Any]) -> None:
        self.lane: Lane[Any] = Lane("t", kind, _offsets, STREAM, lambda: 0.0)
        self.lane.next = 0
        self._sent = 0

    def carry(self, handed: HandedOn) -> Iterator[Arrived[Any]]:
        for record in handed.records:
            found = self.lane.take(Head(record.span, STREAM), record.value, self._sent)
            self._sent += 1
            if found is not None:
                yield found


def _offsets(batch: Any) -> Any:
    return batch.offset if isinstance(batch, Outcomes) else batch.origin.offset


class Score:
    """The last part, which gives outcomes when it is asked, as many as chance wants."""

    def __init__(self, pipeline: Pipeline, directory: Path, random: Random) -> None:
        self._pipeline, self._random, self._monitor = pipeline, random, Monitor.silent()
        stage = state_of(Part.SCORE, pipeline, STREAM)
        self._checkpoints: Checkpoints[Any, Any] = Checkpoints(directory, stage, Progress(["out"]), self._monitor)
        self._checkpoints.open({0: 1 << 40})
        self._tell = tell_outcomes({0: 0})
        self._hop, self._back = Hop(Enriched), Hop(Outcomes)
        self._handed: list[HandedOn] = []
        self.done: list[Decided] = []

    def give(self, handed: HandedOn) -> None:
        self._handed.append(handed)
        if self._random.random() < 0.2:
            self._handed.append(handed)  # sent again

    def receive(self, seconds: float, /) -> list[Arrived[Outcomes]]:
        taken = self._random.randint(0, 2)
        now, self._handed = self._handed[:taken], self._handed[taken:]
        return [told for handed in now for arrived in self._hop.carry(handed) for told in self._scored(arrived)]

    def _scored(self, arrived: Arrived[Enriched]) -> list[Arrived[Outcomes]]:
        parcel: Any = self._checkpoints.apply(Parcel((arrived.span,), arrived.batch, len(arrived.batch)))
        judged = run_stage(self._pipeline.judge, run_stage(self._pipeline.score, parcel, self._monitor), self._monitor)
        decided = self._checkpoints.remember(self._checkpoints.decide(judged))
        self.done.append(decided.batch)
        return list(self._back.carry(self._tell(decided)))

    def close(self) -> None:
        self._checkpoints.finish()


def in_parts(values: list[bytes], random: Random, directory: Path) -> Decided:
    """Run the three parts on records that are cut by chance."""
    pipeline, monitor = bench_parts()[0], Monitor.silent()
    stage = state_of(Part.ENRICH, pipeline, STREAM)
    checkpoints: Checkpoints[Any, Any] = Checkpoints(directory / "enrich", stage, Progress(["out"]), monitor)
    checkpoints.open({0: 1 << 40})
    score = Score(pipeline, directory / "score", random)
    scores = ScoresBack(score, checkpoints, [0], monitor.metrics)
    extracted, enriched, hop = hand_on({0: 0}), hand_on({0: 0}), Hop(Verified)
    furthest = 0
    for parcel in cut(values, random):
        for arrived in hop.carry(extracted(pipeline.extracted(parcel, monitor))):
            checkpoints.begin(0, arrived.span.first)
            while not scores.may_apply(arrived.span):
                scores.serve()
            verified = Parcel((arrived.span,), arrived.batch, len(arrived.batch))
            recognized = checkpoints.apply(run_stage(pipeline.normalize, verified, monitor))
            out = run_stage(pipeline.enrich, run_stage(pipeline.relate, recognized, monitor), monitor)
            score.give(enriched(scores.sent(out)))
            applied, scored = checkpoints.reached(0)
            furthest = max(furthest, (applied or 0) - (scored or 0))
    while not scores.drained():
        scores.serve()
    checkpoints.finish()
    score.close()
    assert SCORE_LAG // 2 < furthest <= SCORE_LAG  # rows were let ahead of scores, and never too far
    return Decided.concat([batch for batch in score.done if len(batch)])


def cut(values: list[bytes], random: Random) -> Iterator[Parcel[Any]]:
    """Yield the records in parcels of any size."""
    (whole,) = parcels(values, len(values))
    at = 0
    while at < len(values):
        until = min(len(values), at + random.randint(1, 300))
        span = whole.spans[0]._replace(first=at, next=until)
        yield Parcel((span,), whole.batch.take(np.arange(at, until)), until - at)
        at = until


@pytest.mark.parametrize("seed", [1, 2])
def test_three_parts_decide_as_one_whatever_is_cut_delayed_or_sent_again(seed: int, tmp_path: Path) -> None:
    values = recorded_events(EVENTS, 11)
    pipeline, monitor = bench_parts()[0], Monitor.silent()
    session = pipeline.keyed.open([])
    whole = Decided.concat([pipeline.run(parcel, session, monitor).batch for parcel in parcels(values, 512)])
    found = in_parts(values, Random(seed), tmp_path)
    assert len(found) > EVENTS - 100
    assert same(replace(found, ledger=whole.ledger), whole)
    assert found.ledger.marks == whole.ledger.marks
