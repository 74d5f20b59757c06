"""What a factor's sentence depends on, as numbers: compiled, because it is asked of every factor of every event.

Values that are said alike give the same words, so that a sentence is made once for all of them: 1,234 ms and 1,249 ms
are both "1.2 s". Where rounding could go either way the value itself is the word.

Numba keeps what it compiled beside this file, or in ``NUMBA_CACHE_DIR`` where that is set; where neither can be
written, in the user's cache folder. All that the loop is compiled with stands in this file, so it sees every change.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import numba
import numpy as np

F = TypeVar("F", bound=Callable[..., Any])
RAW, IGNORED, FLAG, WHOLE, TENTHS, SECONDS, AGE, PERCENT, BUSIEST = range(9)
"""What of a value is said: all of it; nothing; whether it is 1; its whole number; of ms seconds with one decimal; of ms
whole seconds; of a logarithm of seconds the largest unit of time; of a share its per cent, and whether it is above 0;
of the counts of three windows, of which it is the first, the shortest that holds more than half of the last."""
EACH, ABOVE, LEAST, MOST, PACE, SHARED = range(6)
"""What of a group is said: every value; the others only where the first is above a limit; the least of all shares, or
the most; of ``activity.pace`` the time of submitting where there is one; of the events and then the devices of an
entity in three windows each the busiest, that of devices alone where it is above a limit."""
WORDS: Final = 8
USUAL: Final = 0.02  # shares above it are not said
ENTRIES, DURATION, SUBMITTED = 0, 3, 5  # columns of pace
_TIE, _EXACT = 1e-5, 1e9
_SIGN = np.uint32(1 << 31)
_OWN, _SAID, _KIND = np.uint64(1) << np.uint64(60), np.uint64(2) << np.uint64(60), np.uint64(56)


def kernel(function: F) -> F:
    """Compile a function that Python calls. It lets go of the interpreter's lock while it runs."""
    return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy")(function))


def _part(function: F) -> F:
    """Make a function a part of the kernels that call it. It owns nothing: to count owners takes longer than work."""
    return cast(
        F, numba.njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True, _nrt=False)(function)
    )


@_part
def _rounded(value: Any, raw: Any, near: float) -> Any:
    """Return a number not below 0, rounded; its own bits where it lies so near to a tie that a hair may decide."""
    if not (0 <= value < _EXACT) or abs(abs(value - math.floor(value)) - near) < _TIE:
        return _OWN | np.uint64(raw)
    return _SAID | np.uint64(math.floor(value + (1.0 - near)))


@_part
def _age(value: Any, raw: Any) -> Any:
    seconds = math.expm1(np.float64(value))
    if not (0 <= seconds < _EXACT) or abs(seconds - np.rint(seconds)) < _TIE:
        return _OWN | np.uint64(raw)
    unit, size = 0, 1.0
    if seconds >= 86400:
        unit, size = 3, 86400.0
    elif seconds >= 3600:
        unit, size = 2, 3600.0
    elif seconds >= 60:
        unit, size = 1, 60.0
    return _SAID | np.uint64(unit) << _KIND | np.uint64(math.floor(seconds / size))


@_part
def _share(value: Any, raw: Any) -> Any:
    """Return a share as ``count_sentences.share`` says it; the products are exact."""
    share = np.float64(value)
    if raw >= _SIGN or not 0 <= share <= 1:
        return _OWN | np.uint64(raw)
    digits, times = 2, 10000.0
    if share >= 0.095:
        digits, times = 0, 100.0
    elif share >= 0.0095:
        digits, times = 1, 1000.0
    return _SAID | np.uint64(digits) << _KIND | np.uint64(np.rint(share * times))


@_part
def _percent(value: Any, raw: Any) -> Any:
    """Return a share as ``:.0%`` says it; the product is exact."""
    share = np.float64(value)
    if raw >= _SIGN or not 0 <= share <= 1:
        return _OWN | np.uint64(raw)
    return _SAID | np.uint64(share > 0) << _KIND | np.uint64(np.rint(share * 100.0))


@_part
def _busiest(row: Any, columns: Any, first: Any) -> Any:
    """Return which of three windows ``count_sentences.busiest`` chooses."""
    day = np.float64(row[columns[first + 2]])
    for window in range(2):
        if np.float64(row[columns[first + window]]) * 2 > day:
            return window
    return 2


