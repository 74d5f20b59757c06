"""tor: the address is an exit of the Tor network."""

from __future__ import annotations

from collections.abc import Sequence

from enrichers.signal import Clue, SmartSignal
from enrichers.view import View
from schemas.batches import Bool


class Tor(SmartSignal):
    """The list of exits."""

    name = "tor"
    question = "The address is an exit of the Tor network."
    inputs = ("network.classes",)
    clues = (Clue("tor_exit", 0.98, "The Tor project lists the exit."),)

    def computable(self, view: View) -> Bool:
        """The address was looked up."""
        return view.located

    def observe(self, view: View) -> Sequence[Bool]:
        """The list of exits."""
        return (view.network_class("tor"),)
