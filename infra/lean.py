"""Gives back what a flow needs only once: the pages of the compiler, after its loops are loaded."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

from enrichers import warm as enrich
from flows.stages.device_state import warm as velocity
from flows.stages.recognize import warm as recognize

_MAPS = Path("/proc/self/maps")
_PAGEOUT = 21  # MADV_PAGEOUT of Linux 5.4: clean pages go, and are read again from the file where they are needed


def load_loops() -> None:
    """Load all compiled loops now, and not with the first events; they are compiled where no cache has them."""
    velocity.compile_kernels()
    recognize.compile_kernels()
    enrich.warm()


def let_go_of_compiler() -> None:
    """Let the pages of LLVM's library go: 100 MB of a process that compiles nothing any more. Elsewhere than on Linux
    nothing happens."""
    if sys.platform != "linux" or not _MAPS.exists():
        return
    libc = ctypes.CDLL(None)
    for line in _MAPS.read_text("utf-8").splitlines():
        span, rights, *_, path = line.split(maxsplit=5) if line.count("/") else ("", "w", "")
        if "llvmlite" in path and "w" not in rights:
            first, end = (int(word, 16) for word in span.split("-"))
            libc.madvise(ctypes.c_void_p(first), ctypes.c_size_t(end - first), _PAGEOUT)
