"""Where addresses lie: country and autonomous system, of data that is vendored (``enrichers/data/NOTICE.md``).

A lookup for ``Normalize``: whole batches at a time, by bisection. What no registry has given out (private, loopback,
documentation, multicast, ...) is not known, and an address that is known only to one of the two files gets the one.
"""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

import numpy as np

from enrichers.address_file import AddressFile, DataFileError, Stretches, read_address_file
from schemas.batches import F32, U8, U32, Bool, Network
from schemas.countries import COUNTRIES, COUNTRY_NUMBER

DATA = Path(__file__).parent / "data"
COUNTRY_FILE, ASN_FILE, PLACES_FILE = "address_country.bin", "address_asn.bin", "country_places.csv"
_MAPPED = np.uint64(0xFFFF)  # the upper 32 bits of the lower half of an IPv4-mapped address (RFC 4291)


class AddressTable:
    """Locates addresses. Call it with uint8[n, 16]; it pickles as the directory that it was read from."""

    def __init__(self, directory: Path, country: AddressFile, asn: AddressFile, places: F32) -> None:
        """``places``: float32[countries, 2], degrees north and east of each country's middle, NaN where not known."""
        self._directory = directory
        self._country = country
        self._asn = asn
        self._north, self._east = np.ascontiguousarray(places.T)

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        """Pickle without the tables."""
        return load_address_table, (self._directory,)

    @property
    def versions(self) -> dict[str, str]:
        """Return the version of each kind of data."""
        return {found.described.kind: found.described.version for found in (self._country, self._asn)}

    def __call__(self, addresses: U8) -> Network:
        """Return where addresses lie, uint8[n, 16]: IPv6, or IPv4 mapped into it."""
        halves = np.ascontiguousarray(addresses).view(">u8").astype(np.uint64)
        upper, lower = halves[:, 0], halves[:, 1]
        mapped = (upper == 0) & (lower >> np.uint64(32) == _MAPPED)
        four = lower.astype(np.uint32)  # its lower 32 bits
        country = _find(self._country.four, self._country.six, mapped, four, upper).astype(np.uint16)
        asn = _find(self._asn.four, self._asn.six, mapped, four, upper)
        return Network(country, asn, self._north[country], self._east[country], np.zeros(len(country), np.uint16))


def _find(
    four: Stretches, six: Stretches, mapped: Bool, low: U32, upper: np.ndarray[tuple[int], np.dtype[np.uint64]]
) -> U32:
    if mapped.all():
        return four.at(low)
    return np.where(mapped, four.at(low), six.at(upper))


def load_address_table(directory: Path = DATA) -> AddressTable:
    """Return the lookup of a directory's files, read once a process; DataFileError where one cannot be used."""
    return _read(directory)


@cache
def _read(directory: Path) -> AddressTable:
    country = read_address_file(directory / COUNTRY_FILE, "country")
    if max(int(stretches.values.max()) for stretches in (country.four, country.six)) >= len(COUNTRIES):
        raise DataFileError(f"The data file {directory / COUNTRY_FILE} has countries that this version does not know.")
    asn = read_address_file(directory / ASN_FILE, "asn")
    return AddressTable(directory, country, asn, read_places(directory / PLACES_FILE))


def read_places(path: Path) -> F32:
    """Return degrees north and east of each country's middle, float32[countries, 2]; DataFileError says what fails."""
    places = np.full((len(COUNTRIES), 2), np.nan, np.float32)
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for code, north, east in csv.reader(line for line in file if not line.startswith("#")):
                places[COUNTRY_NUMBER[code]] = float(north), float(east)
    except (OSError, ValueError, KeyError):
        raise DataFileError(f"The data file {path} is missing or damaged; install clickgoose again.") from None
    if np.isnan(places[1:]).any() or (np.abs(places[1:]) > (90, 180)).any():
        raise DataFileError(f"The data file {path} lacks countries or has impossible places; install clickgoose again.")
    return places
