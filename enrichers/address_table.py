"""Where addresses lie: country, autonomous system and classes of networks, of vendored data (``docs/data.md``).

A lookup for ``Normalize``: whole batches at a time, by bisection. What no registry has given out (private, loopback,
documentation, multicast, ...) is not known, and an address that is known only to some of the files gets what they say.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enrichers import address_loops
from enrichers.address_file import AddressFile, DataFileError, Stretches, read_address_file
from enrichers.data_file import REMEDY
from enrichers.data_text import read_text_table
from schemas.batches import F32, I32, U8, U64, Network
from schemas.countries import COUNTRIES, COUNTRY_NUMBER
from schemas.makers import constructor
from schemas.networks import NETWORK_CLASSES

DATA = Path(__file__).parent / "data"
COUNTRY_FILE, ASN_FILE, CLASSES_FILE = "address_country.bin", "address_asn.bin", "address_classes.bin"
PLACES_FILE = "country_places.csv"
_new_network = constructor(Network)
_Joined = tuple[NDArray[np.unsignedinteger[Any]], I32, U64]  # as ``address_loops.locate`` takes them
_SAID = np.dtype([("asn", np.uint32), ("country", np.uint16), ("classes", np.uint16)])


class AddressTable:
    """Locates addresses. Call it with uint8[n, 16]; it pickles as the directory that it was read from."""

    def __init__(self, directory: Path, country: AddressFile, asn: AddressFile, classes: AddressFile, places: F32):
        """``places``: float32[countries, 2], degrees north and east of each country's middle, NaN where not known."""
        self._directory = directory
        self._described = tuple(found.described for found in (country, asn, classes))
        self._four = _joined(country.four, asn.four, classes.four)
        self._six = _joined(country.six, asn.six, classes.six)
        self._north, self._east = np.ascontiguousarray(places.T)

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        """Pickle without the tables."""
        return load_address_table, (self._directory,)

    @property
    def versions(self) -> dict[str, str]:
        """Return the version of each kind of data that addresses are looked up in."""
        kinds = {described.kind: described.version for described in self._described}
        return {**kinds, "places": read_text_table(self._directory / PLACES_FILE).version}

    @property
    def covers(self) -> tuple[str, ...]:
        """Return the classes of networks that the data has ranges of; of the others an address says nothing."""
        return self._described[-1].covers

    def __call__(self, addresses: U8) -> Network:
        """Return where addresses lie, uint8[n, 16]: IPv6, or IPv4 mapped into it."""
        rows = len(addresses)
        tags, asn, places = np.empty((2, rows), np.uint16), np.empty(rows, np.uint32), np.empty((2, rows), np.float32)
        four, six, middles = self._four, self._six, (self._north, self._east)
        address_loops.locate(np.ascontiguousarray(addresses), four, six, middles, tags, asn, places)
        country, classes = tags
        north, east = places
        return _new_network(country, asn, north, east, classes)


def _joined(country: Stretches, asn: Stretches, classes: Stretches) -> _Joined:
    """Return the stretches of all files in one: a single bisection finds what all of them say."""
    starts = np.concatenate((country.starts, asn.starts, classes.starts))
    starts.sort(kind="stable")  # merges what is sorted already: a fortieth of what np.unique takes
    starts = starts[np.concatenate(([True], starts[1:] != starts[:-1]))]
    said = np.empty(len(starts), _SAID)
    for name, stretches in (("country", country), ("asn", asn), ("classes", classes)):
        said[name] = stretches.at(starts)
    bits = 8 * starts.itemsize - 16
    heads = np.arange(address_loops.HEADS, dtype=starts.dtype) << starts.dtype.type(bits)
    firsts = np.append(starts.searchsorted(heads), len(starts)).astype(np.int32)
    return starts, firsts, said.view(np.uint64)


def load_address_table(directory: Path = DATA) -> AddressTable:
    """Return the lookup of a directory's files, read once a process; DataFileError where one cannot be used."""
    return _read(directory)


@cache
def _read(directory: Path) -> AddressTable:
    country = read_address_file(directory / COUNTRY_FILE, "country")
    if _greatest(country) >= len(COUNTRIES):
        raise DataFileError(f"The data file {directory / COUNTRY_FILE} has countries that this version does not know.")
    asn = read_address_file(directory / ASN_FILE, "asn")
    classes = read_address_file(directory / CLASSES_FILE, "classes")
    if _greatest(classes) >= 1 << len(NETWORK_CLASSES) or not set(classes.described.covers) <= set(NETWORK_CLASSES):
        raise DataFileError(f"The data file {directory / CLASSES_FILE} has classes that this version does not know.")
    return AddressTable(directory, country, asn, classes, read_places(directory / PLACES_FILE))


def _greatest(found: AddressFile) -> int:
    return max(int(stretches.values.max()) for stretches in (found.four, found.six))


def read_places(path: Path) -> F32:
    """Return degrees north and east of each country's middle, float32[countries, 2]; DataFileError says what fails."""
    places = np.full((len(COUNTRIES), 2), np.nan, np.float32)
    try:
        for line in read_text_table(path).lines:
            code, north, east = line.split(",")
            places[COUNTRY_NUMBER[code]] = float(north), float(east)
    except (ValueError, KeyError) as error:
        if isinstance(error, DataFileError):
            raise
        raise DataFileError(f"The data file {path} is damaged; {REMEDY}") from None
    if np.isnan(places[1:]).any() or (np.abs(places[1:]) > (90, 180)).any():
        raise DataFileError(f"The data file {path} lacks countries or has impossible places; {REMEDY}")
    return places
