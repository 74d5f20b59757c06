"""recognize: how usual an event looks, what came of others from its network, and whether it is a copy."""

from __future__ import annotations

from schemas.batches import Counted, Recognized
from schemas.columns import widen
from schemas.recognition import nothing_recognized
from schemas.stage import StageOut


class Recognize:
    """Every row goes on."""

    name = "recognize"

    def __call__(self, batch: Counted, /) -> StageOut[Recognized]:
        """Return the batch with what its partition's traffic says of it."""
        return StageOut(widen(Recognized, batch, recognition=nothing_recognized(len(batch))))
