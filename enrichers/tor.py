"""tor: the address is an exit of the Tor network."""

from __future__ import annotations

from collections.abc import Sequence

from enrichers.network_lists import ListSignal, network_details
from enrichers.signal import Clue
from enrichers.view import View
from schemas.batches import Bool, Enriched


class Tor(ListSignal):
    """The list of exits. Tor Browser without its network is a matter of privacy_settings."""

    name = "tor"
    recorded = True
    version = 2
    question = "The address is an exit of the Tor network."
    needs = ("tor",)
    held_down = "Tor Browser, or any browser that shows its marks, at an address that is no exit."
    data_kinds = ("classes",)
    inputs = ("network.classes",)
    clues = (Clue("tor_exit", 0.95, "Listed as an exit; some stop within weeks, and their addresses go to others."),)

    def computable(self, view: View) -> Bool:
        """The address was looked up in a list of exits."""
        return self.listed(view)

    def observe(self, view: View) -> Sequence[Bool]:
        """The list of exits."""
        return (view.network_class("tor"),)

    def details(self, batch: Enriched, row: int) -> dict[str, str | float]:
        """Return the network of the exit."""
        return network_details(batch, row)
