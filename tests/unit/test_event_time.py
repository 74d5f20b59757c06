"""An event counts at the earliest of three clocks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from schemas.event_time import LATEST, event_time
from tests.builders import decoded


def test_the_earliest_of_three_clocks_counts_within_bounds() -> None:
    batch = decoded([{}] * 5)
    clocks = np.array([[5, 9, 7], [8, 6, 7], [9, 8, 7], [-4, 2, 3], [1 << 60, 1 << 61, 1 << 62]], np.int64)
    event = replace(batch.event, occurred_at=clocks[:, 0], received_at=clocks[:, 1])
    origin = replace(batch.origin, appended_at=clocks[:, 2])
    assert event_time(replace(batch, event=event, origin=origin)).tolist() == [5, 6, 7, 0, LATEST]


def test_what_is_kept_of_one_batch_is_never_said_of_another() -> None:
    batch = decoded([{}] * 3)
    times = event_time(batch)
    assert event_time(replace(batch, ledger=batch.ledger.mark("decode", 1))) is times
    later = replace(batch, origin=replace(batch.origin, appended_at=np.array([1, 2, 3])))
    assert event_time(later).tolist() == [1, 2, 3]
    earlier = replace(later, event=replace(later.event, received_at=np.array([0, 1, 1])))
    assert event_time(earlier).tolist() == [0, 1, 1]
    np.testing.assert_array_equal(event_time(batch), times)
