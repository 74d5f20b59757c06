"""What snapshots take of a table: which of its records are in use, and copies of records."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from flows.stages.device_state.compiled import kernels_of
from schemas.batches import U32, U64

kernel = kernels_of(Path(__file__))


@kernel
def _put_used(keys: U64, first: int, places: U32) -> int:
    count = 0
    for place in range(len(keys)):
        if keys[place]:
            places[count] = first + place
            count += 1
    return count


@kernel
def take_records(table: U32, places: U32, keys: U32, weights: U32, forget: bool) -> None:
    """Copy keys and weights of records, and forget where told so that they changed.

    All as words of 32 bits: of a record [w] two are its key, then come its weights, then the mark that it changed.
    """
    for row in range(len(places)):
        place = np.uint64(places[row])
        keys[row, 0], keys[row, 1] = table[place, 0], table[place, 1]
        for weight in range(weights.shape[1]):
            weights[row, weight] = table[place, 2 + weight]
        if forget:
            table[place, 2 + weights.shape[1]] = 0


def used(keys: U64, first: int, end: int) -> U32:
    """Return the places from the first to the end whose key is not 0. Keys of records are read where they lie."""
    places = np.empty(end - first, np.uint32)
    return places[: _put_used(keys[first:end], first, places)].copy()
