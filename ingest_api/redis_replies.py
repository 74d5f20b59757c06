"""Replies of Redis as they came, by protocol 2: objects are made of those that are looked at."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any, Final, NamedTuple

import hiredis
import numpy as np

from scoring.rules.reply_loops import reply_ends

_ERROR: Final = ord("-")
_NOTHING: Final = b""
_NONE: Final = b"$-1\r\n"
_COUNTED: Final = b"*1\r\n:1\r\n"


class Replies(NamedTuple):
    """Some replies; ``begins`` says where each of them begins in ``data``, and where the last one ends."""

    data: bytes
    begins: Sequence[int]

    def part(self, first: int, last: int) -> Replies:
        """Return those from one on up to before another."""
        return Replies(self.data, self.begins[first : last + 1])

    def parsed(self, first: int, last: int) -> list[Any]:
        """Return them as objects, refusals too."""
        said, count = self.data[self.begins[first] : self.begins[last]], last - first
        if said == _NONE:  # as most event ids are
            return [None]
        if said == _COUNTED * count:  # as most writes are answered
            return [[1]] * count
        reader = hiredis.Reader()
        reader.feed(said)
        return [reader.gets() for _ in range(count)]

    def has_refusal(self) -> bool:
        """Tell whether Redis refused any of the commands."""
        firsts = self.begins[:-1]
        return _ERROR in (itemgetter(*firsts)(self.data) if len(firsts) > 1 else self.data[firsts[0] : firsts[0] + 1])


class Gathering:
    """Replies to ``count`` commands, as they come in pieces."""

    def __init__(self, count: int) -> None:
        self._begins = [0]
        self._data: bytes | bytearray = _NOTHING
        self._left = np.empty(count, np.int64)

    def feed(self, piece: bytes) -> Replies | None:
        """Take in a piece; return all of the replies once the last has come. ValueError where this is none of them."""
        if not self._data:
            self._data = piece  # mostly all of it
        elif isinstance(self._data, bytearray):
            self._data += piece
        else:
            self._data = bytearray(self._data + piece)
        found = reply_ends(self._data, self._begins[-1], self._left)
        if found < 0:
            raise ValueError("not protocol 2")
        self._begins += self._left[:found].tolist()
        self._left = self._left[found:]
        if len(self._left):
            return None
        if self._begins[-1] != len(self._data):
            raise ValueError("more replies than commands")
        return Replies(bytes(self._data), self._begins)
