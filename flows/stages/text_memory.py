"""Texts by number: those of some columns that were asked for before are found again, a batch in one compiled loop.

Browsers, graphics, time zones and pages are far fewer than events. What is remembered changes the time that a batch
takes, never what comes of it. A memory that is full is begun anew: a client cannot make the process grow by what it
sends.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from flows.stages import text_loops as loops
from schemas.batches import I32, I64, U8, Texts
from schemas.columns import plain

_MOST: Final = 8_192  # texts
_SLOTS: Final = 4  # a text
_FIRST_BYTES: Final = 65_536
_KINDS: Final = 256  # as the loops
_NOBODY: Final = np.zeros(0, np.int64)


class Asked(NamedTuple):
    """A column of texts, and how it is asked for."""

    column: int
    limit: int  # bytes of a text that are looked at
    kind: int = 0  # texts of one kind have one number wherever they stand
    of_year: bool = False  # the same text has another number in another year
    whole: bool = False  # a text that is longer than the limit is never known, else it is cut


class Unknown(NamedTuple):
    """A text of a batch that has no number yet."""

    row: int
    place: int  # among the columns that were asked for
    text: bytes  # cut to the limit of the column
    sort: int  # the kind, of the year where it has one


class TextTable:
    """Numbers of texts, from ``len(asked)`` on: those below are of the columns' absent texts."""

    def __init__(self, asked: Sequence[Asked], most: int = _MOST) -> None:
        """``most``: texts that have a number at the most, those of absent ones among them."""
        self._asked = asked
        self._columns: I64 = (
            np.array(
                [
                    (one.column, one.limit, one.kind, one.of_year * loops.OF_YEAR + one.whole * loops.WHOLE)
                    for one in asked
                ],
                np.int64,
            )
            .reshape(-1, loops.ASKED)
            .T.copy()
        )
        self.most = most
        self._count, self._used = len(asked), 0
        self._slots = np.zeros(1 << (_SLOTS * most - 1).bit_length(), np.uint64)
        self._entries = np.zeros((most, loops.SPAN), np.int64)
        self._octets = np.zeros(_FIRST_BYTES, np.uint8)

    def __len__(self) -> int:
        """Return how many numbers are given."""
        return self._count

    @property
    def is_full(self) -> bool:
        """Return whether no number is left."""
        return self._count >= self.most

    def find(self, texts: Texts, times: I64 = _NOBODY) -> tuple[I32, int]:
        """Return the number of each text, int32[n, asked], -1 where it has none, and how many have none.

        ``times``: in ms, int64[n], where any column is asked for by the year.
        """
        rows = len(texts.blob)
        blob = np.frombuffer(b"".join(texts.blob), np.uint8)
        sizes = np.fromiter(map(len, texts.blob), np.int64, rows)
        spans = plain(texts.start, np.int32), plain(texts.length, np.int32)
        numbers = np.empty((rows, len(self._asked)), np.int32)
        table = self._slots, self._entries, self._octets
        return numbers, loops.find(blob, sizes, spans, times, self._columns, table, numbers)

    def unknown(self, texts: Texts, numbers: I32, times: I64 = _NOBODY) -> Iterator[Unknown]:
        """Give the texts without a number."""
        rows, places = (numbers < 0).nonzero()
        for row, place in zip(rows.tolist(), places.tolist(), strict=True):
            asked = self._asked[place]
            start, size = int(texts.start[row, asked.column]), int(texts.length[row, asked.column])
            text = texts.blob[row][start : start + size]
            sort = asked.kind + (_KINDS * year_of(times[row]) if asked.of_year else 0)
            yield Unknown(row, place, text if asked.whole else text[: asked.limit], sort)

    def add(self, text: bytes, sort: int) -> int:
        """Give a text a number. Not for a full table, nor for texts that have one."""
        number, first = self._count, self._used
        if first + len(text) > len(self._octets):
            octets = np.zeros(2 * (first + len(text)), np.uint8)
            octets[:first] = self._octets[:first]
            self._octets = octets
        loops.remember(np.frombuffer(text, np.uint8), sort, number, first, (self._slots, self._entries, self._octets))
        self._count, self._used = number + 1, first + len(text)
        return number


def year_of(time: np.int64) -> int:
    """Return the year of a time in ms, as the loops do."""
    bounded = min(max(int(time), 0), loops.LATEST_MS)
    years: NDArray[np.int64] = np.array([bounded], "datetime64[ms]").astype("datetime64[Y]").astype(np.int64)
    return int(years[0]) + 1970


def bytes_of(rows: Sequence[bytes]) -> U8:
    """Return rows of bytes of one length as a matrix that may be written."""
    return np.frombuffer(bytearray(b"".join(rows)), np.uint8).reshape(len(rows), -1)
