"""Which devices a candidate scores: a fixed share of them, by a hash of the device id and the candidate's version.

The hash is two rounds of SplitMix64's finaliser over the two little-endian halves of the id, keyed with the 16 bytes of
BLAKE2b of the version's name. A device is chosen where the hash, as a share of 2^64, lies below the percentage. So a
device gets the same model at every event, stays chosen when the percentage rises, and another candidate begins with
other devices.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b

import numpy as np

from schemas.batches import U8, U64, Bool
from schemas.recognition import mix


def chosen_devices(device_id: U8, version: str, percent: float) -> Bool:
    """Return which rows' devices are among the ``percent`` of all devices that the version scores, bool[n].

    ``device_id`` is uint8[n, 16], ``percent`` 0 to 100.
    """
    limit = int(percent / 100 * 2**64)
    if limit >= 2**64:
        return np.ones(len(device_id), np.bool_)
    chosen: Bool = _places(device_id, version) < np.uint64(limit)
    return chosen


def _places(device_id: U8, version: str) -> U64:
    """Return where each device lies between 0 and 2^64, uint64[n]."""
    words = np.ascontiguousarray(device_id, np.uint8).view("<u8").astype(np.uint64, copy=False)
    first, second = _keys(version)
    return mix(mix(words[:, 0] ^ first) + (words[:, 1] ^ second))


@lru_cache(maxsize=64)
def _keys(version: str) -> tuple[np.uint64, np.uint64]:
    digest = blake2b(version.encode(), digest_size=16).digest()
    first, second = np.frombuffer(digest, "<u8").astype(np.uint64)
    return first, second
