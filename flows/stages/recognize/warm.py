"""Compiles the loops of recognize, or loads them: part of ``infra.compiled_loops``."""

from __future__ import annotations

from typing import Any

import numpy as np

from flows.stages.recognize.combinations import Combinations
from flows.stages.recognize.layout import PROBED, SPAN, Decided, Rows
from flows.stages.recognize.reputation import posterior
from flows.stages.recognize.state import HalfLives, RecognitionState, Sizes
from schemas.batch_layout import no_rows
from schemas.batches import Normalized
from schemas.catalogue import load_catalogue
from schemas.recognition import COMBINATIONS, REPUTED, PrevalenceSeed
from schemas.velocity import SLICES

_SIZES = Sizes(SLICES * PROBED, SLICES * PROBED, SLICES * PROBED)


def compile_kernels() -> None:
    """Count rows, write the state, and read it into another one: whatever Python calls is compiled then."""
    one = np.ones(1, np.uint64)
    seed = PrevalenceSeed("", np.zeros(1, np.uint8), one, np.ones(1, np.uint32))
    state = RecognitionState(_SIZES, HalfLives(1, 1), seed)
    entities = np.ones((1, len(REPUTED)), np.uint64)
    state.decide(Decided(np.zeros(1, np.int64), np.zeros(1, np.int64), entities, np.ones(1, np.bool_)))
    copy = RecognitionState(_SIZES, HalfLives(1, 1))
    for time in (1, 2 * SPAN):  # the landmark moves
        state.count(_row(time, entities))
        copy.read(state.frame(0, SLICES))
    state.note(_told(), 1, 0, 1)
    Combinations(load_catalogue()).rows(no_rows(Normalized))
    posterior(entities, np.ones((1, len(REPUTED) + 1)), np.zeros((1, len(REPUTED) + 1)))


def _row(time: int, entities: np.ndarray[tuple[int, int], np.dtype[np.uint64]]) -> Rows:
    keys, copies = np.ones((1, len(COMBINATIONS)), np.uint64), np.ones((1, 3), np.uint64)
    return Rows(np.full(1, time, np.int64), np.zeros(1, np.int64), keys, entities, copies)


def _told() -> tuple[np.ndarray[Any, Any], ...]:
    zero = np.zeros(1, np.int64)
    return zero, zero, zero, zero, np.zeros((1, 16), np.uint8), np.zeros(1, np.uint32), np.ones(1, np.uint8)
