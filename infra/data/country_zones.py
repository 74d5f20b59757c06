"""Makes ``country_zones.csv`` from the time-zone database: offsets of each country by month, and how far it reaches.

An offset counts for a month that has it on any of its days, or on the day before or after, in any year from the one
before the database's version to the second after it: clocks change on other days each year, and at other hours.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import metadata
from zoneinfo import ZoneInfo

from enrichers.country_zones import REACH_AT_LEAST
from infra.data.packages import DataRefused
from infra.data.zone_table import NamedZone, named_zones
from schemas.countries import COUNTRIES

_HEAD = """\
# version {version}
# Countries by the time-zone database (tzdata, public domain): code, kilometres that it reaches from its middle, then
# each offset as minutes west of UTC and the months that have it, January first. Made by `clickgoose data update`.
"""
_EARTH_KM = 6_371.0
_MOST_PLACES = 0.8  # a country reaches as far as so many of its named places lie: Adak is not where the USA live
_UNNAMED = {"XK": ["Europe/Belgrade"]}  # what the database has no line for; two islands without people stay unknown
_YEARS_AROUND = range(-1, 3)
_DAY = timedelta(days=1)


@cache
def zones_text() -> str:
    """Return the file's text, of the installed package tzdata; the same for the same version."""
    version = metadata.version("tzdata")
    named: dict[str, list[NamedZone]] = {}
    for zone in named_zones():
        named.setdefault(zone.country, []).append(zone)
    years = [int(version.split(".")[0]) + step for step in _YEARS_AROUND]
    lines = [_line(code, named.get(code, []), years) for code in sorted(COUNTRIES[1:])]
    return _HEAD.format(version=version) + "".join(lines)


def _line(code: str, named: list[NamedZone], years: list[int]) -> str:
    months: dict[int, set[int]] = {}
    for name in [zone.name for zone in named] or _UNNAMED.get(code, []):
        for minutes, month in _offsets(name, years):
            months.setdefault(minutes, set()).add(month)
    offsets = [f",{minutes}/{_bits(months[minutes])}" for minutes in sorted(months)]
    return f"{code},{_reach(named)}{''.join(offsets)}\n"


def _bits(months: set[int]) -> str:
    return "".join("1" if month in months else "0" for month in range(1, 13))


def _offsets(name: str, years: list[int]) -> set[tuple[int, int]]:
    """Return the offsets of a zone, minutes west of UTC, each with a month that has it."""
    zone, found = ZoneInfo(name), set()
    day, end = datetime(years[0], 1, 1, 12, tzinfo=UTC), datetime(years[-1] + 1, 1, 1, tzinfo=UTC)
    while day < end:
        local = day.astimezone(zone).utcoffset()
        if local is None:
            raise DataRefused(f"The time-zone database gives {name} no offset.")
        minutes = -round(local.total_seconds() / 60)
        found |= {(minutes, near.month) for near in (day - _DAY, day, day + _DAY)}
        day += _DAY
    return found


def _reach(named: list[NamedZone]) -> int:
    """Return the kilometres from the middle of a country's places to the farthest of most of them."""
    if not named:
        return REACH_AT_LEAST
    units = [_unit(zone) for zone in named]
    middle = [sum(axis) for axis in zip(*units, strict=True)]
    length = math.hypot(*middle)
    cosines = (sum(a * b for a, b in zip(unit, middle, strict=True)) / length for unit in units)
    away = sorted(_EARTH_KM * math.acos(min(1.0, cosine)) for cosine in cosines)
    return max(REACH_AT_LEAST, round(away[math.ceil(_MOST_PLACES * len(away)) - 1]))


def _unit(zone: NamedZone) -> tuple[float, float, float]:
    north, east = math.radians(zone.north), math.radians(zone.east)
    return math.cos(north) * math.cos(east), math.cos(north) * math.sin(east), math.sin(north)
