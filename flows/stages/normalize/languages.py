"""What a list of languages says. Pure, and cached by value."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from schemas.catalogue import category_hash

LANGUAGES_BYTES = 256
LANGUAGES = np.dtype([("first", "<u4"), ("category", "<u4")])


@lru_cache(maxsize=8192)
def languages_row(raw: bytes | None) -> bytes:
    """Return the hash of the first language and of the list, as the bytes of one ``LANGUAGES``; 0 where unknown.

    The caller cuts it to ``LANGUAGES_BYTES + 1``.
    """
    row = np.zeros((), LANGUAGES)
    if raw is not None:
        text = raw.decode("utf-8", "replace")
        row["first"] = category_hash(text.split(",", 1)[0])
        row["category"] = category_hash(text) if len(raw) <= LANGUAGES_BYTES else 0
    return row.tobytes()
