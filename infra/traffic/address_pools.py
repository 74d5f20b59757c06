"""Addresses by what is known of their networks, drawn from the vendored data: they are what the flow takes them for.

The data is asked when traffic is made, so that whoever refreshes it has no other list to change. Every IPv4 address of
a class is as likely as any other, and of relays IPv6 too, which they prefer. A class of which the data has no range
is drawn from data centres, where services of that kind mostly run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from random import Random
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from enrichers.address_file import AddressFile, Stretches, read_address_file
from enrichers.address_table import CLASSES_FILE, DATA, load_address_table
from infra.traffic.countries import DATA_CENTRES, four_bytes, network_span
from schemas.countries import COUNTRY_NUMBER
from schemas.networks import NETWORK_BIT

_ALL = sum(NETWORK_BIT.values())
# By pool: what an address is, and what it must not be besides.
_POOLS: Mapping[str, tuple[int, int]] = {
    "hosting": (NETWORK_BIT["hosting"], _ALL - NETWORK_BIT["hosting"]),
    "vpn": (NETWORK_BIT["vpn"], NETWORK_BIT["tor"] | NETWORK_BIT["relay"] | NETWORK_BIT["crawler"]),
    "tor": (NETWORK_BIT["tor"], 0),
    "relay": (NETWORK_BIT["relay"], NETWORK_BIT["tor"] | NETWORK_BIT["vpn"]),
    "proxy": (NETWORK_BIT["proxy"], NETWORK_BIT["tor"] | NETWORK_BIT["vpn"] | NETWORK_BIT["crawler"]),
    "residential_proxy": (NETWORK_BIT["residential_proxy"], NETWORK_BIT["tor"] | NETWORK_BIT["hosting"]),
    "listed": (NETWORK_BIT["listed"], NETWORK_BIT["tor"] | NETWORK_BIT["crawler"]),
    "gateway": (NETWORK_BIT["gateway"], NETWORK_BIT["tor"] | NETWORK_BIT["vpn"]),
}
_SIX_TOO = ("relay",)
_SIX = 0.5  # of the draws where both are known
_ANYWHERE = 0


class Ranges(NamedTuple):
    """Ranges that are drawn from: first addresses (IPv6: upper halves), and how many there are up to each one's end."""

    first: NDArray[np.uint64]
    until: NDArray[np.uint64]  # cumulative sizes

    def at(self, point: float) -> int:
        """Return the address at a point of [0, 1) of them all."""
        place = int(point * int(self.until[-1]))
        row = int(self.until.searchsorted(np.uint64(place), "right"))
        return int(self.first[row]) + place - (int(self.until[row - 1]) if row else 0)


class Pools:
    """Draws addresses, 16 bytes each, of a pool and, where it has some there, of a country."""

    def __init__(self, four: Mapping[tuple[str, int], Ranges], six: Mapping[tuple[str, int], Ranges]) -> None:
        """Take ranges by pool and the country's number, 0 for those of all countries together."""
        self._four = four
        self._six = six

    def knows(self, pool: str) -> bool:
        """Return whether the data has addresses of a pool."""
        return (pool, _ANYWHERE) in self._four or (pool, _ANYWHERE) in self._six

    def draw(self, pool: str, random: Random, country: str = "") -> bytes:
        """Return an address of a pool: in the country if the pool has any there; of a data centre if it has none."""
        name = pool if self.knows(pool) else "hosting"
        number = COUNTRY_NUMBER.get(country, _ANYWHERE)
        four = self._four.get((name, number)) or self._four.get((name, _ANYWHERE))
        six = self._six.get((name, number)) or self._six.get((name, _ANYWHERE))
        if six is not None and (four is None or random.random() < _SIX):
            upper = six.at(random.random())
            return (upper << 64 | random.getrandbits(64)).to_bytes(16, "big")
        if four is None:
            raise ValueError(f"no pool of addresses is called {pool}")
        return four_bytes(four.at(random.random()))


@cache
def load_pools() -> Pools:
    """Return the pools of the vendored data, made once a process."""
    return pools_of(read_address_file(DATA / CLASSES_FILE, "classes"))


def pools_of(classes: AddressFile) -> Pools:
    """Return the pools of a file of classes; data centres are those that are named here where it knows none."""
    four = _by_country(classes.four, _POOLS, 32)
    return Pools(_with_hosts(four), _by_country(classes.six, _SIX_TOO, 64))


def _with_hosts(found: dict[tuple[str, int], Ranges]) -> dict[tuple[str, int], Ranges]:
    if ("hosting", _ANYWHERE) not in found:
        spans = [network_span(network) for network in DATA_CENTRES]
        found["hosting", _ANYWHERE] = _ranges([first for first, _ in spans], [size for _, size in spans])
    return found


def _by_country(stretches: Stretches, names: Iterable[str], bits: int) -> dict[tuple[str, int], Ranges]:
    """Return the ranges of pools, and those in each country by where they begin."""
    starts = stretches.starts.astype(np.uint64)
    sizes = np.empty(len(starts), np.uint64)
    sizes[:-1] = starts[1:] - starts[:-1]
    sizes[-1] = np.uint64((1 << bits) - 1) - starts[-1]  # without the very last address, which nobody has
    found: dict[tuple[str, int], Ranges] = {}
    for name in names:
        wanted, unwanted = _POOLS[name]
        rows = np.flatnonzero((stretches.values & wanted != 0) & (stretches.values & unwanted == 0))
        if len(rows):
            found[name, _ANYWHERE] = _ranges(starts[rows], sizes[rows])
            countries = _countries(starts[rows], bits)
            for number in np.unique(countries[countries > 0]).tolist():
                here = rows[countries == number]
                found[name, number] = _ranges(starts[here], sizes[here])
    return found


def _countries(firsts: NDArray[np.uint64], bits: int) -> NDArray[np.uint16]:
    """Return the number of the country of each address, uint16[n]."""
    addresses = np.zeros((len(firsts), 16), np.uint8)
    if bits == 32:
        addresses[:, 10:12] = 0xFF
        addresses[:, 12:] = firsts.astype(">u4").view(np.uint8).reshape(-1, 4)
    else:
        addresses[:, :8] = firsts.astype(">u8").view(np.uint8).reshape(-1, 8)
    return load_address_table()(addresses).country


def _ranges(firsts: Iterable[int] | NDArray[np.uint64], sizes: Iterable[int] | NDArray[np.uint64]) -> Ranges:
    return Ranges(np.array(firsts, np.uint64), np.cumsum(np.array(sizes, np.uint64), dtype=np.uint64))
