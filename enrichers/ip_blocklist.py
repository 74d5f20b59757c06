"""ip_blocklist: the address is known for attacks."""

from __future__ import annotations

from collections.abc import Sequence

from enrichers.signal import Clue, SmartSignal
from enrichers.view import View
from schemas.batches import Bool


class IpBlocklist(SmartSignal):
    """Lists, and what came of earlier events."""

    name = "ip_blocklist"
    question = "The address is known for attacks."
    inputs = (
        "network.classes",
        "recognition.denied",
    )
    clues = (Clue("listed", 0.8, "On a list of addresses that attack."),)

    def computable(self, view: View) -> Bool:
        """The address was looked up."""
        return view.located

    def observe(self, view: View) -> Sequence[Bool]:
        """Lists, and what came of earlier events."""
        return (view.network_class("listed"),)
