"""A redrive gives each event the score that a run without the bug gives it, and counts nothing twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from hashlib import sha256
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.lookups.memory_shared import MemorySharedCounts
from flows.pipeline import Pipeline, build_pipeline
from flows.run_stage import Monitor
from flows.stages.velocity import VelocitySession
from flows.stages.velocity_frames import unpack
from infra.traffic.dataset import dataset_keys, labelled_batches
from schemas.batches import Decided, RawBatch
from schemas.dead_letter import DeadLetter, Reason
from schemas.redriven import original_of
from schemas.told import read_told
from scoring.deployment import only
from scoring.model import Model, find_model
from tests.redriven import sent_again, with_bug
from tests.strategies import same
from tests.wire import LATENESS, parcel, raw_batch

ROWS = 160
BEHIND = ("relate", "enrich", "score", "judge")  # velocity and recognize
BEFORE = ("verify_mask", "normalize")
SECTIONS = ("velocity", "history", "session", "recognition", "shared", "smart", "score")
stages = st.sampled_from(BEHIND)
failing = st.sets(st.integers(0, ROWS - 1), min_size=1, max_size=12)
late_enough = st.sets(st.integers(ROWS - 30, ROWS - 1), min_size=1, max_size=8)  # within the lateness of the last
sizes = st.lists(st.integers(1, 60), min_size=1, max_size=6)


@cache
def model() -> Model:
    return Model.load(find_model())


@cache
def records() -> tuple[bytes, ...]:
    (made,) = labelled_batches(ROWS, seed=5, small=True)
    return made.raw.values


class Run:
    """A flow in the process: one partition, offsets that go on, a state that may be restored from its snapshots."""

    def __init__(self) -> None:
        self.pipeline: Pipeline = build_pipeline(
            dataset_keys(), only(model()), lateness_ms=LATENESS, shared=MemorySharedCounts()
        )
        self.session: Any = self.pipeline.keyed.open(())
        self.monitor = Monitor.silent()
        self.monitor.budget._limit = 2.0
        self.frames: list[bytes] = []
        self.next = 0

    def take(self, values: Sequence[bytes], cut: Iterator[int], pipeline: Pipeline | None = None) -> Any:
        """Run records in pieces; return what was decided, the letters and how many rows were dropped."""
        done: list[Decided] = []
        letters: list[DeadLetter] = []
        dropped, at = 0, 0
        while at < len(values):
            piece = values[at : at + next(cut)]
            out = (pipeline or self.pipeline).run(parcel(self._batch(piece)), self.session, self.monitor)
            done.append(out.batch)
            letters += out.errs
            dropped += out.dropped
            at += len(piece)
            self.next += len(piece)
        return Decided.concat(done), letters, dropped

    def _batch(self, values: Sequence[bytes]) -> RawBatch:
        """Return records that Kafka took after they were received, whenever: only the event's own times count."""
        batch = raw_batch(values, first=self.next)
        return replace(batch, origin=replace(batch.origin, appended_at=np.full(len(values), 1 << 41)))

    def restart(self) -> None:
        """Go on from a snapshot."""
        self.frames.append(self.session.snapshot().data)
        self.session = self.pipeline.keyed.open(self.frames)


def cutting(sizes: Sequence[int]) -> Iterator[int]:
    while True:
        yield from sizes


def ids(batch: Decided) -> list[bytes]:
    return [row.tobytes() for row in batch.event.event_id]


def by_id(*batches: Decided) -> dict[bytes, Any]:
    found: dict[bytes, Any] = {}
    for batch in batches:
        for row, event_id in enumerate(ids(batch)):
            assert event_id not in found, "an event was scored twice"
            found[event_id] = {name: getattr(batch, name).take(np.array([row])) for name in SECTIONS}
    return found


def assert_alike(found: dict[bytes, Any], expected: dict[bytes, Any]) -> None:
    assert found.keys() == expected.keys()
    for event_id, sections in expected.items():
        for name, section in sections.items():
            assert same(found[event_id][name], section), name


def event_ids(rows: set[int]) -> set[bytes]:
    decoded = Run().pipeline.decode(raw_batch(records())).oks
    return {decoded.event.event_id[row].tobytes() for row in rows}


