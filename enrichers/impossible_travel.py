"""impossible_travel: the device is farther away than anybody travels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from enrichers.country_zones import FITS
from enrichers.network_lists import network_details
from enrichers.signal import Clue, SmartSignal
from enrichers.view import View
from enrichers.whereabouts import Whereabouts
from schemas.batches import Bool, Enriched
from schemas.countries import COUNTRIES
from schemas.event_time import event_time
from schemas.velocity import KINDS, WINDOWS

_PLANE_KMH = 1_000  # airliners cruise at 800 to 950 over ground, with a strong wind behind at up to 1,200
_ANYTHING_KMH = 3_000  # faster than anything that ever carried passengers
_COUNTRIES, _HOUR = KINDS.index("countries"), WINDOWS.index("1h")


class ImpossibleTravel(SmartSignal):
    """Speed from all places that are kept of the device, less what the countries reach."""

    name = "impossible_travel"
    recorded = True
    version = 2
    question = "The device is farther away than anybody travels."
    held_down = (
        "Places are the middles of countries, so what both countries reach (at least 1,000 km each, 2,526 for the "
        "United States) is taken off the way: neighbours and the same country are never far. Addresses that stand "
        "in for another (VPN, relay, gateway, data centre, satellite) move without the person. Where it was before,"
        " with a clock that fits: the other place was the odd one."
    )
    data_kinds = ("country", "places", "classes", "zones")
    inputs = (
        "history.latitude",
        "history.longitude",
        "history.place_at",
        "network.latitude",
        "network.longitude",
        "network.country",
        "network.classes",
        "network.asn",
        "environment.timezone_offset",
        "velocity.counts",
    )
    clues = (
        Clue("faster_than_a_plane", 0.6, "Over 1,000 km/h net of what countries reach: 0.03% of honest events here."),
        Clue("faster_than_anything", 0.4, "Over 3,000 km/h: no trip at all. With the clue before, 0.76."),
        Clue("back_where_it_was", 0.25, "As fast, but to a country that it was in before and whose clock it shows."),
        Clue("moved_behind_a_proxy", 0.2, "As fast, but the address stands in for another: a VPN switched on."),
        Clue("three_countries_in_an_hour", 0.35, "None of 14,542 honest simulated events had over two."),
    )

    def computable(self, view: View) -> Bool:
        """The device was somewhere before, and is somewhere now."""
        return ~np.isnan(view.where.kmh)

    def observe(self, view: View) -> Sequence[Bool]:
        """Take the fastest of the journeys, and what may explain it."""
        where = view.where
        fast, direct = where.kmh > _PLANE_KMH, ~where.stands_in
        back = where.was_here & (where.clock == FITS)
        too_fast = fast & direct & ~back
        return (
            too_fast,
            too_fast & (where.kmh > _ANYTHING_KMH),
            fast & direct & back,
            fast & where.stands_in,
            (view.velocity.counts[:, _COUNTRIES, _HOUR] > 2) & direct,
        )

    def details(self, batch: Enriched, row: int) -> dict[str, str | float]:
        """Return the fastest journey: its speed, the way that cannot be explained, the hours, and both countries."""
        only, nothing = np.array([row]), np.zeros(1, np.uint32)
        network, history = batch.network.take(only), batch.history.take(only)
        where = Whereabouts(network, history, np.zeros(1, np.float32), nothing, event_time(batch)[only])
        journeys = where.journeys
        kmh = journeys.kilometres / journeys.hours
        if not len(kmh):
            return network_details(batch, row)
        fastest = int(np.nan_to_num(kmh, nan=-1.0).argmax())
        return {
            "speed_kmh": float(np.rint(kmh[fastest])),
            "net_distance_km": float(np.rint(journeys.kilometres[fastest])),
            "hours": float(journeys.hours[fastest]),
            "previous_country": COUNTRIES[int(journeys.country[fastest])],
            **network_details(batch, row),
        }
