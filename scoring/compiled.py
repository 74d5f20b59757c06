"""Loops over rows, compiled: the walk through the trees, and the columns of features that NumPy is slow at.

Numba keeps what it compiled beside this file, or in ``NUMBA_CACHE_DIR`` where that is set; where neither can be
written, in the user's cache folder. All that the loops are compiled with stands in this file, so it sees every change.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

F = TypeVar("F", bound=Callable[..., Any])
_BLOCK = 32  # rows that walk through one tree together: their features and the tree's nodes stay in the cache
_FEATURE, _DEFAULT = np.uintp(32), np.uintp(63)
_CHILD_BITS, _FEATURE_BITS = np.uintp(0xFFFFFFFF), np.uintp(0x7FFFFFFF)


def kernel(function: F) -> F:
    """Compile a function that Python calls. It lets go of the interpreter's lock while it runs."""
    return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy")(function))


def _part(function: F) -> F:
    """Make a function a part of the kernels that call it."""
    return cast(F, numba.njit(error_model="numpy", inline="always")(function))


@kernel
def walk(features: Any, nodes: Any, values: Any, calibration: Any, out: Any) -> None:
    """Score rows float32[n, F] and rank what each factor group adds, as the exported graph does.

    ``nodes``: roots and depths of the trees, and of each node a word, a threshold and a leaf. A word holds the number
    of the left child in bits 0 to 31 (the right one follows it; a leaf names itself), the feature in bits 32 to 62,
    and in bit 63 whether NaN goes right. ``values``: float32[L, W], what each leaf adds to the margin (column 0) and
    to each of the G groups (1 to G; more are ignored). ``calibration``: base, slope and offset. ``out``: score
    float32[n], the largest contributions float32[n, K] with their groups int64[n, K], largest first, of equal ones the
    first group, and G.

    No branch depends on a feature, so none is guessed wrongly, and the steps of one row wait for memory while those of
    others go on. Whole lines of ``values`` are added, zeros too: that is one instruction for many groups. Every sum is
    in the order of the trees, whatever rows come together.
    """
    roots, depths, words, thresholds, leaf_of = nodes
    rows, width, targets = features.shape[0], np.uintp(features.shape[1]), np.uintp(values.shape[1])
    feature, value = features.reshape(-1), values.reshape(-1)
    at = np.empty(_BLOCK, np.uintp)
    sums = np.empty(_BLOCK * values.shape[1], np.float32)
    for first in range(0, rows, _BLOCK):
        count = min(_BLOCK, rows - first)
        sums[:] = 0
        for tree in range(len(roots)):
            at[:] = roots[tree]
            for _ in range(depths[tree]):
                start = np.uintp(first) * width
                for row in range(count):
                    node = at[row]
                    word = words[node]
                    shown = feature[start + (word >> _FEATURE & _FEATURE_BITS)]
                    absent = np.uintp(shown != shown) & word >> _DEFAULT  # noqa: PLR0124 - only NaN differs from itself
                    at[row] = (word & _CHILD_BITS) + (np.uintp(shown >= thresholds[node]) | absent)
                    start += width
            start = np.uintp(0)
            for row in range(count):
                leaf = np.uintp(leaf_of[at[row]]) * targets
                for target in range(targets):
                    sums[start + target] += value[leaf + target]
                start += targets
        for row in range(count):
            _rank(sums[row * values.shape[1] :], first + row, calibration, out)


@_part
def _rank(sums: Any, row: Any, calibration: Any, out: Any) -> None:
    """Write the score of a row and its largest contributions."""
    base, slope, offset = calibration
    score, top_contribution, top_factor, groups = out
    score[row] = 100.0 / (1.0 + math.exp(-(slope * (sums[0] + base) + offset)))
    kept = top_factor.shape[1]
    for place in range(kept):
        top_contribution[row, place] = -np.inf
        top_factor[row, place] = -1
    for group in range(groups):
        value = sums[group + 1]
        if value > top_contribution[row, kept - 1]:
            place = kept - 1
            while place > 0 and top_contribution[row, place - 1] < value:
                top_contribution[row, place] = top_contribution[row, place - 1]
                top_factor[row, place] = top_factor[row, place - 1]
                place -= 1
            top_contribution[row, place] = value
            top_factor[row, place] = group
