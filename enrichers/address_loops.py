"""The loop that finds what is said of each address, compiled.

Numba keeps what it compiled beside this file, or in ``NUMBA_CACHE_DIR`` where that is set; where neither can be
written, in the user's cache folder. All that the loop is compiled with stands in this file, so it sees every change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import numba
import numpy as np

F = TypeVar("F", bound=Callable[..., Any])
HEADS: Final = 1 << 16  # values of the first 16 bits of a key, which narrow down where it is looked for
_MAPPED: Final = np.uint64(0xFFFF)  # the upper 32 bits of the lower half of an IPv4-mapped address (RFC 4291)


def _kernel(function: F) -> F:
    """Compile a function that Python calls. It lets go of the interpreter's lock while it runs."""
    return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy")(function))


def _part(function: F) -> F:
    """Make a function a part of the kernel that calls it."""
    return cast(F, numba.njit(error_model="numpy")(function))


@_part
def _half(address: Any, first: Any) -> Any:
    """Return eight bytes of an address as the number that they write."""
    found = np.uint64(0)
    for byte in range(first, first + 8):
        found = found << np.uint64(8) | np.uint64(address[byte])
    return found


@_part
def _stretch(starts: Any, firsts: Any, head: Any, key: Any) -> Any:
    """Return the last stretch that starts at a key or before it, by bisection of those that share its first bits."""
    low, high = np.int64(firsts[head]), np.int64(firsts[head + 1])
    while low < high:
        middle = (low + high) // 2
        if starts[middle] <= key:
            low = middle + 1
        else:
            high = middle
    return low - 1


@_kernel
def locate(addresses: Any, four: Any, six: Any, middles: Any, tags: Any, asn: Any, places: Any) -> None:
    """Write where each address lies.

    ``addresses``: uint8[n, 16], IPv6, or IPv4 mapped into it; ``four`` and ``six``: starts of stretches, how many of
    them lie before each head, int32[HEADS + 1], and what is said of each as one number: an autonomous system in the
    lower 32 bits, then a country and classes in 16 each; ``middles``: of countries, degrees north and east, float32
    each. Written: ``tags``: country and classes, uint16[2, n]; ``asn``, uint32[n]; ``places``, float32[2, n].
    """
    (starts_four, firsts_four, said_four), (starts_six, firsts_six, said_six) = four, six
    north, east = middles
    for row in range(len(addresses)):
        upper, lower = _half(addresses[row], 0), _half(addresses[row], 8)
        if upper == 0 and lower >> np.uint64(32) == _MAPPED:
            key = np.uint32(lower & np.uint64(0xFFFFFFFF))
            said = said_four[_stretch(starts_four, firsts_four, np.int64(key >> np.uint32(16)), key)]
        else:
            said = said_six[_stretch(starts_six, firsts_six, np.int64(upper >> np.uint64(48)), upper)]
        asn[row] = np.uint32(said & np.uint64(0xFFFFFFFF))
        country = np.uint16((said >> np.uint64(32)) & np.uint64(0xFFFF))
        tags[0, row], tags[1, row] = country, np.uint16(said >> np.uint64(48))
        places[0, row], places[1, row] = north[country], east[country]


def warm() -> None:
    """Locate one address in tables of nothing."""
    firsts, said, middle = np.ones(HEADS + 1, np.int32), np.zeros(1, np.uint64), np.zeros(1, np.float32)
    four, six = (np.zeros(1, np.uint32), firsts, said), (said, firsts, said)
    tags, asn, places = np.empty((2, 1), np.uint16), np.empty(1, np.uint32), np.empty((2, 1), np.float32)
    locate(np.zeros((1, 16), np.uint8), four, six, (middle, middle), tags, asn, places)
