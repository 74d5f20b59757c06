"""Explanation: the top factors of a batch as sentences with the observed values."""

from __future__ import annotations

import threading
from functools import lru_cache
from operator import itemgetter
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from schemas.batches import F32, Scored
from schemas.columns import U64, plain
from schemas.fragments import Fragments, WrittenFactors
from schemas.result import Factor
from scoring.features import feature_schema
from scoring.groups import GROUPS
from scoring.said import tables
from scoring.sentence_loops import WORDS, said_by

_ABSENT = np.float32(-3e38)  # stands for NaN in the keys of the cache: NaN is not equal to itself
_ABSENT_VALUE = float(_ABSENT)
_DIGITS = 4  # of a contribution
_ENCODE, _NOUGHT = msgspec.json.Encoder().encode, b"0.0}"
_OBSERVED = tuple(sorted({name for group in GROUPS for name in group.observed}))


def observed_columns() -> NDArray[np.intp]:
    """Return the features whose values ``Score.observed`` keeps for the sentences, as columns of the matrix."""
    position = feature_schema().position
    return np.array([position[name] for name in _OBSERVED], np.intp)


class Explainer:
    """Turns factor indices into what merchants read."""

    def __init__(self) -> None:
        at = {name: index for index, name in enumerate(_OBSERVED)}
        columns = [[at[name] for name in group.observed] for group in GROUPS]
        self._columns = [np.array(one, np.intp) for one in columns]
        self._pick = list(map(_picker, columns))
        self._tables = tables(at)
        self._fragments = Fragments(WORDS)
        self._words: U64 = np.empty((0, WORDS), np.uint64)
        self._lock = threading.Lock()

    def __call__(self, batch: Scored) -> list[list[Factor]]:
        """Return the factors of every row, strongest first; each raises the score."""
        table = batch.score.observed
        values = np.where(np.isnan(table), _ABSENT, table).tolist()
        rows = zip(values, batch.score.factor.tolist(), batch.score.contribution.tolist(), strict=True)
        pick = self._pick
        return [
            [
                Factor(GROUPS[group].code, _sentence(group, pick[group](row)), round(share, _DIGITS))
                for group, share in zip(groups, shares, strict=True)
                if group >= 0
            ]
            for row, groups, shares in rows
        ]

    def written(self, batch: Scored) -> WrittenFactors:
        """Return the factors of every row as pieces of JSON up to their contributions: the same as calling it."""
        factor, observed = plain(batch.score.factor, np.int8), plain(batch.score.observed, np.float32)
        if observed.shape[1] != len(_OBSERVED) and (factor >= 0).any():
            raise ValueError("what the factors rest on is no longer in the batch: they were written before")

        def make(at: int) -> int:
            row, place = divmod(at, factor.shape[1])
            return self._piece(int(factor[row, place]), observed[row])

        with self._lock:
            words = self._room(factor.size)
            said_by(factor, observed, self._tables, words)
            self._fragments.begin()
            number = self._fragments.numbers(words, make).reshape(factor.shape)
            return WrittenFactors(number, self._fragments.pieces, self._fragments.beside)

    def _room(self, factors: int) -> U64:
        """Return memory for their words: it is asked for again and again, and nothing keeps it."""
        if len(self._words) < factors:
            self._words = np.empty((factors, WORDS), np.uint64)
        return self._words[:factors]

    def _piece(self, group: int, observed: F32) -> int:
        said = GROUPS[group]
        row = observed.take(self._columns[group]).tolist()
        text = said.say(dict(zip(said.observed, row, strict=True)))
        factor = _ENCODE(Factor(said.code, text, 0.0))
        return self._fragments.add(factor[: -len(_NOUGHT)], (said.code, text))


def _picker(columns: list[int]) -> Any:
    """Return a function from a row to the tuple of a group's values."""
    if len(columns) > 1:
        return itemgetter(*columns)
    return (lambda row: (row[columns[0]],)) if columns else (lambda _: ())


@lru_cache(maxsize=65_536)
def _sentence(group: int, values: tuple[float, ...]) -> str:
    """Say a group's sentence; most factors of most events have been said before."""
    names = GROUPS[group].observed
    return GROUPS[group].say(
        {name: float("nan") if value == _ABSENT_VALUE else value for name, value in zip(names, values, strict=True)}
    )


def say(group: int, features: F32) -> str:
    """Say a group's sentence about one event, given all its features, float32[F]."""
    position, said = feature_schema().position, GROUPS[group]
    return said.say({name: float(features[position[name]]) for name in said.observed})
