"""Compiles the loops that write results, or loads them: part of ``infra.compiled_loops``."""

from __future__ import annotations

import numpy as np

from flows.sinks.record_loops import Chosen, Numbered, Rounded, Texts, assemble, room
from schemas import fragment_loops
from schemas.fragments import pieces_of


def warm() -> None:
    """Write one record, on the types that the encoder gives."""
    fragment_loops.warm()
    longs, ints, naturals = np.zeros(1, np.int64), np.zeros(1, np.int32), np.zeros(1, np.uint32)
    counts, shared = np.zeros((1, 1, 1), np.uint32), np.zeros((1, 1, 1, 1), np.float32)
    numbers = Numbered(
        longs, longs, ints, longs, longs[None], counts, shared, naturals, longs, longs, naturals, longs
    )  # fmt: skip
    score, table = np.zeros(1, np.float32), np.zeros((1, 1), np.float32)
    rounded = Rounded(score, table, table, score)
    codes = np.zeros(1, np.uint8)
    chosen = Chosen(ints, ints, ints, ints, codes, codes, ints[None], ints[None])
    pieces = pieces_of([b" "] * 64)
    texts = Texts(*(pieces,) * len(Texts._fields))
    out = np.empty(room(rounded, shared, chosen, texts, 64), np.uint8)
    ids = (np.zeros((1, 16), np.uint8),) * 3
    assemble(ids, numbers, rounded, chosen, texts, (30, 40, 50), out, np.empty(1, np.int64))
