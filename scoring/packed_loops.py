"""The loop that packs rows of features from the columns that they were made of.

Numba keeps what it compiled as ``scoring.compiled`` says; all that the loop is compiled with stands in this file.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import numba
import numpy as np

from schemas.kernels import kernels_of
from schemas.pointers import NOT_PLAIN, SOURCES, are_plain, array_in, numbers_of

F = TypeVar("F", bound=Callable[..., Any])
_BYTE, _FLOAT_BYTES = 8, 4
_GATHER, _TOP = np.uint64(0x8040201008040201), np.uint64(56)  # eight bytes of 0 and 1 to bits, the first one highest


def _part(function: F) -> F:
    """Make a function a part of the kernel that calls it: for all rows at once, as arrays that are handed on cost."""
    return cast(F, numba.njit(error_model="numpy", inline="always")(function))


COLUMNS: Final = (np.float32, np.bool_, np.bool_, np.uint32, np.uint64, np.int8)
"""The types of the columns that are packed."""
_TYPES: Final = numbers_of(COLUMNS)
_u64_in, _i64_in = array_in(np.uint64), array_in(np.int64)
_floats_in, _bytes_in, _words_in, _small_in, _ranges_in = (
    array_in(kind, 2) for kind in (np.float32, np.uint8, np.uint32, np.int8, np.int64)
)
_kernel = kernels_of(Path(__file__), *SOURCES)


@_part
def _put_kept(features: Any, ranges: Any, form: Any, out: Any) -> None:
    """Copy the bytes that are kept as they are, and write the format."""
    format_at, number = form
    shown, packed = features.reshape(-1).view(np.uint8), out.reshape(-1)
    start, line = np.uintp(0), np.uintp(0)
    for row in range(len(out)):
        out[row, format_at], out[row, format_at + 1] = number & 0xFF, number >> 8
        place = line
        for at in range(len(ranges)):
            first, last = start + np.uintp(ranges[at, 0]), start + np.uintp(ranges[at, 1])
            for byte in range(last - first):
                packed[place + byte] = shown[first + byte]
            place += last - first
        start += np.uintp(features.shape[1] * _FLOAT_BYTES)
        line += np.uintp(out.shape[1])


@_part
def _put_categories(categories: Any, code_at: Any, there_at: Any, out: Any) -> None:
    """Write 16 bits of each category, and which of them are there."""
    kinds, packed = categories.shape[1], out.reshape(-1)
    codes, there = np.zeros(kinds, np.uint16), np.zeros(-(-kinds // _BYTE) * _BYTE, np.uint8)
    code_bytes, words = codes.view(np.uint8), there.view(np.uint64)
    for row in range(len(out)):
        line = np.uintp(row) * np.uintp(out.shape[1])
        for at in range(kinds):
            codes[at] = np.uint16(categories[row, at])
        for at in range(kinds):
            there[at] = categories[row, at] != 0
        for at in range(len(code_bytes)):
            packed[line + np.uintp(code_at) + np.uintp(at)] = code_bytes[at]
        for at in range(len(words)):
            packed[line + np.uintp(there_at) + np.uintp(at)] = np.uint8(words[at] * _GATHER >> _TOP)


@_part
def _put_flags(signals: Any, checks: Any, results: Any, one_at: Any, absent_at: Any, out: Any) -> None:
    """Write which booleans, checks and results are known to be true, and which are not known: checks always are."""
    booleans, known, _ = signals
    count, bits = checks
    width, packed = booleans.shape[1], out.reshape(-1)
    flags = width + count + results.shape[1]
    one, absent = (np.zeros(-(-flags // _BYTE) * _BYTE, np.uint8), np.zeros(-(-flags // _BYTE) * _BYTE, np.uint8))
    ones, absents = one.view(np.uint64), absent.view(np.uint64)
    for row in range(len(out)):
        line = np.uintp(row) * np.uintp(out.shape[1])
        for at in range(width):
            one[at] = booleans[row, at] & known[row, at]
        for at in range(width):
            absent[at] = known[row, at] ^ 1
        for at in range(count):
            one[width + at] = bits[row] >> np.uint64(at) & np.uint64(1)
        for at in range(results.shape[1]):
            one[width + count + at], absent[width + count + at] = results[row, at] > 0, results[row, at] < 0
        for at in range(len(ones)):
            packed[line + np.uintp(one_at) + np.uintp(at)] = np.uint8(ones[at] * _GATHER >> _TOP)
            packed[line + np.uintp(absent_at) + np.uintp(at)] = np.uint8(absents[at] * _GATHER >> _TOP)


@_kernel
def pack_rows(columns: int, tables: int) -> int:
    """Write packed rows, uint8[n, W], as ``scoring.stored_features.pack`` makes them; what is handed over are ids.

    ``columns``: ``COLUMNS``, which are features float32[n, F]; booleans and known [n, B], categories uint32[n, C]; the
    bits of checks uint64[n]; results int8[n, S], negative where not known; and behind them the rows. ``tables``: which
    bytes of a row of features are kept as they are, int64[k, 2]; and the first byte of categories, of which are there,
    of flags that are one, of those that are absent, and of the format, its number, below 65,536, and how many checks
    there are. Return 0; or ``NOT_PLAIN``, where nothing was written. See ``schemas.pointers``.
    """
    if not are_plain(columns, _TYPES):
        return NOT_PLAIN
    places, out = _i64_in(tables, 1), _bytes_in(columns, len(COLUMNS))
    signals = _bytes_in(columns, 1), _bytes_in(columns, 2), _words_in(columns, 3)
    _put_kept(_floats_in(columns, 0), _ranges_in(tables, 0), (places[4], places[5]), out)
    _put_categories(signals[2], places[0], places[1], out)
    checks = places[6], _u64_in(columns, 4)
    _put_flags(signals, checks, _small_in(columns, 5), places[2], places[3], out)
    return 0
