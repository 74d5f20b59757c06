"""rare_device: hardly anybody's device looks like this one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from enrichers.signal import Clue, SmartSignal
from enrichers.view import View
from schemas.batches import Bool


class RareDevice(SmartSignal):
    """Combinations of attributes that are rarer than one in a thousand."""

    name = "rare_device"
    question = "Hardly anybody's device looks like this one."
    inputs = (
        "recognition.tail",
        "recognition.seen",
    )
    clues = (Clue("rare_combination", 0.5, "One event in a thousand has a combination as rare."),)

    def computable(self, view: View) -> Bool:
        """Enough traffic was seen to know what is usual."""
        return np.asarray(~np.isnan(view.recognition.tail).all(axis=1))

    def observe(self, view: View) -> Sequence[Bool]:
        """Combinations of attributes that are rarer than one in a thousand."""
        return (np.asarray((view.recognition.tail <= 0.001).any(axis=1)),)
