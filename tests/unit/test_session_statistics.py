"""The compiled statistics of sessions are those of the accumulators, to the last bit."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from flows.stages.device_state.kernels_statistics import tell_statistics
from schemas.activity_statistics import COUNTS, NO_TIME, STATISTICS, SUMS, Accumulators


def tell(counts: Any, sums: Any, out: Any) -> None:
    for row in range(len(out)):
        tell_statistics(counts, 0, sums, 0, row, out, row)


told = numba.njit(error_model="numpy")(tell)


def test_compiled_statistics_are_those_of_the_accumulators() -> None:
    draw = np.random.default_rng(3)
    counts = draw.integers(0, draw.choice([2, 9, 1 << 31], (4_000, 1)), (4_000, len(COUNTS))).astype(np.uint32)
    sums = draw.choice([0.0, 1.0, 1e9, 1e-7, 3.3], (4_000, len(SUMS))) * draw.random((4_000, len(SUMS)))
    empty = draw.random(4_000) < 0.1
    counts[empty], sums[empty] = 0, 0
    counts[empty, COUNTS.index("time_least")] = NO_TIME
    sums[empty, SUMS.index("key_interval_least")] = np.inf
    expected = Accumulators(np.ascontiguousarray(counts.T), np.ascontiguousarray(sums.T)).statistics().table.T
    found = np.empty((4_000, len(STATISTICS)), np.float32)
    told(counts, sums, found)
    np.testing.assert_array_equal(found.view(np.uint32), expected.view(np.uint32))
