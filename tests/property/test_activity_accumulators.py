"""Accumulators of activity logs can be merged: the statistics are those of the logs joined."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.activity_statistics import accumulate, activity_statistics
from schemas.batches import Activity
from schemas.log_codes import load_log_codes

CODES = [*sorted(load_log_codes().by_code), 9_999]
# Sums of other orders differ in the last bits, and a deviation shows it: values that a keyboard gives.
VALUES = st.one_of(st.floats(0, 10_000, width=32), st.sampled_from([np.nan, -np.inf, -1.0]))
entries = st.tuples(st.integers(0, 2**32 - 1), VALUES, st.sampled_from(CODES), st.sampled_from([0, 3, 10, 14]))
logs = st.lists(st.lists(entries, max_size=8), min_size=1, max_size=5)


def activity_of(rows: list[list[tuple[int, float, int, int]]]) -> Activity:
    flat = [one for row in rows for one in row]
    offsets = np.cumsum([0, *map(len, rows)]).astype(np.int64)
    time, value, code, target = zip(*flat, strict=True) if flat else ((), (), (), ())
    return Activity(
        offsets,
        np.array(time, np.uint32),
        np.array(value, np.float32),
        np.array(code, np.uint16),
        np.array(target, np.uint8),
    )


@settings(max_examples=100, deadline=None)
@given(logs)
def test_merged_accumulators_have_the_statistics_of_the_joined_logs(
    rows: list[list[tuple[int, float, int, int]]],
) -> None:
    merged = accumulate(activity_of(rows[:1]))
    for row in rows[1:]:
        merged = merged.merged(accumulate(activity_of([row])))
    joined = activity_statistics(activity_of([[one for row in rows for one in row]]))
    np.testing.assert_allclose(merged.statistics().table, joined.table, rtol=1e-5, atol=1e-2)
