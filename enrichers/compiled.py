"""The two loops of the stage that touch every clue of every row, compiled: NumPy takes three times as long.

Numba keeps what it compiled beside this file, or in ``NUMBA_CACHE_DIR`` where that is set; where neither can be
written, in the user's cache folder. All that the loops are compiled with stands in this file, so it sees every change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

F = TypeVar("F", bound=Callable[..., Any])
_WORD = 8


def kernel(function: F) -> F:
    """Compile a function that Python calls. It lets go of the interpreter's lock while it runs."""
    return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy")(function))


@kernel
def join_clues(words: Any, rows: Any, clues: Any, asked: Any, thresholds: Any, out: Any) -> None:
    """Join the clues that are seen by noisy-or.

    ``words``: bool[clues, rows] as uint64, with bytes of 0 behind it; ``clues``: of each its signal, doubt and bit;
    ``asked``: uint8[S, rows]. ``out`` are result int8, confidence float32 and reasons uint32, zeros, [rows, S] each.
    Clues are taken one after the other: so a row's product has the same order, and the same rounding, in any batch.
    """
    signal_of, doubts, bits = clues
    result, confidence, reasons = out
    doubt = np.ones(result.shape)
    seen = words.view(np.uint8)
    for word in range(len(words)):
        if words[word] == 0:
            continue
        for at in range(word * _WORD, word * _WORD + _WORD):
            if seen[at]:
                clue = at // rows
                row, signal = at - clue * rows, signal_of[clue]
                doubt[row, signal] *= doubts[clue]
                reasons[row, signal] |= bits[clue]
    for row in range(rows):
        for signal in range(len(thresholds)):
            if reasons[row, signal] == 0 and asked[signal, row] == 0:
                result[row, signal] = -1
                confidence[row, signal] = np.nan
            else:
                sure = np.float32(1.0 - doubt[row, signal])
                result[row, signal] = sure >= thresholds[signal]
                confidence[row, signal] = sure


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
