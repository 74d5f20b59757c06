"""From where people come: homes, households, offices, carriers' gateways, company and consumer VPN, relays, trips.

Addresses are shared as they are on the internet, else a shared address alone would give an attacker away: phones leave
their carrier's network through few gateways, a household and an office show one address for all. All chance comes from
a source of its own, so that who comes and what the browser shows does not depend on it. The shares are ours; what
they rest on is said in docs/traffic.md.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from random import Random
from typing import Final, NamedTuple

from infra.traffic.address_pools import Pools, load_pools
from infra.traffic.countries import COUNTRIES, Country, address_in

_IPV6 = 0.35  # of the homes in countries whose providers have it
_HOUSEHOLD, _OFFICE = 0.1, 0.05  # of those that are not on a carrier's network
_MISPLACED = 0.025  # of the other homes: the data says another country than where they are
_ON_CARRIER = 0.4  # of phones and tablets
_GATEWAYS, _OFFICES, _COMPANIES = 20, 5, 6  # a country, where traffic is thin
_NEIGHBOURS = 40  # latest homes of a country, any of which another of its household may visit from
_RELAY = 0.04  # of Safari's users
_COMPANY, _ALWAYS_VPN = 0.03, 0.01  # of desktops; of all
_TOR_BROWSER = 1 / 6  # of those who resist fingerprinting
_CLOUD_IN_VIRTUAL, _CLOUD = 0.25, 0.003  # of desktops in virtual machines, and of the others
_AT_WORK, _SWITCHED_ON = 0.8, 0.85  # of their visits
_HOSTED, _GATEWAY = (
    0.25,
    0.35,
)  # of the companies: their VPN ends at a provider, at a security gateway; else at their own line
_ELSEWHERE, _ABROAD, _NEXT_DOOR, _VPN = 0.17, 0.012, 0.006, 0.008  # of the other visits
_VPN_AT_HOME = 0.6  # of the exits: in the country that somebody lives in
_CLOCK_FOLLOWS = 0.85  # of trips: phones and most laptops take the zone of where they are

PLAIN: Final = ""


class Place(NamedTuple):
    """Where a visit comes from: its address, and the country whose time the device's clock shows."""

    address: bytes
    clock: Country


class Whereabouts:
    """Draws addresses, 16 bytes each; the same for the same seed, data and questions.

    ``crowd`` says how many times denser the traffic is than a week of 90,000 events: a larger shop's visitors come from
    more homes, offices and gateways, not more often from the same.
    """

    def __init__(self, seed: int, pools: Pools | None = None) -> None:
        self.crowd = 1.0
        self._random = Random(f"clickgoose whereabouts {seed}")
        self._seed = seed
        self._pools = pools or load_pools()
        self._homes: dict[str, deque[bytes]] = defaultdict(deque)
        self._fixed: dict[tuple[str, str, int], bytes] = {}

    def line(self, browser: str, device: str, oddities: Sequence[str]) -> str:
        """Return what a visitor's connection passes: tor, relay, company, vpn, cloud, or only a line of the own."""
        random = self._random
        if "resist_fingerprinting" in oddities and random.random() < _TOR_BROWSER:
            return "tor"
        if browser == "safari" and random.random() < _RELAY:
            return "relay"
        if device == "desktop":
            if random.random() < (_CLOUD_IN_VIRTUAL if "virtual_machine" in oddities else _CLOUD):
                return "cloud"
            if random.random() < _COMPANY:
                return "company"
        return "vpn" if random.random() < _ALWAYS_VPN else PLAIN

    def home(self, country: Country, device: str, own: bytes, line: str = PLAIN) -> bytes:
        """Return where a new visitor mostly comes from; ``own`` is an IPv4 address that nobody else has."""
        random = self._random
        if line == "cloud":
            return self._pools.draw("hosting", random, country.code)
        if device != "desktop" and random.random() < _ON_CARRIER:
            return self.gateway(country)
        chance, homes = random.random(), self._homes[country.code]
        if chance < _HOUSEHOLD and homes:
            return random.choice(homes)
        if chance < _HOUSEHOLD + _OFFICE:
            return self._one_of("office", country, _OFFICES, random.random())
        if random.random() < _MISPLACED:
            own = self._own(random.choice(COUNTRIES))
        elif country.six and random.random() < _IPV6:
            own = address_in(random.choice(country.six), random.random())
        homes.append(own)
        while len(homes) > _NEIGHBOURS * self.crowd:
            homes.popleft()
        return own

    def today(self, country: Country, home: bytes, line: str = PLAIN) -> Place:
        """Return where an honest visit comes from: mostly home or by its line, else elsewhere, abroad or by a VPN."""
        random = self._random
        if line in ("tor", "relay"):
            return Place(self._pools.draw(line, random, country.code if line == "relay" else ""), country)
        if line == "company" and random.random() < _AT_WORK:
            return Place(self._one_of("company", country, _COMPANIES, home[-1] / 256), country)
        if line == "vpn" and random.random() < _SWITCHED_ON:
            return Place(self._vpn(country), country)
        return self._on_the_way(country, home)

    def gateway(self, country: Country) -> bytes:
        """Return one of the gateways of a country's carriers: points of their networks, the same for every seed."""
        count = max(1, round(_GATEWAYS * self.crowd**0.5))
        which = self._random.randrange(count)
        return address_in(country.mobile[which % len(country.mobile)], (which + 0.5) / count)

    def is_second_device(self, share: float) -> bool:
        """Return whether somebody known comes with another device this time."""
        return self._random.random() < share

    def _on_the_way(self, country: Country, home: bytes) -> Place:
        random = self._random
        chance = random.random()
        if chance < _ELSEWHERE:
            return Place(self.gateway(country) if random.random() < 0.5 else self._own(country), country)
        chance -= _ELSEWHERE
        if chance < _ABROAD:
            there = random.choice(COUNTRIES)
            address = self.gateway(there) if random.random() < 0.5 else self._own(there)
            return Place(address, there if random.random() < _CLOCK_FOLLOWS else country)
        chance -= _ABROAD
        if chance < _NEXT_DOOR and country.near:
            return Place(self._own(country_of(random.choice(country.near))), country)
        chance -= _NEXT_DOOR
        return Place(self._vpn(country) if 0 <= chance < _VPN else home, country)

    def _own(self, country: Country) -> bytes:
        return address_in(self._random.choice(country.networks), self._random.random())

    def _vpn(self, country: Country) -> bytes:
        there = country if self._random.random() < _VPN_AT_HOME else self._random.choice(COUNTRIES)
        return self._pools.draw("vpn", self._random, there.code)

    def _one_of(self, kind: str, country: Country, count: int, point: float) -> bytes:
        """Return the address of one of a country's offices or companies, by a point of [0, 1)."""
        which = int(point * max(1, round(count * self.crowd)))
        found = self._fixed.get((kind, country.code, which))
        if found is None:
            random = Random(f"clickgoose {kind} {self._seed} {country.code} {which}")
            chance = random.random() if kind == "company" else 1.0
            if chance < _HOSTED + _GATEWAY:
                found = self._pools.draw("hosting" if chance < _HOSTED else "gateway", random, country.code)
            else:
                found = address_in(random.choice(country.networks), random.random())
            self._fixed[kind, country.code, which] = found
        return found


_BY_CODE = {country.code: country for country in COUNTRIES}


def country_of(code: str) -> Country:
    """Return a country by its code."""
    return _BY_CODE[code]
