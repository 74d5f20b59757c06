"""The loop that packs results for Redis, compiled: LZ4 blocks against a dictionary that is hashed once.

The library's own ``lz4.block.compress`` reads the dictionary again for each result, and hands the interpreter's lock
back and forth for it, which a writer waits for while others compute. What comes out is read by that library.

Places are unsigned: Numba counts from the end by signed ones.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from flows.stages.device_state import compiled
from flows.stages.device_state.compiled import kernels_of, step
from schemas.columns import I64, U8, U16

kernel = kernels_of(Path(__file__), Path(str(compiled.__file__)))

HASH_BITS: Final = 13
REACH: Final = 65_535
"""So far back a match may lie: a dictionary and a record have no more bytes together."""
HEAD: Final = 5
SPARE: Final = 8
"""Words are read whole: so many bytes more must be there behind a record."""
_ONE, _TWO, _WORD = np.uintp(1), np.uintp(2), np.uintp(8)
_TAIL: Final = np.uintp(12)  # the last match of a block begins before them
_LITERALS: Final = np.uintp(5)  # and ends before these
_LEAST: Final = np.uintp(4)
_FULL: Final = np.uintp(15)
_BYTE: Final = np.uintp(255)
_FACTOR, _SHIFT = np.uint64(0x9E3779B185EBCA87), np.uint64(64 - HASH_BITS)
_SHORTEST: Final = np.uintp(6)  # shorter matches than LZ4 knows would save nothing
_UNSEEN: Final = np.uint64(16)  # what of a word is not among these bytes


@step
def word(data: Any, at: Any) -> Any:
    found = np.uint64(data[at])
    for byte in range(1, 8):
        found |= np.uint64(data[at + np.uintp(byte)]) << np.uint64(8 * byte)
    return found


@step
def place_of(start: Any) -> Any:
    return np.uintp((start << _UNSEEN) * _FACTOR >> _SHIFT)


@kernel
def hashed(dictionary: U8, known: U16) -> None:
    """Write where each six bytes of the dictionary stand, by their hash; of equal ones the last."""
    for at in range(len(dictionary) - 7):
        known[place_of(word(dictionary, np.uintp(at)))] = at


@step
def put_length(out: Any, at: Any, length: Any) -> Any:
    """Write what of a length did not fit into its four bits."""
    left = length - _FULL
    while left >= _BYTE:
        out[at] = 255
        at, left = at + _ONE, left - _BYTE
    out[at] = left
    return at + _ONE


@step
def put_literals(out: Any, at: Any, window: Any, first: Any, last: Any, more: Any) -> Any:
    """Write a token and the literals that it begins with; ``more``: the bytes beyond four of the match that follows."""
    literals = last - first
    out[at] = min(literals, _FULL) << np.uintp(4) | min(more, _FULL)
    at += _ONE
    if literals >= _FULL:
        at = put_length(out, at, literals)
    for byte in range(literals):
        out[at + np.uintp(byte)] = window[first + np.uintp(byte)]
    return at + literals


@step
def alike_until(window: Any, earlier: Any, at: Any, end: Any) -> Any:
    """Return where what is alike from these two places on ends."""
    while at + _WORD <= end and word(window, earlier) == word(window, at):
        earlier, at = earlier + _WORD, at + _WORD
    while at < end and window[earlier] == window[at]:
        earlier, at = earlier + _ONE, at + _ONE
    return at


@step
def packed(window: Any, table: Any, begin: Any, end: Any, out: Any, at: Any) -> Any:
    """Write the block of the bytes from ``begin`` to ``end``, which the dictionary precedes; return where it ends."""
    here = written = begin
    while here + _TAIL <= end:
        start = word(window, here)
        place = place_of(start)
        earlier = np.uintp(table[place])
        table[place] = here
        if (word(window, earlier) ^ start) << _UNSEEN:
            here += _ONE
            continue
        until = alike_until(window, earlier + _SHORTEST, here + _SHORTEST, end - _LITERALS)
        while here > written and earlier > 0 and window[here - _ONE] == window[earlier - _ONE]:
            here, earlier = here - _ONE, earlier - _ONE
        more = until - here - _LEAST
        at = put_literals(out, at, window, written, here, more)
        back = here - earlier
        out[at], out[at + _ONE] = back & _BYTE, back >> np.uintp(8)
        at += _TWO
        if more >= _FULL:
            at = put_length(out, at, more)
        here = written = until
    return put_literals(out, at, window, written, end, np.uintp(0))


@kernel
def pack_rows(
    window: U8, begin: int, known: U16, table: U16, joined: U8, ends: I64, number: int, out: U8, stops: I64
) -> None:
    """Pack each record of ``joined``, which ends where ``ends`` says, into ``out``, and say in ``stops`` where it ends.

    ``window`` begins with the dictionary, of ``begin`` bytes, and has room for a record and ``SPARE`` behind it;
    ``table`` has room for as many numbers as ``known``. What ``out`` must hold is told by :func:`room_for`.
    """
    first, at, behind = np.uintp(0), np.uintp(0), np.uintp(begin)
    for row in range(len(ends)):
        size = np.uintp(ends[row]) - first
        for byte in range(size):
            window[behind + np.uintp(byte)] = joined[first + np.uintp(byte)]
        for byte in range(len(known)):
            table[byte] = known[byte]
        out[at] = number
        for byte in range(4):
            out[at + np.uintp(1 + byte)] = size >> np.uintp(8 * byte) & _BYTE
        at = packed(window, table, behind, behind + size, out, at + np.uintp(HEAD))
        first = np.uintp(ends[row])
        stops[row] = at


def room_for(rows: int, size: int) -> int:
    """Return how many bytes records of so many together take at most."""
    return size + size // 255 + rows * (HEAD + 16)
