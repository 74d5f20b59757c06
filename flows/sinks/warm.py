"""Compiles the loops that write results, or loads them: part of ``infra.compiled_loops``."""

from __future__ import annotations

import numpy as np

from flows.sinks.record_loops import Rows, Texts, write
from flows.sinks.result_packing import ResultPacker
from schemas import fragment_loops
from schemas.fragments import pieces_of


def warm() -> None:
    """Write one record, on the types that the encoder gives, and pack one for Redis."""
    ResultPacker().packed((b"{}",))
    fragment_loops.warm()
    one, byte, code = np.zeros(1, np.int64), np.zeros((1, 16), np.uint8), np.zeros(1, np.uint8)
    natural, number, table = np.zeros(1, np.uint32), np.zeros(1, np.float32), np.zeros((1, 1), np.float32)
    piece, counts, shared = np.zeros(1, np.int32), np.zeros((1, 1, 1), np.uint32), np.zeros((1, 1, 1, 1), np.float32)
    small = np.zeros(1, np.uint16)
    rows = Rows(
        byte, byte, byte, one, one, piece, one, one[None], counts, shared, np.zeros(1, np.bool_), natural, one, one,
        table, natural, one, number, number, table, piece[None], piece[None], piece, code, small,
        small.astype(np.int16), code, code, code, np.zeros((1, 2), np.int32),
    )  # fmt: skip
    pieces = pieces_of([b" "] * 64)
    versions, transaction = np.zeros((1, 2), np.int64), np.frombuffer(bytearray(b"\n"), np.uint8)
    texts = Texts(pieces, pieces, pieces, pieces, pieces, versions, piece[None], piece.repeat(2), transaction)
    write(rows, texts, (30, 40, 50), np.empty(8_192, np.uint8), one.copy())
