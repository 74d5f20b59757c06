"""Compiles the loops of the stage, or loads them: part of ``infra.compiled_loops``."""

from __future__ import annotations

import numpy as np

from enrichers import address_loops, present_loops, text_loops
from enrichers.compiled import find_causes, join_clues
from enrichers.compiled_clues import INPUT_STATISTICS, bot_clues, headless_clues, input_clues, rare_parts
from enrichers.view import Raw
from enrichers.view_loops import COLUMNS, LAST_TABLE, Starts, gather
from enrichers.whereabouts import Whereabouts
from schemas.batches import F32, U8, History, Network
from schemas.column_steps import run


def warm() -> None:
    """Run each loop once, on the types that the stage gives it."""
    columns, row = np.zeros(1, np.intp), np.zeros((1, 1), np.uint8)
    find_causes(row, row, np.zeros(1, np.uint64), (columns,) * 6, row)
    out = (np.zeros((1, 1), np.int8), np.zeros((1, 1), np.float32), np.zeros((1, 1), np.uint32))
    join_clues(row, (columns,) * 2, (columns, np.ones(1), np.ones(1, np.uint32)), np.ones(1, np.float32), out)
    share, found = np.zeros((1, 1), np.float32), np.zeros((31, 1), np.uint8)
    address_loops.warm()
    present_loops.warm()
    text_loops.warm()
    raw = _raw(share, row)
    _warm_clues(raw, share, found)
    _warm_program(raw, share, found)
    _warm_whereabouts()


def _raw(share: F32, row: U8) -> Raw:
    code, wide, number = np.zeros(1, np.uint8), np.zeros(1, np.uint16), share[0]
    checks, system, kinds = np.zeros(1, np.uint64), np.zeros(1, np.uint32), np.zeros((1, 1), np.uint32)
    return Raw(row, row, checks, share, kinds, *(code,) * 5, number, number, wide, system, wide, share)


def _warm_clues(raw: Raw, share: F32, found: U8) -> None:
    table, columns, one = np.zeros(256, np.bool_), np.zeros(13, np.intp), np.zeros(1, np.bool_)
    seen, none = np.zeros((24, 1), np.uint8), np.uint32(0)
    input_clues(share, np.zeros(len(INPUT_STATISTICS), np.intp), np.zeros(1, np.int64), found)
    shown = raw.numbers, raw.categories, raw.browser, raw.system, raw.device
    headless_clues(shown, columns, (table,) * 5, none, seen, (raw.browser, 0), found)
    places = columns, columns, columns, 0, columns
    every = raw.numbers, raw.booleans, raw.known, raw.categories, raw.browser, raw.device, raw.statistics
    bot_clues(every, places, (table,) * 3, (none, raw.categories[0]), seen, seen[:3], found)
    rare_parts(
        (raw.booleans, raw.numbers, raw.browser),
        (share, share),
        (0, 0),
        (np.zeros(1, np.int64), one, table),
        (np.float32(0),) * 5,
        found,
    )


def _warm_program(raw: Raw, share: F32, found: U8) -> None:
    columns = np.zeros((2, 1), np.float32), raw.categories, found
    run(np.zeros((0, 6), np.int64), share[0], raw.browser, columns, np.zeros(1, np.uint64))
    no_rows = (*(np.zeros((0, 1, 1, 1), kind) for kind in COLUMNS), *(np.zeros((1, 0)) for _ in range(4)))
    nothing = np.zeros((16, 1, 1))
    starts = np.array(Starts(0, 0, 0, 0, 0, 0, 0, -1, -1, -1, -1), np.int64)
    tables = starts, *(nothing,) * (LAST_TABLE - 1)
    gather(id(no_rows), id(tables))


def _warm_whereabouts() -> None:
    place, places, time = np.zeros(1, np.float32), np.zeros((1, 1), np.float32), np.zeros(1, np.int64)
    code, tag = np.zeros(1, np.uint16), np.zeros(1, np.uint32)
    history = History(tag, code[:, None].astype(np.uint8), places, places, places, time[:, None])
    Whereabouts(Network(code, tag, place, place, code), history, place, tag, time)
