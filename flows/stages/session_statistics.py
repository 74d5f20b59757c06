"""The statistics of sessions from their accumulators, by one compiled loop: what ``Accumulators.statistics`` says."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from flows.stages.device_state.compiled import kernels_of
from schemas import activity_statistics
from schemas.activity_statistics import COUNTS, STATISTICS, SUMS
from schemas.batches import F32, I64, U32

kernel = kernels_of(Path(__file__), Path(str(activity_statistics.__file__)))  # places are compiled in
_MEANS: Final = (
    ("key_interval_mean", "key_intervals", "keys"),
    ("click_hold_mean", "click_holds", "clicks"),
    ("submitted_after", "submitted_after", "submissions"),
)
_DERIVED: Final = ("duration", "untrusted", "key_interval_deviation", "key_interval_least")
_COPIED: Final = [name for name in STATISTICS if name not in {*_DERIVED, *(name for name, _, _ in _MEANS)}]
_FROM_COUNTS: Final = np.array([(STATISTICS.index(n), COUNTS.index(n)) for n in _COPIED if n in COUNTS], np.int64)
_FROM_SUMS: Final = np.array([(STATISTICS.index(n), SUMS.index(n)) for n in _COPIED if n not in COUNTS], np.int64)
_OF_MEANS: Final = np.array(
    [(STATISTICS.index(name), SUMS.index(total), COUNTS.index(count)) for name, total, count in _MEANS], np.int64
)
_DURATION, _UNTRUSTED, _DEVIATION, _LEAST = (STATISTICS.index(name) for name in _DERIVED)
_TIME_LEAST, _TIME_MOST, _UNTRUSTED_COUNT, _KEYS = (
    COUNTS.index(name) for name in ("time_least", "time_most", "untrusted", "keys")
)
_UNTRUSTED_SUM, _INTERVALS, _SQUARES, _SHORTEST = (
    SUMS.index(name) for name in ("untrusted", "key_intervals", "key_interval_squares", "key_interval_least")
)


@kernel
def _tell(counts: U32, sums: Any, from_counts: I64, from_sums: I64, means: I64, out: F32) -> None:
    for row in range(len(counts)):
        for pair in range(len(from_counts)):
            out[row, from_counts[pair, 0]] = counts[row, from_counts[pair, 1]]
        for pair in range(len(from_sums)):
            out[row, from_sums[pair, 0]] = sums[row, from_sums[pair, 1]]
        for mean in range(len(means)):
            count = counts[row, means[mean, 2]]
            out[row, means[mean, 0]] = sums[row, means[mean, 1]] / np.float64(count) if count else np.nan
        least, most = np.int64(counts[row, _TIME_LEAST]), np.int64(counts[row, _TIME_MOST])
        out[row, _DURATION] = most - least if least <= most else 0
        out[row, _UNTRUSTED] = max(sums[row, _UNTRUSTED_SUM], np.float64(counts[row, _UNTRUSTED_COUNT]))
        keys = np.float64(counts[row, _KEYS])
        out[row, _DEVIATION] = out[row, _LEAST] = np.nan
        if keys > 0:
            mean_interval, squares = sums[row, _INTERVALS] / keys, sums[row, _SQUARES] / keys
            out[row, _DEVIATION] = np.sqrt(max(squares - mean_interval * mean_interval, 0.0))
            out[row, _LEAST] = sums[row, _SHORTEST]


def session_statistics(counts: U32, sums: NDArray[np.float64]) -> F32:
    """Return float32[n, STATISTICS] of accumulators uint32[n, COUNTS] and float64[n, SUMS]."""
    out = np.empty((len(counts), len(STATISTICS)), np.float32)
    _tell(counts, sums, _FROM_COUNTS, _FROM_SUMS, _OF_MEANS, out)
    return out
