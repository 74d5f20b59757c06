"""Binding to cores: a process whose threads all stay where its memory is cached, and where no other wakes in its way.

Threads of a flow wait for one interpreter, so they gain nothing from a second core, and each change of core costs what
was cached. Binding trades throughput for latency (docs/performance.md): what is bound cannot use another idle core.

Also a plain script on the standard library alone: ``cores.py LIST PROGRAM [WORD ...]`` becomes the program.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable

MOST = 1_024
"""Cores have numbers below this: as many as Linux's own lists of a process hold."""
_RANGE = re.compile(r"\s*([0-9]{1,4})(?:\s*-\s*([0-9]{1,4}))?\s*")


def cores_in(words: str) -> tuple[int, ...]:
    """Return the cores that a list names, as ``0-2,5``, in its order; none for an empty one.

    ValueError, with one sentence, where it is no such list.
    """
    found: dict[int, None] = {}
    for part in words.split(",") if words.strip() else ():
        match = _RANGE.fullmatch(part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not first <= last < MOST:
            raise ValueError(f"cores are numbers and ranges below {MOST:,}, as 0-2,5, and not {part.strip()!r}")
        found.update(dict.fromkeys(range(first, last + 1)))
    return tuple(found)


def bind_to(cores: tuple[int, ...]) -> str | None:
    """Bind this thread, and all that it starts afterwards, to some cores; without any, nothing is changed.

    Returns one sentence where the system does not allow it: then all is as before.
    """
    if not cores:
        return None
    if not hasattr(os, "sched_setaffinity"):
        return "this system binds no processes to cores"
    try:
        os.sched_setaffinity(0, cores)
    except OSError:
        allowed = ", ".join(map(str, sorted(os.sched_getaffinity(0))))
        return f"cores {', '.join(map(str, cores))} are not among those of this process: {allowed}"
    return None


def bound_to(cores: tuple[int, ...], argv: list[str]) -> list[str]:
    """Return the command that starts a program bound to cores; without any, the program itself."""
    return [sys.executable, "-I", "-S", __file__, listed(cores), *argv] if cores else argv


def listed(cores: Iterable[int]) -> str:
    """Return the list that ``cores_in`` reads."""
    return ",".join(map(str, cores))


if __name__ == "__main__":
    if (refused := bind_to(cores_in(sys.argv[1]))) is not None:
        sys.exit(f"{sys.argv[2]} cannot be started: {refused}.")
    try:
        os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - no shell is wanted
    except OSError as error:
        sys.exit(f"{sys.argv[2]} cannot be started: {error.strerror}.")
