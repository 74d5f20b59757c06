"""Compiles the loops of recognize, or loads them: part of ``infra.compiled_loops``."""

from __future__ import annotations

import numpy as np

from flows.stages.recognize.combinations import FIELDS, MEMBERS
from flows.stages.recognize.hashes import Attributes, Shown, combination_keys, copy_keys, entity_keys_of
from flows.stages.recognize.kernels import PROBED, SPAN, Decided, Rows
from flows.stages.recognize.reputation import posterior
from flows.stages.recognize.state import HalfLives, RecognitionState, Sizes
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
    ends = np.cumsum([len(members) for members in MEMBERS.values()])
    members, fields = np.zeros(int(ends[-1]), np.int64), np.empty(len(FIELDS), np.uint64)
    combination_keys(_attributes(), members, ends, fields, np.empty((1, len(COMBINATIONS)), np.uint64))
    entity_keys_of(entities[:, :2].copy(), np.ones(1, np.uint32), one.repeat(len(REPUTED)), entities.copy())
    posterior(entities, np.ones((1, len(REPUTED) + 1)), np.zeros((1, len(REPUTED) + 1)))
    copy_keys(_shown(), 1, np.empty((1, 3), np.uint64))


def _row(time: int, entities: np.ndarray[tuple[int, int], np.dtype[np.uint64]]) -> Rows:
    keys, copies = np.ones((1, len(COMBINATIONS)), np.uint64), np.ones((1, 3), np.uint64)
    return Rows(np.full(1, time, np.int64), np.zeros(1, np.int64), keys, entities, copies)


def _shown() -> Shown:
    number, factors = np.zeros((1, 1), np.uint32), np.ones(1, np.uint64)
    return Shown(
        numbers=number, categories=number, booleans=np.zeros((1, 1), np.uint8), aged=np.ones(1, np.bool_),
        page=np.zeros(1, np.int64), session=np.zeros((1, 2), np.uint64), sequence=np.zeros(1, np.uint32),
        log_offsets=np.array([0, 1]), log_time=np.zeros(1, np.uint32), log_value=np.zeros(1, np.uint32),
        log_code=np.zeros(1, np.uint16), log_target=np.zeros(1, np.uint8), factors=(factors, factors),
        boolean_factors=np.ones(1, np.uint32),
    )  # fmt: skip


def _attributes() -> Attributes:
    number, code, word = np.zeros(1, np.float32), np.zeros(1, np.uint8), np.zeros(1, np.uint64)
    return Attributes(
        versions=(number, number), screen=(number, number),
        numbers=number.reshape(1, 1), number_columns=np.zeros(1, np.int64),
        categories=np.zeros((1, 1), np.uint32), category_columns=np.zeros(1, np.int64),
        codes=(code, code, code, code), country=np.zeros(1, np.uint16), fingerprint=word, gpu=code, gpu_driver=code,
        gpu_model=word,
    )  # fmt: skip
