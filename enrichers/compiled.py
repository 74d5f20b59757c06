"""The loops of the stage that touch every clue of every row, compiled: NumPy takes three times as long.

Numba keeps what it compiled beside this file, or in ``NUMBA_CACHE_DIR`` where that is set; where neither can be
written, in the user's cache folder. All that the loops are compiled with stands in this file, so it sees every change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Compile a function that Python calls. It lets go of the interpreter's lock while it runs."""
    return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy")(function))


@kernel
def join_clues(seen: Any, clues: Any, asked: Any, thresholds: Any, out: Any) -> None:
    """Join the clues that are seen by noisy-or.

    ``seen``: uint8[clues, n]; ``clues``: of each its signal, doubt and bit; ``asked``: uint8[S, n]. ``out`` are result
    int8, confidence float32 and reasons uint32, zeros, [n, S] each.
    Clues are taken one after the other: so a row's product has the same order, and the same rounding, in any batch.
    """
    signal_of, doubts, bits = clues
    result, confidence, reasons = out
    doubt = np.ones(result.shape)
    for clue in range(len(seen)):
        shown, any_row = seen[clue], np.uint8(0)
        for row in range(len(shown)):
            any_row |= shown[row]
        if any_row == 0:
            continue
        signal = signal_of[clue]
        for row in range(len(shown)):
            if shown[row]:
                doubt[row, signal] *= doubts[clue]
                reasons[row, signal] |= bits[clue]
    for row in range(len(result)):
        for signal in range(len(thresholds)):
            if reasons[row, signal] == 0 and asked[signal, row] == 0:
                result[row, signal] = -1
                confidence[row, signal] = np.nan
            else:
                sure = np.float32(1.0 - doubt[row, signal])
                result[row, signal] = sure >= thresholds[signal]
                confidence[row, signal] = sure


@kernel
def gather(raw: Any, places: Any, flags: Any, causes: Any, columns: Any) -> None:
    """Gather what a program over views reads (``enrichers.recorded``): the first columns of each kind.

    ``raw``: ``enrichers.view.Raw``; ``places``: columns of numbers, statistics and categories; ``flags``: of booleans
    that are to be true, to be false, to be known, bits of checks and of classes of networks; ``causes``: all of them,
    uint8[causes, n], and which are wanted. ``columns``: float32, uint32 and uint8 [k, n], codes in this order.
    """
    number_at, statistic_at, category_at = places
    true_at, false_at, known_at, check_at, class_at = flags
    every_cause, cause_at = causes
    floats, hashes, codes = columns
    for row in range(len(raw.checks)):
        shown, booleans, known = raw.numbers[row], raw.booleans[row], raw.known[row]
        for at in range(len(number_at)):
            floats[at, row] = shown[number_at[at]]
        for at in range(len(statistic_at)):
            floats[len(number_at) + at, row] = raw.statistics[row, statistic_at[at]]
        for at in range(len(category_at)):
            hashes[at, row] = raw.categories[row, category_at[at]]
        place = 0
        for at in range(len(true_at)):
            codes[place + at, row] = booleans[true_at[at]]
        place += len(true_at)
        for at in range(len(false_at)):
            codes[place + at, row] = known[false_at[at]] & (booleans[false_at[at]] ^ 1)
        place += len(false_at)
        for at in range(len(known_at)):
            codes[place + at, row] = known[known_at[at]]
        place += len(known_at)
        for at in range(len(check_at)):
            codes[place + at, row] = raw.checks[row] >> np.uint64(check_at[at]) & np.uint64(1)
        place += len(check_at)
        for at in range(len(class_at)):
            codes[place + at, row] = np.uint64(raw.classes[row]) >> np.uint64(class_at[at]) & np.uint64(1)
    place = len(true_at) + len(false_at) + len(known_at) + len(check_at) + len(class_at)
    for at in range(len(cause_at)):
        shown_by = every_cause[cause_at[at]]
        for row in range(len(shown_by)):
            codes[place + at, row] = shown_by[row]


@kernel
def find_causes(booleans: Any, known: Any, checks: Any, places: Any, found: Any) -> None:
    """Set ``found``, uint8[causes, n], where a boolean is true, known to be false, or a check failed.

    ``booleans``, ``known``: uint8[n, B]; ``checks``: uint64[n]. ``places``: columns of what is to be true and the cause
    of each, the same of what is to be false, and of checks.
    """
    trues, true_of, falses, false_of, failed, failed_of = places
    for row in range(len(checks)):
        for at in range(len(trues)):
            if booleans[row, trues[at]]:
                found[true_of[at], row] = 1
        for at in range(len(falses)):
            if known[row, falses[at]] and not booleans[row, falses[at]]:
                found[false_of[at], row] = 1
        if checks[row]:
            for at in range(len(failed)):
                if checks[row] >> np.uint64(failed[at]) & np.uint64(1):
                    found[failed_of[at], row] = 1
