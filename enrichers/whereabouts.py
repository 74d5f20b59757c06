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
from schemas.batches import F32, I64, U16, U32, Bool, History, Network
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
_LEAST_HOURS = 1 / 60  # two clocks may differ by a minute


class Journeys(NamedTuple):
    """From each of the earlier places to where the address is now, [PLACES_KEPT, n]; NaN where one is not known."""

    kilometres: F32  # the least way between people of the two countries
    hours: F32  # since the device was last seen there, at least a minute


class Whereabouts:
    """n rows. Each question is answered once."""

    def __init__(self, network: Network, history: History, offset: F32, language: U32, time: I64) -> None:
        """``offset``: minutes west of UTC; ``language``: the hash of a tag; ``time``: of the events, in ms."""
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
    def fit(self) -> OffsetFit:
        """Hold the browser's clock against those of the country of the address, [n]."""
        return self._zones.fit(self._network.country, self._offset, self._time)

    @cached_property
    def clock_of_another_season(self) -> Bool:
        """Return where the country has the browser's offset, but not in this month."""
        return (self.fit.apart > 0) & ~self._never

    @cached_property
    def clock_of_a_neighbour(self) -> Bool:
        """Return where the country never has the browser's offset, but one about an hour from it."""
        return self._never & (self.fit.apart <= NEIGHBOUR_MINUTES)

    @cached_property
    def clock_of_elsewhere(self) -> Bool:
        """Return where the country never has the browser's offset nor one near it."""
        return self._never & (self.fit.apart > NEIGHBOUR_MINUTES)

    @cached_property
    def clock_of_where_it_was(self) -> Bool:
        """Return where the browser's offset is none of this country's but one of a country that it was in before."""
        found = np.zeros(len(self._offset), np.bool_)
        rows = np.flatnonzero(self._never)  # few: only they are asked
        if len(rows):
            fit = self._zones.fit(self.before[:, rows], self._offset[rows], self._time[rows])
            found[rows] = (fit.known & (fit.apart == 0)).any(axis=0)
        return found

    @cached_property
    def _never(self) -> Bool:
        return self.fit.apart_all_year > 0

    @cached_property
    def foreign_language(self) -> Bool:
        """Return where hardly anybody in the country speaks the browser's language, and it is not English."""
        return load_country_languages().foreign(self._language, self._network.country)

    @cached_property
    def before(self) -> U16:
        """Return the countries that the device was in before, newest first, uint16[PLACES_KEPT, n]; 0 not known."""
        return self._zones.country_at(self._history.latitude.T, self._history.longitude.T)

    @cached_property
    def elsewhere_before(self) -> Bool:
        """Return where the device was in another country before, bool[PLACES_KEPT, n]."""
        return (self.before != 0) & (self.before != self._network.country)

    @cached_property
    def was_elsewhere(self) -> Bool:
        """Return where the device was in any other country before, bool[n]."""
        return np.asarray(self.elsewhere_before.any(axis=0))

    @cached_property
    def journeys(self) -> Journeys:
        """Return the journeys from the earlier places."""
        way = self._zones.way(self.before, self._network.country)
        hours = np.abs(self._time - self._history.place_at.T).astype(np.float32) * np.float32(1 / 3_600_000)
        return Journeys(way, np.maximum(hours, np.float32(_LEAST_HOURS)))

    @cached_property
    def kmh(self) -> F32:
        """Return the speed of the fastest journey, float32[n]; NaN where none is known."""
        return np.fmax.reduce(self.journeys.kilometres / self.journeys.hours, axis=0)
