"""From where people and attackers come: homes, households, offices, carriers' gateways, trips, proxies.

Addresses are shared as they are on the internet, else a shared address alone would give an attacker away: phones leave
their carrier's network through few gateways, a household and an office show one address for all. All chance comes from
a source of its own, so that who comes and what the browser shows does not depend on it. The shares are ours.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from random import Random

from infra.traffic.countries import COUNTRIES, DATA_CENTRES, Country, address_in

_IPV6 = 0.35  # of the homes in countries whose providers have it
_HOUSEHOLD, _OFFICE = 0.1, 0.05  # of those that are not on a carrier's network
_ON_CARRIER = 0.35  # of phones and tablets
_GATEWAYS, _OFFICES = 12, 5  # a country
_NEIGHBOURS = 40  # latest homes of a country, any of which another of its household may visit from
_ELSEWHERE, _ABROAD, _VPN = 0.17, 0.015, 0.015  # of honest visits
_ONE_HOST, _MANY_HOSTS = 0.45, 0.2  # of attackers who hide; the others use residential proxies
_FOREIGN_PROXY = 0.2

Hideout = Callable[[], bytes]


class Whereabouts:
    """Draws addresses, 16 bytes each; the same for the same seed and the same questions."""

    def __init__(self, seed: int) -> None:
        self._random = Random(f"clickgoose whereabouts {seed}")
        self._homes: dict[str, deque[bytes]] = defaultdict(lambda: deque(maxlen=_NEIGHBOURS))
        self._offices: dict[str, list[bytes]] = {}

    def home(self, country: Country, device: str, own: bytes) -> bytes:
        """Return where a new visitor mostly comes from; ``own`` is an IPv4 address that nobody else has."""
        random = self._random
        if device != "desktop" and random.random() < _ON_CARRIER:
            return self._gateway(country)
        chance, homes = random.random(), self._homes[country.code]
        if chance < _HOUSEHOLD and homes:
            return random.choice(homes)
        if chance < _HOUSEHOLD + _OFFICE:
            return random.choice(self._of_offices(country))
        if country.six and random.random() < _IPV6:
            own = address_in(random.choice(country.six), random.random())
        homes.append(own)
        return own

    def today(self, country: Country, home: bytes) -> bytes:
        """Return where an honest visit comes from: mostly home, else elsewhere, on a trip or through a VPN."""
        chance = self._random.random()
        if chance < _ELSEWHERE:
            return self._gateway(country) if self._random.random() < 0.5 else self._own(country)
        if chance < _ELSEWHERE + _ABROAD:
            return self._own(self._random.choice(COUNTRIES))
        return self._host() if chance < _ELSEWHERE + _ABROAD + _VPN else home

    def hideout(self, country: Country, own: bytes, share: float) -> Hideout:
        """Return what gives an attacker's visits their addresses; of all attackers a ``share`` hides.

        Who hides has one host at a provider, another for every visit, or residential proxies, mostly of the country
        that the browser claims.
        """
        if self._random.random() >= share:
            return lambda: own
        chance = self._random.random()
        if chance < _ONE_HOST:
            host = self._host()
            return lambda: host
        return self._host if chance < _ONE_HOST + _MANY_HOSTS else lambda: self._proxy(country)

    def is_second_device(self, share: float) -> bool:
        """Return whether somebody known comes with another device this time."""
        return self._random.random() < share

    def _own(self, country: Country) -> bytes:
        return address_in(self._random.choice(country.networks), self._random.random())

    def _gateway(self, country: Country) -> bytes:
        """Return one of a country's gateways; they are points of its last network, the same for every seed."""
        return address_in(country.networks[-1], (self._random.randrange(_GATEWAYS) + 0.5) / _GATEWAYS)

    def _of_offices(self, country: Country) -> list[bytes]:
        found = self._offices.get(country.code)
        if found is None:
            found = self._offices[country.code] = [self._own(country) for _ in range(_OFFICES)]
        return found

    def _host(self) -> bytes:
        return address_in(self._random.choice(DATA_CENTRES), self._random.random())

    def _proxy(self, country: Country) -> bytes:
        foreign = self._random.random() < _FOREIGN_PROXY
        return self._own(self._random.choice(COUNTRIES) if foreign else country)
