"""ip_blocklist: the address is known for attacks."""

from __future__ import annotations

from collections.abc import Sequence

from enrichers.network_lists import ListSignal, network_details
from enrichers.signal import Clue
from enrichers.view import View
from schemas.batches import Bool, Enriched
from schemas.recognition import REPUTED

_ADDRESS, _NETWORK, _ASN = (REPUTED.index(name) for name in ("address", "network", "asn"))
_OWN = 5.0  # events of an address: from fewer the share is mostly the prior
_ENOUGH = {_ADDRESS: _OWN, _NETWORK: 20.0, _ASN: 200.0}  # with more people behind it, more has to be seen


class IpBlocklist(ListSignal):
    """Lists of addresses that attack, and what came of earlier events of the address, its network and its system."""

    name = "ip_blocklist"
    recorded = True
    version = 2
    question = "The address is known for attacks."
    needs = ("listed",)
    held_down = (
        "Shared addresses (carriers, offices): the share is of all their events, so a few denied ones among many "
        "honest ones stay under it. Fewer than five events of an address say nothing. A network's or a system's bad "
        "name alone makes nobody's address bad."
    )
    data_kinds = ("classes", "labels")
    inputs = ("network.classes", "recognition.denied", "recognition.weight")
    clues = (
        Clue("listed", 0.8, "On a list of addresses that attack; addresses change hands, so lists overstay."),
        Clue(
            "address_mostly_denied",
            0.65,
            "Over half are denied or fraud, by 5 and more events and the network.",
        ),
        Clue("address_nearly_always_denied", 0.5, "Over 0.8 of them: with the clue before, 0.83."),
        Clue("address_often_denied", 0.25, "Over a quarter of 5 and more events: far over the usual, a minority."),
        Clue("network_mostly_denied", 0.3, "Over half of 20 and more events of the network: other hosts differ."),
        Clue("system_mostly_denied", 0.15, "Over half of 200 and more events of the system: all its customers."),
    )

    def computable(self, view: View) -> Bool:
        """The address was looked up in a list of attackers, or five and more of its events are remembered."""
        return self.listed(view) | (view.recognition.weight[:, _ADDRESS] >= _OWN)

    def observe(self, view: View) -> Sequence[Bool]:
        """Lists, and what came of earlier events; what is not known is NaN, and no comparison holds."""
        denied, weight = view.recognition.denied, view.recognition.weight
        share, enough = denied[:, _ADDRESS], weight[:, _ADDRESS] >= _OWN
        mostly, network, system = ((weight[:, at] >= _ENOUGH[at]) & (denied[:, at] > 0.5) for at in _ENOUGH)
        return (
            view.network_class("listed"),
            mostly,
            mostly & (share > 0.8),
            enough & (share > 0.25) & ~mostly,
            network,
            system,
        )

    def details(self, batch: Enriched, row: int) -> dict[str, str | float]:
        """Return the shares that were denied, how many events that rests on, and the network."""
        denied, weight = batch.recognition.denied[row], batch.recognition.weight[row]
        shares = {f"denied_share_of_{name}": float(denied[place]) for place, name in enumerate(REPUTED)}
        return {**network_details(batch, row), **shares, "events_of_address": float(weight[_ADDRESS])}
