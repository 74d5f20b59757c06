"""What the kernels of the state are compiled with: to machine code, kept on disk, without threads.

Numba keeps a compiled function as long as its own file stays as it is, and sees neither the files of what it calls nor
those of the numbers that it was compiled with. So the folder of the cache is named after the text of all of them. It
lies in ``__pycache__`` beside the first of them, or in ``NUMBA_CACHE_DIR`` where that is set; where neither can be
written, in the user's cache folder.
"""

from __future__ import annotations

from pathlib import Path

from schemas import activity_statistics, pointers, velocity
from schemas.kernels import kernels_of, part, step

__all__ = ["SOURCES", "kernel", "kernels_of", "part", "step"]

_here = Path(__file__).parent
SOURCES = (
    _here / "compiled.py", _here / "layout.py", _here / "memory.py", _here / "pointers.py", *_here.glob("kernels_*.py"),
    *(Path(str(module.__file__)) for module in (activity_statistics, velocity)), *pointers.SOURCES,
)  # fmt: skip
"""What the kernels of the state are compiled with, and those that read columns as they do."""
kernel = kernels_of(*SOURCES)
"""Compiles the kernels of the state, and others that stand in one file each."""
