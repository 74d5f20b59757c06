"""Compiles the loops of the stage, or loads them: part of ``infra.compiled_loops``."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from enrichers.compiled import find_causes, join_clues
from enrichers.compiled_clues import (
    INPUT_STATISTICS,
    bot_clues,
    headless_clues,
    input_clues,
    over_limits,
    rare_parts,
)
from enrichers.view import Raw
from schemas.batches import F32, U8


def warm() -> None:
    """Run each loop once, on the types that the stage gives it."""
    columns, row = np.zeros(1, np.intp), np.zeros((1, 1), np.uint8)
    find_causes(row, row, np.zeros(1, np.uint64), (columns,) * 6, row)
    words = np.frombuffer(bytes(8), np.uint64)
    out = (np.zeros((1, 1), np.int8), np.zeros((1, 1), np.float32), np.zeros((1, 1), np.uint32))
    clues = (columns, np.ones(1), np.ones(1, np.uint32))
    join_clues(words, 1, clues, words.view(np.uint8)[:1].reshape(1, 1), np.ones(1, np.float32), out)
    _warm_clues(columns)


def _warm_clues(columns: NDArray[np.intp]) -> None:
    share, found = np.zeros((1, 1), np.float32), np.zeros((24, 1), np.uint8)
    input_clues(share, np.zeros(len(INPUT_STATISTICS), np.intp), np.zeros(1, np.int64), found)
    most = np.ones(1, np.uint32), np.ones(1, np.float32)
    over_limits(np.zeros((1, 1), np.uint32), share, (columns, columns), most, found)
    _warm_browsers(share, found)
    limits, row = (np.float32(0),) * 4, np.zeros(1, np.bool_)
    rare_parts(share, share, np.zeros(1, np.int64), row, limits, row, found)


def _warm_browsers(share: F32, found: U8) -> None:
    code, table, columns = np.zeros(1, np.uint8), np.zeros(256, np.bool_), np.zeros(13, np.intp)
    row, kinds = np.zeros((1, 1), np.uint8), np.zeros((1, 1), np.uint32)
    raw = Raw(row, row, np.zeros(1, np.uint64), share, kinds, code, code, code, share)
    none, seen = np.uint32(0), np.zeros((24, 1), np.uint8)
    headless_clues(raw, columns, (table,) * 5, none, seen, table[:1], found)
    crawlers = np.zeros((3, 1), np.bool_)
    places, found = (columns, columns, columns, 0, columns), np.zeros((31, 1), np.uint8)
    bot_clues(raw, places, (table,) * 3, (none, kinds[0]), seen, crawlers, found)
