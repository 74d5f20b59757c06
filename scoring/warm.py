"""Compiles the loops of scoring, or loads them: part of ``infra.compiled_loops``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from schemas.batches import Activity
from schemas.ruling import NO_DECISION
from schemas.velocity import SLICES
from scoring.compiled import put_reasons
from scoring.evaluation import TOP_FACTORS, Evaluation, Tables
from scoring.log_statistics import log_statistics
from scoring.matrix_loops import AGES_FROM, FEATURES_FROM, put_features, put_log_free_ages
from scoring.packed_loops import COLUMNS as PACKED_FROM
from scoring.packed_loops import pack_rows
from scoring.row_loops import AGES
from scoring.rules import reply_loops
from scoring.sentence_loops import WORDS, said_by
from scoring.standing import Standing, restored
from scoring.standing_loops import Rows, ask


def warm() -> None:
    """Run each loop once, on the types that features, models and decisions give it."""
    _warm_columns()
    _warm_walk()
    _warm_decide()
    _warm_sentences()
    reply_loops.warm()


def _warm_columns() -> None:
    """Lay out one event's features, pack them, and count a log without entries."""
    log_ages_from, nothing = (*_no_rows(AGES_FROM), np.empty((AGES, 0), np.float32)), np.zeros((16, 1), np.int64)
    put_log_free_ages(id(log_ages_from))
    features_from = (*_no_rows(FEATURES_FROM), *_no_rows((np.float32, np.float32)))
    tables = (nothing,) * 14
    put_features(id(features_from), id(tables), 0)
    packed_from, layout = _no_rows((*PACKED_FROM, np.uint8)), (np.zeros((0, 2), np.int64), np.zeros(7, np.int64))
    pack_rows(id(packed_from), id(layout))
    log_statistics(Activity(np.zeros(2, np.int64), *_no_entries(np.uint32, np.float32, np.uint16, np.uint8)))


def _no_entries(*kinds: Any) -> tuple[Any, ...]:
    return tuple(np.zeros(0, kind) for kind in kinds)


def _no_rows(kinds: Sequence[Any]) -> tuple[Any, ...]:
    """Return columns of these types without rows, of as many dimensions as any loop asks for."""
    return tuple(np.zeros((0, 1, 1, 1), kind) for kind in kinds)


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
    shape = 1, TOP_FACTORS
    out = np.empty(shape, np.int8), np.empty(shape, np.float32), np.empty(shape, np.float32)
    put_reasons(tuple(evaluation(row)), row, np.zeros(TOP_FACTORS, np.intp), out)
    evaluation.score(row)


def _warm_decide() -> None:
    """Decide one row, save it and restore it."""
    state, out, one, score = Standing(1, 1), np.zeros(1, np.uint8), np.ones(1, np.int64), np.zeros((1, 3), np.float32)
    ask(
        (score[0, :1], score[0, :1]),
        (out, out),
        NO_DECISION,
        (score, one - 1),
        np.zeros((1, 2), np.uint64),
        (score.T.copy(), np.ones((1, 3), np.uint8), np.ones(1, np.uint64)),
    )
    first = state.pack(0, SLICES)
    state.follow(Rows(np.ones(1, np.uint64), one, one, np.ones((1, 3), np.uint8)), out, out.copy())
    restored([first, state.pack(5, 1)], 1, 1)


def _warm_sentences() -> None:
    """Ask what one factor's sentence depends on."""
    row, one, none = np.zeros((1, 1), np.float32), np.zeros(2, np.int64), np.zeros(1)
    said_by(np.zeros((1, 1), np.int8), row, (one, none, one, one, one, one), np.zeros((1, WORDS), np.uint64))
