"""datacenter_ip: the address is a data centre's."""

from __future__ import annotations

from collections.abc import Sequence

from enrichers.network_lists import ListSignal, network_details
from enrichers.signal import Clue
from enrichers.view import View
from schemas.batches import Bool, Enriched


class DatacenterIp(ListSignal):
    """Ranges and autonomous systems of companies that let computers."""

    name = "datacenter_ip"
    recorded = True
    version = 2
    question = "The address is a data centre's."
    needs = ("hosting",)
    held_down = (
        "Relays, companies' gateways and networks that carry pages let people's traffic out of data centres: their "
        "addresses are no data centre's visitors, even where the range is listed as hosting too."
    )
    honest_true = "VPNs and cloud desktops stand in data centres: 0.5% of honest events here."
    data_kinds = ("classes",)
    inputs = ("network.classes",)
    clues = (
        Clue("hosting_range", 0.9, "A company that lets computers announces the range; some sell lines too."),
        Clue("lets_people_out", 0.15, "A relay, a company's gateway or a content network, in data centres."),
        Clue("server_of_a_vpn_or_proxy", 0.4, "Listed as VPN, proxy or Tor exit, not as hosting: most are servers."),
    )

    def computable(self, view: View) -> Bool:
        """The address was looked up, and there is data of hosting companies."""
        return self.listed(view)

    def observe(self, view: View) -> Sequence[Bool]:
        """Hosting, unless the address is one that lets people out."""
        hosting, lets_out = view.network_class("hosting"), view.network_class("relay", "cdn", "gateway")
        return hosting & ~lets_out, lets_out, view.network_class("vpn", "proxy", "tor") & ~hosting & ~lets_out

    def details(self, batch: Enriched, row: int) -> dict[str, str | float]:
        """Return the network."""
        return network_details(batch, row)
