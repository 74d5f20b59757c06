"""high_activity: the device sends far more than a person does in a day."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from enrichers.signal import Clue, SmartSignal
from enrichers.view import View
from schemas.batches import Bool


class HighActivity(SmartSignal):
    """The count of 24 hours over a limit. A checkout sends about 5 to 20 events, a busy shopper a few checkouts."""

    name = "high_activity"
    question = "The device sent more events in 24 hours than a person's visits make."
    held_down = "Shared machines (libraries, shops) reach the lower step: it is just over the threshold, and says so."
    inputs = ("velocity.events_24h", "velocity.events_1h")
    clues = (
        Clue("over_200_in_24_hours", 0.55, "Ten and more checkouts a day: shared machines and resellers do so."),
        Clue("over_600_in_24_hours", 0.6, "Thirty and more checkouts a day; with the step below, 0.82."),
        Clue("over_2000_in_24_hours", 0.8, "A hundred and more checkouts a day; with the steps below, 0.96."),
        Clue("sustained", 0.3, "Most of a day's events lie outside the last hour: it goes on and on."),
    )

    def computable(self, view: View) -> Bool:
        """Every counted event has its counts; the event itself is one of them."""
        return view.velocity.events_24h > 0

    def observe(self, view: View) -> Sequence[Bool]:
        """Compare the counts with the steps."""
        day = view.velocity.events_24h
        hour = view.velocity.events_1h.astype(np.float32)
        return day > 200, day > 600, day > 2000, (day > 200) & (hour < 0.25 * day)
