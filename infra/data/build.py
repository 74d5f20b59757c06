"""Makes the data files of ``enrichers/data`` from the packages that they come from."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from typing import NamedTuple

from enrichers.address_file import pack_address_file
from enrichers.address_table import ASN_FILE, CLASSES_FILE, COUNTRY_FILE, PLACES_FILE
from enrichers.as_names import NAMES_FILE, pack_as_names
from enrichers.country_languages import LANGUAGES_FILE
from enrichers.country_zones import ZONES_FILE
from enrichers.data_text import with_digest
from infra.data.address_ranges import Range, stretches_of
from infra.data.classes import COVERED, Classes, make_classes
from infra.data.country_languages import PACKAGE as CLDR
from infra.data.country_languages import languages_text
from infra.data.country_zones import zones_text
from infra.data.packages import DataRefused, Package, Wanted
from infra.data.systems import classes_of_systems, read_systems
from infra.data.zone_table import named_zones
from schemas.countries import COUNTRIES, COUNTRY_NUMBER

COUNTRY, ASN, IPORIGIN, IS_CRAWLER = (
    "@ip-location-db/geo-whois-asn-country",
    "@ip-location-db/asn",
    "iporigin",
    "is-crawler",
)
PACKAGES = (Wanted(COUNTRY, "npm"), Wanted(ASN, "npm"), Wanted(IPORIGIN, "pypi"), Wanted(IS_CRAWLER, "pypi"),
            Wanted(CLDR, "npm"))  # fmt: skip
FILES = (COUNTRY_FILE, ASN_FILE, NAMES_FILE, CLASSES_FILE, PLACES_FILE, ZONES_FILE, LANGUAGES_FILE)
_COUNTRY_LICENCE = "CC0-1.0; statistics of the NRO CC-BY-4.0"
_ASN_LICENCE = "CC-BY-4.0 of Route Views, DB-IP and the NRO"
_CLASSES_LICENCE = "MIT and CC0-1.0 (iporigin), Apache-2.0 (is-crawler), CC-BY-4.0 (systems' ranges); see NOTICE.md"
_OLD = {"AN": 0}  # dissolved: its addresses went to three countries
# What the time-zone database does not name, from public maps: Pristina, and two islands without people.
_UNNAMED = {"XK": (42.67, 21.17), "BV": (-54.42, 3.38), "HM": (-53.08, 73.50)}
_PLACES_HEAD = """\
# version {version}
# Degrees north and east of each country's middle: the mean of the places that the time-zone database (tzdata, public
# domain) names for its zones. Made by `clickgoose data update`.
"""


class Made(NamedTuple):
    """A file's content."""

    file: str
    version: str
    content: bytes
    notes: tuple[str, ...] = ()  # what its maker must tell


def make_files(packages: Mapping[str, Package], done: Callable[[str], None]) -> list[Made]:
    """Return all files; DataRefused where a package has another form. ``done`` is told each file that is made."""
    made = []
    for step in (_country, _systems, _tables):
        for one in step(packages):
            made.append(one)
            done(one.file)
    return made


def _country(packages: Mapping[str, Package]) -> Iterator[Made]:
    package = packages[COUNTRY]
    found = _both(package, "geo-whois-asn-country-ipv{}-num.csv", _country_number)
    packed = pack_address_file("country", package.version, COUNTRY, _COUNTRY_LICENCE, found.four, found.six)
    yield Made(COUNTRY_FILE, package.version, packed)


def _systems(packages: Mapping[str, Package]) -> Iterator[Made]:
    """Yield what is made of autonomous systems: numbers, names, and the classes that use both."""
    package, iporigin, is_crawler = (packages[name] for name in (ASN, IPORIGIN, IS_CRAWLER))
    asn = _both(package, "asn-ipv{}-num.csv", int)
    yield Made(
        ASN_FILE, package.version, pack_address_file("asn", package.version, ASN, _ASN_LICENCE, asn.four, asn.six)
    )
    names = {int(row[2]): row[3] for table in "46" for row in package.rows(f"asn-ipv{table}-num.csv")}
    yield Made(NAMES_FILE, package.version, pack_as_names(package.version, ASN, _ASN_LICENCE, names))
    systems = classes_of_systems(read_systems(), names)
    classes = make_classes(iporigin, is_crawler, asn, systems.classes)
    version = "+".join(one.version for one in (iporigin, is_crawler, package))
    source = "+".join((IPORIGIN, IS_CRAWLER, ASN))
    packed = pack_address_file("classes", version, source, _CLASSES_LICENCE, classes.four, classes.six, COVERED)
    yield Made(CLASSES_FILE, version, packed, systems.renamed)


def _tables(packages: Mapping[str, Package]) -> Iterator[Made]:
    """Yield the small tables of countries."""
    zones = metadata.version("tzdata")
    yield Made(PLACES_FILE, zones, with_digest(places_text()).encode())
    yield Made(ZONES_FILE, zones, with_digest(zones_text()).encode())
    yield Made(LANGUAGES_FILE, packages[CLDR].version, with_digest(languages_text(packages[CLDR])).encode())


def _both(package: Package, tables: str, value: Callable[[str], int]) -> Classes:
    four, six = (stretches_of(_ranges(package, tables.format(ip), value), bits) for ip, bits in ((4, 32), (6, 128)))
    return Classes(four, six)


def _ranges(package: Package, table: str, value: Callable[[str], int]) -> Iterator[Range]:
    for row in package.rows(table):
        try:
            yield int(row[0]), int(row[1]), value(row[2])
        except (ValueError, IndexError) as error:
            if isinstance(error, DataRefused):
                raise
            raise DataRefused(f"{package.name} {package.version}: {table} has rows of another form.") from None


def _country_number(code: str) -> int:
    """Return a country's number; DataRefused for one that the list does not have."""
    found = COUNTRY_NUMBER.get(code, _OLD.get(code))
    if found is None:
        raise DataRefused(f"The country {code} is not in schemas/countries.py: add it at the end of the list.")
    return found


def places_text() -> str:
    """Return the countries' middles, from the time-zone database of the installed package tzdata."""
    places = _places()
    missing = sorted({*COUNTRIES[1:]} - {*places})
    if missing:
        raise DataRefused(f"The time-zone database names no place in {', '.join(missing)}.")
    lines = [f"{code},{places[code][0]:.2f},{places[code][1]:.2f}\n" for code in sorted(COUNTRIES[1:])]
    return _PLACES_HEAD.format(version=metadata.version("tzdata")) + "".join(lines)


def _places() -> dict[str, tuple[float, float]]:
    """Return degrees north and east by country: the mean direction of the places of its zones."""
    points: dict[str, list[tuple[float, float]]] = {code: [at] for code, at in _UNNAMED.items()}
    for zone in named_zones():
        points.setdefault(zone.country, []).append((zone.north, zone.east))
    return {code: _mean(found) for code, found in points.items()}


def _mean(points: list[tuple[float, float]]) -> tuple[float, float]:
    """Return the direction of the sum of the points' unit vectors, in degrees."""
    x = y = z = 0.0
    for north, east in points:
        a, b = math.radians(north), math.radians(east)
        x, y, z = x + math.cos(a) * math.cos(b), y + math.cos(a) * math.sin(b), z + math.sin(a)
    return math.degrees(math.atan2(z, math.hypot(x, y))), math.degrees(math.atan2(y, x))
