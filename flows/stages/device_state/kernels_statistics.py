"""The statistics of a session from its accumulators: what ``schemas.activity_statistics.Accumulators`` says of them."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from flows.stages.device_state.compiled import step
from schemas.activity_statistics import COUNTS, STATISTICS, SUMS

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
_DURATION, _UNTRUSTED, _DEVIATION, _SHORTEST = (STATISTICS.index(name) for name in _DERIVED)
_TIME_LEAST, _TIME_MOST, _UNTRUSTED_COUNT, _KEYS = (
    COUNTS.index(name) for name in ("time_least", "time_most", "untrusted", "keys")
)
_UNTRUSTED_SUM, _INTERVALS, _SQUARES, _LEAST = (
    SUMS.index(name) for name in ("untrusted", "key_intervals", "key_interval_squares", "key_interval_least")
)


@step
def tell_statistics(counts: Any, first_count: Any, sums: Any, first_sum: Any, one: Any, out: Any, row: Any) -> None:
    """Write the statistics, float32[n, STATISTICS], of a record's counts and sums, which begin at these columns."""
    for pair in range(len(_FROM_COUNTS)):
        out[row, _FROM_COUNTS[pair, 0]] = counts[one, first_count + _FROM_COUNTS[pair, 1]]
    for pair in range(len(_FROM_SUMS)):
        out[row, _FROM_SUMS[pair, 0]] = sums[one, first_sum + _FROM_SUMS[pair, 1]]
    for mean in range(len(_OF_MEANS)):
        count = counts[one, first_count + _OF_MEANS[mean, 2]]
        total = sums[one, first_sum + _OF_MEANS[mean, 1]]
        out[row, _OF_MEANS[mean, 0]] = total / np.float64(count) if count else np.nan
    least = np.int64(counts[one, first_count + _TIME_LEAST])
    most = np.int64(counts[one, first_count + _TIME_MOST])
    out[row, _DURATION] = most - least if least <= most else 0
    untrusted = np.float64(counts[one, first_count + _UNTRUSTED_COUNT])
    out[row, _UNTRUSTED] = max(sums[one, first_sum + _UNTRUSTED_SUM], untrusted)
    keys = np.float64(counts[one, first_count + _KEYS])
    out[row, _DEVIATION] = out[row, _SHORTEST] = np.nan
    if keys > 0:
        mean_interval, squares = sums[one, first_sum + _INTERVALS] / keys, sums[one, first_sum + _SQUARES] / keys
        out[row, _DEVIATION] = np.sqrt(max(squares - mean_interval * mean_interval, 0.0))
        out[row, _SHORTEST] = sums[one, first_sum + _LEAST]
