"""Explanation: the top factors of a batch as sentences with the observed values."""

from __future__ import annotations

from functools import lru_cache
from operator import itemgetter
from typing import Any

import numpy as np

from schemas.batches import Scored
from schemas.result import Factor
from scoring.features import feature_schema, matrix
from scoring.groups import GROUPS
from scoring.model import Model, ModelError

_ABSENT = np.float32(-3e38)  # stands for NaN in the keys of the cache: NaN is not equal to itself
_ABSENT_VALUE = float(_ABSENT)
_DIGITS = 4  # of a contribution


class Explainer:
    """Turns the factor indices of one model into what merchants read."""

    def __init__(self, model: Model) -> None:
        self._version = model.version
        observed = sorted({name for group in GROUPS for name in group.observed})
        self._columns = np.array([feature_schema().position[name] for name in observed], np.intp)
        at = {name: index for index, name in enumerate(observed)}
        self._pick = [_picker([at[name] for name in group.observed]) for group in GROUPS]

    def __call__(self, batch: Scored) -> list[list[Factor]]:
        """Return the factors of every row, strongest first; each raises the score."""
        if batch.score.model != self._version:
            raise ModelError(f"the batch was scored by {batch.score.model}, and {self._version} cannot explain it")
        table = matrix(batch)[:, self._columns]
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
