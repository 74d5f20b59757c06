"""The loop that packs rows of features from the columns that they were made of.

Numba keeps what it compiled as ``scoring.compiled`` says; all that the loop is compiled with stands in this file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

F = TypeVar("F", bound=Callable[..., Any])
_BYTE = 8
_GATHER, _TOP = np.uint64(0x8040201008040201), np.uint64(56)  # eight bytes of 0 and 1 to bits, the first one highest


def _part(function: F) -> F:
    """Make a function a part of the kernel that calls it."""
    return cast(F, numba.njit(error_model="numpy")(function))


@_part
def _put_bits(flags: Any, out: Any) -> None:
    """Write flags uint8[8 * k], each 0 or 1, as bits, the first flag the highest bit of the first byte."""
    words = flags.view(np.uint64)
    for at in range(len(words)):
        out[at] = np.uint8(words[at] * _GATHER >> _TOP)


@_part
def _copy(source: Any, target: Any) -> None:
    for at in range(len(target)):
        target[at] = source[at]


@_part
def _put_codes(categories: Any, codes: Any, there: Any) -> None:
    """Write 16 bits of each category, and whether it is there."""
    for at in range(len(codes)):
        codes[at] = np.uint16(categories[at])
    for at in range(len(codes)):
        there[at] = categories[at] != 0


@_part
def _put_booleans(booleans: Any, known: Any, one: Any, absent: Any) -> None:
    """Write which booleans are known to be true, and which are not known."""
    for at in range(len(booleans)):
        one[at] = booleans[at] & known[at]
    for at in range(len(known)):
        absent[at] = known[at] ^ 1


@_part
def _put_flags(bits: Any, results: Any, one: Any, absent: Any) -> None:
    """Write checks and results of smart signals behind each other; ``absent`` holds zeros for the checks."""
    count = len(one) - len(results)
    for at in range(count):
        one[at] = bits >> np.uint64(at) & np.uint64(1)
    for at in range(len(results)):
        one[count + at], absent[count + at] = results[at] > 0, results[at] < 0


def _kernel(function: F) -> F:
    """Compile a function that Python calls. It lets go of the interpreter's lock while it runs."""
    return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy")(function))


@_kernel
def pack_rows(features: Any, ranges: Any, signals: Any, checks: Any, results: Any, places: Any, out: Any) -> None:
    """Write packed rows, uint8[n, W], as ``scoring.stored_features.pack`` makes them.

    ``features``: the bytes of the rows, uint8[n, 4 * F], of which ``ranges`` int64[k, 2] are kept as they are.
    ``signals``: booleans and known uint8[n, B], categories uint32[n, C]; ``checks``: how many, and the bits uint64[n];
    ``results``: int8[n, S], negative where not known. ``places``: the first byte of categories, of which are there, of
    flags that are one, and of those that are absent.
    """
    booleans, known, categories = signals
    check_count, check_bits = checks
    code_at, there_at, one_at, absent_at = places
    width, kinds = booleans.shape[1], categories.shape[1]
    flags = width + check_count + results.shape[1]
    one = np.zeros(-(-flags // _BYTE) * _BYTE, np.uint8)
    absent, there = np.zeros_like(one), np.zeros(-(-kinds // _BYTE) * _BYTE, np.uint8)
    codes = np.zeros(kinds, np.uint16)
    for row in range(len(out)):
        shown, line = features[row], out[row]
        place = 0
        for at in range(len(ranges)):
            kept = shown[ranges[at, 0] : ranges[at, 1]]
            _copy(kept, line[place : place + len(kept)])
            place += len(kept)
        _put_codes(categories[row], codes, there)
        _copy(codes.view(np.uint8), line[code_at : code_at + 2 * kinds])
        _put_booleans(booleans[row], known[row], one, absent)
        _put_flags(check_bits[row], results[row], one[width:flags], absent[width:flags])
        _put_bits(there, line[there_at:])
        _put_bits(one, line[one_at:])
        _put_bits(absent, line[absent_at:])
