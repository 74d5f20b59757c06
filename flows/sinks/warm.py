"""Compiles the loops that write results, or loads them: part of ``infra.compiled_loops``."""

from __future__ import annotations

import numpy as np

from flows.sinks.record_loops import COLUMNS, write
from flows.sinks.result_packing import ResultPacker
from schemas import fragment_loops
from schemas.fragments import pieces_of


def warm() -> None:
    """Write one record, on the types that the encoder gives, and pack one for Redis."""
    ResultPacker().packed((b"{}",))
    fragment_loops.warm()
    no_rows = [np.zeros((0, 1), kind) for kind in COLUMNS]
    text, bounds = pieces_of([b" "] * 64)
    versions, numbers = np.zeros((1, 2), np.int64), np.zeros((1, 1), np.int32)
    named = versions, numbers, np.zeros(2, np.int32), np.frombuffer(b"", np.uint8)
    columns = (*no_rows, *(text, bounds) * 5, *named, np.empty(8_192, np.uint8), np.empty(0, np.int64))
    write(id(columns), (30, 40, 50))
