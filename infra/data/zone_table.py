"""The zones of the time-zone database: ``zone.tab`` of the installed package tzdata."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from typing import NamedTuple

from infra.data.packages import DataRefused


class NamedZone(NamedTuple):
    """One line: a zone of a country, and the place that it is named for, in degrees."""

    country: str
    north: float
    east: float
    name: str


def named_zones() -> Iterator[NamedZone]:
    """Yield the lines; DataRefused where the file has another form than it used to have."""
    for line in (resources.files("tzdata") / "zoneinfo" / "zone.tab").read_text("utf-8").splitlines():
        if not line.startswith("#"):
            try:
                country, at, name = line.split("\t")[:3]
                east = max(at.rfind("+"), at.rfind("-"))
                yield NamedZone(country, _degrees(at[:east], 2), _degrees(at[east:], 3), name)
            except ValueError:
                raise DataRefused("The time-zone database's zone.tab has rows of another form.") from None


def _degrees(text: str, digits: int) -> float:
    """Return the degrees of ISO 6709: +DDMM or +DDMMSS, or with three digits of degrees."""
    sign, number = (-1 if text[0] == "-" else 1), text[1:]
    minutes, seconds = number[digits : digits + 2], number[digits + 2 :]
    return sign * (int(number[:digits]) + int(minutes) / 60 + int(seconds or 0) / 3600)
