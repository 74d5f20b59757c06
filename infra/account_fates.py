"""What became of each record of events.raw, those that a redrive by hand sent again taken together with the first.

A redriven record is no accepted event. Where it was scored, the event of that id is: its first record is no dead letter
any more. One that is neither scored nor dead must be a copy, of the same attempt or of an event that is scored.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]
Bool = NDArray[np.bool_]
_ATTEMPT = np.uint64(0x9E3779B97F4A7C15)


class RawColumns(NamedTuple):
    """Records of events.raw, each place once."""

    places: I64
    ids: U64  # folded event ids
    known: Bool  # whether the id could be read
    attempts: NDArray[np.uint8]  # 0: as a client sent it


class Fates(NamedTuple):
    """Of each record, bool[n], but for ``lost``. Redriven records are none of these."""

    scored: Bool
    dead: Bool
    repeated: Bool
    lost: int  # redriven ones included


def fates_of(raw: RawColumns, scored_places: I64, dead_places: I64) -> Fates:
    """Tell what became of each record, given the places of results and dead letters."""
    first = raw.attempts == 0
    scored = np.isin(raw.places, scored_places, assume_unique=True)
    died = np.isin(raw.places, dead_places, assume_unique=True)
    scored_ids = raw.ids[scored & raw.known]
    late = ~first & scored & raw.known
    rescued = first & died & ~scored & raw.known & np.isin(raw.ids, raw.ids[late])
    open_rows = ~scored & ~died
    copies = raw.known & np.isin(raw.ids, raw.ids[(scored | died) & raw.known])
    tries = raw.ids + raw.attempts * _ATTEMPT
    sent_twice = np.isin(tries, tries[(scored | died) & ~first]) | np.isin(raw.ids, scored_ids)
    repeated = open_rows & np.where(first, copies, raw.known & sent_twice)
    lost = open_rows & ~repeated
    # A record that was scored though it is a dead letter, too, was replayed: its result stands.
    return Fates(first & (scored | rescued), first & died & ~scored & ~rescued, first & repeated, int(lost.sum()))
