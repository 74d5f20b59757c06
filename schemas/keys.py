"""Keys: derived from a master key and an id, never stored, never looked up.

HKDF-SHA256 (RFC 5869) with the session id as salt and a purpose as info, so that one leaked session key opens one
session and the key that signs requests cannot open events.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, get_args

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

Purpose = Literal["seal", "sign", "token"]
KEY_BYTES = 32
_HASH = SHA256()
_INFO: Mapping[Purpose, bytes] = {purpose: b"clickgoose/1/" + purpose.encode() for purpose in get_args(Purpose)}
KEYS_KEPT = 16_384
"""Keys that a process remembers, 4 MB: one is made anew in 3 µs, so more would not pay for the memory."""


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Master keys by key id. New sessions use the highest id; older ids open what they sealed."""

    masters: Mapping[int, bytes] = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse an unusable ring at the start, in one sentence."""
        if not self.masters:
            raise ValueError("no master key: set CLICKGOOSE_MASTER_KEYS or run `clickgoose up`, which makes one")
        for key_id, master in self.masters.items():
            if len(master) != KEY_BYTES:
                raise ValueError(f"master key {key_id} has {len(master)} bytes; it needs exactly {KEY_BYTES}")

    @property
    def current(self) -> int:
        """Return the key id of new sessions."""
        return max(self.masters)

    def derive(self, key_id: int, session_id: bytes, purpose: Purpose) -> bytes | None:
        """Return the 32-byte key of a session, or None where the master key is unknown."""
        master = self.masters.get(key_id)
        return None if master is None else _kept(master, session_id, purpose)


def derived_key(master: bytes, session_id: bytes, purpose: Purpose) -> bytes:
    """Return the 32-byte key that a master key has for a session, made anew."""
    return HKDF(algorithm=_HASH, length=KEY_BYTES, salt=session_id, info=_INFO[purpose]).derive(master)


_kept = lru_cache(KEYS_KEPT)(derived_key)
