"""A session's statistics are those of its logs joined, to the last bit, whatever the logs' lengths and values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.stages.velocity import Velocity
from schemas.activity_statistics import activity_statistics
from schemas.batches import Activity
from schemas.log_codes import load_log_codes
from tests.builders import normalized

CODES = np.array([*sorted(load_log_codes().by_code), 1_023, 1_024, 9_999, 65_535])
KEY = load_log_codes().code("key_interval")
VALUES = {  # what is whole and small, what is too large to be tallied, and what has to be added up in turn
    "whole": lambda draw, size: draw.integers(0, 5_000, size),
    "large": lambda draw, size: draw.integers(0, 1 << 22, size),
    "huge": lambda draw, size: draw.random(size) * 1e12,
    "parts": lambda draw, size: draw.random(size) * 100,
    "odd": lambda draw, size: draw.choice([np.nan, np.inf, -np.inf, -3.0, -0.0, 0.5, 7.0], size),
}
kinds = st.sampled_from([*VALUES])
logs = st.lists(st.tuples(st.sampled_from([0, 1, 23, 24, 25, 300, 1_024, 2_500]), kinds), min_size=1, max_size=4)


def log_of(draw: np.random.Generator, entries: int, kind: str) -> Activity:
    code = np.where(draw.random(entries) < 0.5, KEY, draw.choice(CODES, entries))
    value = np.asarray(VALUES[kind](draw, entries), np.float32)
    few = draw.random(entries) < 0.01
    value[few & (code != KEY)] += np.float32(0.25 if kind == "whole" and draw.random() < 0.3 else 0)
    return Activity(
        np.array([0, entries]), draw.integers(0, 1 << 32, entries).astype(np.uint32), value,
        code.astype(np.uint16), draw.integers(0, 20, entries).astype(np.uint8),
    )  # fmt: skip


def session_of(logs: list[Activity]) -> Any:
    """Return what is said of one session's events, one after the other."""
    batch = normalized([{}] * len(logs))
    one = np.zeros((len(logs), 16), np.uint8)
    event = replace(batch.event, session_id=one, device_id=one)
    activity = Activity._concat(logs)
    return Velocity().open([]).apply(replace(batch, event=event, activity=activity)).oks.session


@settings(max_examples=60, deadline=None)
@given(logs, st.integers(0, 1 << 32))
def test_statistics_are_those_of_the_logs_joined(said: list[tuple[int, str]], seed: int) -> None:
    draw = np.random.default_rng(seed)
    made = [log_of(draw, entries, kind) for entries, kind in said]
    found = session_of(made).statistics
    for row in range(len(made)):
        whole = Activity._concat(made[: row + 1])
        joined = replace(whole, offsets=whole.offsets[[0, -1]])
        expected = np.ascontiguousarray(activity_statistics(joined).table.T)[0]
        np.testing.assert_array_equal(found[row].view(np.uint32), expected.view(np.uint32))


@pytest.mark.parametrize("kind", ["whole", "parts"])
def test_a_log_leaves_nothing_behind_for_the_next_session(kind: str) -> None:
    draw = np.random.default_rng(5)
    log = log_of(draw, 2_000, kind)
    batch = normalized([{}, {}])
    found = Velocity().open([]).apply(replace(batch, activity=Activity._concat([log, log]))).oks.session
    np.testing.assert_array_equal(found.statistics[0], found.statistics[1])
