"""Compiles the loops of scoring, or loads them: ``python -m scoring.warm``, part of ``make setup``."""

from __future__ import annotations

import numpy as np

from scoring.evaluation import Evaluation, Tables


def warm() -> None:
    """Score one row by a tree that is a leaf, with factors and without."""
    none, row = np.zeros(1, np.int32), np.zeros((1, 1), np.float32)
    evaluation = Evaluation(
        Tables(
            root=none, depth=none, feature=none, threshold=np.full(1, np.nan, np.float32), child=none,
            default_right=np.zeros(1, np.uint8), leaf=none, target=np.zeros((1, 2), np.uint8),
            value=np.zeros((1, 2), np.float32), constants=np.ones(3, np.float32), groups=np.ones(1, np.int32),
        ),
        1,
    )  # fmt: skip
    evaluation(row)
    evaluation.score(row)


if __name__ == "__main__":
    warm()
