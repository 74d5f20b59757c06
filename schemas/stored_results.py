"""How a result lies under its key in Redis: an LZ4 block against a dictionary of what results are alike in.

Results of 4.6 kB differ in little: packed they have 0.8. A dictionary stays as it is for as long as results that were
packed with it may be read; what it should know besides is a further one, with a number of its own. This one is three
results of the generator's traffic, which were chosen so that others become small.

    0 number of the dictionary u8 (1) | 1 bytes of the JSON u32 | 5 LZ4 block

What begins with ``{`` is JSON as it is: a rejection, what a replay writes, what was written before results were packed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import lz4.block

from schemas.result import Rejected, decode_rejected

NUMBER: Final = 1
DICTIONARY: Final = Path(__file__).with_name("stored_results_1.dictionary").read_bytes()
MOST_BYTES: Final = 65_535
"""Of a result that is packed, and the dictionary with it: so far back an LZ4 block points."""
_JSON, _PACKED = b"{", bytes([NUMBER])


def unpacked(stored: bytes) -> bytes:
    """Return the JSON of what lies under a result's key.

    ValueError where a newer build packed it, or it is damaged.
    """
    if stored.startswith(_JSON):
        return stored
    if not stored.startswith(_PACKED):
        raise ValueError("a result in Redis was packed by a newer build")
    if not len(_PACKED) + 4 < len(stored) or int.from_bytes(stored[1:5], "little") > MOST_BYTES:
        raise ValueError("a result in Redis is damaged")
    try:
        found: bytes = lz4.block.decompress(memoryview(stored)[1:], dict=DICTIONARY)
    except lz4.block.LZ4BlockError:
        raise ValueError("a result in Redis is damaged") from None
    return found


def rejection_in(stored: bytes) -> Rejected | None:
    """Return the rejection that lies under a result's key, or None where it is a result."""
    return decode_rejected(stored) if stored.startswith(_JSON) else None
