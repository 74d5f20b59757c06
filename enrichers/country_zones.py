"""What the time-zone database says of countries: their offsets over the year, how far they reach, and are apart.

A country's clock differs with the season and with its zones, so an offset is held against all offsets that the country
has in the event's month; how far it is from the nearest tells a neighbour's clock from another continent's. All is
worked out when the tables are read: a look-up is one step.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enrichers.address_table import DATA, PLACES_FILE, read_places
from enrichers.data_file import REMEDY, DataFileError
from enrichers.data_text import read_text_table
from schemas.batches import F32, U8, U16, Bool
from schemas.countries import COUNTRIES, COUNTRY_NUMBER

ZONES_FILE = "country_zones.csv"
REACH_AT_LEAST = 1_000  # km from a country's middle that anybody in it may be, however small it is
FITS, OTHER_SEASON, NEIGHBOUR, ELSEWHERE, UNKNOWN = range(5)
"""How an offset fits: the country has it in that month; in other months only; one near it; none near it; not known."""
_NEIGHBOUR_MINUTES = 90  # a neighbour's clock differs by an hour, rarely by an hour and a half
_STEP = 15  # minutes: every offset in use is a multiple
_SLOTS, _MIDDLE = 128, 64  # offsets from 16 hours east of UTC to 15 h 45 min west
_MOST_MINUTES = np.float32(14 * 60)  # Kiribati's
_NOT_TOLD = np.float32((_SLOTS - 1 - _MIDDLE) * _STEP)
_MONTHS = 12
_EARTH_KM = 6_371.0  # mean radius


class CountryZones:
    """Tables by country number; country 0 is not known."""

    def __init__(self, version: str, has: Bool, reach: F32, places: F32) -> None:
        """``has``: bool[countries, 12, slots] of offsets; ``reach``: float32[countries], km; ``places``: as read."""
        self.version = version
        self._fit = _fits(has)
        self._way = _ways(places, reach)
        key = _place_key(places[:, 0], places[:, 1])
        order = np.argsort(key)  # country 0 has no place, and the last one here
        self._place_keys, self._place_countries = key[order], order.astype(np.uint16)

    @property
    def tables(self) -> tuple[Any, ...]:
        """Return how offsets fit, ways, places and their countries, and how offsets are laid out: for loops."""
        slots = _MOST_MINUTES, _NOT_TOLD, np.float32(1 / _STEP), np.float32(_MIDDLE + 0.5)
        return self._fit, self._way, self._place_keys, self._place_countries, slots

    def way(self, country: U16, other: U16) -> F32:
        """Return the least way between people of two countries, float32 in km; NaN where one is not known.

        Between the countries' middles, less what both reach: 0 within a country, and mostly between neighbours.
        """
        return self._way[country, other]

    def country_at(self, latitude: F32, longitude: F32) -> U16:
        """Return the countries whose middles these are, uint16[n]; 0 where it is none's."""
        key = _place_key(latitude, longitude)
        at = np.minimum(self._place_keys.searchsorted(key), len(self._place_keys) - 1)
        return np.where(self._place_keys[at] == key, self._place_countries[at], np.uint16(0))


def _place_key(latitude: F32, longitude: F32) -> NDArray[np.float64]:
    """Return one number for a place, the same for the same place alone; NaN where it is not known."""
    return latitude.astype(np.float64) * 1024 + longitude  # exact: a float32's 24 bits and 10 more


def _ways(places: F32, reach: F32) -> F32:
    """Return the ways between countries, float32[countries, countries], by the great circles between their middles.

    The haversine formula: R. W. Sinnott, "Virtues of the Haversine", Sky and Telescope 68, 1984.
    """
    north, east = np.radians(places[:, 0].astype(np.float64)), np.radians(places[:, 1].astype(np.float64))
    half = (
        np.sin((north[:, None] - north) / 2) ** 2
        + np.cos(north[:, None]) * np.cos(north) * np.sin((east[:, None] - east) / 2) ** 2
    )
    middles = 2 * _EARTH_KM * np.arcsin(np.sqrt(np.minimum(half, 1.0)))
    return np.maximum(middles - reach[:, None] - reach, 0.0).astype(np.float32)


def _fits(has: Bool) -> U8:
    """Return how each offset fits each country in each month, uint8[countries, 12, slots]."""
    apart, never = _minutes_apart(has), ~has.any(axis=1, keepdims=True)
    fit = np.select(
        (apart == 0, np.broadcast_to(~never, has.shape), apart <= _NEIGHBOUR_MINUTES),
        (np.uint8(FITS), np.uint8(OTHER_SEASON), np.uint8(NEIGHBOUR)),
        np.uint8(ELSEWHERE),
    )
    fit[~has.any(axis=(1, 2))] = UNKNOWN
    fit[:, :, -1] = UNKNOWN  # the slot of what is not told
    return fit


def _minutes_apart(has: Bool) -> NDArray[np.int64]:
    """Return the minutes from each slot to the nearest that a country has in that month, of the shape of ``has``."""
    slots = np.arange(_SLOTS)
    before = np.maximum.accumulate(np.where(has, slots, -_SLOTS), axis=-1)
    after = np.minimum.accumulate(np.where(has, slots, 2 * _SLOTS)[..., ::-1], axis=-1)[..., ::-1]
    return np.minimum(slots - before, after - slots) * _STEP


@cache
def load_country_zones(directory: Path = DATA) -> CountryZones:
    """Return the tables of a directory's files, read once a process; DataFileError where they cannot be used."""
    path = directory / ZONES_FILE
    has = np.zeros((len(COUNTRIES), _MONTHS, _SLOTS), np.bool_)
    reach = np.full(len(COUNTRIES), np.nan, np.float32)
    table = read_text_table(path)
    try:
        for code, kilometres, *offsets in (line.split(",") for line in table.lines):
            number = COUNTRY_NUMBER[code]
            reach[number] = float(kilometres)
            for said in offsets:
                _mark(has[number], *said.split("/"))
    except (ValueError, KeyError, IndexError, TypeError):
        raise DataFileError(f"The data file {path} is damaged; {REMEDY}") from None
    reach[0] = REACH_AT_LEAST
    if np.isnan(reach).any():
        raise DataFileError(f"The data file {path} lacks countries; {REMEDY}")
    return CountryZones(table.version, has, reach, read_places(directory / PLACES_FILE))


def _mark(has: NDArray[Any], minutes: str, months: str) -> None:
    if len(months) != _MONTHS or not set(months) <= {"0", "1"}:
        raise ValueError(months)
    slot = round(int(minutes) / _STEP) + _MIDDLE
    has[[month == "1" for month in months], slot] = True
