"""vpn: the address hides behind a VPN."""

from __future__ import annotations

from collections.abc import Sequence

from enrichers.signal import Clue, SmartSignal
from enrichers.view import View
from schemas.batches import Bool


class Vpn(SmartSignal):
    """Lists of the networks of VPN providers."""

    name = "vpn"
    question = "The address hides behind a VPN."
    inputs = ("network.classes",)
    clues = (Clue("listed_vpn", 0.9, "The address lies in a VPN provider's network."),)

    def computable(self, view: View) -> Bool:
        """The address was looked up."""
        return view.located

    def observe(self, view: View) -> Sequence[Bool]:
        """Lists of the networks of VPN providers."""
        return (view.network_class("vpn"),)
