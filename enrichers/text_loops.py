"""Loops that find texts again by their bytes, compiled: a batch's texts are read where they lie.

A loop gets the id of a tuple of bytes, one number, and reads the addresses out of the objects: where a tuple has
its items, and bytes their length and data, is part of CPython's binary interface. Who calls holds what is read until
the loop returns.

Numba keeps what it compiled beside this file, or in ``NUMBA_CACHE_DIR`` where that is set; where neither can be
written, in the user's cache folder. All that the loops are compiled with stands in this file, so it sees every change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

F = TypeVar("F", bound=Callable[..., Any])
ADDRESS, SIZE, ANSWER, ENTRY = range(4)  # of an entry
DATA: Final = bytes.__basicsize__ - 1
"""Where bytes have their data: the byte behind these, which is 0, is counted among the object."""
LACKING: Final = -1
MOST_WORD: Final = (1 << 64) - 1
"""A word of texts of which one is not known."""
_ITEMS, _LENGTH, _POINTER = tuple.__basicsize__, object.__basicsize__, 8
_TYPE: Final = _LENGTH - _POINTER
_PROBES: Final = 16  # nobody who chooses texts makes a search longer: what is not found is asked anew
_FIRST, _SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)
_HIGH, _EIGHT = np.uint64(0xFFFFFFFF00000000), np.int64(8)


def _kernel(function: F) -> F:
    """Compile a function that Python calls. It lets go of the interpreter's lock while it runs."""
    return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy")(function))


def _part(function: F) -> F:
    """Make a function a part of the kernels that call it. It owns nothing: to count owners takes longer than work."""
    return cast(
        F, numba.njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True, _nrt=False)(function)
    )


def _loaded(typing: Any, address: Any) -> Any:
    """Return the eight bytes at an address as a number; no address is too odd."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(builder.inttoptr(arguments[0], ir.IntType(64).as_pointer()), align=1)

    return types.uint64(types.int64), generate


_word_at: Any = intrinsic(_loaded)


@_part
def _last_word(address: Any, size: Any) -> Any:
    """Return the last eight bytes of a text, or all of a shorter one: what lies in front of them is the object's."""
    if size == 0:
        return np.uint64(0)
    word = _word_at(address + size - _EIGHT)
    return word if size >= _EIGHT else word >> np.uint64(8 * (_EIGHT - size))


@_part
def _stirred(mixed: Any, word: Any) -> Any:
    mixed = (mixed ^ word) * _SECOND
    return mixed ^ (mixed >> np.uint64(32))


@_part
def _hash(address: Any, size: Any) -> Any:
    """Return the hash of a text; the last word of a long one overlaps the one before."""
    mixed = np.uint64(size) * _FIRST
    for at in range(0, size - _EIGHT, _EIGHT):
        mixed = _stirred(mixed, _word_at(address + at))
    return _stirred(_stirred(mixed, _last_word(address, size)), _FIRST)


@_part
def _same(one: Any, other: Any, size: Any) -> Any:
    for at in range(0, size - _EIGHT, _EIGHT):
        if _word_at(one + at) != _word_at(other + at):
            return False
    return _last_word(one, size) == _last_word(other, size)


@_part
def _answer(address: Any, size: Any, slots: Any, entries: Any) -> Any:
    """Return the answer of a text, ``LACKING`` where it is not known."""
    mixed, mask = _hash(address, size), np.uint64(len(slots) - 1)
    for probe in range(_PROBES):
        slot = slots[(mixed + np.uint64(probe)) & mask]
        if slot == 0:
            return np.int64(LACKING)
        if (slot ^ mixed) & _HIGH == 0:
            entry = np.uintp((slot & ~_HIGH) - np.uint64(1))
            if entries[entry, SIZE] == size and _same(entries[entry, ADDRESS], address, size):
                return entries[entry, ANSWER]
    return np.int64(LACKING)


@_part
def _answer_in(blobs: Any, row: Any, start: Any, size: Any, absent: Any, slots: Any, entries: Any) -> Any:
    """Return the answer of a text of a row; one that is not within its bytes is never known."""
    if size < 0:
        return np.int64(absent)
    items, kind = blobs
    blob = np.int64(_word_at(items + _ITEMS + _POINTER * row))
    if np.int64(_word_at(blob + _TYPE)) != kind or start < 0 or start + size > np.int64(_word_at(blob + _LENGTH)):
        return np.int64(LACKING)
    return _answer(blob + DATA + start, np.int64(size), slots, entries)


@_kernel
def find(blobs: Any, texts: Any, column: Any, absent: Any, table: Any, found: Any) -> int:
    """Set ``found``, uint8[n], to the answer of each row's text; return how many are not known, which is 255.

    ``blobs``: the ids of a tuple of bytes, and of their type; ``texts``: starts and lengths, int32[n, T] each, of which
    a ``column`` is asked for. ``table``: slots uint64[a power of two] and entries int64[k, ENTRY]. ``absent``: the
    answer where there is no text.
    """
    starts, lengths = texts
    slots, entries = table
    lacking = 0
    for row in range(len(found)):
        start, size = np.int64(starts[row, column]), np.int64(lengths[row, column])
        answer = _answer_in(blobs, row, start, size, absent, slots, entries)
        lacking += answer == LACKING
        found[row] = np.uint8(answer)
    return lacking


@_kernel
def put_text_words(blobs: Any, texts: Any, asked: Any, columns: Any, absent: Any, table: Any, words: Any) -> int:
    """Set the last of ``words``, uint64[m, W], to the answers of two texts; return how many are not known.

    ``asked``: rows and signals, int64[m], row * S + signal; ``columns``: the texts of each signal, int64[S, 2], -1
    where fewer: without any, the word stays as it is. A word that is not known is ``MOST_WORD``. The rest is as of
    ``find``.
    """
    starts, lengths = texts
    slots, entries = table
    last, lacking = words.shape[1] - 1, 0
    for at in range(len(asked)):
        row, signal = asked[at] // len(columns), asked[at] % len(columns)
        if columns[signal, 0] < 0:
            continue
        word, known = np.uint64(0), True
        for place in range(columns.shape[1]):
            column = columns[signal, place]
            if column >= 0:
                start, size = np.int64(starts[row, column]), np.int64(lengths[row, column])
                answer = _answer_in(blobs, row, start, size, absent, slots, entries)
                known &= answer != LACKING
                word = word << np.uint64(32) | np.uint64(answer)
        words[at, last] = word if known else np.uint64(MOST_WORD)
        lacking += not known
    return lacking


@_kernel
def remember(entry: int, table: Any) -> None:
    """Have an entry found, where it is not beyond the places that are looked at."""
    slots, entries = table
    mixed, mask = _hash(entries[entry, ADDRESS], entries[entry, SIZE]), np.uint64(len(slots) - 1)
    for probe in range(_PROBES):
        place = (mixed + np.uint64(probe)) & mask
        if slots[place] == 0:
            slots[place] = (mixed & _HIGH) | np.uint64(entry + 1)
            return


def warm() -> None:
    """Run each loop once, on the types that it is given."""
    blobs, spans = (b" ",), np.zeros((1, 1), np.int32)
    table = np.zeros(2, np.uint64), np.array([[id(blobs[0]) + DATA, 0, 0]], np.int64)
    remember(0, table)
    found = id(blobs), id(bytes)
    find(found, (spans, spans), 0, 0, table, np.zeros(1, np.uint8))
    columns, words = np.zeros((1, 2), np.int64), np.zeros((1, 1), np.uint64)
    put_text_words(found, (spans, spans), np.zeros(1, np.int64), columns, 0, table, words)
