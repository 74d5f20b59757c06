"""How a merchant's token of a card is written down: hashed one way, apart for every merchant."""

from __future__ import annotations

import hashlib
from functools import lru_cache

_PERSON = b"goose card token"
HASH_BYTES = 16


@lru_cache(65_536)
def hashed_card_token(merchant: str, card_token: str) -> str:
    """Return 32 hex digits that stand for a merchant's card token, empty for none (BLAKE2b, RFC 7693).

    The same token of the same merchant always gives the same digits; two merchants' tokens never meet.
    """
    if not card_token:
        return ""
    owner = merchant.encode()
    said = len(owner).to_bytes(2, "little") + owner + card_token.encode()
    return hashlib.blake2b(said, digest_size=HASH_BYTES, person=_PERSON).hexdigest()
