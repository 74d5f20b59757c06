"""What an event was told before it failed: the counts that its dead letter carries, so that none is counted again.

They are counts, shares, times and places of countries' middles: nothing that a browser or a person said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from schemas.activity_statistics import STATISTICS
from schemas.batch_codec import decode_batch, encode_batch
from schemas.batches import History, RawBatch, Recognition, Recognized, Related, SessionSummary, Shared, Velocity
from schemas.columns import Columns
from schemas.recognition import COMBINATIONS, REPUTED
from schemas.velocity import ENTITIES, HOURS, KINDS, MEASURES, PLACES_KEPT, SCORES_KEPT, WINDOWS

_WIDTHS: Final[dict[str, tuple[int, ...]]] = {
    "velocity.counts": (len(KINDS), len(WINDOWS)),
    "history.hours": (HOURS,),
    "history.scores": (SCORES_KEPT,),
    "history.latitude": (PLACES_KEPT,),
    "history.longitude": (PLACES_KEPT,),
    "history.place_at": (PLACES_KEPT,),
    "session.statistics": (len(STATISTICS),),
    "recognition.tail": (len(COMBINATIONS),),
    "recognition.seen": (len(COMBINATIONS),),
    "recognition.denied": (len(REPUTED),),
    "recognition.weight": (len(REPUTED),),
    "shared.counts": (len(ENTITIES), len(MEASURES), len(WINDOWS)),
}


@dataclass(frozen=True, slots=True, eq=False)
class Told(Columns):
    """The sections that keyed stages and the shared counts give; no ``shared`` where the event failed before it."""

    velocity: Velocity
    history: History
    session: SessionSummary
    recognition: Recognition
    shared: Shared | None


def told_of(batch: RawBatch, row: int) -> bytes:
    """Return what a row was told, as bytes; empty where the batch is not counted yet."""
    if not isinstance(batch, Recognized):
        return b""
    one = np.array([row])
    shared = batch.shared.take(one) if isinstance(batch, Related) else None
    sections: tuple[Any, ...] = (batch.velocity, batch.history, batch.session, batch.recognition)
    velocity, history, session, recognition = (section.take(one) for section in sections)
    return encode_batch(Told(velocity, history, session, recognition, shared))


def read_told(data: bytes) -> Told:
    """Read what one row was told. ValueError in one sentence where it is damaged or of another build's layout."""
    told = decode_batch(data, Told)
    for name, width in _WIDTHS.items():
        section, _, column = name.partition(".")
        part = getattr(told, section)
        if part is not None and getattr(part, column).shape != (1, *width):
            raise ValueError(f"what an event was told has {name} of another shape than {width}")
    return told