@_part
def _word(value: Any, raw: Any, how: Any) -> Any:
    if raw >= _SIGN or np.isnan(value):  # a zero below zero shows its sign
        return _OWN | np.uint64(raw)
    if how == WHOLE and value < _EXACT:
        return _SAID | np.uint64(np.rint(value))
    if how in (TENTHS, SECONDS):
        seconds = np.float64(value) / 1000
        return _rounded(seconds * 10 if how == TENTHS else seconds, raw, 0.5)
    if how == AGE:
        return _age(value, raw)
    if how == PERCENT:
        return _percent(value, raw)
    return _OWN | np.uint64(raw)


@_part
def _counted(row: Any, bits: Any, columns: Any, first: Any, window: Any) -> Any:
    return _SAID | np.uint64(window) << _KIND | np.uint64(bits[columns[first + window]])


@_part
def _of_shared(row: Any, bits: Any, columns: Any, limit: Any, words: Any) -> None:
    """Set what ``count_sentences.shared`` says."""
    if np.isnan(row[columns[2]]):
        return
    window = _busiest(row, columns, 3)
    if row[columns[3 + window]] > limit:
        words[1] = _counted(row, bits, columns, 3, window)
        return
    window = _busiest(row, columns, 0)
    words[2] = _counted(row, bits, columns, 0, window)
    words[3] = _counted(row, bits, columns, 3, window)


@_part
def _of_each(row: Any, bits: Any, columns: Any, hows: Any, words: Any, most: Any) -> None:
    """Set a word for each of the first values, and one for all flags."""
    at, flag = 1, np.uint64(0)
    for place in range(most):
        how = hows[place]
        if how == FLAG:
            words[WORDS - 1] |= np.uint64(row[columns[place]] >= 1) << flag
            flag += np.uint64(1)
        elif how == BUSIEST:
            words[at] = _counted(row, bits, columns, place, _busiest(row, columns, place))
            at += 1
        elif how != IGNORED:
            words[at] = _word(row[columns[place]], bits[columns[place]], how)
            at += 1


@_part
def _of_one(row: Any, bits: Any, columns: Any, ranks: Any, kind: Any, words: Any) -> None:
    """Set which share is the least, or the most, and how it is said; of equal ones the one of the lower rank."""
    best = -1
    for place in range(len(columns)):
        value = row[columns[place]]
        if np.isnan(value):
            continue
        if best < 0:
            best = place
            continue
        known = row[columns[best]]
        better = value < known if kind == LEAST else value > known
        if better or (value == known and ranks[place] < ranks[best]):
            best = place
    if best < 0:
        return
    words[1] = np.uint64(best + 1)
    if kind == LEAST and np.float64(row[columns[best]]) > USUAL:
        words[2] = _SAID
    else:
        words[2] = _share(row[columns[best]], bits[columns[best]])


@_part
def _of_pace(row: Any, bits: Any, columns: Any, words: Any) -> None:
    submitted = columns[SUBMITTED]
    if np.isnan(row[submitted]):
        words[1] = _word(row[columns[ENTRIES]], bits[columns[ENTRIES]], RAW)
        words[2] = _word(row[columns[DURATION]], bits[columns[DURATION]], TENTHS)
    else:
        words[3] = _word(row[submitted], bits[submitted], TENTHS)


@_part
def _of_group(row: Any, bits: Any, group: Any, groups: Any, words: Any) -> None:
    kinds, limits, first, columns, hows, ranks = groups
    begin, end, kind = first[group], first[group + 1], kinds[group]
    here = columns[begin:end]
    if kind in (LEAST, MOST):
        _of_one(row, bits, here, ranks[begin:end], kind, words)
    elif kind == PACE:
        _of_pace(row, bits, here, words)
    elif kind == SHARED:
        _of_shared(row, bits, here, limits[group], words)
    elif kind != ABOVE or row[here[0]] > limits[group]:
        _of_each(row, bits, here, hows[begin:end], words, end - begin)


@kernel
def said_by(factor: Any, observed: Any, groups: Any, words: Any) -> None:
    """Set ``words``, uint64[n * K, WORDS], to what the sentence of each factor depends on; 0 where there is none.

    ``factor``: the groups, int8[n, K], below 0 where fewer. ``observed``: float32[n, O]. ``groups``: of each group its
    kind and limit, and where its columns begin, int64[G + 1]; of each column where it lies, what of it is said, and its
    rank among equal ones.
    """
    bits = observed.view(np.uint32)
    at = 0
    for row in range(factor.shape[0]):
        for place in range(factor.shape[1]):
            out, group = words[at], factor[row, place]
            at += 1
            for column in range(WORDS):
                out[column] = np.uint64(0)
            if group >= 0:
                out[0] = np.uint64(group + 1)
                _of_group(observed[row], bits[row], group, groups, out)
