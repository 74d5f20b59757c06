"""Results as Redis keeps them: a block's at once. What they are is said in ``schemas.stored_results``."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Final

import numpy as np

from flows.sinks.packing_loops import HASH_BITS, REACH, SPARE, hashed, pack_rows, room_for
from schemas.columns import U8, U16
from schemas.stored_results import DICTIONARY, NUMBER

_KNOWN_BYTES: Final = len(DICTIONARY)
_LONGEST: Final = REACH - _KNOWN_BYTES
_AT_ONCE: Final = 16  # larger pieces of memory would be new ones each time, whose pages cost more than the packing


class ResultPacker:
    """Packs results one block after another. One thread at a time: the memory it works in is used again."""

    def __init__(self) -> None:
        self._window: U8 = np.zeros(REACH + SPARE, np.uint8)
        self._window[:_KNOWN_BYTES] = np.frombuffer(DICTIONARY, np.uint8)
        self._known: U16 = np.zeros(1 << HASH_BITS, np.uint16)
        hashed(self._window[:_KNOWN_BYTES], self._known)
        self._table = np.empty_like(self._known)
        self._out: U8 = np.empty(0, np.uint8)

    def packed(self, records: Sequence[bytes]) -> list[bytes]:
        """Return each record as it is stored."""
        found: list[bytes] = []
        for first in range(0, len(records), _AT_ONCE):
            found += self._packed(records[first : first + _AT_ONCE])
        return found

    def _packed(self, records: Sequence[bytes]) -> Sequence[bytes]:
        """Pack a few; all stay as they are where one is longer than 50 kB, which none is."""
        if max(map(len, records)) > _LONGEST:
            return records
        ends = np.array(list(accumulate(map(len, records))), np.int64)
        room = room_for(len(records), int(ends[-1]))
        if len(self._out) < room:
            self._out = np.empty(room, np.uint8)
        stops = np.empty(len(records), np.int64)
        joined = np.frombuffer(bytearray().join(records), np.uint8)
        pack_rows(self._window, _KNOWN_BYTES, self._known, self._table, joined, ends, NUMBER, self._out, stops)
        held = self._out[: stops[-1]].tobytes()
        return [held[first:last] for first, last in pairwise([0, *stops.tolist()])]
