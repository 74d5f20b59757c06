"""A redriven record: a record of ``events.raw`` that was there before, failed, and is sent again by somebody.

Layout, little-endian, 8 bytes and then what was counted and the record as it was received::

    0  "CR" | 2 version u8 | 3 attempt u8 | 4 told length u32 | 8 told | the original record

``attempt`` is how often the row was tried before, at least 1. ``told`` is what was counted of the event before it
failed (schemas.told), empty where it failed before anything was counted.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

REDRIVEN_MAGIC: Final = b"CR"
REDRIVEN_VERSION: Final = 1
MOST_ATTEMPTS: Final = 255
_HEAD: Final = struct.Struct("<2sBBI")


class Redriven(NamedTuple):
    """What a redriven record holds."""

    attempt: int
    told: bytes
    record: bytes


class RedrivenError(ValueError):
    """Bytes with the mark of a redriven record that are none; ``known`` says whether the version is this build's."""

    def __init__(self, known: bool) -> None:
        super().__init__("not a redriven record" if known else "a redriven record of another version")
        self.known = known


def wrap_redriven(attempt: int, told: bytes, record: bytes) -> bytes:
    """Return the record that is sent again. ValueError where the attempt is not 1 to ``MOST_ATTEMPTS``."""
    if not 1 <= attempt <= MOST_ATTEMPTS:
        raise ValueError(f"a record can be redriven after 1 to {MOST_ATTEMPTS} attempts, not after {attempt}")
    return b"".join((_HEAD.pack(REDRIVEN_MAGIC, REDRIVEN_VERSION, attempt, len(told)), told, record))


def is_redriven(value: bytes) -> bool:
    """Return whether a record has the mark of a redriven one."""
    return value[:2] == REDRIVEN_MAGIC


def unwrap_redriven(value: bytes) -> Redriven:
    """Read a record that has the mark. RedrivenError where it is not laid out so; it never holds another one."""
    if len(value) < _HEAD.size:
        raise RedrivenError(known=True)
    _, version, attempt, size = _HEAD.unpack_from(value)
    if version != REDRIVEN_VERSION:
        raise RedrivenError(known=False)
    start = _HEAD.size + size
    if attempt < 1 or start > len(value) or is_redriven(value[start : start + 2]):
        raise RedrivenError(known=True)
    return Redriven(attempt, value[_HEAD.size : start], value[start:])


def found_redriven(value: bytes) -> Redriven | None:
    """Return what a redriven record holds, None where a record is none or cannot be read."""
    if not is_redriven(value):
        return None
    try:
        return unwrap_redriven(value)
    except RedrivenError:
        return None


def original_of(value: bytes) -> bytes:
    """Return the record as it was first received, of a redriven one; any other as it is."""
    found = found_redriven(value)
    return value if found is None else found.record
