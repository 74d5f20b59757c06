"""replayed: the event is a copy of an earlier one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from enrichers.signal import Clue, SmartSignal
from enrichers.view import View
from schemas.batches import Bool
from schemas.recognition import SAME_CONTENTS, SAME_LOG, SAME_SEQUENCE


class Replayed(SmartSignal):
    """Contents, logs and numbers that came before."""

    name = "replayed"
    question = "The event is a copy of an earlier one."
    inputs = ("recognition.replayed",)
    clues = (
        Clue("same_contents", 0.97, "All that it shows came before in another event."),
        Clue("same_log", 0.9, "A long log came before, to the millisecond."),
        Clue("same_sequence", 0.6, "The session sent another event with this number."),
    )

    def computable(self, view: View) -> Bool:
        """Every counted event is compared."""
        return np.ones(len(view), np.bool_)

    def observe(self, view: View) -> Sequence[Bool]:
        """Contents, logs and numbers that came before."""
        why = view.recognition.replayed
        return tuple((why & bit) != 0 for bit in (SAME_CONTENTS, SAME_LOG, SAME_SEQUENCE))
