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

from schemas.batches import F32, U64, Bool
from schemas.recognition import REPUTED

PRIOR: Final = 0.01
"""The share before anything was decided: one payment in a hundred, the order of what shops report."""
STRENGTH: Final = {"address": 10.0, "network": 20.0, "asn": 50.0, "everybody": 200.0}
"""In events. A wider entity has more different people in it, so fewer of its own events say less about it."""
_WIDEST_FIRST: Final = tuple(reversed(REPUTED))


def posterior(keys: U64, weight: NDArray[Any], denied: NDArray[Any]) -> tuple[F32, F32]:
    """Return the expected share and the weight that it rests on, float32[n, REPUTED], NaN where there is no entity.

    ``weight`` and ``denied``: float64[n, REPUTED + 1], decayed counts, the last column of everybody.
    """
    share = (denied[:, -1] + PRIOR * STRENGTH["everybody"]) / (weight[:, -1] + STRENGTH["everybody"])
    expected = np.empty(keys.shape, np.float32)
    shown: Bool = keys != 0
    for name in _WIDEST_FIRST:
        kind = REPUTED.index(name)
        own = (denied[:, kind] + STRENGTH[name] * share) / (weight[:, kind] + STRENGTH[name])
        share = np.where(shown[:, kind], own, share)
        expected[:, kind] = share
    expected[~shown] = np.nan
    rests = weight[:, : len(REPUTED)].astype(np.float32)
    rests[~shown] = np.nan
    return expected, rests
