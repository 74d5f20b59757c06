"""proxy: the address is a proxy."""

from __future__ import annotations

from collections.abc import Sequence

from enrichers.signal import Clue, SmartSignal
from enrichers.view import View
from schemas.batches import Bool


class Proxy(SmartSignal):
    """Lists of public and residential proxies."""

    name = "proxy"
    question = "The address is a proxy."
    inputs = ("network.classes",)
    clues = (
        Clue("public_proxy", 0.9, "The address is on a list of public proxies."),
        Clue("residential_proxy", 0.7, "The address is on a list of proxies in homes."),
    )

    def computable(self, view: View) -> Bool:
        """The address was looked up."""
        return view.located

    def observe(self, view: View) -> Sequence[Bool]:
        """Lists of public and residential proxies."""
        return (
            view.network_class("proxy"),
            view.network_class("residential_proxy"),
        )
