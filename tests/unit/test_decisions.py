"""decide: hysteresis by session, what is forgotten, what is stored, and what survives a restart."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from schemas.batches import Decided, Scored
from schemas.result import DECISIONS
from schemas.velocity import SLICES
from scoring import standing_loops
from scoring.decide import IDLE_MS, DecideSession, Together
from scoring.policy import ALLOW, DENY, REVIEW, Policies, Policy, decide
from scoring.warm import warm
from tests.deciding import OWN, Visit, decide_stage, visits
from tests.strategies import same

MINUTE = 60_000


def named(batch: Decided) -> list[str]:
    return [DECISIONS[code] for code in batch.decision.decision]


def scores(session: DecideSession, *values: float, first: int = 0) -> list[str]:
    """Return what the events of one session with these scores are decided, one batch an event."""
    return [named(session.apply(visits([Visit(1, value)], first + at)).oks)[0] for at, value in enumerate(values)]


def test_a_score_that_flaps_about_a_threshold_gives_one_change() -> None:
    flapping = [41.0, 38.0, 40.5, 35.5, 39.9, 40.1]
    assert scores(decide_stage().open(()), 10, *flapping) == ["allow"] + ["review"] * 6
    without = decide_stage(Policies(default=Policy(40, 80, 0))).open(())
    assert scores(without, 10, *flapping) == ["allow", "review", "allow", "review", "allow", "allow", "review"]


def test_a_stricter_decision_is_left_only_below_its_threshold_less_the_margin() -> None:
    below_75, below_35 = float(np.nextafter(np.float32(75), np.float32(0))), float(np.nextafter(np.float32(35), 0))
    assert scores(decide_stage().open(()), 80, 75, below_75, 79.9) == ["deny", "deny", "review", "review"]
    assert scores(decide_stage().open(()), 90, 35, below_35, 39.9) == ["deny", "review", "allow", "allow"]
    assert scores(decide_stage().open(()), 85, 20, 76) == ["deny", "allow", "review"]


def test_a_session_that_comes_several_times_in_a_batch_is_decided_one_row_after_the_other() -> None:
    rows = [Visit(1, 82), Visit(2, 38), Visit(1, 76), Visit(2, 41), Visit(2, 37), Visit(1, 60), Visit(1, 78)]
    decided = decide_stage().open(()).apply(visits(rows)).oks
    assert named(decided) == ["deny", "allow", "deny", "review", "review", "review", "review"]
    assert [DECISIONS[code] for code in decided.decision.before] == [
        "allow", "allow", "deny", "allow", "review", "deny", "review"
    ]  # fmt: skip


def test_every_decision_can_be_made_again_from_what_lies_beside_it() -> None:
    policies = Policies(
        of_merchant={"big": Policy(50, 90, 12.3)}, of_both={("shop", "login"): Policy(33.3, 66.6, 11.1)}
    )
    rng = np.random.default_rng(5)
    rows = [
        Visit(int(rng.integers(9)), float(np.float32(rng.uniform(20, 100))), at, *which)
        for at in range(400)
        for which in [(("shop", "login"), ("big", ""), ("shop", ""))[int(rng.integers(3))]]
    ]
    decided = decide_stage(policies).open(()).apply(visits(rows)).oks
    said = decided.decision
    stored = (decided.score.score, said.review, said.deny, said.margin, said.before)
    again = decide(*(column.tolist() for column in stored))
    assert again.tolist() == said.decision.tolist()
    assert set(said.before.tolist()) == set(said.decision.tolist()) == {ALLOW, REVIEW, DENY}
    assert said.policy == policies.digest
    columns = zip(said.review, said.deny, said.margin, strict=True)
    limits = {(row.merchant, row.event_type): tuple(one) for row, one in zip(rows, columns, strict=True)}
    assert limits == {
        ("shop", "login"): tuple(np.float32((33.3, 66.6, 11.1))),
        ("big", ""): tuple(np.float32((50, 90, 12.3))),
        ("shop", ""): (OWN.review, OWN.deny, OWN.margin),
    }


def test_a_session_is_forgotten_when_none_of_its_events_came_for_half_an_hour_of_event_time() -> None:
    for idle, expected in ((IDLE_MS - 1, "review"), (IDLE_MS, "allow")):
        session = decide_stage().open(())
        assert named(session.apply(visits([Visit(1, 50)])).oks) == ["review"]
        assert named(session.apply(visits([Visit(2, 50, idle - 5), Visit(1, 38, idle)], 1)).oks)[1] == expected
    assert len(session.state) == 1  # only the other one is remembered


def test_late_events_and_clocks_that_jump_back_do_not_make_a_session_forgotten() -> None:
    session = decide_stage().open(())
    session.apply(visits([Visit(9, 1, 600 * MINUTE)]))
    rows = [Visit(1, 50, 10), Visit(1, 38, 2), Visit(1, 37, -400 * MINUTE), Visit(1, 36, 7)]
    assert named(session.apply(visits(rows, 1)).oks) == ["review"] * 4


def test_of_more_sessions_than_the_bound_the_ones_seen_longest_ago_give_way() -> None:
    session = decide_stage(most=3).open(())
    session.apply(visits([Visit(1, 50), Visit(2, 50), Visit(3, 50), Visit(1, 50), Visit(4, 50)]))
    found = session.apply(visits([Visit(one, 38) for one in (1, 2, 3, 4)], 5)).oks
    assert named(found) == ["review", "allow", "review", "review"]
    assert len(session.state) == 3


def test_what_gives_way_within_a_batch_is_gone_for_the_rows_behind_it() -> None:
    rows = [Visit(1, 50), Visit(2, 50), Visit(1, 38)]
    assert named(decide_stage(most=1).open(()).apply(visits(rows)).oks) == ["review", "review", "allow"]


def test_sessions_that_are_allowed_take_no_memory() -> None:
    session = decide_stage().open(())
    session.apply(visits([Visit(row, 10) for row in range(50)]))
    assert len(session.state) == 0
    session.apply(visits([Visit(row, 50) for row in range(50)], 50))
    assert len(session.state) == 50
    session.apply(visits([Visit(row, 10) for row in range(50)], 100))
    assert len(session.state) == 0


def test_shadows_are_decided_by_the_same_thresholds_without_hysteresis() -> None:
    batch = visits([Visit(1, 90), Visit(1, 78), Visit(1, 10)])
    shadow = np.array([[81, 10], [78, 79], [np.nan, 80]], np.float32)
    batch = replace(batch, score=replace(batch.score, shadows=("a", "b"), shadow_score=shadow))
    found = decide_stage().open(()).apply(batch).oks.decision
    assert [DECISIONS[code] for code in found.decision] == ["deny", "deny", "allow"]
    assert found.shadow.tolist() == [[DENY, ALLOW], [REVIEW, REVIEW], [ALLOW, DENY]]
    assert found.shadow.dtype == np.uint8


def test_each_row_goes_by_the_thresholds_of_the_model_that_scored_it() -> None:
    batch = visits([Visit(row, 50) for row in range(3)])
    batch = replace(batch, score=replace(batch.score, versions=("old", "new"), model=np.array([0, 1, 0], np.uint8)))
    stage = decide_stage()
    stage._own = {"old": Policy(40, 80), "new": Policy(60, 90)}.__getitem__
    assert named(stage.open(()).apply(batch).oks) == ["review", "allow", "review"]


def test_a_score_that_is_no_number_is_refused_before_the_state_changes() -> None:
    session = decide_stage().open(())
    session.snapshot()
    with pytest.raises(ValueError, match="the model is broken"):
        session.apply(visits([Visit(1, 90), Visit(2, float("nan"))]))
    assert (len(session.state), session.state.time) == (0, 0)


def test_no_rows_are_a_batch_too() -> None:
    found = decide_stage().open(()).apply(visits([])).oks
    assert (len(found), found.decision.shadow.shape) == (0, (0, 0))


def test_a_batch_of_several_partitions_may_have_lost_all_its_rows() -> None:
    together = Together({number: decide_stage().open(()) for number in (0, 1)})
    assert len(together.apply(visits([])).oks) == 0


@pytest.mark.parametrize("whole", [True, False])
def test_a_restored_session_goes_on_with_what_was_standing(whole: bool) -> None:
    stage = decide_stage()
    session = stage.open(())
    frames = [session.snapshot().data]
    session.apply(visits([Visit(row, 50 + 20 * (row % 3)) for row in range(30)]))
    frames.append(session.snapshot().data)
    session.apply(visits([Visit(row, 5) for row in range(5)] + [Visit(50, 60)], 30))
    frames.append(session.snapshot(whole=whole).data)
    again = stage.open(frames[2:] if whole else frames)
    later = visits([Visit(row, 37) for row in range(60)], 40)
    assert same(again.apply(later).oks, session.apply(later).oks)


def test_the_bound_takes_the_same_sessions_from_a_restored_state() -> None:
    stage = decide_stage(most=4)
    session = stage.open(())
    session.apply(visits([Visit(row, 50) for row in (4, 3, 2, 1)]))
    session.apply(visits([Visit(4, 50)], 4))
    again = stage.open([session.snapshot().data])
    rows = visits([Visit(9, 50), *(Visit(row, 38) for row in (1, 2, 3, 4))], 5)
    assert named(again.apply(rows).oks) == named(session.apply(rows).oks) == [
        "review", "review", "review", "allow", "review"
    ]  # fmt: skip


def test_an_epoch_writes_what_changed_and_a_few_slices() -> None:
    session = decide_stage().open(())
    session.apply(visits([Visit(row, 50) for row in range(500)]))
    assert session.snapshot().slices == SLICES
    session.apply(visits([Visit(1, 60), Visit(2, 5), Visit(900, 5)], 500))
    changed = session.snapshot_of(1_000, 2).data
    assert len(changed) < 200
    assert len(session.snapshot_of(1_002, 2).data) < 100


def test_snapshots_that_are_damaged_or_of_others_are_refused() -> None:
    stage = decide_stage()
    session = stage.open(())
    session.apply(visits([Visit(row, 50) for row in range(20)]))
    good = session.snapshot().data
    part = session.snapshot_of(5, 7).data
    altered = good[:-1] + b"\x09"  # a decision that there is not
    for wrong in (
        [b""],
        [good[:10]],
        [good[:-1]],
        [b"XXXX" + good[4:]],
        [good[:4] + b"\x63" + good[5:]],
        [altered],
        [part],
    ):
        with pytest.raises(ValueError, match="rebuild the state from Kafka"):
            stage.open(wrong)


def test_partitions_in_one_batch_keep_to_their_own_sessions_and_one_set_of_policies() -> None:
    asked = []

    def policies() -> Policies:
        asked.append(1)
        return Policies(default=Policy(40 + len(asked), 80))

    stage = decide_stage()
    stage._policies = policies
    sessions = {7: stage.open(()), 3: stage.open(())}
    parts = [
        visits([Visit(1, 90), Visit(2, 10)], 5, partition=7),
        visits([Visit(1, 10), Visit(2, 90)], 90, partition=3),
    ]
    first = Together(sessions).apply(Scored.concat(parts)).oks
    assert named(first) == ["deny", "allow", "allow", "deny"]
    assert set(first.decision.review.tolist()) == {41.0}
    second = Together(sessions).apply(Scored.concat(parts)).oks
    assert [DECISIONS[code] for code in second.decision.before] == ["deny", "allow", "allow", "deny"]
    assert first.decision.policy != second.decision.policy


def test_changes_are_kept_in_little_room_and_none_of_them_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    few, all_kept = decide_stage().open(()), decide_stage().open(())
    for session in (few, all_kept):
        session.snapshot()
    for turn in range(20):
        batch = visits([Visit(turn % 3, 90), Visit(3, 90), Visit(4 + turn % 2, 10 + 80 * (turn % 4 > 1))], 3 * turn)
        all_kept.apply(batch)
        with monkeypatch.context() as patched:
            patched.setattr("scoring.standing._COMPACT_FROM", 16)
            few.apply(batch)
        assert sum(map(len, few.state._changed)) <= 16
    assert sum(map(len, all_kept.state._changed)) > 16
    assert few.snapshot() == all_kept.snapshot()


def test_a_state_needs_nothing_that_setup_did_not_compile() -> None:
    warm()
    loops: list[Any] = [standing_loops.ask, standing_loops.follow, standing_loops.fill, standing_loops.places]
    before = [len(loop.signatures) for loop in loops]
    session = decide_stage().open(())
    frames = [session.snapshot().data]
    read_only = visits([Visit(row, 50) for row in range(9)])
    read_only.origin.offset.flags.writeable = False
    session.apply(read_only)
    frames.append(session.snapshot().data)
    decide_stage().open(frames).apply(visits([Visit(1, 50)], 9))
    Together({0: session}).apply(visits([Visit(1, 50)], 9))
    assert min(before) > 0
    assert [len(loop.signatures) for loop in loops] == before
