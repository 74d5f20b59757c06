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
        self._columns = [[at[name] for name in group.observed] for group in GROUPS]
        self._pick = list(map(_picker, self._columns))
        self._tables = tables(at)
        self._fragments = Fragments(WORDS)
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
        factor, observed = batch.score.factor, np.require(batch.score.observed, np.float32, ("C", "W"))
        rows, places = np.nonzero(factor >= 0)
        if len(rows) and observed.shape[1] != len(_OBSERVED):
            raise ValueError("what the factors rest on is no longer in the batch: they were written before")
        groups = factor[rows, places].astype(np.int64)
        words = np.zeros((len(rows), WORDS), np.uint64)
        said_by(observed, observed.view(np.uint32), (np.ascontiguousarray(rows), groups), self._tables, words)
        number = np.full(factor.shape, -1, np.int32)

        def make(at: int) -> int:
            return self._piece(int(groups[at]), observed[rows[at]])

        with self._lock:
            self._fragments.begin()
            number[rows, places] = self._fragments.numbers(words, make)
            return WrittenFactors(number, self._fragments.pieces, self._fragments.beside)

    def _piece(self, group: int, observed: F32) -> int:
        said = GROUPS[group]
        row = observed[self._columns[group]].tolist()
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
