"""Explanation: the top factors of a batch as sentences with the observed values."""

from __future__ import annotations

from schemas.batches import F32, Scored
from schemas.result import Factor
from scoring.features import feature_schema, matrix
from scoring.groups import GROUPS
from scoring.model import Model, ModelError


class Explainer:
    """Turns the factor indices of one model into what merchants read."""

    def __init__(self, model: Model) -> None:
        self._version = model.version
        position = feature_schema().position
        self._observed = [[(name, position[name]) for name in group.observed] for group in GROUPS]

    def __call__(self, batch: Scored) -> list[list[Factor]]:
        """Return the factors of every row, strongest first; each raises the score."""
        if batch.score.model != self._version:
            raise ModelError(f"the batch was scored by {batch.score.model}, and {self._version} cannot explain it")
        table = matrix(batch)
        rows = zip(batch.score.factor.tolist(), batch.score.contribution.tolist(), strict=True)
        return [
            [self._factor(table, row, group, share) for group, share in zip(groups, shares, strict=True) if group >= 0]
            for row, (groups, shares) in enumerate(rows)
        ]

    def _factor(self, table: F32, row: int, group: int, share: float) -> Factor:
        values = {name: float(table[row, column]) for name, column in self._observed[group]}
        return Factor(GROUPS[group].code, GROUPS[group].say(values), round(share, 4))
