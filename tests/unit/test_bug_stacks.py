"""A dead letter of a bug says where in the code it was raised, so that alike bugs can be told from others."""

from __future__ import annotations

import numpy as np
import pytest

from flows.run_stage import Monitor, run_stage, stack_of
from infra.letter_clusters import cluster_of
from schemas.batches import RawBatch
from schemas.stage import StageOut
from tests.wire import parcel, raw_batch, record


class Buggy:
    """Fails on offsets that are divided by 3 or by 5, each at a place of its own."""

    name = "buggy"

    def __call__(self, batch: RawBatch, /) -> StageOut[RawBatch]:
        if np.any(batch.origin.offset % 3 == 0):
            raise KeyError(f"row of {len(batch)}")
        if np.any(batch.origin.offset % 5 == 0):
            raise KeyError("row")
        return StageOut(batch)


def test_rows_that_fail_at_one_place_are_one_cluster_and_those_of_another_place_are_another() -> None:
    batch = raw_batch([record(0)] * 11)
    done = run_stage(Buggy(), parcel(batch), Monitor.silent())
    clusters = {letter.offset: cluster_of(letter.reason.value, letter.stage, letter.detail) for letter in done.errs}
    assert set(clusters) == {0, 3, 5, 6, 9, 10}
    assert clusters[0] == clusters[3] == clusters[6] == clusters[9] != clusters[5] == clusters[10]
    assert all(letter.detail.startswith("the stage raised KeyError, stack ") for letter in done.errs)
    assert clusters[0].shown == done.errs[0].detail


def test_a_row_that_fails_alone_is_of_the_same_cluster_as_one_that_was_found_among_others() -> None:
    alone = run_stage(Buggy(), parcel(raw_batch([record(0)], first=3)), Monitor.silent())
    among = run_stage(Buggy(), parcel(raw_batch([record(0)] * 3, first=2)), Monitor.silent())
    assert [letter.offset for letter in (*alone.errs, *among.errs)] == [3, 3]
    assert alone.errs[0].detail == among.errs[0].detail


def test_endless_recursion_has_a_stack_too() -> None:
    def again(depth: int) -> int:
        return again(depth + 1) + 1

    with pytest.raises(RecursionError) as raised:
        again(0)
    assert len(stack_of(raised.value)) == 8
