"""What is said of texts is the same whether a loop finds it again or a function is asked."""

from __future__ import annotations

import random

import numpy as np
import pytest

from enrichers.text_answers import TextAnswers, answers_of, text_at
from schemas.batches import Texts

_SIZES = (-1, 0, 1, 2, 7, 8, 9, 15, 16, 17, 24, 40, 4_096, 4_097)


def _texts(seed: int, rows: int = 60, columns: int = 3) -> Texts:
    """Return rows of texts of every size, of which many are alike but for one byte."""
    dice = random.Random(seed)
    blob, starts, lengths = [], [], []
    for _ in range(rows):
        row, start, length = b"", [], []
        for _ in range(columns):
            size = dice.choice(_SIZES)
            text = bytearray(b"x" * max(size, 0))
            if text:
                text[dice.randrange(len(text))] = dice.choice(b"xyz")
            start.append(len(row))
            length.append(size)
            row += bytes(text)
        blob.append(row)
        starts.append(start)
        lengths.append(length)
    return Texts(tuple(blob), np.array(starts, np.int32), np.array(lengths, np.int32))


def _code(text: bytes | None) -> int:
    return 0 if text is None else 1 + (sum(text) + 7 * len(text)) % 250


@pytest.mark.parametrize("most", [4, 16, 8_192])
def test_a_column_is_answered_as_the_function_answers_each_text(most: int) -> None:
    answers = TextAnswers(_code, most)
    for seed in range(12):
        texts = _texts(seed % 5)
        for column in range(3):
            said = [_code(text) for text in texts.column(column)]
            assert answers.of_column(texts, column).tolist() == said


def test_a_text_that_was_seen_is_not_asked_for_again() -> None:
    asked: list[bytes | None] = []

    def ask(text: bytes | None) -> int:
        asked.append(text)
        return _code(text)

    answers = TextAnswers(ask)
    texts = _texts(1)
    answers.of_column(texts, 0)
    asked.clear()
    answers.of_column(Texts(tuple(bytes(bytearray(one)) for one in texts.blob), texts.start, texts.length), 0)
    assert {text for text in asked if text is not None and len(text) <= 4_096} == set()


def test_words_hold_the_answers_of_a_signals_texts_and_others_stay() -> None:
    texts, columns = _texts(2), np.array([[0, -1], [-1, -1], [2, 1]], np.int64)
    asked = np.arange(3 * len(texts.blob), dtype=np.int64)
    answers = TextAnswers(_code)
    for _ in range(2):  # not known, and then known
        words = np.full((len(asked), 2), 7, np.uint64)
        answers.put_words(texts, asked, columns, words)
        for place, (first, word) in zip(asked.tolist(), words.tolist(), strict=True):
            row, signal = divmod(place, 3)
            said = [_code(text_at(texts, row, column)) for column in columns[signal].tolist() if column >= 0]
            assert first == 7
            assert word == (said[0] << 32 | said[1] if len(said) > 1 else said[0] if said else 7)


def test_what_lies_beyond_a_rows_bytes_or_is_no_bytes_is_read_by_python() -> None:
    beyond = Texts((b"abc", b"abcdefgh"), np.array([[1], [6]], np.int32), np.array([[20], [8]], np.int32))
    odd = Texts((bytearray(b"abc"), memoryview(b"xyz")), beyond.start * 0, np.full((2, 1), 2, np.int32))  # type: ignore[arg-type]
    answers = TextAnswers(lambda text: _code(bytes(text) if text is not None else None))
    for _ in range(2):
        assert answers.of_column(beyond, 0).tolist() == [_code(b"bc"), _code(b"gh")]
        assert answers.of_column(odd, 0).tolist() == [_code(b"ab"), _code(b"xy")]


def test_texts_of_other_rows_than_their_starts_are_refused() -> None:
    texts = _texts(3)
    with pytest.raises(ValueError, match="differ in length"):
        answers_of(_code, Texts(texts.blob, texts.start[1:], texts.length), 0)
    with pytest.raises(ValueError, match="no tuple"):
        answers_of(_code, Texts(list(texts.blob), texts.start, texts.length), 0)  # type: ignore[arg-type]


def test_no_rows_have_no_answers() -> None:
    none = Texts((), np.empty((0, 1), np.int32), np.empty((0, 1), np.int32))
    assert answers_of(_code, none, 0).tolist() == []
