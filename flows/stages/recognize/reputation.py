"""Reputation: from counts of an address, its network and its AS to the share of events expected to be denied.

The share of an entity is the mean of a Beta distribution. What it starts from is the share of the next wider entity
(address <- network <- AS <- everybody <- ``PRIOR``), held with the weight of ``STRENGTH`` events: an address that
nobody knows has its network's share, one that sent a hundred events nearly its own. An entity that the event does not
have passes the wider share on.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from flows.stages.device_state.pointers import NOT_PLAIN, are_plain, matrix_in, numbers_of, plain_ones
from flows.stages.recognize.hashes import kernel
from schemas.batches import F32, U64
from schemas.recognition import REPUTED

PRIOR: Final = 0.01
"""The share before anything was decided: one payment in a hundred, the order of what shops report."""
STRENGTH: Final = {"address": 10.0, "network": 20.0, "asn": 50.0, "everybody": 200.0}
"""In events. A wider entity has more different people in it, so fewer of its own events say less about it."""
_EVERYBODY: Final = STRENGTH["everybody"]
_STRENGTHS: Final = np.array([STRENGTH[name] for name in REPUTED])
_COLUMNS: Final = (np.uint64, np.float64, np.float64)
_NUMBERS: Final = numbers_of(_COLUMNS)
_keys_in, _counts_in, _shares_in = matrix_in(np.uint64), matrix_in(np.float64), matrix_in(np.float32)


def posterior(keys: U64, weight: NDArray[Any], denied: NDArray[Any]) -> tuple[F32, F32]:
    """Return the expected share and the weight that it rests on, float32[n, REPUTED], NaN where there is no entity.

    ``weight`` and ``denied``: float64[n, REPUTED + 1], decayed counts, the last column of everybody.
    """
    columns = (keys, weight, denied, np.empty(keys.shape, np.float32), np.empty(keys.shape, np.float32))
    if _share(id(columns)) == NOT_PLAIN:
        keys, weight, denied = plain_ones(columns[:3], _COLUMNS)
        columns = (keys, weight, denied, *columns[3:])
        _share(id(columns))
    return columns[3], columns[4]


@kernel
def _share(columns: int) -> int:
    if not are_plain(columns, _NUMBERS):
        return NOT_PLAIN
    keys, weight, denied = _keys_in(columns, 0), _counts_in(columns, 1), _counts_in(columns, 2)
    expected, rests = _shares_in(columns, 3), _shares_in(columns, 4)
    for row in range(len(keys)):
        share = (denied[row, -1] + PRIOR * _EVERYBODY) / (weight[row, -1] + _EVERYBODY)
        for kind in range(len(_STRENGTHS) - 1, -1, -1):  # the widest first
            expected[row, kind] = rests[row, kind] = np.nan
            if keys[row, kind]:
                share = (denied[row, kind] + _STRENGTHS[kind] * share) / (weight[row, kind] + _STRENGTHS[kind])
                expected[row, kind], rests[row, kind] = share, weight[row, kind]
    return 0
