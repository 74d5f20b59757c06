"""proxy: the address is a proxy."""

from __future__ import annotations

from collections.abc import Sequence

from enrichers.network_lists import ListSignal, network_details, seen_reasons
from enrichers.signal import Clue
from enrichers.view import View
from schemas.batches import Bool, Enriched
from schemas.velocity import KINDS, WINDOWS

_ADDRESSES, _COUNTRIES = KINDS.index("addresses"), KINDS.index("countries")
_MINUTES, _HOUR = WINDOWS.index("5m"), WINDOWS.index("1h")
_KIND = {"public_proxy": "public", "residential_proxy": "residential"}


class Proxy(ListSignal):
    """Lists of public and residential proxies; and addresses that rotate under one device, as sold proxies do."""

    name = "proxy"
    recorded = True
    version = 2
    question = "The address is a proxy."
    needs = ("proxy", "residential_proxy")
    held_down = (
        "Carriers give a phone another address now and then, and people leave their own network: up to five "
        "addresses an hour in up to two countries are no clue. A relay or a company's gateway changes addresses by "
        "design: rotation is no clue there."
    )
    data_kinds = ("classes",)
    inputs = ("network.classes", "velocity.counts")
    clues = (
        Clue("public_proxy", 0.9, "The address is on a list of public proxies."),
        Clue("residential_proxy", 0.7, "On a list of proxies in homes: those who live there come from it too."),
        Clue(
            "addresses_rotate",
            0.4,
            "Over 3 addresses in 5 minutes or 5 in an hour: of the honest simulated events none had over 2.",
        ),
        Clue("rotates_through_countries", 0.45, "Over 2 countries in an hour; with rotating addresses, 0.67."),
    )

    def computable(self, view: View) -> Bool:
        """The address was looked up, and there is a list of proxies to look in."""
        return self.listed(view)

    def observe(self, view: View) -> Sequence[Bool]:
        """Lists, and the counts of the device's addresses and countries."""
        counts = view.velocity.counts
        changing = (counts[:, _ADDRESSES, _MINUTES] > 3) | (counts[:, _ADDRESSES, _HOUR] > 5)
        direct = ~view.network_class("relay", "gateway")
        return (
            view.network_class("proxy"),
            view.network_class("residential_proxy"),
            changing & direct,
            (counts[:, _COUNTRIES, _HOUR] > 2) & direct,
        )

    def details(self, batch: Enriched, row: int) -> dict[str, str | float]:
        """Return the kind of proxy, how many addresses and countries the device showed in an hour, and the network."""
        kinds = [_KIND.get(reason, "rotating") for reason in seen_reasons(self, batch, row)]
        counts = batch.velocity.counts[row]
        return {
            "kind": ", ".join(dict.fromkeys(kinds)),
            "addresses_1h": float(counts[_ADDRESSES, _HOUR]),
            "countries_1h": float(counts[_COUNTRIES, _HOUR]),
            **network_details(batch, row),
        }
