"""geo_timezone_mismatch: time zone or languages do not fit the address."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from enrichers.country_languages import load_country_languages
from enrichers.country_zones import ELSEWHERE, NEIGHBOUR, OTHER_SEASON, UNKNOWN
from enrichers.network_lists import clock_name, network_details
from enrichers.signal import Clue, SmartSignal
from enrichers.view import View
from schemas.batches import Bool, Enriched
from schemas.catalogue import load_catalogue


class GeoTimezoneMismatch(SmartSignal):
    """The browser's clock against all clocks of the country of the address, by month; languages as a weak clue."""

    name = "geo_timezone_mismatch"
    recorded = True
    version = 2
    question = "Time zone or languages do not fit the address."
    held_down = (
        "An offset that any zone of the country has in that month fits. An hour's difference (a neighbour's clock) "
        "and another season's offset stay below. Addresses that stand in for another (VPN, relay, gateway, data "
        "centre, satellite) and devices that were seen in a country with that clock (travellers, a company's VPN) "
        "have a weaker clue. Firefox that resists fingerprinting says UTC: not computable. English fits everywhere."
    )
    honest_true = "Travellers keep their clock, and unlisted VPNs move addresses: 1% of honest events here."
    data_kinds = ("country", "classes", "zones", "languages")
    inputs = (
        "network.country",
        "network.classes",
        "network.asn",
        "environment.timezone_offset",
        "environment.browser",
        "navigator.language",
        "history.latitude",
        "history.longitude",
    )
    clues = (
        Clue(
            "zone_of_another_country",
            0.7,
            "In no month has the country the browser's offset, and now none within 90 minutes. Addresses are placed in "
            "a wrong country in 1 of 20 cases (two databases agree on 94.7%), mostly next door.",
        ),
        Clue("zone_of_a_neighbour", 0.4, "The country's nearest offset is an hour away: borders and short trips."),
        Clue("zone_of_another_season", 0.3, "The country has the offset in other months: an outdated table, or a lie."),
        Clue("zone_of_where_it_was", 0.35, "The device was in a country with this clock: a trip, or a VPN at times."),
        Clue("zone_differs_behind_a_proxy", 0.3, "The address stands in for another, which the clock may well fit."),
        Clue("language_of_another_country", 0.2, "Under 1% of the country speaks it: 2.7% of honest events here."),
    )

    def computable(self, view: View) -> Bool:
        """Country and time zone are known, and the browser does not hide the zone."""
        return (view.where.clock != UNKNOWN) & ~self._hides_zone(view)

    def observe(self, view: View) -> Sequence[Bool]:
        """Clock first; one clue of it, the strongest that nothing explains."""
        where = view.where
        told = ~self._hides_zone(view)
        direct = told & ~where.stands_in
        unexplained = direct & ~where.clock_of_where_it_was
        return (
            (where.clock == ELSEWHERE) & unexplained,
            (where.clock == NEIGHBOUR) & unexplained,
            (where.clock == OTHER_SEASON) & direct,
            where.clock_of_where_it_was & direct,
            where.clock_differs & told & where.stands_in,
            where.foreign_language & ~where.stands_in,
        )

    @staticmethod
    def _hides_zone(view: View) -> Bool:
        """Return where Firefox says UTC, as it does when it resists fingerprinting, bool[n]."""
        return (view.environment.timezone_offset == 0) & view.browser("firefox")

    def details(self, batch: Enriched, row: int) -> dict[str, str | float]:
        """Return the network, the browser's clock and its telling language."""
        tag = int(batch.signals.categories[row, load_catalogue().category("navigator.language")])
        return {
            **network_details(batch, row),
            "browser_clock": clock_name(float(batch.environment.timezone_offset[row])),
            "browser_language": _language(tag),
        }


@lru_cache(maxsize=1024)
def _language(tag: int) -> str:
    """Return the language of a tag's hash as people write it, empty where it tells nothing."""
    known = load_country_languages()
    return known.names[int(known.number(np.array([tag], np.uint32))[0])]
