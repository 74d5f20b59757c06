"""Compiles the loops of the stage, or loads them: ``python -m enrichers.warm``, part of ``make setup``."""

from __future__ import annotations

import numpy as np

from enrichers.compiled import find_causes, join_clues


def warm() -> None:
    """Run each loop once, on the types that the stage gives it."""
    columns, row = np.zeros(1, np.intp), np.zeros((1, 1), np.uint8)
    find_causes(row, row, np.zeros(1, np.uint64), (columns,) * 6, row)
    words = np.frombuffer(bytes(8), np.uint64)
    out = (np.zeros((1, 1), np.int8), np.zeros((1, 1), np.float32), np.zeros((1, 1), np.uint32))
    clues = (columns, np.ones(1), np.ones(1, np.uint32))
    join_clues(words, 1, clues, words.view(np.uint8)[:1].reshape(1, 1), np.ones(1, np.float32), out)


if __name__ == "__main__":
    warm()
