"""Loops that find texts again by their bytes, compiled.

Numba keeps what it compiled beside this file, or in ``NUMBA_CACHE_DIR`` where that is set; where neither can be
written, in the user's cache folder. All that the loops are compiled with stands in this file, so it sees every change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import numba
import numpy as np

F = TypeVar("F", bound=Callable[..., Any])
# Rows of what is asked for, and marks of a column: texts of each year apart, and none that is longer than the limit.
COLUMN, LIMIT, KIND, MARKS, ASKED = range(5)
OF_YEAR, WHOLE = 1, 2
FIRST, SIZE, SORT, SPAN = range(4)  # of an entry
LATEST_MS: Final = 4_102_444_800_000  # 2100-01-01: calendars are asked for no later year
_PROBES: Final = 16  # nobody who chooses texts makes a search longer: what is not found is read anew
_FIRST, _SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)
_DAY_MS, _KINDS = 86_400_000, 256
_HIGH = np.uint64(0xFFFFFFFF00000000)


def _kernel(function: F) -> F:
    """Compile a function that Python calls. It lets go of the interpreter's lock while it runs."""
    return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy")(function))


def _part(function: F) -> F:
    """Make a function a part of the kernels that call it."""
    return cast(F, numba.njit(error_model="numpy", _nrt=False)(function))


@_part
def _word(octets: Any, at: Any) -> Any:
    """Return eight bytes as a number."""
    found = np.uint64(octets[at])
    for byte in range(1, 8):
        found |= np.uint64(octets[at + np.uintp(byte)]) << np.uint64(8 * byte)
    return found


@_part
def _stirred(mixed: Any, word: Any) -> Any:
    mixed = (mixed ^ word) * _SECOND
    return mixed ^ (mixed >> np.uint64(32))


@_part
def _hash(octets: Any, at: Any, size: Any, sort: Any) -> Any:
    """Return the hash of a text of a sort; the last word of a long one overlaps the one before."""
    mixed = np.uint64(sort) * _FIRST + np.uint64(size)
    if size < np.uintp(8):
        short = np.uint64(0)
        for byte in range(size):
            short = short << np.uint64(8) | np.uint64(octets[at + byte])
        return _stirred(_stirred(mixed, short), _FIRST)
    for word in range((size - np.uintp(1)) >> np.uintp(3)):
        mixed = _stirred(mixed, _word(octets, at + (word << np.uintp(3))))
    return _stirred(_stirred(mixed, _word(octets, at + size - np.uintp(8))), _FIRST)


@_part
def _same(octets: Any, at: Any, others: Any, there: Any, size: Any) -> Any:
    """Return whether two texts of a size are the same."""
    if size < np.uintp(8):
        differing = np.uint8(0)
        for byte in range(size):
            differing |= octets[at + byte] ^ others[there + byte]
        return differing == 0
    for word in range((size - np.uintp(1)) >> np.uintp(3)):
        place = word << np.uintp(3)
        if _word(octets, at + place) != _word(others, there + place):
            return False
    last = size - np.uintp(8)
    return _word(octets, at + last) == _word(others, there + last)


@_part
def _number(octets: Any, at: Any, size: Any, sort: Any, slots: Any, entries: Any, known: Any) -> Any:
    """Return the number of a text, -1 where it is not found."""
    mixed = _hash(octets, at, size, sort)
    mask = np.uint64(len(slots) - 1)
    for probe in range(np.uint64(_PROBES)):
        slot = slots[(mixed + probe) & mask]
        if slot == 0:
            return np.int64(-1)
        if (slot ^ mixed) & _HIGH == 0:
            number = np.uintp((slot & ~_HIGH) - np.uint64(1))
            entry = entries[number]
            if (
                entry[SIZE] == size and entry[SORT] == sort
                and _same(octets, at, known, np.uintp(entry[FIRST]), size)
            ):  # fmt: skip
                return np.int64(number)
    return np.int64(-1)


@_part
def _year(time: Any) -> Any:
    """Return the year of a time in ms, as the Gregorian calendar has it, in whole days from the first of March 0."""
    days = min(max(time, 0), LATEST_MS) // _DAY_MS + 719_468
    century = days // 146_097
    day = days - century * 146_097
    year = (day - day // 1_460 + day // 36_524 - day // 146_096) // 365
    of_year = day - (365 * year + year // 4 - year // 100)
    return year + century * 400 + ((5 * of_year + 2) // 153 >= 10)


@_kernel
def find(blob: Any, sizes: Any, texts: Any, times: Any, asked: Any, table: Any, numbers: Any) -> Any:
    """Write the number of each text, int32[n, k]: -1 where it is not known. Returns how many are not.

    ``blob``: the bytes of all rows, ``sizes`` of each; ``texts``: starts and lengths, int32[n, T] each; ``times``: in
    ms, int64[n], of which columns of a year need the year; ``asked``, int64[ASKED, k]: by what columns, bytes, kind and
    marks. A text is asked for by so many bytes of it. An absent one has the number of its place in ``asked``.
    """
    starts, lengths = texts
    slots, entries, known = table
    missing = base = np.int64(0)
    for row in range(len(sizes)):
        for each in range(asked.shape[1]):
            size, at = np.int64(lengths[row, asked[COLUMN, each]]), np.int64(starts[row, asked[COLUMN, each]])
            if size < 0:
                numbers[row, each] = each
                continue
            sort, marks, number = asked[KIND, each], asked[MARKS, each], np.int64(-1)
            if marks & OF_YEAR:
                sort += _KINDS * _year(times[row])
            lies_within = at >= 0 and at + size <= sizes[row]
            if lies_within and not (marks & WHOLE and size > asked[LIMIT, each]):
                size = min(size, asked[LIMIT, each])
                number = _number(blob, np.uintp(base + at), np.uintp(size), sort, slots, entries, known)
            numbers[row, each] = number
            missing += number < 0
        base += sizes[row]
    return missing


@_kernel
def remember(text: Any, sort: Any, number: Any, first: Any, table: Any) -> None:
    """Give a text of a sort a number, its bytes being put at ``first`` of those that are known."""
    slots, entries, known = table
    for byte in range(len(text)):
        known[first + byte] = text[byte]
    entries[number, FIRST], entries[number, SIZE], entries[number, SORT] = first, len(text), sort
    mixed = _hash(text, np.uintp(0), np.uintp(len(text)), sort)
    mask = np.uint64(len(slots) - 1)
    for probe in range(np.uint64(_PROBES)):
        if slots[(mixed + probe) & mask] == 0:
            slots[(mixed + probe) & mask] = (mixed & _HIGH) | np.uint64(number + 1)
            return
