"""Arrays that grow in place."""

from __future__ import annotations

import ctypes
import mmap
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

_STEP_BYTES = 4 << 20
_HUGE = 2 << 20


def lengthen(array: NDArray[Any], rows: int) -> None:
    """Make an array at least so long in place, new rows 0; it grows by a quarter, or by 4 MiB where that is less.

    So no batch waits for more than that to be written. The caller holds no view of it.
    """
    if rows > len(array):
        step = min(len(array) // 4, _STEP_BYTES // array[:1].nbytes) + 1
        array.resize((max(rows, len(array) + step), *array.shape[1:]), refcheck=False)
        _prefer_huge_pages(array)


def address_of(array: NDArray[Any]) -> int:
    """Return where an array lies."""
    address: int = array.__array_interface__["data"][0]
    return address


def _prefer_huge_pages(array: NDArray[np.generic]) -> None:
    """Ask Linux for pages of 2 MiB: rows are read at random, and small pages cost a second miss each.

    Advice only: where it is not taken, nothing but speed is lost.
    """
    first = -(-address_of(array) // _HUGE) * _HUGE
    size = address_of(array) + array.nbytes - first
    if sys.platform == "linux" and size >= _HUGE:
        _madvise(ctypes.c_void_p(first), ctypes.c_size_t(size), ctypes.c_int(mmap.MADV_HUGEPAGE))


if sys.platform == "linux":
    _madvise = ctypes.CDLL(None).madvise
