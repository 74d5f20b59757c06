"""Where the address lies, held against what the browser's clock, its languages and the device's past say of the person.

An address is where packets leave for us, not where somebody sits: behind a VPN, a relay, a proxy, a data centre or a
satellite it says little, so what it contradicts there says little too.
"""

from __future__ import annotations

from functools import cache, cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from enrichers.country_languages import load_country_languages
from enrichers.country_zones import ELSEWHERE, FITS, NEIGHBOUR, load_country_zones
from enrichers.where_loops import FOUND, look_around
from schemas.batches import F32, I64, U8, U16, U32, Bool, History, Network
from schemas.columns import Rows, plain
from schemas.networks import NETWORK_BIT

_STANDS_IN = np.uint16(
    sum(
        NETWORK_BIT[name]
        for name in ("hosting", "cdn", "vpn", "tor", "relay", "proxy", "residential_proxy", "crawler", "gateway")
    )
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
_LEAST_HOURS = 1 / 60  # two clocks may differ by a minute
_LIMITS = _STANDS_IN, np.uint8(FITS), np.uint8(NEIGHBOUR), np.uint8(ELSEWHERE), _LEAST_HOURS


class Journeys(NamedTuple):
    """From places in other countries that the device was in to where it is now: few, one item each."""

    row: Rows  # of the batch
    country: U16  # that it was in, 0 where that is not known any more
    kilometres: F32  # the least way between people of the two countries, NaN where not known
    hours: F32  # since it was last seen there, at least a minute


@cache
def _tables() -> tuple[Any, ...]:
    """Return what the loop takes of zones, and of languages and satellites."""
    return load_country_zones().tables, (*load_country_languages().tables, _SATELLITES)


@cache
def where_tables() -> tuple[NDArray[Any], ...]:
    """Return zones, lists and limits of ``look_around`` as ``view_loops.gather`` takes them."""
    (*zones, clocks), lists = _tables()
    return (*zones, np.array(clocks, np.float32), *lists, np.array(_LIMITS, np.float64))


def look_where(network: Network, history: History, shown: tuple[F32, U32, I64], found: tuple[U8, F32]) -> None:
    """Write ``FOUND``, uint8[7, n], and the speed of the fastest journey, float32[n].

    ``shown``: minutes west of UTC, hashes of languages, and times of the events in ms.
    """
    offset, language, time = shown
    zones, lists = _tables()
    look_around(
        (
            plain(network.country, np.uint16), plain(network.asn, np.uint32), plain(network.latitude, np.float32),
            plain(network.longitude, np.float32), plain(network.classes, np.uint16),
        ),
        (
            plain(history.latitude, np.float32), plain(history.longitude, np.float32),
            plain(history.place_at, np.int64),
        ),
        (plain(offset, np.float32), plain(language, np.uint32), plain(time, np.int64)),
        zones,
        lists,
        _LIMITS,
        found,
    )  # fmt: skip


class Whereabouts:
    """n rows."""

    def __init__(self, network: Network, history: History, offset: F32, language: U32, time: I64) -> None:
        """``offset``: minutes west of UTC; ``language``: the hash of a tag; ``time``: of the events, in ms."""
        self._network, self._history = network, history
        self._offset, self._language, self._time = offset, language, time
        self._zones = load_country_zones()
        self._codes = np.empty((len(FOUND), len(time)), np.uint8)
        self.kmh: F32 = np.empty(len(time), np.float32)
        """The speed of the fastest journey, float32[n]; 0 where it stayed, NaN where a place is not known."""
        look_where(network, history, (offset, language, time), (self._codes, self.kmh))

    def _flags(self, name: str) -> Bool:
        found: Bool = self._codes[FOUND.index(name)].view(np.bool_)
        return found

    @property
    def satellite(self) -> Bool:
        """Return where the address is a satellite network's: used far from where it is registered."""
        return self._flags("satellite")

    @property
    def stands_in(self) -> Bool:
        """Return where the address only stands in for another: of a VPN, relay, proxy, data centre or satellite."""
        return self._flags("stands_in")

    @property
    def clock(self) -> U8:
        """Return how the browser's clock fits the country of the address, as ``enrichers.country_zones`` names it."""
        return self._codes[FOUND.index("clock")]

    @property
    def clock_differs(self) -> Bool:
        """Return where the country has the browser's offset in no month."""
        return (self.clock == NEIGHBOUR) | (self.clock == ELSEWHERE)

    @property
    def clock_of_where_it_was(self) -> Bool:
        """Return where the browser's clock is none of this country's but one of a country that it was in before."""
        return self._flags("clock_of_where_it_was")

    @property
    def foreign_language(self) -> Bool:
        """Return where hardly anybody in the country speaks the browser's language, and it is not English."""
        return self._flags("foreign_language")

    @property
    def was_here(self) -> Bool:
        """Return where the device was in this country before, bool[n]."""
        return self._flags("was_here")

    @property
    def was_elsewhere(self) -> Bool:
        """Return where the device was in another country before, bool[n]."""
        return self._flags("was_elsewhere")

    @cached_property
    def _same_place(self) -> Bool:
        """Return which of the places before are the present one, bool[n, PLACES_KEPT]."""
        history, network = self._history, self._network
        return (history.latitude == network.latitude[:, None]) & (history.longitude == network.longitude[:, None])

    @cached_property
    def journeys(self) -> Journeys:
        """Return the journeys from places in other countries, by row and then newest first."""
        latitude, longitude = self._history.latitude, self._history.longitude
        known = latitude == latitude  # noqa: PLR0124 - NaN is not equal to itself
        each = np.flatnonzero(known & ~self._same_place)
        row = each // latitude.shape[1]
        country = self._zones.country_at(latitude.reshape(-1)[each], longitude.reshape(-1)[each])
        hours = np.abs(self._time[row] - self._history.place_at.reshape(-1)[each]) / 3_600_000
        return Journeys(
            row,
            country,
            self._zones.way(country, self._network.country[row]),
            np.maximum(hours, _LEAST_HOURS).astype(np.float32),
        )
