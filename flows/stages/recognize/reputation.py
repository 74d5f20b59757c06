"""Reputation: from counts of an address, its network and its AS to the share of events expected to be denied.

The share of an entity is the mean of a Beta distribution. What it starts from is the share of the next wider entity
(address <- network <- AS <- everybody <- ``PRIOR``), held with the weight of ``STRENGTH`` events: an address that
nobody knows has its network's share, one that sent a hundred events nearly its own. An entity that the event does not
have passes the wider share on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from flows.stages.device_state.compiled import kernels_of
from schemas.batches import F32, U64
from schemas.recognition import REPUTED

PRIOR: Final = 0.01
"""The share before anything was decided: one payment in a hundred, the order of what shops report."""
STRENGTH: Final = {"address": 10.0, "network": 20.0, "asn": 50.0, "everybody": 200.0}
"""In events. A wider entity has more different people in it, so fewer of its own events say less about it."""
_EVERYBODY: Final = STRENGTH["everybody"]
_STRENGTHS: Final = np.array([STRENGTH[name] for name in REPUTED])
kernel = kernels_of(Path(__file__))


def posterior(keys: U64, weight: NDArray[Any], denied: NDArray[Any]) -> tuple[F32, F32]:
    """Return the expected share and the weight that it rests on, float32[n, REPUTED], NaN where there is no entity.

    ``weight`` and ``denied``: float64[n, REPUTED + 1], decayed counts, the last column of everybody.
    """
    expected, rests = np.empty(keys.shape, np.float32), np.empty(keys.shape, np.float32)
    _share(keys, weight, denied, _STRENGTHS, expected, rests)
    return expected, rests


@kernel
def _share(keys: U64, weight: Any, denied: Any, strengths: Any, expected: F32, rests: F32) -> None:
    for row in range(len(keys)):
        share = (denied[row, -1] + PRIOR * _EVERYBODY) / (weight[row, -1] + _EVERYBODY)
        for kind in range(len(strengths) - 1, -1, -1):  # the widest first
            expected[row, kind] = rests[row, kind] = np.nan
            if keys[row, kind]:
                share = (denied[row, kind] + strengths[kind] * share) / (weight[row, kind] + strengths[kind])
                expected[row, kind], rests[row, kind] = share, weight[row, kind]
