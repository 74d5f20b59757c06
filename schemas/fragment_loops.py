"""The loops of ``schemas.fragments``, compiled: pieces of text are found by numbers, many at a time.

Numba keeps what it compiled beside this file, or in ``NUMBA_CACHE_DIR`` where that is set; where neither can be
written, in the user's cache folder. All that the loops are compiled with stands in this file, so it sees every change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import numba
import numpy as np

F = TypeVar("F", bound=Callable[..., Any])
NOTHING: Final = -1
LACKING: Final = -2
_MIX, _FOLD = np.uint64(0x9E3779B97F4A7C15), np.uint64(29)


def kernel(function: F) -> F:
    """Compile a function that Python calls. It lets go of the interpreter's lock while it runs."""
    return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy")(function))


def _part(function: F) -> F:
    """Make a function a part of the kernels that call it. It owns nothing: to count owners takes longer than work."""
    return cast(
        F, numba.njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True, _nrt=False)(function)
    )


@_part
def _place(asked: Any, first: Any, width: Any, known: Any, ids: Any) -> Any:
    """Return the place of a key in the table, or the free place where it belongs. The table is never full.

    ``asked``: the key begins at ``first``; ``known``: the table's keys. Both lie one after the other and all places are
    unsigned: rows of two dimensions take ten times as long.
    """
    mask, mixed = np.uintp(len(ids) - 1), np.uint64(0)
    for column in range(width):
        mixed = (mixed ^ asked[first + column]) * _MIX
        mixed ^= mixed >> _FOLD
    at = np.uintp(mixed) & mask
    while ids[at] >= 0:
        same = True
        for column in range(width):
            same &= known[at * width + column] == asked[first + column]
        if same:
            break
        at = (at + np.uintp(1)) & mask
    return at


@kernel
def find(words: Any, keys: Any, ids: Any, found: Any) -> int:
    """Set ``found``, int32[m], to the number of each key, uint64[m, W]; return how many have none, ``LACKING``.

    A key that begins with 0 is no key and stands for nothing, ``NOTHING``. ``keys``, uint64[a power of two, W], and
    ``ids``, int32, below 0 where free, are the table: linear probing.
    """
    asked, known, width, lacking = words.reshape(-1), keys.reshape(-1), np.uintp(words.shape[1]), 0
    for row in range(np.uintp(len(words))):
        if asked[row * width] == np.uint64(0):
            found[row] = NOTHING
            continue
        number = ids[_place(asked, row * width, width, known, ids)]
        found[row] = number if number >= 0 else LACKING
        lacking += number < 0
    return lacking


@kernel
def keep(words: Any, numbers: Any, keys: Any, ids: Any) -> int:
    """Put keys, uint64[m, W], with their numbers, int32[m], into the table; return how many were new."""
    asked, known, width, new = words.reshape(-1), keys.reshape(-1), np.uintp(words.shape[1]), 0
    for row in range(np.uintp(len(words))):
        at = _place(asked, row * width, width, known, ids)
        if ids[at] < 0:
            new += 1
            for column in range(width):
                known[at * width + column] = asked[row * width + column]
            ids[at] = numbers[row]
    return new


def warm() -> None:
    """Run each loop once, on the types that they are given."""
    words, keys = np.zeros((1, 2), np.uint64), np.zeros((2, 2), np.uint64)
    ids, found = np.full(2, -1, np.int32), np.zeros(1, np.int32)
    keep(words, found, keys, ids)
    find(words, keys, ids, found)
