"""datacenter_ip: the address is a data centre's."""

from __future__ import annotations

from collections.abc import Sequence

from enrichers.signal import Clue, SmartSignal
from enrichers.view import View
from schemas.batches import Bool


class DatacenterIp(SmartSignal):
    """Ranges of hosting companies."""

    name = "datacenter_ip"
    question = "The address is a data centre's."
    inputs = ("network.classes",)
    clues = (Clue("hosting_range", 0.9, "A hosting company publishes the range."),)

    def computable(self, view: View) -> Bool:
        """The address was looked up."""
        return view.located

    def observe(self, view: View) -> Sequence[Bool]:
        """Ranges of hosting companies."""
        return (view.network_class("hosting"),)
