"""Records between processes: each range of offsets once and in order, whatever was sent again, lost or out of order."""

from __future__ import annotations

import numpy as np
import pytest

from flows.parcel import Span
from flows.sources.lane import Lane, RangeMissing
from flows.stage_records import Chain, Head, Outcomes, records_of
from flows.stage_state import Part, Positions, StageState, stream_digest
from schemas.batch_codec import encode_batch
from schemas.velocity import SLICES
from scoring.decide import Decide
from scoring.policy import FixedPolicies, Policy
from tests.adding_stage import Adding
from tests.wire import raw_batch

STREAM = stream_digest("events.raw@1")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class World:
    """A lane, and the records that it is given."""

    def __init__(self, next_offset: int | None = 0, position: int | None = None) -> None:
        self.clock = Clock()
        self.lane = Lane("t", Outcomes, lambda told: told.offset, STREAM, self.clock)
        self.lane.next, self.lane.position = next_offset, position
        self.record = position or 0

    def take(self, first: int, next_: int, *, stream: bytes = STREAM, skipped: int = 0) -> tuple[int, int, int] | None:
        """Give the record of a range; return first, next and rows of what it brought."""
        rows = np.arange(first, next_)
        value = encode_batch(Outcomes(rows, rows.astype(np.float32), rows.astype(np.uint8)))
        self.record += skipped
        found = self.lane.take(Head(Span(0, first, next_), stream), value, self.record)
        self.record += 1
        assert found is None or found.position == self.record
        assert found is None or found.batch.offset.tolist() == list(range(found.span.first, found.span.next))
        return None if found is None else (found.span.first, found.span.next, len(found.batch))


def test_ranges_that_come_again_cut_anew_bring_only_what_was_not_there() -> None:
    world = World()
    assert [world.take(*span) for span in ((0, 10), (10, 20), (5, 15), (15, 25), (0, 40), (25, 25))] == [
        (0, 10, 10), (10, 20, 10), None, (20, 25, 5), (25, 40, 15), None,
    ]  # fmt: skip
    assert world.lane.passed_over == 2


def test_a_record_that_came_before_those_it_follows_waits_for_its_second_coming() -> None:
    world = World()
    assert [world.take(*span) for span in ((0, 5), (10, 15), (5, 10), (10, 15))] == [
        (0, 5, 5), None, (5, 10, 5), (10, 15, 5),
    ]  # fmt: skip


def test_a_range_that_stays_away_ends_the_process_with_a_sentence() -> None:
    world = World(5)
    assert world.take(10, 15) is None
    world.clock.now = 31.0
    with pytest.raises(RangeMissing, match="offsets 5 to 14 of partition 0 are not in t"):
        world.take(15, 20)


def test_what_retention_took_is_said_and_passed(caplog: pytest.LogCaptureFixture) -> None:
    world = World(5, position=3)
    assert world.take(10, 15, skipped=4) == (10, 15, 5)
    assert "offsets 5 to 9 are no longer in t" in caplog.text


def test_rows_of_another_topic_of_the_name_are_passed_over_and_a_new_state_begins_with_any_range() -> None:
    world = World(None)
    assert world.take(0, 9, stream=stream_digest("events.raw@0")) is None
    assert world.take(70, 80) == (70, 80, 10)
    assert world.lane.take(None, b"", 2) is None
    with pytest.raises(ValueError, match="not a record of a batch"):
        world.lane.take(Head(Span(0, 80, 90), STREAM), b"", 3)


def test_ranges_follow_each_other_over_offsets_that_hold_nothing_and_over_rows_that_died() -> None:
    chain = Chain({0: 4, 1: None})
    assert [chain.link(Span(*span)) for span in ((0, 6, 8), (1, 50, 60), (0, 9, 9), (1, 70, 80))] == [
        (0, 4, 8), (1, 50, 60), (0, 8, 9), (1, 60, 80),
    ]  # fmt: skip
    batch = raw_batch([b"x" * 400] * 10, 0, 100).take(np.array([0, 3, 4, 9]))
    spans = [(one.span.first, one.span.next, one.rows) for one in records_of([Span(0, 90, 120)], batch, 1_100)]
    assert spans[0][0] == 90 and spans[-1][1] == 120 and sum(rows for _, _, rows in spans) == 4
    assert [span[1] for span in spans[:-1]] == [span[0] for span in spans[1:]]
    assert [(one.span, one.rows) for one in records_of([Span(1, 5, 7)], batch)] == [(Span(1, 5, 7), 0)]


def test_a_gap_that_retention_made_is_known_also_behind_records_that_are_passed_over() -> None:
    world = World()
    assert world.take(0, 10) == (0, 10, 10)
    assert world.take(0, 5, skipped=7) is None  # sent again, and the first one that is left
    assert world.take(30, 40) == (30, 40, 10)
    assert world.take(50, 60) is None  # no record of the topic is missing here: it was sent too early


def decide() -> Decide:
    policy = Policy(40, 80, 5)
    return Decide(FixedPolicies(), lambda version: policy)


def test_a_state_is_restored_with_its_positions_and_refused_by_every_other_part() -> None:
    score = StageState(Part.SCORE, STREAM, [decide()])
    session = score.open([])
    session.positions.batches = 77
    made = session.snapshot()
    assert (made.first_slice, made.slices) == (0, SLICES)
    assert score.open([made.data]).positions == Positions(77, -1)
    refusals = {
        "a state of `--stage score`, not of `--stage enrich`": StageState(Part.ENRICH, STREAM, [decide()]),
        "another topic of that name": StageState(Part.SCORE, stream_digest("other"), [decide()]),
    }
    for sentence, stage in refusals.items():
        with pytest.raises(ValueError, match=sentence):
            stage.open([made.data])
    with pytest.raises(ValueError, match="not a state of `clickgoose flow run --stage score`"):
        score.open([Adding().open([]).snapshot().data])
    with pytest.raises(ValueError, match="cut off"):
        score.open([made.data[:-1]])
    extract = StageState(Part.EXTRACT, STREAM)
    assert extract.open([extract.open([]).snapshot().data]).steps == ()
