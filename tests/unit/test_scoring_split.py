"""The split: by time, and without campaigns that an earlier part has seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scoring.training_set import TrainingSet, Window, parts_of, split, window


def events(times: list[int], campaigns: list[int]) -> TrainingSet:
    rows = len(times)
    return TrainingSet(
        np.zeros((rows, 1), np.float32),
        (np.array(campaigns) >= 0).astype(np.int8),
        np.array(times, np.int64),
        tuple("bot" if one >= 0 else "honest" for one in campaigns),
        ("one",),
        np.array(campaigns, np.int64),
        ("simulated",) * rows,
        np.ones(rows),
    )


def test_parts_follow_each_other_in_time() -> None:
    data = events([5, 1, 4, 2, 3, 9, 8, 7, 6, 10], [-1] * 10)
    found = split(data, 0.2, 0.3)
    assert (len(found.fit), len(found.validate), len(found.test)) == (5, 2, 3)
    ordered = [data.times[rows].tolist() for rows in (found.fit, found.validate, found.test)]
    assert ordered == [[1, 2, 3, 4, 5], [6, 7], [8, 9, 10]]


def test_campaigns_of_an_earlier_part_are_left_out_and_counted() -> None:
    #                 training        | validation | hold-out
    campaigns = [-1, 4, 4, 5, -1, -1, 4, 6, -1, -1, 4, 6, 7, -1, 5]
    found = split(events(list(range(15)), campaigns), 4 / 15, 5 / 15)
    assert found.fit.tolist() == [0, 1, 2, 3, 4, 5]
    assert found.validate.tolist() == [7, 8, 9]
    assert found.test.tolist() == [12, 13]
    assert (found.left_out, found.left_out_of_test) == (1, 3)


def test_no_campaign_of_the_hold_out_has_an_earlier_event() -> None:
    rng = np.random.default_rng(5)
    data = events(rng.permutation(500).tolist(), np.where(rng.random(500) < 0.4, rng.integers(0, 60, 500), -1).tolist())
    found = split(data, 0.15, 0.15)
    border = data.times[found.test].min()
    shown = set(data.campaigns[found.test].tolist()) - {-1}
    earlier = set(data.campaigns[data.times < border].tolist())
    assert shown.isdisjoint(earlier)
    assert len(found.test) + found.left_out_of_test == 75
    said = parts_of(data, found)
    assert said["hold_out"] == {"events": len(found.test), "fraud": int((data.campaigns[found.test] >= 0).sum())}
    assert said["left_out_of_hold_out"] == found.left_out_of_test


def test_the_window_says_when_and_whence() -> None:
    data = replace(events([7, 3, 9], [-1, 1, 2]), sources=("recorded", "simulated", "recorded"))
    assert window(data) == Window(3, 9, 3, {"recorded": 2, "simulated": 1})


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="differ in length"):
        replace(events([1, 2], [-1, -1]), kinds=("honest",))
