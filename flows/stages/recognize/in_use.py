"""Which of a column's records are in use."""

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


def used(keys: U64, first: int, end: int) -> U32:
    """Return the places from the first to the end whose key is not 0. Keys of records are read where they lie."""
    places = np.empty(end - first, np.uint32)
    return places[: _put_used(keys[first:end], first, places)].copy()
