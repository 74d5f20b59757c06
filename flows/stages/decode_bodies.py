"""Payloads side by side in one stretch of memory, which is used again, and the columns that are made of them."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np

from flows.stages import decode_kernels as kernels
from schemas import payload
from schemas.batches import I64, U8, Activity, Signals, Texts
from schemas.makers import constructor

_new_signals, _new_texts, _new_activity = constructor(Signals), constructor(Texts), constructor(Activity)
_KEPT_BYTES: Final = 16 << 20  # of memory that is kept for the next batch


class Bodies:
    """The plaintexts of a batch in ``room``: ``places`` say from where to where, and a body is one byte behind that."""

    def __init__(self, octets: U8, places: I64, used: int) -> None:
        """``places``, of which rows of ``kernels.PLACES`` say where plaintexts are, in ``octets`` of ``used`` bytes."""
        self.places = places
        self._used = used
        self.octets = octets
        self.room = octets.data

    def plaintext(self, row: int) -> bytes:
        """Return the plaintext of a row."""
        return self.room[self.places[kernels.FIRST, row] : self.places[kernels.END, row]].tobytes()

    def put(self, row: int, body: bytes) -> None:
        """Give a row another body, behind all others."""
        first = self._used + kernels.ALIGN - 1
        self.places[kernels.FIRST, row], self.places[kernels.END, row] = first, first + 1 + len(body)
        self._used = (first + len(body) + kernels.ALIGN) // kernels.ALIGN * kernels.ALIGN
        if self._used > len(self.octets):
            octets = _memory(2 * self._used)
            octets[: len(self.octets)] = self.octets
            self.octets, self.room = octets, octets.data
        self.room[first + 1 : first + 1 + len(body)] = body

    def drop(self, row: int) -> None:
        """Leave a row without a body."""
        self.places[kernels.END, row] = self.places[kernels.FIRST, row]


class Rooms:
    """Memory for plaintexts: new pages for each batch would cost as much as filling them. At most one a thread."""

    def __init__(self) -> None:
        self._spare: list[U8] = []

    def bodies(self, places: I64, used: int) -> Bodies:
        """Give room for ``used`` bytes of plaintexts at these places. Nothing may keep a view of it."""
        octets = self._spare.pop() if self._spare else None
        return Bodies(_memory(used) if octets is None or len(octets) < used else octets, places, used)

    def take_back(self, bodies: Bodies) -> None:
        """Keep the room of bodies that nobody reads any more."""
        if len(bodies.octets) <= _KEPT_BYTES:
            self._spare.append(bodies.octets)


def _memory(size: int) -> U8:
    """Return at least so many bytes, aligned for all that payloads hold."""
    return np.zeros(size // 8 + 1, np.uint64).view(np.uint8)


class Layout:
    """How the payloads of a batch lie: what stands before their columns are made."""

    def __init__(self, bodies: Bodies, counts: tuple[int, int, int, int], *, any_form: bool = False) -> None:
        """Measure bodies; ``counts``: of numbers, booleans, categories and texts, as the catalogue has them.

        ``any_form``: what begins with no byte of a raw one is one all the same.
        """
        rows = bodies.places.shape[1]
        self._counts = counts
        self._bodies = bodies
        self._texts = np.empty((2, rows, self._counts[-1]), np.int32)
        self._sums = np.empty((2, rows + 1), np.int64)
        self.packed, self.others, self._entries, self._text_bytes = kernels.measure(
            bodies.octets, bodies.places, self._texts, self._sums, any_form
        )

    def rows_of(self, found: int) -> list[int]:
        """Return the rows that are ``kernels.PACKED``, or ``NO_PAYLOAD``."""
        rows: list[int] = np.flatnonzero(self._bodies.places[kernels.BODY] == found).tolist()
        return rows

    def columns(self) -> tuple[Signals, Activity]:
        """Lay out bodies in columns as ``schemas.payload.decode_payloads`` does, texts by their own bytes alone.

        A row that is no payload is empty.
        """
        rows = self._bodies.places.shape[1]
        numbers, booleans, categories, _ = self._counts
        offsets, tail_ends = self._sums
        total = self._entries
        signals = version, table, codes, flags = (
            np.empty(rows, np.uint16), np.empty((rows, numbers), np.float32), np.empty((rows, categories), np.uint32),
            np.empty((2, rows, booleans), np.uint8),
        )  # fmt: skip
        log = time, value, code, target = (
            np.empty(total, np.uint32), np.empty(total, np.float32), np.empty(total, np.uint16),
            np.empty(total, np.uint8),
        )  # fmt: skip
        tails = np.empty(self._text_bytes, np.uint8)
        kernels.lay_out(self._bodies.octets, self._bodies.places, signals, log, tails)
        known, true = flags.view(np.bool_)
        joined = tails.tobytes()
        blobs = tuple([joined[at:end] for at, end in pairwise(tail_ends.tolist())])
        starts, lengths = self._texts
        texts = _new_texts(blobs, starts, lengths)
        return (
            _new_signals(version, table, known, true, codes, texts),
            _new_activity(offsets, time, value, code, target),
        )


if (
    payload.PAYLOAD_VERSION, payload.MAX_ENTRIES, payload.ABSENT_TEXT, payload.PREFIX.size,
) != (kernels.PAYLOAD_VERSION, kernels.MAX_ENTRIES, kernels.ABSENT_TEXT, kernels.PREFIX_BYTES):  # fmt: skip
    raise AssertionError("flows.stages.decode_kernels reads another layout than schemas.payload")
