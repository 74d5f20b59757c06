"""Compiles the loops of scoring, or loads them: part of ``infra.compiled_loops``."""

from __future__ import annotations

import numpy as np

from schemas.batches import Activity
from schemas.velocity import HOURS, SLICES
from scoring.compiled import put_signals, share_of_hours
from scoring.evaluation import Evaluation, Tables
from scoring.log_statistics import log_statistics
from scoring.packed_loops import pack_rows
from scoring.rules import reply_loops
from scoring.sentence_loops import WORDS, said_by
from scoring.standing import Standing, restored
from scoring.standing_loops import Rows


def warm() -> None:
    """Run each loop once, on the types that features, models and decisions give it."""
    _warm_columns()
    _warm_walk()
    _warm_decide()
    _warm_sentences()
    reply_loops.warm()


def _warm_columns() -> None:
    """Put one event's signals in their columns, pack them, count a log without entries, and look at one hour."""
    flags, codes = np.zeros((1, 1), np.uint8), np.ones((1, 1), np.uint32)
    places, bits = np.zeros(4, np.int64), np.zeros(1, np.uint64)
    put_signals(np.empty((1, 1), np.float32), places, (flags, flags, codes), (1, bits), flags.view(np.int8))
    ranges, row = np.array([(0, 1)]), np.empty((1, 6), np.uint8)
    pack_rows(row, ranges, (flags, flags, codes), (1, bits), flags.view(np.int8), (1, 3, 4, 5), row.copy())
    log_statistics(
        Activity(np.zeros(2, np.int64), codes[0, :0], bits[:0].astype(np.float32), np.zeros(0, np.uint16), flags[0, :0])
    )
    share_of_hours(np.zeros((1, HOURS), np.uint8), np.zeros(1, np.int64), np.empty(1, np.float32))


def _warm_walk() -> None:
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


def _warm_decide() -> None:
    """Decide one row, save it and restore it."""
    state, out, one = Standing(1, 1), np.zeros(1, np.uint8), np.ones(1, np.int64)
    first = state.pack(0, SLICES)
    state.follow(Rows(np.ones(1, np.uint64), one, one, np.ones((1, 3), np.uint8)), out, out.copy())
    restored([first, state.pack(5, 1)], 1, 1)


def _warm_sentences() -> None:
    """Ask what one factor's sentence depends on."""
    row, one, none = np.zeros((1, 1), np.float32), np.zeros(2, np.int64), np.zeros(1)
    words = np.zeros((1, WORDS), np.uint64)
    said_by(row, row.view(np.uint32), (one[:1], one[:1]), (one, none, one, one, one, one), words)
