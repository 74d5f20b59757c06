"""Tags: 64-bit names of ids and texts. The same on every machine for the same salt; no ``hash()``.

Two ids share a tag with a chance of 2**-64 a pair: with ten million ids alive, an event is taken for another one with
a chance of 5.4e-13. The salt of a state is drawn when it begins, so nobody can choose ids that collide.
"""

from __future__ import annotations

from hashlib import blake2b

import numpy as np

from schemas.batches import U8, U64

_SCORED = np.array([256], np.uint64)  # above every attempt; 0 would be the event itself
_SHIFT = np.uint64(33)
_FIRST = np.uint64(0xFF51AFD7ED558CCD)
_SECOND = np.uint64(0xC4CEB9FE1A85EC53)


def tags_of(ids: U64, salt: int) -> U64:
    """Return the tags of devices, uint64[n, 2], as the kernels' ``tag_of`` has them; never 0."""
    return np.maximum(_mix(_mix(ids[:, 1] + np.uint64(salt)) ^ ids[:, 0]), np.uint64(1))


def attempt_tags(ids: U64, merchants: U64, attempts: U8, salt: int) -> U64:
    """Return the tags of redriven events, each with its attempt and as its merchant's own; never 0."""
    return _marked(ids, merchants + _mix(attempts.astype(np.uint64)), salt)


def scored_tags(ids: U64, merchants: U64, salt: int) -> U64:
    """Return the tags that say that events are scored, as their merchants' own; no attempt's, and never 0."""
    return _marked(ids, merchants + _mix(_SCORED), salt)


def _marked(ids: U64, marks: U64, salt: int) -> U64:
    salted = ids.copy()
    salted[:, 1] += marks
    return tags_of(salted, salt)


def _mix(words: U64) -> U64:
    """Return the finaliser of MurmurHash3 (Appleby), a bijection of 64 bits."""
    words = (words ^ (words >> _SHIFT)) * _FIRST
    words = (words ^ (words >> _SHIFT)) * _SECOND
    return words ^ (words >> _SHIFT)


class TextTags(dict[str, int]):
    """The tag of each text, 0 of an empty one. The cache is bounded, whatever the texts."""

    LIMIT = 16_384

    def __missing__(self, text: str) -> int:
        """Compute a tag once."""
        if len(self) >= self.LIMIT:
            self.clear()
        digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        self[text] = tag = max(1, int.from_bytes(digest, "little")) if text else 0
        return tag

    def of(self, texts: tuple[str, ...]) -> U64:
        """Return uint64[n]."""
        return np.fromiter(map(self.__getitem__, texts), np.uint64, len(texts))
