"""From where attackers come who hide: hosts at providers, VPN, proxies, homes that were taken over, Tor, relays.

Most take an exit in the country that the browser claims, as who sells proxies lets them choose; who forgets shows a
time zone that does not fit. Residential proxies look like homes, for they are: hardly any list knows them. Exits are
sold again and again, so that an address that attacked comes back.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from itertools import accumulate
from random import Random
from typing import Final, NamedTuple

from infra.traffic.address_pools import Pools, load_pools
from infra.traffic.countries import COUNTRIES, Country, address_in

Ways = Mapping[str, float]
# Weights of the ways, by who hides. ``host`` and ``vpn`` stay for a campaign, the others change with every visit.
SERVERS: Final[Ways] = {
    "host": 0.36, "hosts": 0.16, "vpn": 0.1, "proxies": 0.12, "homes": 0.17, "tor": 0.05, "listed": 0.04,
}  # fmt: skip
FARMS: Final[Ways] = {
    "host": 0.18, "hosts": 0.1, "vpn": 0.1, "proxies": 0.13, "homes": 0.41, "tor": 0.04, "listed": 0.04,
}  # fmt: skip
PEOPLE: Final[Ways] = {"host": 0.14, "vpn": 0.28, "proxies": 0.1, "homes": 0.37, "tor": 0.07, "relay": 0.04}
_POOL: Final = {"host": "hosting", "hosts": "hosting", "vpn": "vpn", "proxies": "proxy", "tor": "tor",
                "relay": "relay", "listed": "listed"}  # fmt: skip
_STAYS: Final = ("host", "vpn")
_KNOWN_HOME: Final = 0.15  # of the homes that are proxies: a list has them
_FORGETS: Final = 0.3  # of those who hide: takes an exit anywhere
_USED_BEFORE: Final = 0.35  # of the exits: sold to others before, who came to the same shop
_LATEST: Final = 30  # exits of a way and a country that are sold again


class Hideout(NamedTuple):
    """What gives a campaign's visits their addresses, and the country of the exits."""

    way: str  # "" for who does not hide
    country: Country
    next: Callable[[], bytes]

    def __call__(self) -> bytes:
        """Return the address of the next visit."""
        return self.next()


class Hideouts:
    """Draws hideouts; the same for the same seed, data and questions."""

    def __init__(self, seed: int, pools: Pools | None = None) -> None:
        self._random = Random(f"clickgoose hideouts {seed}")
        self._pools = pools or load_pools()
        self._used: dict[tuple[str, str], deque[bytes]] = defaultdict(lambda: deque(maxlen=_LATEST))

    def hideout(self, country: Country, own: bytes, share: float, ways: Ways) -> Hideout:
        """Return where an attacker comes from whose browser claims a country; of all attackers a ``share`` hides."""
        random = self._random
        if random.random() >= share:
            return Hideout("", country, lambda: own)
        way = random.choices(tuple(ways), cum_weights=tuple(accumulate(ways.values())))[0]
        there = random.choice(COUNTRIES) if random.random() < _FORGETS else country
        first = self._exit(way, there)
        if way in _STAYS:
            return Hideout(way, there, lambda: first)
        if way == "hosts":  # of one provider's network
            return Hideout(way, there, lambda: first[:-1] + bytes([random.randint(1, 254)]))
        return Hideout(way, there, lambda: self._exit(way, there))

    def _exit(self, way: str, country: Country) -> bytes:
        """Return an exit that was used before, or a new one."""
        used = self._used[way, country.code]
        if used and self._random.random() < _USED_BEFORE:
            return self._random.choice(used)
        used.append(self._new(way, country))
        return used[-1]

    def _new(self, way: str, country: Country) -> bytes:
        random = self._random
        if way != "homes":
            return self._pools.draw(_POOL[way], random, "" if way == "tor" else country.code)
        if random.random() < _KNOWN_HOME and self._pools.knows("residential_proxy"):
            return self._pools.draw("residential_proxy", random, country.code)
        return address_in(random.choice((*country.networks, *country.mobile)), random.random())
