"""Where the address lies, held against what the browser's clock, its languages and the device's past say of the person.

An address is where packets leave for us, not where somebody sits: behind a VPN, a relay, a proxy, a data centre or a
satellite it says little, so what it contradicts there says little too.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np

from enrichers.country_languages import load_country_languages
from enrichers.country_zones import OffsetFit, load_country_zones
from schemas.batches import F32, I64, U8, U16, Bool, History, Network
from schemas.networks import NETWORK_BIT

_STANDS_IN = np.uint16(
    sum(NETWORK_BIT[name] for name in ("hosting", "cdn", "vpn", "tor", "relay", "proxy", "residential_proxy"))
)
# Addresses that are registered in one country and used on ships, in aircraft, everywhere: autonomous systems by their
# names in npm @ip-location-db/asn (CC-BY-4.0).
_SATELLITE_SYSTEMS = {
    "SpaceX Starlink": (14593,),
    "Viasat": (7155, 16491, 40306, 40311),
    "Hughes": (6621, 12440, 28613, 63062, 265705),
    "Intelsat": (22351, 26243),
    "Inmarsat": (25222, 31753),
    "OneWeb, Eutelsat": (800, 15829, 34444),
    "SES ASTRA": (12684, 60725),
    "Marlink": (5377, 210314),
    "KVH, Iridium, Kacific": (25687, 22184, 135409),
    "Panasonic Avionics, Royal Caribbean": (64294, 35955),
}
_SATELLITES = np.array(sorted(number for found in _SATELLITE_SYSTEMS.values() for number in found), np.uint32)
NEIGHBOUR_MINUTES = 90  # a neighbour's clock differs by an hour, rarely by an hour and a half
_EARTH_KM = 6_371.0  # mean radius
_LEAST_HOURS = 1 / 60  # two clocks may differ by a minute


class Journeys(NamedTuple):
    """From each of the earlier places to where the address is now, [n, PLACES_KEPT]; NaN where one is not known."""

    kilometres: F32  # between the countries' middles, less what the two countries reach
    hours: F32  # since the device was last seen there, at least a minute


class Whereabouts:
    """n rows. Each question is answered once."""

    def __init__(self, network: Network, history: History, offset: F32, language: U8, time: I64) -> None:
        """``offset``: minutes west of UTC; ``language``: as enrichers.country_languages numbers it; ``time``: ms."""
        self._network, self._history = network, history
        self._offset, self._language, self._time = offset, language, time
        self._zones = load_country_zones()

    @cached_property
    def satellite(self) -> Bool:
        """Return where the address is a satellite network's: used far from where it is registered."""
        asn = self._network.asn
        return _SATELLITES[np.minimum(_SATELLITES.searchsorted(asn), len(_SATELLITES) - 1)] == asn

    @cached_property
    def stands_in(self) -> Bool:
        """Return where the address only stands in for another: of a VPN, relay, proxy, data centre or satellite."""
        return ((self._network.classes & _STANDS_IN) != 0) | self.satellite

    @cached_property
    def before(self) -> U16:
        """Return the countries that the device was in before, newest first, uint16[n, PLACES_KEPT]; 0 not known."""
        return self._zones.country_at(self._history.latitude, self._history.longitude)

    @cached_property
    def fit(self) -> OffsetFit:
        """Hold the browser's clock against the country of the address (column 0) and those before (1 and on)."""
        countries = np.concatenate((self._network.country[:, None], self.before), axis=1)
        return self._zones.fit(countries, self._offset[:, None], self._time[:, None])

    @cached_property
    def clock_known(self) -> Bool:
        """Return where both the country's clocks and the browser's are known."""
        return self.fit.known[:, 0]

    @cached_property
    def clock_of_another_season(self) -> Bool:
        """Return where the country has the browser's offset, but not in this month."""
        return (self.fit.apart_all_year[:, 0] == 0) & (self.fit.apart[:, 0] > 0)

    @cached_property
    def clock_of_a_neighbour(self) -> Bool:
        """Return where the country never has the browser's offset, but one about an hour from it."""
        apart = self.fit.apart[:, 0]
        return (self.fit.apart_all_year[:, 0] > 0) & (apart <= NEIGHBOUR_MINUTES)

    @cached_property
    def clock_of_elsewhere(self) -> Bool:
        """Return where the country never has the browser's offset nor one near it."""
        return (self.fit.apart_all_year[:, 0] > 0) & (self.fit.apart[:, 0] > NEIGHBOUR_MINUTES)

    @cached_property
    def clock_of_where_it_was(self) -> Bool:
        """Return where the browser's offset is one of a country that the device was seen in before."""
        return np.asarray((self.fit.known[:, 1:] & (self.fit.apart[:, 1:] == 0)).any(axis=1))

    @cached_property
    def foreign_language(self) -> Bool:
        """Return where hardly anybody in the country speaks the browser's first language that is not English."""
        return load_country_languages().foreign(self._language, self._network.country)

    @cached_property
    def elsewhere_before(self) -> Bool:
        """Return where the device was in another country before, bool[n, PLACES_KEPT]."""
        return (self.before != 0) & (self.before != self._network.country[:, None])

    @cached_property
    def journeys(self) -> Journeys:
        """Return the journeys from the earlier places; within a country the way is 0."""
        network, history = self._network, self._history
        way = _kilometres(history.latitude, history.longitude, network.latitude[:, None], network.longitude[:, None])
        slack = self._zones.reach(self.before) + self._zones.reach(network.country)[:, None]
        hours = np.abs(self._time[:, None] - history.place_at).astype(np.float32) / np.float32(3_600_000)
        known = ~np.isnan(way)
        return Journeys(
            np.where(known, np.maximum(way - slack, np.float32(0)), way),
            np.where(known, np.maximum(hours, np.float32(_LEAST_HOURS)), way),
        )

    @cached_property
    def kmh(self) -> F32:
        """Return the speed from each earlier place, float32[n, PLACES_KEPT]; NaN where not known."""
        return self.journeys.kilometres / self.journeys.hours


def _kilometres(from_north: F32, from_east: F32, to_north: F32, to_east: F32) -> F32:
    """Return great circles by the haversine formula (R. W. Sinnott, Sky and Telescope 68, 1984)."""
    radian = np.float32(np.pi / 180)
    half = (
        np.sin((to_north - from_north) * (radian / 2)) ** 2
        + np.cos(from_north * radian) * np.cos(to_north * radian) * np.sin((to_east - from_east) * (radian / 2)) ** 2
    )
    return np.float32(2 * _EARTH_KM) * np.arcsin(np.sqrt(np.minimum(half, np.float32(1))))
