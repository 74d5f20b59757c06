"""Makes the data files of ``enrichers/data`` from the packages that they come from, and says what changed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from importlib import metadata, resources
from pathlib import Path
from typing import NamedTuple

from enrichers.address_file import AddressFile, DataFileError, pack_address_file, read_address_file
from enrichers.address_table import ASN_FILE, COUNTRY_FILE, PLACES_FILE
from infra.data.address_ranges import Range, stretches_of
from infra.data.packages import DataRefused, Package
from schemas.countries import COUNTRIES, COUNTRY_NUMBER

_OLD = {"AN": 0}  # dissolved: its addresses went to three countries
# What the time-zone database does not name, from public maps: Pristina, and two islands without people.
_UNNAMED = {"XK": (42.67, 21.17), "BV": (-54.42, 3.38), "HM": (-53.08, 73.50)}
_PLACES_HEAD = """\
# Degrees north and east of each country's middle: the mean of the places that the time-zone database (tzdata, public
# domain) names for its zones. Made by `clickgoose data build`.
"""


class Kind(NamedTuple):
    """One kind of knowledge about addresses and where it comes from."""

    name: str
    package: str
    licence: str
    file: str
    tables: tuple[str, str]  # of IPv4 and IPv6
    value: Callable[[str], int]


class Built(NamedTuple):
    """A file that was written."""

    file: str
    version: str
    was: str  # the version before, empty where there was none
    bytes: int
    rows: int
    changed: bool


def _country(code: str) -> int:
    """Return a country's number; DataRefused for one that the list does not have."""
    found = COUNTRY_NUMBER.get(code, _OLD.get(code))
    if found is None:
        raise DataRefused(f"The country {code} is not in schemas/countries.py: add it at the end of the list.")
    return found


KINDS = (
    Kind(
        name="country",
        package="@ip-location-db/geo-whois-asn-country",
        licence="CC0-1.0; statistics of the NRO CC-BY-4.0",
        file=COUNTRY_FILE,
        tables=("geo-whois-asn-country-ipv4-num.csv", "geo-whois-asn-country-ipv6-num.csv"),
        value=_country,
    ),
    Kind(
        name="asn",
        package="@ip-location-db/asn",
        licence="CC-BY-4.0 of Route Views, DB-IP and the NRO",
        file=ASN_FILE,
        tables=("asn-ipv4-num.csv", "asn-ipv6-num.csv"),
        value=int,
    ),
)


def build_file(kind: Kind, package: Package, out: Path) -> Built:
    """Write the file of a kind; DataRefused where the package has another form than it used to have."""
    four, six = (
        stretches_of(_ranges(package, table, kind.value), bits)
        for table, bits in zip(kind.tables, (32, 128), strict=True)
    )
    packed = pack_address_file(kind.name, package.version, kind.package, kind.licence, four, six)
    path = out / kind.file
    before = path.read_bytes() if path.exists() else b""
    was = version_of(path, kind.name)
    path.write_bytes(packed)
    return Built(kind.file, package.version, was, len(packed), len(four.starts) + len(six.starts), packed != before)


def _ranges(package: Package, table: str, value: Callable[[str], int]) -> Iterator[Range]:
    for row in package.rows(table):
        try:
            yield int(row[0]), int(row[1]), value(row[2])
        except (ValueError, IndexError) as error:
            if isinstance(error, DataRefused):
                raise
            raise DataRefused(f"{package.name} {package.version}: {table} has rows of another form.") from None


def version_of(path: Path, kind: str) -> str:
    """Return the version of a data file, empty where there is none that can be read."""
    try:
        found: AddressFile = read_address_file(path, kind)
    except DataFileError:
        return ""
    return found.described.version


def build_places(out: Path) -> Built:
    """Write the countries' middles, from the time-zone database of the installed package tzdata."""
    places = _places()
    missing = sorted({*COUNTRIES[1:]} - {*places})
    if missing:
        raise DataRefused(f"The time-zone database names no place in {', '.join(missing)}.")
    lines = [f"{code},{places[code][0]:.2f},{places[code][1]:.2f}\n" for code in sorted(COUNTRIES[1:])]
    path = out / PLACES_FILE
    before = path.read_text("utf-8") if path.exists() else ""
    text = _PLACES_HEAD + "".join(lines)
    path.write_text(text, "utf-8")
    return Built(PLACES_FILE, metadata.version("tzdata"), "", len(text.encode()), len(lines), text != before)


def _places() -> dict[str, tuple[float, float]]:
    """Return degrees north and east by country: the mean direction of the places of its zones."""
    points: dict[str, list[tuple[float, float]]] = {code: [at] for code, at in _UNNAMED.items()}
    table = (resources.files("tzdata") / "zoneinfo" / "zone.tab").read_text("utf-8")
    for line in table.splitlines():
        if not line.startswith("#"):
            code, at = line.split("\t")[:2]
            east_from = max(at.rfind("+"), at.rfind("-"))
            points.setdefault(code, []).append((_degrees(at[:east_from], 2), _degrees(at[east_from:], 3)))
    return {code: _mean(found) for code, found in points.items()}


def _degrees(text: str, digits: int) -> float:
    """Return the degrees of ISO 6709: +DDMM or +DDMMSS, or with three digits of degrees."""
    sign, number = (-1 if text[0] == "-" else 1), text[1:]
    minutes, seconds = number[digits : digits + 2], number[digits + 2 :]
    return sign * (int(number[:digits]) + int(minutes) / 60 + int(seconds or 0) / 3600)


def _mean(points: list[tuple[float, float]]) -> tuple[float, float]:
    """Return the direction of the sum of the points' unit vectors, in degrees."""
    x = y = z = 0.0
    for north, east in points:
        a, b = math.radians(north), math.radians(east)
        x, y, z = x + math.cos(a) * math.cos(b), y + math.cos(a) * math.sin(b), z + math.sin(a)
    return math.degrees(math.atan2(z, math.hypot(x, y))), math.degrees(math.atan2(y, x))
