"""replayed: the event is a copy of an earlier one."""

from __future__ import annotations

from collections.abc import Sequence

from enrichers.network_lists import seen_reasons
from enrichers.signal import Clue, SmartSignal
from enrichers.view import View
from schemas.batches import Bool, Enriched
from schemas.recognition import SAME_CONTENTS, SAME_LOG, SAME_SEQUENCE

_COPIED = {"same_contents": "contents", "same_log": "activity log", "same_sequence": "number in the session"}


class Replayed(SmartSignal):
    """Contents, logs and numbers that came before. The same event sent twice is no copy: it is dropped before."""

    name = "replayed"
    recorded = True
    version = 2
    question = "The event is a copy of an earlier one."
    held_down = (
        "An agent that sends again what it could not deliver keeps the event's id: dropped before, and no copy. A "
        "duplicated tab or a page without storage repeats numbers: only the same page's count, and only with more."
    )
    inputs = ("recognition.replayed",)
    clues = (
        Clue("same_contents", 0.97, "All that it shows, clocks and log included, came before under another id."),
        Clue("same_log", 0.9, "A log of 12 and more entries came before, to the millisecond: nobody repeats that."),
        Clue(
            "same_sequence", 0.45, "One page of a session numbered two events alike: a lost answer, or a copy edited."
        ),
    )

    def computable(self, view: View) -> Bool:
        """Every counted event is compared."""
        return ~view.nowhere

    def observe(self, view: View) -> Sequence[Bool]:
        """Contents, logs and numbers that came before."""
        return [view.copied(bit) for bit in (SAME_CONTENTS, SAME_LOG, SAME_SEQUENCE)]

    def details(self, batch: Enriched, row: int) -> dict[str, str | float]:
        """Return what was copied."""
        return {"copied": ", ".join(_COPIED[reason] for reason in seen_reasons(self, batch, row))}
