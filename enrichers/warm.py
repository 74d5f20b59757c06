"""Compiles the loops of the stage, or loads them: part of ``infra.compiled_loops``."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from enrichers.compiled import find_causes, gather, join_clues
from enrichers.compiled_clues import (
    INPUT_STATISTICS,
    bot_clues,
    headless_clues,
    input_clues,
    over_limits,
    rare_parts,
)
from enrichers.view import Raw
from enrichers.whereabouts import Whereabouts
from schemas.batches import F32, U8, History, Network
from schemas.column_steps import run


def warm() -> None:
    """Run each loop once, on the types that the stage gives it."""
    columns, row = np.zeros(1, np.intp), np.zeros((1, 1), np.uint8)
    find_causes(row, row, np.zeros(1, np.uint64), (columns,) * 6, row)
    out = (np.zeros((1, 1), np.int8), np.zeros((1, 1), np.float32), np.zeros((1, 1), np.uint32))
    join_clues(row, (columns, np.ones(1), np.ones(1, np.uint32)), row, np.ones(1, np.float32), out)
    _warm_clues(columns)
    _warm_whereabouts()


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
    raw = Raw(row, row, np.zeros(1, np.uint64), share, kinds, code, code, code, code.astype(np.uint16), share)
    _warm_program(raw, row)
    none, seen = np.uint32(0), np.zeros((24, 1), np.uint8)
    headless_clues(raw, columns, (table,) * 5, none, seen, table[:1], found)
    crawlers = np.zeros((3, 1), np.bool_)
    places, found = (columns, columns, columns, 0, columns), np.zeros((31, 1), np.uint8)
    bot_clues(raw, places, (table,) * 3, (none, kinds[0]), seen, crawlers, found)


def _warm_program(raw: Raw, row: U8) -> None:
    places, columns = np.zeros(1, np.int64), (raw.numbers.copy(), raw.categories.copy(), np.zeros((6, 1), np.uint8))
    gather(raw, (places[:1], places[:0], places[:1]), (places,) * 5, (row, places), columns)
    run(np.zeros((0, 6), np.int64), np.zeros(1, np.float32), row[0], columns, np.zeros(1, np.uint64))


def _warm_whereabouts() -> None:
    place, places, time = np.zeros(1, np.float32), np.zeros((1, 1), np.float32), np.zeros(1, np.int64)
    code, tag = np.zeros(1, np.uint16), np.zeros(1, np.uint32)
    history = History(tag, code[:, None].astype(np.uint8), places, places, places, time[:, None])
    Whereabouts(Network(code, tag, place, place, code), history, place, tag, time)
