"""Explanation: the top factors of a batch as sentences with the observed values."""

from __future__ import annotations

from functools import lru_cache
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.batches import F32, Scored
from schemas.result import Factor
from scoring.features import feature_schema
from scoring.groups import GROUPS

_ABSENT = np.float32(-3e38)  # stands for NaN in the keys of the cache: NaN is not equal to itself
_ABSENT_VALUE = float(_ABSENT)
_DIGITS = 4  # of a contribution
_OBSERVED = tuple(sorted({name for group in GROUPS for name in group.observed}))


def observed_columns() -> NDArray[np.intp]:
    """Return the features whose values ``Score.observed`` keeps for the sentences, as columns of the matrix."""
    position = feature_schema().position
    return np.array([position[name] for name in _OBSERVED], np.intp)


class Explainer:
    """Turns factor indices into what merchants read."""

    def __init__(self) -> None:
        at = {name: index for index, name in enumerate(_OBSERVED)}
        self._pick = [_picker([at[name] for name in group.observed]) for group in GROUPS]

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
