"""What describes a table of tags to the kernels, and the codes of logs: arrays, and words that say where they lie."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from flows.stages.device_state.arrays import Growing
from flows.stages.device_state.layout import (
    BOUNDARY,
    CAPACITY,
    COUNTS_AT,
    NEXT_CAPACITY,
    TABLE_WORDS,
    TABLES,
    TAGS,
    TALLY_CODES,
    USED,
    VALUES_AT,
    WANTS,
)
from schemas.activity_statistics import NOT_COUNTED, CodeColumns
from schemas.batches import I64
from schemas.velocity import SLICES

_LEAST_CAPACITY, _LARGE = 16, 1_024  # places of a slice


class Table:
    """The arrays of one table, and the words that describe it."""

    def __init__(self, words: I64, number: int) -> None:
        begin = TABLES + number * TABLE_WORDS
        self._words = words[begin : begin + TABLE_WORDS]
        self._words[[CAPACITY, NEXT_CAPACITY, BOUNDARY]] = _LEAST_CAPACITY, _LEAST_CAPACITY, SLICES
        self.counts = words[COUNTS_AT + number * SLICES :][:SLICES]
        self._tags = Growing(np.uint64, SLICES * _LEAST_CAPACITY)
        self._values = Growing(np.uint32, SLICES * _LEAST_CAPACITY)

    @property
    def used(self) -> int:
        """Return the number of tags."""
        return int(self._words[USED])

    @property
    def nbytes(self) -> int:
        """Return the bytes of the arrays."""
        return self._tags.nbytes + self._values.nbytes

    def bind(self) -> None:
        self._words[[TAGS, VALUES_AT]] = self._tags.address, self._values.address

    def grow_if_wanted(self) -> int:
        """Begin to grow, a large table by less; the kernels go on with it. Return the places of the larger slices."""
        if self._words[WANTS]:
            capacity = int(self._words[CAPACITY])
            capacity += capacity // (2 if capacity < _LARGE else 4)
            self._tags.lengthen(SLICES * capacity)
            self._values.lengthen(SLICES * capacity)
            self._words[NEXT_CAPACITY], self._words[WANTS] = capacity, 0
        return int(self._words[NEXT_CAPACITY])


def code_table(columns: CodeColumns) -> I64:
    """Return the codes that count, int64[codes + 1, 4]: code, columns of its category, count and sum; -1 at the end."""
    places = np.stack([columns.category, columns.counted, columns.summed], axis=1).astype(np.int64)
    codes = np.flatnonzero((places != NOT_COUNTED).any(axis=1))
    if codes[-1] >= TALLY_CODES - 1:
        raise AssertionError("a log's code is too large for the tally")
    table = np.full((len(codes) + 1, 4), -1, np.int64)
    table[:-1, 0], table[:-1, 1:] = codes, places[codes]
    return table


def address_of(array: NDArray[Any]) -> int:
    address: int = array.__array_interface__["data"][0]
    return address
