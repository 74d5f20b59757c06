"""Most reads and writes as the bytes that are sent, by protocol 2: filled in, which is quicker than to pack parts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from scoring.rules.history import WRITE_NAME, SetWrite, write_command
from scoring.rules.history_sets import Command

_CACHED: Final = 1_024
_RANGE: Final = b"*5\r\n$13\r\nZRANGEBYSCORE\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n$4\r\n+inf\r\n$10\r\nWITHSCORES\r\n"
_WRITE: Final = (
    b"*10\r\n$7\r\nEVALSHA\r\n$40\r\n%b\r\n$1\r\n1\r\n" % WRITE_NAME
    + b"$%d\r\n%b\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n%b"
)


def packed_range(key: bytes, low: bytes) -> bytes:
    """Return what ``history_sets.range_command`` is as bytes."""
    return _RANGE % (len(key), key, len(low), low)


def packed_write(sets: Sequence[SetWrite]) -> Command | bytes:
    """Return what ``history.write_command`` is, as bytes where it is of one set."""
    if len(sets) != 1:
        return write_command(sets)
    key, arguments, _, limits = sets[0]
    name, payload, at = arguments[:3]
    time = b"%d" % at
    return _WRITE % (
        len(key), key, len(name), name, len(payload), payload, len(time), time,
        limits or packed_limits(arguments[3:]),
    )  # fmt: skip


@lru_cache(_CACHED)
def packed_limits(limits: tuple[bytes, ...]) -> bytes:
    """Return the last arguments of a write as they are sent."""
    return b"".join([b"$%d\r\n%b\r\n" % (len(one), one) for one in limits])
