"""The master keys of the settings as a ring, for every process that seals or opens."""

from __future__ import annotations

from infra.settings import Settings
from schemas.keys import KeyRing


def key_ring(settings: Settings) -> KeyRing:
    """Return the ring. ValueError in one sentence where no key is set or one is not 64 hexadecimal digits."""
    masters = {}
    for number, key in settings.master_keys.items():
        try:
            masters[number] = bytes.fromhex(key.get_secret_value())
        except ValueError:
            raise ValueError(f"master key {number} is not hexadecimal; it needs exactly 64 digits") from None
    return KeyRing(masters)
