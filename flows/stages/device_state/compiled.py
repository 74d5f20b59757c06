"""How the kernels of the state are compiled: to machine code, kept on disk, without threads.

Numba keeps a compiled function as long as its own file stays as it is, and sees neither the files of what it calls nor
those of the numbers that it was compiled with. So the folder of the cache is named after the text of all of them. It
lies in ``__pycache__`` beside this file, or in ``NUMBA_CACHE_DIR`` where that is set; where neither can be written, in
the user's cache folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

from schemas import activity_statistics, velocity

F = TypeVar("F", bound=Callable[..., Any])


def kernels_of(*sources: Path) -> Callable[[F], F]:
    """Return a decorator that compiles functions that Python calls, once a machine for the text of these files.

    They let go of the interpreter's lock while they run.
    """
    folder = _cache_directory(sources)

    def kernel(function: F) -> F:
        configured = numba.config.CACHE_DIR
        numba.config.CACHE_DIR = folder
        try:
            return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy")(function))
        finally:
            numba.config.CACHE_DIR = configured

    return kernel


def _cache_directory(sources: Iterable[Path]) -> str:
    digest = blake2b(digest_size=6)
    for source in sorted(sources):
        digest.update(source.read_bytes())
    configured: str = numba.config.CACHE_DIR
    return str(Path(configured or Path(__file__).parent / "__pycache__") / f"kernels-{digest.hexdigest()}")


def step(function: F) -> F:
    """Compile a function that kernels call: it becomes part of them. It allocates nothing and owns nothing."""
    return cast(
        F, numba.njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True, _nrt=False)(function)
    )


def part(function: F) -> F:
    """Have kernels take a function in as it is written: for those that return arrays, which a step cannot do."""
    return cast(F, numba.njit(error_model="numpy", inline="always")(function))


_here = Path(__file__).parent
SOURCES = (
    _here / "compiled.py", _here / "layout.py", _here / "memory.py", _here / "pointers.py", *_here.glob("kernels_*.py"),
    *(Path(str(module.__file__)) for module in (activity_statistics, velocity)),
)  # fmt: skip
"""What the kernels of the state are compiled with, and those that read columns as they do."""
kernel = kernels_of(*SOURCES)
"""Compiles the kernels of the state, and others that stand in one file each."""
