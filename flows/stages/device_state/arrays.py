"""Arrays that grow without being copied, in memory of their own.

Their pages are moved by the kernel's page tables (``mremap``), new ones are given when they are first written, and huge
ones where the system has them: rows are read at random, and with small pages each such read misses twice. Growing a
NumPy array in place copied it, which doubled the memory for a moment and the faults for good.
"""

from __future__ import annotations

import mmap
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

_STEP_BYTES = 16 << 20


class Growing:
    """An array [rows] or [rows, width], new rows 0. Whoever keeps a view of ``array`` keeps it from growing."""

    def __init__(self, dtype: Any, rows: int, width: int = 0) -> None:
        self._dtype = np.dtype(dtype)
        self._width = width
        self._row_bytes = self._dtype.itemsize * max(1, width)
        self._map = _new_map(rows * self._row_bytes)
        self.array: NDArray[Any] = self._view()

    def _view(self) -> NDArray[Any]:
        column = np.frombuffer(self._map, self._dtype)
        column = column[: len(column) // max(1, self._width) * max(1, self._width)]
        return column.reshape(-1, self._width) if self._width else column

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.array)

    @property
    def nbytes(self) -> int:
        """Return the bytes, those included that were never written."""
        return len(self._map)

    @property
    def address(self) -> int:
        """Return where the array lies, until it grows."""
        address: int = self.array.__array_interface__["data"][0]
        return address

    def lengthen(self, rows: int) -> None:
        """Make it at least so many rows long: by a quarter, or by 16 MiB where that is less. It may move."""
        if rows <= len(self.array):
            return
        wanted = max(rows * self._row_bytes, len(self._map) + min(len(self._map) // 4, _STEP_BYTES))
        del self.array
        if sys.platform == "linux":
            self._map.resize(_whole_pages(wanted))
        else:
            longer = _new_map(wanted)
            longer[: len(self._map)] = self._map[:]
            self._map = longer
        self.array = self._view()


def _whole_pages(size: int) -> int:
    return -(-size // mmap.PAGESIZE) * mmap.PAGESIZE


def _new_map(size: int) -> mmap.mmap:
    fresh = mmap.mmap(-1, _whole_pages(size), mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if sys.platform == "linux":
        fresh.madvise(mmap.MADV_HUGEPAGE)
    return fresh