def counted(session: VelocitySession) -> Any:
    """Return what a state knows of devices and sessions, in no order."""
    frame = unpack(session.snapshot(whole=True).data)
    columns = frame.columns
    rows = (columns.devices, columns.events, columns.sessions)
    return [frame.watermark, *(sorted(row.tobytes() for row in table) for table in rows)]


@cache
def without_bug() -> tuple[dict[bytes, Any], Any]:
    """Return every event's sections, and the state, after a run in which nothing fails."""
    run = Run()
    whole, _, _ = run.take(records(), cutting([50]))
    return by_id(whole), counted(run.session.first)


@settings(max_examples=5, deadline=None)
@given(stage=stages, rows=failing, cut=sizes, again=sizes, restart=st.booleans())
def test_an_event_that_failed_behind_velocity_is_scored_as_if_it_had_not(
    stage: str, rows: set[int], cut: list[int], again: list[int], restart: bool
) -> None:
    whole, state = without_bug()
    run = Run()
    broken = with_bug(run.pipeline, stage, event_ids(rows))
    first, letters, _ = run.take(records(), cutting(cut), broken)
    assert {(letter.reason, letter.stage) for letter in letters} == {(Reason.BUG, stage)}
    assert len(letters) == len(rows)
    for letter in letters:
        assert (read_told(letter.told).shared is None) == (stage == "relate")
    if restart:
        run.restart()
    redriven = sent_again(letters)
    second, none, dropped = run.take(redriven * 2, cutting(again))
    assert (none, dropped) == ([], len(redriven))  # each attempt goes on once
    found, expected = by_id(first, second), whole
    assert found.keys() == expected.keys()
    for event_id, sections in expected.items():
        if stage != "relate":  # shared counts are asked when the event comes to it: later ones are before it then
            assert_alike({event_id: found[event_id]}, {event_id: sections})
    assert counted(run.session.first) == state


@settings(max_examples=3, deadline=None)
@given(stage=st.sampled_from(BEFORE), rows=late_enough, cut=sizes)
def test_an_event_that_failed_before_velocity_is_counted_once_when_it_comes_again(
    stage: str, rows: set[int], cut: list[int]
) -> None:
    run = Run()
    broken = with_bug(run.pipeline, stage, event_ids(rows))
    first, letters, _ = run.take(records(), cutting(cut), broken)
    assert [letter.told for letter in letters] == [b""] * len(rows)
    second, none, dropped = run.take(sent_again(letters) * 2, cutting(cut))
    assert (none, dropped, len(second)) == ([], len(letters), len(letters))
    assert len(by_id(first, second)) == ROWS


def test_a_row_that_fails_again_says_how_often_and_keeps_what_it_was_told() -> None:
    run = Run()
    bugs = event_ids({3, 90})
    in_enrich, in_mask, in_score = (with_bug(run.pipeline, stage, bugs) for stage in ("enrich", "verify_mask", "score"))
    first, letters, _ = run.take(records(), cutting([50]), in_enrich)
    tried = [letters]
    for pipeline in (in_mask, in_score, in_enrich):
        again, letters, dropped = run.take(sent_again(letters), cutting([50]), pipeline)
        assert (len(again), dropped) == (0, 0)
        tried.append(letters)
    assert [[letter.attempts for letter in one] for one in tried] == [[1, 1], [2, 2], [3, 3], [4, 4]]
    payloads = [[original_of(letter.payload) for letter in one] for one in tried]
    assert payloads == [[records()[3], records()[90]]] * 4
    assert all(sha256(one.payload).hexdigest() == one.payload_sha256 for letters in tried for one in letters)
    assert tried[1][0].told == tried[0][0].told == tried[3][0].told
    offsets = [letter.offset for one in tried for letter in one]
    assert offsets == sorted(set(offsets))
    last, none, _ = run.take(sent_again(letters), cutting([50]))
    assert none == []
    assert_alike(by_id(first, last), without_bug()[0])


def test_an_event_that_the_state_does_not_know_goes_on_with_what_it_was_told() -> None:
    run, elsewhere = Run(), Run()
    bugs = event_ids({10, 20})
    _, letters, _ = run.take(records(), cutting([50]), with_bug(run.pipeline, "enrich", bugs))
    found, none, dropped = elsewhere.take(sent_again(letters) * 2, cutting([1]))
    assert (none, dropped) == ([], 2)
    expected, _ = without_bug()
    assert_alike(by_id(found), {event_id: expected[event_id] for event_id in ids(found)})
    assert elsewhere.session.first.devices == 0
