"""How functions are compiled: kernels that Python calls, and the steps and parts that they are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


def kernels_of(*sources: Path) -> Callable[[F], F]:
    """Return a decorator that compiles functions that Python calls, once a machine for the text of these files.

    They let go of the interpreter's lock while they run. What is compiled lies beside the first of the files, or in
    ``NUMBA_CACHE_DIR`` where that is set.
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
    first, *_ = given = tuple(sources)
    digest = blake2b(digest_size=6)
    for source in sorted(given):
        digest.update(source.read_bytes())
    configured: str = numba.config.CACHE_DIR
    return str(Path(configured or first.parent / "__pycache__") / f"kernels-{digest.hexdigest()}")


def step(function: F) -> F:
    """Compile a function that kernels call: it becomes part of them. It allocates nothing and owns nothing."""
    return cast(
        F, numba.njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True, _nrt=False)(function)
    )


def part(function: F) -> F:
    """Have kernels take a function in as it is written: for those that return arrays, which a step cannot do."""
    return cast(F, numba.njit(error_model="numpy", inline="always")(function))
