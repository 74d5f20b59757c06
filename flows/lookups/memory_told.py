"""The answers of the shared counts in memory that were told lately: a ring, compiled.

A row that comes again is told the same again. That happens after a start alone, so the index of the ring, by partition
and offset, is brought up to date when a row asks: entering each answer and taking the oldest out would wait for memory
with every row. An answer that is gone leaves its mark in the index until that is full and made anew.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from flows.lookups.memory_kernels import CELLS, INDEXED, KINDS, NOT_INDEXED, TOLD, TOLD_FIRST, home_of
from flows.stages.device_state.compiled import step
from schemas.batches import F32, I32, I64


@step
def tell(words: I64, places: I64, told: F32, answers: int, partition: Any, offset: int, counts: F32, row: int) -> None:
    """Remember an answer, the oldest one giving way where ``answers`` are remembered: the ring is as long then."""
    if answers <= 0:
        return
    if words[TOLD] >= answers:
        words[TOLD_FIRST] += 1 if words[TOLD_FIRST] + 1 < len(places) else 1 - len(places)
        words[TOLD] -= 1
    at = _nth(words, places, words[TOLD])
    places[at, 0], places[at, 1] = partition, offset
    for cell in range(KINDS * CELLS):
        told[at, cell] = counts[row, cell]
    words[TOLD] += 1
    words[NOT_INDEXED] += 1


@step
def _nth(words: I64, places: I64, answer: int) -> int:
    at = words[TOLD_FIRST] + answer
    return at if at < len(places) else at - len(places)


@step
def told_at(words: I64, index: I32, places: I64, partition: Any, offset: int) -> Any:
    """Return where an answer is, -1 where it is not remembered."""
    if words[NOT_INDEXED]:
        _bring_up_to_date(words, index, places)
    mask = len(index) - 1
    place = home_of(offset, partition) & mask
    while index[place]:
        at = np.int64(index[place]) - 1
        if places[at, 0] == partition and places[at, 1] == offset:
            return at
        place = (place + 1) & mask
    return -1


@step
def _bring_up_to_date(words: I64, index: I32, places: I64) -> None:
    """Enter what was told since; the index is twice as long as the ring at the least, so it is seldom made anew."""
    mask, fresh = len(index) - 1, min(words[NOT_INDEXED], words[TOLD])
    if 4 * (words[INDEXED] + fresh) > 3 * len(index):
        index[:] = 0
        words[INDEXED], fresh = 0, words[TOLD]
    for answer in range(words[TOLD] - fresh, words[TOLD]):
        at = _nth(words, places, answer)
        place = home_of(places[at, 1], places[at, 0]) & mask
        while index[place]:
            place = (place + 1) & mask
        index[place] = at + 1
    words[INDEXED] += fresh
    words[NOT_INDEXED] = 0
