"""Results in files are told as the results themselves are, however frames, checkpoints and buckets cut them."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.replay_diff import diff
from infra.replay_diff_files import FilesSide
from infra.replay_diff_sides import sides_of
from replay.diff_rows import Names
from replay.diff_told import heads_of, told_of
from replay.outputs_files import FileResults
from replay.parts import Marks
from replay.plan import Piece
from replay.result_files import Kind, ResultFiles
from schemas.batches import Decided
from schemas.result import decode_result
from tests.diff_kit import parcel_of, with_review_at
from tests.replay_files_kit import files_side, in_files
from tests.scored_parcels import scored_batch

ROWS = 40
PIECES = (Piece(0, 0, ROWS),)
_WHOLE = scored_batch(ROWS)
_CHANGES = st.fixed_dictionaries(
    {
        "review": st.sampled_from([60, 40, 75]),
        "scored": st.sets(st.integers(0, ROWS - 1), max_size=8),
        "counted": st.sets(st.integers(0, ROWS - 1), max_size=8),
        "dead": st.sets(st.integers(0, ROWS - 1), max_size=3),
    }
)


def changed(changes: dict[str, Any]) -> Decided:
    """Return the rows with other scores, counts and thresholds."""
    batch = with_review_at(_WHOLE, changes["review"])
    score, counts = batch.score.score.copy(), batch.velocity.counts.copy()
    score[sorted(changes["scored"])] += 0.5
    counts[sorted(changes["counted"])] += 1
    return replace(batch, score=replace(batch.score, score=score), velocity=replace(batch.velocity, counts=counts))


@given(st.lists(st.integers(1, 9), max_size=8), st.lists(st.tuples(st.integers(1, 4), st.booleans()), max_size=5))
@settings(max_examples=20, deadline=None)
def test_records_are_the_same_however_they_are_cut_and_wherever_the_run_is_killed(
    cuts: list[int], attempts: list[tuple[int, bool]]
) -> None:
    edges = [0, *np.cumsum(cuts).clip(max=ROWS).tolist(), ROWS]
    parts = [np.arange(first, end) for first, end in pairwise(edges) if first < end]
    parcels = [parcel_of(_WHOLE.take(rows)) for rows in parts]
    with tempfile.TemporaryDirectory() as root:
        at, marks = 0, Marks()
        for count, named in [*attempts, (len(parcels), True)]:
            out = FileResults(Path(root), marks)
            out.write(parcels[at : at + count])
            found = out.sync()
            if named:  # else it is killed before a checkpoint names what was written
                at, marks = at + count, found
            out.close()
        frames = ResultFiles(Path(root), marks).frames(Kind.SCORED, 0)
        assert [one for frame in frames for one in frame.records] == [one for part in parcels for one in part.records]


@given(_CHANGES, st.integers(2, 7))
@settings(max_examples=25, deadline=None)
def test_what_differs_between_files_is_what_a_loop_over_their_results_counts(changes: Any, buckets: int) -> None:
    a, b = parcel_of(changed(changes), tuple(sorted(changes["dead"]))), parcel_of(_WHOLE)
    with tempfile.TemporaryDirectory() as root:
        sides = [files_side(in_files(Path(root) / name, parcel), PIECES) for name, parcel in (("a", a), ("b", b))]
        found = [diff("", sides_of(*sides, ""), rows=rows) for rows in (ROWS + 1, ROWS // buckets)]
    of_b = {one.event_id: one for one in b.results}
    pairs = [(one, of_b[one.event_id]) for one in a.results]
    for figures in found:
        assert figures["events"]["both"] == len(pairs) == ROWS - figures["events"]["only_b"]
        assert figures["flips"]["flips"] == sum(now.decision != was.decision for now, was in pairs)
        assert figures["scores"]["changed"] == sum(now.score != was.score for now, was in pairs)
        assert figures["groups"].get("velocity", 0) == sum(now.velocity != was.velocity for now, was in pairs)
        assert figures["groups"].get("shared", 0) == sum(now.shared != was.shared for now, was in pairs)
        assert figures["letters"]["on_one_side"] == len(changes["dead"]) == figures["missing"]["only_b"]["events"]
        same = all(replace_ledger(now) == replace_ledger(was) for now, was in pairs) and not changes["dead"]
        assert (figures["verdict"] == "identical") == same
    assert found[0]["a"]["digest"] == found[1]["a"]["digest"] and found[0]["groups"] == found[1]["groups"]


def replace_ledger(result: Any) -> dict[str, Any]:
    """Return all that a result says but when it was handled."""
    return {name: getattr(result, name) for name in result.__struct_fields__ if name != "ledger"}


@given(st.integers(1, 6))
@settings(max_examples=6, deadline=None)
def test_buckets_of_files_together_hold_each_event_once(buckets: int) -> None:
    with tempfile.TemporaryDirectory() as root:
        parcel = parcel_of(_WHOLE)
        side = files_side(in_files(Path(root) / "a", parcel), PIECES)
        chosen = sides_of(side, replace(side, name="b"), "").chosen
        assert side.files is not None
        read = FilesSide(side.files, chosen, more=True)
        told = [one for part in range(buckets) for rows in read.told(part, buckets) for one in rows]
    expected = [told_of(decode_result(record), more=True) for record in parcel.records]
    assert sorted(told) == sorted(expected)
    orders = heads_of(expected, Names(), Names()).order
    assert len(set(orders.tolist())) == ROWS
