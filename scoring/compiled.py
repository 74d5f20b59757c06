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
_NAN = np.float32(np.nan)


def kernel(function: F) -> F:
    """Compile a function that Python calls. It lets go of the interpreter's lock while it runs."""
    return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy")(function))


def _part(function: F) -> F:
    """Make a function a part of the kernels that call it."""
    return cast(F, numba.njit(error_model="numpy", inline="always")(function))


@kernel
def walk(features: Any, nodes: Any, leaves: Any, calibration: Any, out: Any) -> None:
    """Score rows float32[n, F] and rank what each factor group adds, as the exported graph does.

    ``nodes``: roots and depths of the trees, and of each node a word, a threshold and a leaf. A word holds the number
    of the left child in bits 0 to 31 (the right one follows it; a leaf names itself), the feature in bits 32 to 62,
    and in bit 63 whether NaN goes right. ``leaves``: targets uint8[L, W] and values float32[L, W], what each leaf adds
    to the margin (target 0) and to some of the G groups (1 to G; G + 1 is nobody's). ``calibration``: base, slope and
    offset. ``out``: score float32[n], the largest contributions float32[n, K] with their groups int64[n, K], largest
    first, of equal ones the first group, and G.

    No branch depends on a feature, so none is guessed wrongly, and the steps of one row wait for memory while those of
    others go on. Every sum is in the order of the trees, whatever rows come together.
    """
    roots, depths, words, thresholds, leaf_of = nodes
    targets, values = leaves
    rows, width, added = features.shape[0], np.uintp(features.shape[1]), np.uintp(values.shape[1])
    feature, target, value = features.reshape(-1), targets.reshape(-1), values.reshape(-1)
    kept = np.uintp(out[3] + 2)
    at = np.empty(_BLOCK, np.uintp)
    sums = np.empty(_BLOCK * kept, np.float32)
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
                leaf = np.uintp(leaf_of[at[row]]) * added
                for place in range(leaf, leaf + added):
                    sums[start + np.uintp(target[place])] += value[place]
                start += kept
        for row in range(count):
            _rank(sums[np.uintp(row) * kept :], first + row, calibration, out)


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


@kernel
def put_signals(table: Any, places: Any, signals: Any, checks: Any, results: Any) -> None:
    """Write booleans, categories, checks and results of smart signals into float32[n, F]; NaN where not known.

    ``places``: the first column of each of the four. ``signals``: booleans and known uint8[n, B], categories
    uint32[n, C], of which 16 bits are written: every value that occurs often keeps its own number, and float32 holds it
    exactly. ``checks``: how many, and the bits uint64[n]. ``results``: int8[n, S], negative where not known.
    """
    booleans, known, categories = signals
    check_count, check_bits = checks
    for row in range(len(table)):
        line = table[row, places[0] :]
        for at in range(booleans.shape[1]):
            line[at] = np.float32(booleans[row, at]) if known[row, at] else _NAN
        line = table[row, places[1] :]
        for at in range(categories.shape[1]):
            category = categories[row, at]
            line[at] = np.float32(category & np.uint32(0xFFFF)) if category else _NAN
        line, bits = table[row, places[2] :], check_bits[row]
        for at in range(check_count):
            line[at] = np.float32(bits >> np.uint64(at) & np.uint64(1))
        line = table[row, places[3] :]
        for at in range(results.shape[1]):
            line[at] = np.float32(results[row, at]) if results[row, at] >= 0 else _NAN


@kernel
def count_entries(log: Any, codes: Any, places: Any, largest: Any, counts: Any, sums: Any) -> None:
    """Accumulate logs entry by entry into ``counts`` uint32[C, n] and ``sums`` float64[S, n], zeros at first.

    ``log``: offsets int64[n + 1], and by entry time, value, code and target. ``codes``: the tables of
    ``schemas.activity_statistics.CodeColumns``. ``places``: what they hold for "nowhere", the columns of the least and
    the most time and of keys in ``counts``, and of the squares and the least of key intervals in ``sums``.
    """
    offsets, time, value, code, target = log
    category, counted, counted_on_cards, summed, card = codes
    nowhere, least, most, keys, squares, shortest = places
    # What is counted nowhere is counted as well, in a place that nobody reads: so no branch depends on an entry's kind.
    count, total = np.zeros(nowhere + 1, np.uint32), np.zeros(nowhere + 1)
    for row in range(len(offsets) - 1):
        count[: len(counts)] = 0
        total[: len(sums)] = 0
        square, earliest, latest, quickest = 0.0, np.uint32(0xFFFFFFFF), np.uint32(0), np.inf
        for entry in range(offsets[row], offsets[row + 1]):
            kind, shown = code[entry], np.float64(value[entry])
            amount = min(shown, largest) if shown > 0.0 else 0.0
            earliest, latest = min(earliest, time[entry]), max(latest, time[entry])
            count[category[kind]] += np.uint32(1)
            count[counted[kind]] += np.uint32(1)
            total[summed[kind]] += amount
            if counted[kind] == keys:
                square += amount * amount
                quickest = min(quickest, amount)
            if counted_on_cards[kind] != nowhere and card[target[entry]]:
                count[counted_on_cards[kind]] += np.uint32(1)
        for place in range(len(counts)):
            counts[place, row] = count[place]
        for place in range(len(sums)):
            sums[place, row] = total[place]
        counts[0, row] = offsets[row + 1] - offsets[row]
        counts[least, row], counts[most, row] = earliest, latest
        sums[squares, row], sums[shortest, row] = square, quickest


@kernel
def share_of_hours(hours: Any, hour: Any, share: Any) -> None:
    """Write the share of ``hours`` uint8[n, 24] within one of ``hour`` int64[n]; NaN where there are none."""
    for row in range(len(hours)):
        total = 0
        for at in range(hours.shape[1]):
            total += hours[row, at]
        near = 0
        for at in range(hour[row] - 1, hour[row] + 2):
            near += hours[row, at % hours.shape[1]]
        share[row] = np.float32(near) / np.float32(total) if total else _NAN
