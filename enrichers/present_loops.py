"""The loops of ``enrichers.present``, compiled: what the JSON of each verdict and its details depends on.

Numba keeps what it compiled beside this file, or in ``NUMBA_CACHE_DIR`` where that is set; where neither can be
written, in the user's cache folder. All that the loops are compiled with stands in this file, so it sees every change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import numba
import numpy as np

F = TypeVar("F", bound=Callable[..., Any])
WORDS: Final = 2
DETAIL_WORDS: Final = 10
NUMBERS: Final = 4
"""Columns of numbers, and of categories, that the details of a signal may look at."""
BITS: Final = 64  # booleans
_HALF, _RESULT, _COLUMN = np.uint64(16), np.uint64(32), np.uint64(40)


def kernel(function: F) -> F:
    """Compile a function that Python calls. It lets go of the interpreter's lock while it runs."""
    return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy")(function))


def _part(function: F) -> F:
    """Make a function a part of the kernels that call it. It owns nothing: to count owners takes longer than work."""
    return cast(
        F, numba.njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True, _nrt=False)(function)
    )


@kernel
def verdicts(result: Any, confidence: Any, reasons: Any, detailed: Any, words: Any, asked: Any) -> int:
    """Set ``words``, uint64[n * S, WORDS], to what is said of each verdict; return how many have details to be asked.

    ``result``, int8, ``confidence``, float32, and ``reasons``, uint32: [n, S] each. ``detailed``, uint8[S]: 1 of
    signals that have details; of those that are true the places, row * S + signal, are put into ``asked``, int64.
    """
    bits = confidence.view(np.uint32)
    at = many = 0
    for row in range(result.shape[0]):
        for column in range(result.shape[1]):
            verdict = np.uint64(np.uint8(result[row, column])) << _RESULT
            words[at, 0] = np.uint64(column + 1) << _COLUMN | verdict | np.uint64(reasons[row, column])
            words[at, 1] = bits[row, column]
            if result[row, column] == 1 and detailed[column]:
                asked[many] = at
                many += 1
            at += 1
    return many


@_part
def _pair(bits: Any, row: Any, places: Any, first: Any) -> Any:
    """Return two values of a row in a word, 0 where there is none."""
    word = np.uint64(0)
    for place in range(2):
        column = places[first + place]
        if column >= 0:
            word |= np.uint64(bits[row, column]) << np.uint64(32 * place)
    return word


@_part
def _flags(booleans: Any, known: Any, row: Any, places: Any) -> Any:
    """Return booleans as bits; of a place below 0 whether that column is known to be false."""
    word = np.uint64(0)
    for bit in range(len(places)):
        column = places[bit]
        if column >= 0:
            word |= np.uint64(booleans[row, column]) << np.uint64(bit)
        else:
            word |= np.uint64(known[row, -1 - column] > booleans[row, -1 - column]) << np.uint64(bit)
    return word


@kernel
def detail_words(asked: Any, number: Any, plan: Any, columns: Any, words: Any) -> None:
    """Set ``words``, uint64[m, DETAIL_WORDS], to what the details of m verdicts depend on; 0 where nobody knows.

    The last word is left to texts, which are no columns.

    ``asked``: their places, int64[m]; ``number``, int32[n * S]: the piece of each verdict without details. ``plan``: by
    signal whether it is known, looks at the network, and at the environment, uint8[S, 3]; a mask of checks; columns of
    numbers and categories, int64[S, NUMBERS], -1 where fewer; where its booleans begin; and the booleans' columns.
    """
    kinds, masks, of_numbers, of_categories, first, of_booleans = plan
    (
        numbers, categories, booleans, known, checks, browser, system, engine, gpu, clock, country, asn, classes
    ) = columns  # fmt: skip
    bits, clocks = numbers.view(np.uint32), clock.view(np.uint32)
    for at in range(len(asked)):
        row, signal = asked[at] // len(kinds), asked[at] % len(kinds)
        out = words[at]
        for word in range(DETAIL_WORDS):
            out[word] = np.uint64(0)
        if not kinds[signal, 0]:
            continue
        out[0] = np.uint64(signal + 1) << _COLUMN | np.uint64(number[asked[at]])
        out[1] = checks[row] & masks[signal]
        if kinds[signal, 1]:
            out[2] = np.uint64(asn[row]) << _RESULT | np.uint64(country[row]) << _HALF | np.uint64(classes[row])
        if kinds[signal, 2]:
            out[3] = np.uint64(clocks[row]) << _RESULT | np.uint64(browser[row]) << np.uint64(24)
            out[3] |= np.uint64(system[row]) << _HALF | np.uint64(engine[row]) << np.uint64(8) | np.uint64(gpu[row])
        for pair in range(2):
            out[4 + pair] = _pair(bits, row, of_numbers[signal], 2 * pair)
            out[6 + pair] = _pair(categories, row, of_categories[signal], 2 * pair)
        out[8] = _flags(booleans, known, row, of_booleans[first[signal] : first[signal + 1]])


def warm() -> None:
    """Run each loop once, on the types that it is given."""
    result, confidence, reasons = np.ones((1, 1), np.int8), np.zeros((1, 1), np.float32), np.zeros((1, 1), np.uint32)
    asked = np.empty(1, np.int64)
    verdicts(result, confidence, reasons, np.ones(1, np.uint8), np.empty((1, WORDS), np.uint64), asked)
    one, flags, code = np.zeros((1, NUMBERS), np.int64), np.zeros((1, 1), np.bool_), np.zeros(1, np.uint8)
    plan = np.ones((1, 3), np.uint8), np.zeros(1, np.uint64), one, one, np.array([0, 1]), np.zeros(1, np.int64)
    half, floats = np.zeros(1, np.uint16), confidence[0]
    columns = confidence, reasons, flags, flags, plan[1], code, code, code, code, floats, half, reasons[0], half
    detail_words(np.zeros(1, np.int64), np.zeros(1, np.int32), plan, columns, np.empty((1, DETAIL_WORDS), np.uint64))
