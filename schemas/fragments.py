"""Pieces of JSON that are said again and again, each kept once as bytes and found by the numbers that it was made of.

Who writes a record copies pieces by their number, and makes no object of what it has said before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from schemas.columns import I32, I64, U8, U64, Rows
from schemas.fragment_loops import LACKING, find, keep

_MOST_PIECES = 16_384  # three times the sentences of 20,000 events of the generator, of 110 bytes each
_MOST_BYTES = 4 << 20  # 7,000 smart signals with details, which differ for ever; there from the start
_FIRST_PLACES = 1 << 10
SPARE: Final = 32
"""Bytes behind the last piece that may be read: most pieces are shorter, and so many are copied by two instructions."""


class Pieces(NamedTuple):
    """Pieces as a kernel copies them: piece i is ``text[bounds[i] : bounds[i + 1]]``.

    Later pieces are put behind these: what an earlier number says never changes. ``SPARE`` bytes follow the last one.
    """

    text: U8
    bounds: I64


class Numbers:
    """Numbers by keys uint64[W], found many at a time. Not for several threads at once."""

    def __init__(self, width: int) -> None:
        self._width = width
        self.forget()

    def __len__(self) -> int:
        return self._kept

    def forget(self) -> None:
        """Forget all."""
        self._kept = 0
        self._keys = np.zeros((_FIRST_PLACES, self._width), np.uint64)
        self._ids = np.full(_FIRST_PLACES, -1, np.int32)

    def of(self, words: U64, make: Callable[[int], int]) -> I32:
        """Return the number of each key, int32[m] for uint64[m, W], -1 of a key that begins with 0: it is none.

        ``make`` gives the number of a row whose key is new.
        """
        found = np.empty(len(words), np.int32)
        if find(words, self._keys, self._ids, found):
            rows = np.flatnonzero(found == LACKING)
            self._make(words[rows], rows, make, found)
        return found

    def _make(self, keys: U64, rows: Rows, make: Callable[[int], int], found: I32) -> None:
        made: dict[bytes, int] = {}
        for key, row in zip(map(bytes, keys), rows.tolist(), strict=True):
            number = made.get(key)
            if number is None:
                number = made[key] = make(row)
            found[row] = number
        while 2 * (self._kept + len(made)) > len(self._ids):
            self._grow()
        self._kept += keep(keys, found[rows], self._keys, self._ids)

    def _grow(self) -> None:
        keys, ids = self._keys, self._ids
        used = ids >= 0
        self._keys = np.zeros((2 * len(ids), self._width), np.uint64)
        self._ids = np.full(2 * len(ids), -1, np.int32)
        keep(keys[used], ids[used], self._keys, self._ids)


class Fragments:
    """Pieces by number, and their numbers by keys uint64[W]. ``beside`` holds whatever belongs to each piece.

    It forgets everything at the beginning of a batch when it holds too much: ``begin`` says so. Not for several
    threads at once.
    """

    def __init__(self, width: int, most: int = _MOST_PIECES) -> None:
        self._most = most
        self._numbers = Numbers(width)
        self._forget()

    def _forget(self) -> None:
        self._numbers.forget()
        self.beside: list[Any] = []  # a new one: who still holds the old one goes on reading it
        self._hold(np.empty(_MOST_BYTES, np.uint8))
        self._bounds = np.zeros(_FIRST_PLACES + 1, np.int64)
        self._count = self._end = 0

    def _hold(self, text: U8) -> None:
        self._text, self._view = text, text.data

    def begin(self) -> bool:
        """Forget all where it is too much, and return whether that was done: numbers from before mean nothing then."""
        if self._count < self._most and len(self._numbers) < self._most and self._end < _MOST_BYTES:
            return False
        self._forget()
        return True

    @property
    def pieces(self) -> Pieces:
        """Return what the numbers so far stand for."""
        return Pieces(self._text, self._bounds)

    def add(self, piece: bytes, beside: Any = None) -> int:
        """Put a piece behind the others and return its number."""
        number, first = self._count, self._end
        last = self._end = first + len(piece)
        if last + SPARE > len(self._text):
            self._hold(_longer(self._text, max(2 * len(self._text), last + SPARE)))
        if number + 2 > len(self._bounds):
            self._bounds = _longer(self._bounds, 2 * len(self._bounds))
        self._view[first:last] = piece
        self._bounds[number + 1] = last
        self._count += 1
        self.beside.append(beside)
        return number

    def numbers(self, words: U64, make: Callable[[int], int]) -> I32:
        """Return the number of each key, as ``Numbers.of`` does; ``make`` adds the piece of a row whose key is new."""
        return self._numbers.of(words, make)


def pieces_of(texts: Sequence[bytes]) -> Pieces:
    """Return texts as pieces, in their order."""
    bounds = np.zeros(len(texts) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)), out=bounds[1:])
    return Pieces(np.frombuffer(bytearray(b"".join((*texts, bytes(SPARE)))), np.uint8), bounds)


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
