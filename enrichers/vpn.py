"""vpn: the address hides behind a VPN."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import or_

from enrichers.country_zones import ELSEWHERE, NEIGHBOUR, UNKNOWN
from enrichers.network_lists import ListSignal, clock_name, network_details, seen_reasons
from enrichers.signal import Clue
from enrichers.view import View
from schemas.batches import Bool, Enriched
from schemas.velocity import KINDS, WINDOWS

_KNOWN_LONG_MS = 7 * 86_400_000
_PLANE_KMH = 1_000
_COUNTRIES, _DAY = KINDS.index("countries"), WINDOWS.index("24h")
_SYSTEM_CHECKS = (
    "platform_contradicts_user_agent",
    "client_hints_contradict_user_agent",
    "system_version_contradicts_user_agent",
    "fonts_contradict_system",
)
_METHOD = {
    "listed_vpn": "list",
    "zone_of_another_country": "time zone",
    "zone_of_another_country_as_always": "time zone",
    "zone_of_a_neighbour": "time zone",
    "hosting_network": "data centre",
    "phone_in_a_data_centre": "data centre",
    "language_of_another_country": "language",
    "address_moved_without_the_person": "travel",
    "three_countries_in_a_day": "travel",
    "system_contradicted": "operating system",
}


class Vpn(ListSignal):
    """Lists of the networks of VPN providers; and what the browser and the device's past say of where its person is."""

    name = "vpn"
    recorded = True
    version = 2
    question = "The address hides behind a VPN."
    needs = ("vpn",)
    held_down = (
        "Private Relay and companies' security gateways are classes of their own: each has its own reason, and "
        "silences those about place, lists and data centres. A device that has shown one country and another "
        "country's clock for a week (a company's own VPN, a person who keeps the home clock) has the weaker clue. "
        "Satellites say nothing of place."
    )
    honest_true = "Honest people use VPNs: 1% of the honest events measured. It is a fact, not a fraud."
    data_kinds = ("classes", "country", "zones", "languages")
    inputs = (
        "network.classes",
        "network.country",
        "network.asn",
        "environment.timezone_offset",
        "environment.device",
        "navigator.language",
        "history.latitude",
        "history.longitude",
        "history.place_at",
        "velocity.counts",
        "velocity.first_seen_at",
        *(f"check.{name}" for name in _SYSTEM_CHECKS),
    )
    clues = (
        Clue("listed_vpn", 0.9, "The address lies in a VPN provider's network; lists age, and some of it is let."),
        Clue("private_relay", 0.1, "A relay of the browser's maker hides the address but keeps the country: no VPN."),
        Clue(
            "company_gateway", 0.15, "A security gateway of companies: their people at work, who do not choose to hide."
        ),
        Clue(
            "zone_of_another_country",
            0.35,
            "No offset of the country is within 90 minutes of the browser's. Of simulated events that show this, 54% "
            "come from a listed VPN, proxy or data centre, and of honest ones 15%: the others travel.",
        ),
        Clue(
            "zone_of_another_country_as_always",
            0.2,
            "The same, of a device that was seen for over a week in this country alone: a company's own network.",
        ),
        Clue("zone_of_a_neighbour", 0.15, "The offset is an hour away: people near a border, and travellers."),
        Clue("hosting_network", 0.35, "0.5% of honest events here, 29% of fraud: VPNs, cloud desktops, programs."),
        Clue(
            "phone_in_a_data_centre",
            0.3,
            "One honest event of 14,542 here, 7% of fraud. With hosting, 0.55.",
        ),
        Clue("language_of_another_country", 0.15, "Under 1% of the country speaks it: 2.7% of honest events."),
        Clue(
            "address_moved_without_the_person",
            0.4,
            "The address is faster than a plane while the clock stays that of where it was: with the zone, 0.61.",
        ),
        Clue("three_countries_in_a_day", 0.25, "No honest one of 14,542 simulated events showed over two."),
        Clue("system_contradicted", 0.08, "The system named is not the one that shows: a lie, seldom a VPN's doing."),
    )

    def computable(self, view: View) -> Bool:
        """The address was looked up in a list of VPNs, or its country and the browser's clock are known."""
        return self.listed(view) | (view.where.clock != UNKNOWN)

    def observe(self, view: View) -> Sequence[Bool]:
        """Lists first; what only says where the person is counts where no relay, gateway or satellite explains it."""
        where, counts = view.where, view.velocity.counts
        relay, gateway = view.network_class("relay"), view.network_class("gateway")
        held = relay | gateway
        direct = ~(held | where.satellite)
        far = (where.clock == ELSEWHERE) & direct
        as_always = view.first_seen_before(_KNOWN_LONG_MS) & ~where.was_elsewhere
        hosting = view.network_class("hosting") & ~(held | view.network_class("cdn", "crawler"))
        return (
            view.network_class("vpn") & ~held,
            relay,
            gateway,
            far & ~as_always,
            far & as_always,
            (where.clock == NEIGHBOUR) & direct,
            hosting,
            hosting & view.device("phone", "tablet"),
            where.foreign_language & direct,
            (where.kmh > _PLANE_KMH) & where.clock_of_where_it_was & direct,
            (counts[:, _COUNTRIES, _DAY] >= 3) & direct,
            reduce(or_, map(view.check, _SYSTEM_CHECKS)),
        )

    def details(self, batch: Enriched, row: int) -> dict[str, str | float]:
        """Return the methods that told, the network, and the browser's clock."""
        methods = dict.fromkeys(_METHOD[reason] for reason in seen_reasons(self, batch, row) if reason in _METHOD)
        clock = clock_name(float(batch.environment.timezone_offset[row]))
        return {"method": ", ".join(methods), **network_details(batch, row), "browser_clock": clock}
