"""What was said of texts, found again in one compiled loop a batch: renderers and browsers are far fewer than events.

What is remembered changes the time that a batch takes, never what comes of it. A memory that is full is begun anew: a
client cannot make the process grow by what it sends.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

import numpy as np

from enrichers.text_loops import ADDRESS, ANSWER, DATA, ENTRY, LACKING, MOST_WORD, SIZE, find, put_text_words, remember
from schemas.batches import I64, U8, U64, Texts
from schemas.columns import plain

_MOST: Final = 8_192  # texts, as many as the functions that are asked remember
_SLOTS: Final = 4  # a text
_LONGEST: Final = 4_096  # bytes of a text that is kept
_FUNCTIONS: Final = 64
_BYTES: Final = id(bytes)


class TextAnswers:
    """Answers of a function of texts, each a whole number from 0 on. Not for several threads at once."""

    def __init__(self, ask: Callable[[bytes | None], int], most: int = _MOST) -> None:
        self._ask = ask
        self._most = most
        self.clear()

    def clear(self) -> None:
        """Forget all texts."""
        self._texts: list[bytes] = []  # holds what the entries point to
        self._slots = np.zeros(1 << (_SLOTS * self._most - 1).bit_length(), np.uint64)
        self._entries = np.zeros((self._most, ENTRY), np.int64)

    def of_column(self, texts: Texts, column: int) -> U8:
        """Return the answers for a column, uint8[n]: they must lie below 255."""
        found, absent = np.empty(len(texts.blob), np.uint8), self._ask(None)
        if find((id(texts.blob), _BYTES), _spans(texts), column, absent, (self._slots, self._entries), found):
            for row in np.flatnonzero(found == np.uint8(LACKING & 0xFF)).tolist():
                found[row] = self._answered(text_at(texts, row, column))
        return found

    def put_words(self, texts: Texts, asked: I64, columns: I64, words: U64) -> None:
        """Set the last of ``words`` to the answers of each signal's texts, as ``put_text_words`` says."""
        blobs, table, absent = (id(texts.blob), _BYTES), (self._slots, self._entries), self._ask(None)
        if put_text_words(blobs, _spans(texts), asked, columns, absent, table, words):
            for at in np.flatnonzero(words[:, -1] == np.uint64(MOST_WORD)).tolist():
                words[at, -1] = self._word(texts, *divmod(int(asked[at]), len(columns)), columns)

    def _word(self, texts: Texts, row: int, signal: int, columns: I64) -> int:
        word = 0
        for column in columns[signal].tolist():
            if column >= 0:
                word = word << 32 | self._answered(text_at(texts, row, column))
        return word

    def _answered(self, text: bytes | None) -> int:
        """Return the answer of a text that was not found, and remember it."""
        answer = self._ask(text)
        if type(text) is not bytes or len(text) > _LONGEST:
            return answer
        if len(self._texts) >= self._most:
            self.clear()
        entry = len(self._texts)
        self._texts.append(text)
        self._entries[entry, ADDRESS], self._entries[entry, SIZE] = id(text) + DATA, len(text)
        self._entries[entry, ANSWER] = answer
        remember(entry, (self._slots, self._entries))
        return answer


def text_at(texts: Texts, row: int, column: int) -> bytes | None:
    """Return a text of one row, None where absent."""
    start, size = int(texts.start[row, column]), int(texts.length[row, column])
    return None if size < 0 else texts.blob[row][start : start + size]


def _spans(texts: Texts) -> Any:
    starts, lengths = plain(texts.start, np.int32), plain(texts.length, np.int32)
    if type(texts.blob) is not tuple or not len(texts.blob) == len(starts) == len(lengths):
        raise ValueError("a batch's texts are no tuple, or differ in length from their starts and lengths")
    return starts, lengths


_lock = threading.Lock()


def answers_of(function: Callable[[bytes | None], int], texts: Texts, column: int) -> U8:
    """Return what a function, which always says the same of a text, says of a column: a code below 255, uint8[n]."""
    with _lock:
        return _memory_of(function).of_column(texts, column)


@lru_cache(maxsize=_FUNCTIONS)
def _memory_of(function: Callable[[bytes | None], int]) -> TextAnswers:
    return TextAnswers(function)
