"""Tags: 64-bit names of 16-byte ids. The same on every machine; no secret, no ``hash()``.

Two ids share a tag with a chance of 2**-64 a pair: with ten million ids alive, an event is taken for another one with
a chance of 5.4e-13. Ids that are made to share a tag gain their sender nothing that sending one id twice would not.
"""

from __future__ import annotations

from hashlib import blake2b

import numpy as np

from schemas.batches import U8, U64

_SHIFT = np.uint64(33)
_FIRST = np.uint64(0xFF51AFD7ED558CCD)
_SECOND = np.uint64(0xC4CEB9FE1A85EC53)


def tags_of(devices: U8, events: U8, salts: U64) -> U64:
    """Return the tags uint64[2, n] of device ids and event ids uint8[n, 16]; never 0.

    ``salts`` uint64[n]: mixed into the event ids.
    """
    words = np.concatenate((devices, events)).view("<u8")
    tags = words[:, 1].copy()
    tags[len(devices) :] += salts
    _mix(tags)
    tags ^= words[:, 0]
    _mix(tags)
    return np.maximum(tags, np.uint64(1)).reshape(2, len(devices))


def _mix(words: U64) -> None:
    """Mix in place: the finaliser of MurmurHash3 (Appleby), a bijection of 64 bits."""
    words ^= words >> _SHIFT
    words *= _FIRST
    words ^= words >> _SHIFT
    words *= _SECOND
    words ^= words >> _SHIFT


class Salts(dict[str, int]):
    """The salt of each merchant's ids: what one tenant sends can never be a duplicate of another's."""

    LIMIT = 65_536

    def __missing__(self, merchant: str) -> int:
        """Compute a salt once; the cache is bounded, whatever the names."""
        if len(self) >= self.LIMIT:
            self.clear()
        salt = int.from_bytes(blake2b(merchant.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
        self[merchant] = salt
        return salt

    def of(self, merchants: tuple[str, ...]) -> U64:
        """Return uint64[n]."""
        return np.fromiter(map(self.__getitem__, merchants), np.uint64, len(merchants))
