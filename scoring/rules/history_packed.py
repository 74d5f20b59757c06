"""Most reads and writes as the bytes that are sent, by protocol 2: filled in, which is quicker than to pack parts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from scoring.rules.history import WRITE_NAME, SetWrite, write_command
from scoring.rules.history_sets import Command

_CACHED: Final = 1_024
_RANGE_HEAD: Final = b"*5\r\n$13\r\nZRANGEBYSCORE\r\n$%d\r\n"
_RANGE_TAIL: Final = b"\r\n$%d\r\n%b\r\n$4\r\n+inf\r\n$10\r\nWITHSCORES\r\n"
_WRITE_HEAD: Final = b"*10\r\n$7\r\nEVALSHA\r\n$40\r\n%b\r\n$1\r\n1\r\n$%%d\r\n" % WRITE_NAME
_NAMED: Final = b"\r\n$%d\r\n%b\r\n$"
_TIMED: Final = b"\r\n$%d\r\n%b\r\n"


def packed_range(key: bytes, low: bytes) -> bytes:
    """Return what ``history_sets.range_command`` is as bytes."""
    return range_head(len(key)) + key + range_tail(low)


def range_head(key_size: int) -> bytes:
    """Return what is sent of a range before its key of so many bytes."""
    return _RANGE_HEAD % key_size


def range_tail(low: bytes) -> bytes:
    """Return what is sent of a range behind its key."""
    return _RANGE_TAIL % (len(low), low)


def packed_write(sets: Sequence[SetWrite]) -> Command | bytes:
    """Return what ``history.write_command`` is, as bytes where it is of one set."""
    if len(sets) != 1:
        return write_command(sets)
    key, arguments, _, limits = sets[0]
    name, payload, at = arguments[:3]
    behind = named(name), b"%d\r\n" % len(payload), payload, timed(at), limits or packed_limits(arguments[3:])
    return b"".join((write_head(len(key)), key, *behind))


def write_head(key_size: int) -> bytes:
    """Return what is sent of a write to one set before its key of so many bytes."""
    return _WRITE_HEAD % key_size


def named(name: bytes) -> bytes:
    """Return what is sent of a write behind its key: the event's id. The payload's size is next, and a line's end."""
    return _NAMED % (len(name), name)


def timed(at: int) -> bytes:
    """Return what is sent of a write behind its payload: the event's time. The set's limits are next."""
    time = b"%d" % at
    return _TIMED % (len(time), time)


@lru_cache(_CACHED)
def packed_limits(limits: tuple[bytes, ...]) -> bytes:
    """Return the last arguments of a write as they are sent."""
    return b"".join([b"$%d\r\n%b\r\n" % (len(one), one) for one in limits])
