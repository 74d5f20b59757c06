"""Pieces of JSON that are said again and again, each kept once as bytes and found by the numbers that it was made of.

Who writes a record copies pieces by their number, and makes no object of what it has said before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from schemas.columns import I32, I64, U8, U64
from schemas.fragment_loops import find, keep

_MOST_PIECES = 16_384  # three times the sentences of 20,000 events of the generator, of 110 bytes each
_MOST_BYTES = 4 << 20  # 7,000 smart signals with details, which differ for ever; there from the start
_FIRST_PLACES = 1 << 10


class Pieces(NamedTuple):
    """Pieces as a kernel copies them: piece i is ``text[bounds[i] : bounds[i + 1]]``.

    Later pieces are put behind these: what an earlier number says never changes.
    """

    text: U8
    bounds: I64


class Fragments:
    """Pieces by number, and their numbers by keys uint64[W]. ``beside`` holds whatever belongs to each piece.

    It forgets everything at the beginning of a batch when it holds too much: ``begin`` says so. Not for several
    threads at once.
    """

    def __init__(self, width: int, most: int = _MOST_PIECES) -> None:
        self._width, self._most = width, most
        self.beside: list[Any] = []
        self._forget()

    def _forget(self) -> None:
        self.beside = []  # a new one: who still holds the old one goes on reading it
        self._text = np.empty(_MOST_BYTES, np.uint8)
        self._bounds = np.zeros(_FIRST_PLACES + 1, np.int64)
        self._count = self._kept = 0
        self._keys = np.zeros((_FIRST_PLACES, self._width), np.uint64)
        self._ids = np.full(_FIRST_PLACES, -1, np.int32)

    def begin(self) -> bool:
        """Forget all where it is too much, and return whether that was done: numbers from before mean nothing then."""
        if self._count < self._most and self._kept < self._most and self._bounds[self._count] < _MOST_BYTES:
            return False
        self._forget()
        return True

    @property
    def pieces(self) -> Pieces:
        """Return what the numbers so far stand for."""
        return Pieces(self._text, self._bounds)

    def add(self, piece: bytes, beside: Any = None) -> int:
        """Put a piece behind the others and return its number."""
        number, first = self._count, int(self._bounds[self._count])
        last = first + len(piece)
        if last > len(self._text):
            self._text = _longer(self._text, max(2 * len(self._text), last))
        if number + 2 > len(self._bounds):
            self._bounds = _longer(self._bounds, 2 * len(self._bounds))
        self._text[first:last] = np.frombuffer(piece, np.uint8)
        self._bounds[number + 1] = last
        self._count += 1
        self.beside.append(beside)
        return number

    def numbers(self, words: U64, make: Callable[[int], int]) -> I32:
        """Return the number of each key, int32[m] for uint64[m, W]; ``make`` adds the piece of a row that has none."""
        found = np.empty(len(words), np.int32)
        if find(words, self._keys, self._ids, found):
            for row in np.flatnonzero(found < 0).tolist():
                found[row] = self._made(words[row : row + 1], row, make)
        return found

    def _made(self, key: U64, row: int, make: Callable[[int], int]) -> int:
        number = np.empty(1, np.int32)
        if find(key, self._keys, self._ids, number):  # another row of the batch may have made it
            if 2 * (self._kept + 1) > len(self._ids):
                self._grow()
            number[0] = make(row)
            self._kept += keep(key, number, self._keys, self._ids)
        return int(number[0])

    def _grow(self) -> None:
        keys, ids = self._keys, self._ids
        used = ids >= 0
        self._keys = np.zeros((2 * len(ids), self._width), np.uint64)
        self._ids = np.full(2 * len(ids), -1, np.int32)
        keep(keys[used], ids[used], self._keys, self._ids)


def pieces_of(texts: Sequence[bytes]) -> Pieces:
    """Return texts as pieces, in their order."""
    bounds = np.zeros(len(texts) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)), out=bounds[1:])
    return Pieces(np.frombuffer(bytearray(b"".join(texts)), np.uint8), bounds)


def _longer(column: Any, size: int) -> Any:
    found = np.zeros(size, column.dtype)
    found[: len(column)] = column
    return found


class WrittenFactors(NamedTuple):
    """The factors of a batch, ``K`` a row at most. A piece is a factor up to its contribution."""

    number: I32  # [n, K]: of the piece, -1 where there are fewer
    pieces: Pieces
    said: list[tuple[str, str]]  # code and sentence of each piece


class WrittenSignals(NamedTuple):
    """The smart signals of a batch: of each row and signal a piece with its name."""

    number: I32  # [n, S]
    pieces: Pieces
