"""Short turns on a processor: who answers within milliseconds asks Linux for them, and those who only compute do not.

A thread that wakes up waits until the turn of one that computes has ended, some 3 ms and more on a busy machine, and
between Kafka and Redis an event waits for a dozen of such wake-ups. Since 6.12 a thread may name the length of its turn
(EEVDF's slice); the shorter it is, the sooner it runs after it has woken, and its share of the processor stays the
same. No privilege is needed. Threads and programs that it starts afterwards inherit it.

Also a plain script on the standard library alone: ``turns.py MICROSECONDS PROGRAM [WORD ...]`` becomes the program.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys

MICROSECONDS = 100
"""The shortest turn that Linux grants."""
_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274, "riscv64": 274, "ppc64le": 355, "s390x": 345}
# struct sched_attr: size, policy (0: as all threads have it), flags, nice, priority, runtime (ns), and four that only
# other policies and clamps know.
_ATTRIBUTES = struct.Struct("<IIQiIQQQII")


def take_short_turns(microseconds: int = MICROSECONDS) -> bool:
    """Ask for turns of so long for this thread and all that it starts; 0 gives back what is usual.

    False where the system knows no such call or refuses it. Linux before 6.12 takes it and does nothing.
    """
    number = _SCHED_SETATTR.get(platform.machine()) if sys.platform == "linux" else None
    if number is None:
        return False
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    words = _ATTRIBUTES.pack(_ATTRIBUTES.size, 0, 0, nice, 0, microseconds * 1_000, 0, 0, 0, 0)
    own_thread = 0
    return ctypes.CDLL(None, use_errno=True).syscall(number, own_thread, words, 0) == 0


def with_short_turns(argv: list[str]) -> list[str]:
    """Return the command that starts a program with short turns."""
    return [sys.executable, "-I", "-S", __file__, str(MICROSECONDS), *argv]


if __name__ == "__main__":
    take_short_turns(int(sys.argv[1]))
    try:
        os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - no shell is wanted
    except OSError as error:
        sys.exit(f"{sys.argv[2]} cannot be started: {error.strerror}.")
