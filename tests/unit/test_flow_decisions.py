"""Decisions in the flow: what stands of a session lies with velocity's state, and survives what that survives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from enrichers.present import present
from flows.chain import Chain
from flows.checkpoints import Checkpoints
from flows.parcel import Parcel, Span
from flows.pipeline import build_pipeline
from flows.progress import Progress
from flows.run_stage import Monitor
from flows.sinks.encoded import encoder
from flows.sinks.tables import scored_tables
from flows.stages.recognize import Recognize
from flows.stages.recognize.state import Sizes
from flows.stages.velocity import Velocity
from schemas.batches import I32, I64, Decided, Judged, Normalized, Recognized, Rules, Score
from schemas.columns import widen
from schemas.result import DECISIONS
from scoring.deployment import only
from scoring.explain import Explainer
from scoring.model import Model, find_model
from scoring.policy import FixedPolicies, Policies, Policy
from tests.builders import NOW, enriched, normalized
from tests.deciding import decide_stage
from tests.ingest_kit import RING, open_page, tier
from tests.wire import LATENESS, payload, raw_batch

Checked = Checkpoints[Normalized, Recognized]
TABLES = Sizes(1 << 13, 1 << 13, 1 << 13)


class World:
    """A flow without its source: the keyed stages over a directory, with scores that the test says."""

    def __init__(self, directory: Path) -> None:
        self.progress = Progress(["out"])
        self.monitor = Monitor.silent()
        chain = Chain(Velocity(), Recognize(sizes=TABLES), decide_stage())
        self.checkpoints: Checked = Checkpoints(directory, chain, self.progress, self.monitor)
        self.resume = self.checkpoints.open({0: 1 << 30, 1: 1 << 30})

    def run(self, stream: Sequence[tuple[int, int, float]], first: int) -> Decided:
        """Run rows of partition, session and score; the offset of a row is its place in the whole stream."""
        order = np.argsort([partition for partition, *_ in stream], kind="stable")
        rows = [stream[at] for at in order]
        offsets = order + first
        partition = np.array([one for one, *_ in rows], np.int32)
        batch = _normalized(partition, offsets, [session for _, session, _ in rows])
        spans = tuple(
            Span(int(one), int(offsets[partition == one].min()), int(offsets[partition == one].max()) + 1)
            for one in np.unique(partition)
        )
        known = self.checkpoints.apply(Parcel(spans, batch, len(batch)))
        scored = replace(known, batch=_scored(known.batch, [score for *_, score in rows]))
        return self.checkpoints.remember(self.checkpoints.decide(scored)).batch

    def epoch(self, held: int) -> None:
        """End an epoch; the sink holds everything before an offset."""
        self.progress.acknowledge("out", [Span(partition, 0, held) for partition in (0, 1)])
        self.checkpoints.snapshot()

    def killed(self) -> None:
        """End without a word, as kill -9 does: only the locks go."""
        for state in self.checkpoints._open.values():
            state.log.close()


def _normalized(partition: I32, offsets: I64, sessions: Sequence[int]) -> Normalized:
    batch = normalized([{}] * len(offsets), times=[NOW + 1_000 * int(offset) for offset in offsets])
    ids = batch.event.event_id.copy()
    ids[:, 8:] = offsets.astype(">u8").view(np.uint8).reshape(-1, 8)
    session_id = np.zeros_like(ids)
    session_id[:, 0] = sessions
    appended = np.full(len(offsets), NOW + 1_000_000_000, np.int64)
    return replace(
        batch,
        origin=replace(batch.origin, partition=partition, offset=offsets.astype(np.int64), appended_at=appended),
        event=replace(batch.event, event_id=ids, session_id=session_id),
    )


def _scored(batch: Recognized, scores: Sequence[float]) -> Judged:
    extra = enriched([{}] * len(batch))
    score, rules = Score.of("m", np.array(scores, np.float32)), Rules.none(len(batch))
    return widen(Judged, batch, shared=extra.shared, smart=extra.smart, score=score, rules=rules)


def _stream(rows: int) -> list[tuple[int, int, float]]:
    """Return rows whose scores flap about the thresholds; a session stays in its partition."""
    rng = np.random.default_rng(11)
    sessions = rng.integers(0, 12, rows)
    return [
        (int(session) % 2, int(session), float(np.float32(rng.choice([38, 41, 77, 81, 20]) + rng.uniform(-2, 2))))
        for session in sessions
    ]


def _by_offset(batches: Sequence[Decided]) -> dict[int, tuple[int, int]]:
    """Return the standing decision and the decision of each offset."""
    return {
        offset: (before, decision)
        for batch in batches
        for offset, before, decision in zip(
            batch.origin.offset.tolist(),
            batch.decision.before.tolist(),
            batch.decision.decision.tolist(),
            strict=True,
        )
    }


def test_decisions_after_a_kill_are_those_that_an_unbroken_run_gives(tmp_path: Path) -> None:
    stream, rows = _stream(240), 20
    unbroken = World(tmp_path / "unbroken")
    expected = _by_offset([unbroken.run(stream[at : at + rows], at) for at in range(0, len(stream), rows)])
    unbroken.checkpoints.finish()
    assert {before for before, _ in expected.values()} == {0, 1, 2}

    world = World(tmp_path / "killed")
    for at in range(0, 120, rows):
        world.run(stream[at : at + rows], at)
        world.epoch(held=max(0, at - rows))
    world.killed()
    again = World(tmp_path / "killed")
    resumed = [offset for offset in again.resume.values() if offset is not None]
    assert len(resumed) == 2 and 0 < min(resumed) <= max(resumed) < 120
    redone = [
        again.run([row], offset)  # cut otherwise than before
        for offset, row in enumerate(stream)
        if offset >= (again.resume[row[0]] or 0)
    ]
    found = _by_offset(redone)
    assert len(found) > 120
    assert found == {offset: expected[offset] for offset in found}
    again.checkpoints.finish()


def test_the_stage_is_measured_by_its_own_name_and_marks_the_ledger(tmp_path: Path) -> None:
    world = World(tmp_path)
    done = world.run(_stream(30), 0)
    assert done.ledger.marks[-1] == "decide"
    assert world.monitor.metrics.stage_rows.labels("decide", "ok").value == 30
    world.checkpoints.finish()


def test_a_parcel_of_two_partitions_is_decided_as_each_alone(tmp_path: Path) -> None:
    stream = _stream(60)
    together, apart = World(tmp_path / "together"), World(tmp_path / "apart")
    one = together.run(stream, 0)
    alone = [apart.run([row], at) for at, row in enumerate(stream)]
    assert _by_offset([one]) == _by_offset(alone)
    for world in (together, apart):
        world.checkpoints.finish()


def test_a_state_that_was_torn_while_it_decided_is_never_written(tmp_path: Path) -> None:
    world = World(tmp_path)
    stream = [(0, 1, 90.0)] * 4
    world.run(stream[:2], 0)
    world.epoch(held=2)
    with pytest.raises(ValueError, match="not a number"):
        world.run([(0, 1, float("nan"))], 2)
    world.epoch(held=3)
    world.checkpoints.finish()
    again = World(tmp_path)
    assert again.resume[0] == 2
    assert again.run([(0, 1, 76.0)], 2).decision.before.tolist() == [2]
    again.checkpoints.finish()


def test_a_stage_that_is_not_there_is_said(tmp_path: Path) -> None:
    alone = Checkpoints(tmp_path, Velocity(), Progress(["out"]), Monitor.silent())
    alone.open({0: 10})
    with pytest.raises(TypeError, match="no stage behind its scores"):
        alone.decide(Parcel((Span(0, 0, 1),), _scored(_recognized(), [1.0]), 1))
    alone.finish()


def _recognized() -> Recognized:
    batch = _normalized(np.zeros(1, np.int32), np.zeros(1, np.int64), [0])
    chain = Chain(Velocity(), Recognize(sizes=TABLES), decide_stage())
    return chain.open(()).apply(batch).oks


async def test_what_the_visit_is_for_selects_the_thresholds_and_is_told_to_everybody_behind(
    tmp_path: Path,
) -> None:
    """From POST /v1/sessions through token, envelope and pipeline to the columns of ClickHouse."""
    policies = Policies(
        default=Policy(40, 80),
        of_event_type={"login": Policy(0.001, 0.002)},
        of_both={("demo-shop", "pay_out"): Policy(99.999, 100)},
    )
    async with tier(tmp_path) as t:
        for wanted in ("login", "pay_out", "payment", ""):
            page = await open_page(t.client, **({"event_type": wanted} if wanted else {}))
            assert (await page.send(page.event(payload()))).json()["results"][0]["status"] == "ok"
        batch = raw_batch([record.value for record in t.kafka.records])
    batch = replace(batch, origin=replace(batch.origin, appended_at=batch.origin.appended_at + (1 << 40)))
    model = only(Model.load(find_model()))
    pipeline = build_pipeline(RING, model, lateness_ms=LATENESS, policies=FixedPolicies(policies))
    parcel = Parcel((Span(0, 0, 4),), batch, 4)
    done = pipeline.run(parcel, pipeline.keyed.open(()), Monitor.silent())
    assert done.errs == ()
    assert done.batch.event.event_type == ("login", "pay_out", "payment", "")
    said = done.batch.decision
    assert said.review.tolist() == [np.float32(0.001), np.float32(99.999), 40, 40]
    assert DECISIONS[said.decision[0]] == "deny" and DECISIONS[said.decision[1]] == "allow"
    columns = scored_tables(encoder(Explainer(), present, "test")(done), archive=False)["events"]
    assert [bytes(text).decode() for text in columns["event_type"]] == ["login", "pay_out", "payment", ""]
    assert columns["review"].tolist() == said.review.tolist()
    assert [bytes(text).decode() for text in columns["policy"]] == [policies.digest] * 4
