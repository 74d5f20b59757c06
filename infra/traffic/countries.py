"""Where visitors come from: languages, time zones, consumer and mobile networks, by country; and some data centres.

The networks are blocks that large providers of the country announce, so that address look-ups give the country. The
addresses in them are drawn at random and mean nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import ip_network
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Country:
    """One country's share of the visits, and what its browsers say."""

    code: str
    weight: float
    languages: tuple[str, ...]  # as navigator.languages gives them; the first is the commonest
    zones: tuple[str, ...]
    networks: tuple[str, ...]
    clock: str = "h23"
    six: tuple[str, ...] = ()  # networks of IPv6
    mobile: tuple[str, ...] = ()  # of carriers' own autonomous systems, by the vendored data
    near: tuple[str, ...] = ()  # countries where people work who live here, or the other way round


COUNTRIES = (
    Country("US", 0.26, ("en-US,en", "en-US", "es-US,es,en"),
            ("America/New_York", "America/Chicago", "America/Los_Angeles", "America/Denver"),
            ("73.0.0.0/9", "24.0.0.0/13", "98.160.0.0/12"), "h12",
            six=("2601::/20", "2600:1700::/28"),
            mobile=("172.32.0.0/11", "97.32.0.0/11", "166.200.0.0/14"), near=("CA", "MX")),
    Country("IN", 0.14, ("en-IN,en-GB,en-US,en", "en-US,en", "hi-IN,hi,en"), ("Asia/Kolkata",),
            ("49.32.0.0/12", "122.160.0.0/12"), "h12",
            six=("2409:4040::/26",),
            mobile=("157.32.0.0/12", "106.196.0.0/15", "42.106.0.0/15")),
    Country("GB", 0.09, ("en-GB,en-US,en", "en-GB"), ("Europe/London",), ("86.128.0.0/10", "81.128.0.0/12"),
            six=("2a02:c7c::/30", "2a00:23c0::/26"),
            mobile=("148.252.128.0/18", "158.230.0.0/17"), near=("FR",)),
    Country("DE", 0.08, ("de-DE,de,en-US,en", "de", "en-US,en"), ("Europe/Berlin",), ("84.128.0.0/10", "91.0.0.0/10"),
            six=("2003:c0::/27",),
            mobile=("80.187.0.0/17", "109.40.0.0/14"), near=("NL", "FR", "PL")),
    Country("FR", 0.06, ("fr-FR,fr,en-US,en", "fr"), ("Europe/Paris",), ("90.0.0.0/10", "86.192.0.0/11"),
            six=("2a01:cb00::/24",),
            mobile=("92.184.96.0/20", "80.214.0.0/17"), near=("DE", "ES", "IT")),
    Country("BR", 0.06, ("pt-BR,pt,en-US,en", "pt-BR"), ("America/Sao_Paulo", "America/Manaus"), ("177.32.0.0/13",),
            mobile=("179.84.0.0/14", "191.136.0.0/13", "177.56.0.0/14")),
    Country("JP", 0.05, ("ja,en-US,en", "ja-JP"), ("Asia/Tokyo",), ("153.128.0.0/10", "126.0.0.0/9"),
            six=("2400:4050::/28",),
            mobile=("106.128.0.0/10", "49.96.0.0/14")),
    Country("ID", 0.05, ("id-ID,id,en-US,en", "en-US,en"), ("Asia/Jakarta", "Asia/Makassar"), ("36.64.0.0/12",),
            six=("2404:8000::/32",),
            mobile=("182.0.0.0/12", "114.120.0.0/13")),
    Country("NL", 0.03, ("nl-NL,nl,en-US,en", "en-US,en"), ("Europe/Amsterdam",), ("77.160.0.0/12",),
            six=("2a02:a440::/26",),
            mobile=("178.228.0.0/14",), near=("DE",)),
    Country("ES", 0.03, ("es-ES,es,en", "ca-ES,ca,es"), ("Europe/Madrid",), ("83.32.0.0/12", "88.0.0.0/11"),
            six=("2a02:9130::/28",),
            mobile=("77.208.0.0/14", "47.60.0.0/14"), near=("FR",)),
    Country("IT", 0.03, ("it-IT,it,en-US,en", "it"), ("Europe/Rome",), ("79.0.0.0/11", "87.0.0.0/11"),
            six=("2001:b07::/32",),
            mobile=("2.192.0.0/13", "5.168.0.0/14"), near=("FR",)),
    Country("PL", 0.02, ("pl-PL,pl,en-US,en",), ("Europe/Warsaw",), ("83.0.0.0/11",),
            six=("2a02:a310::/28",),
            mobile=("31.174.0.0/15", "46.112.0.0/15", "178.180.0.0/15"), near=("DE",)),
    Country("CA", 0.03, ("en-CA,en-US,en", "fr-CA,fr,en"), ("America/Toronto", "America/Vancouver"),
            ("99.224.0.0/12", "70.24.0.0/13"), "h12",
            six=("2607:fea8::/32",),
            mobile=("184.151.128.0/19", "184.151.112.0/22"), near=("US",)),
    Country("AU", 0.02, ("en-AU,en-GB,en",), ("Australia/Sydney", "Australia/Brisbane"), ("58.160.0.0/12",), "h12",
            six=("2001:8000::/20",),
            mobile=("1.128.0.0/11", "49.176.0.0/12")),
    Country("MX", 0.02, ("es-MX,es,en",), ("America/Mexico_City",), ("187.128.0.0/11",),
            six=("2806:2f0::/32",),
            mobile=("200.68.160.0/20", "200.68.128.0/21"), near=("US",)),
    Country("TR", 0.02, ("tr-TR,tr,en-US,en",), ("Europe/Istanbul",), ("88.224.0.0/11",),
            six=("2a00:1d34::/32",),
            mobile=("178.244.0.0/14", "46.154.0.0/15", "5.46.0.0/15")),
    Country("SE", 0.01, ("sv-SE,sv,en-US,en",), ("Europe/Stockholm",), ("81.224.0.0/12",),
            six=("2a00:801::/32",),
            mobile=("2.64.0.0/13", "176.68.0.0/14")),
)  # fmt: skip

DATA_CENTRES = ("3.80.0.0/12", "167.99.0.0/16", "95.216.0.0/16", "51.38.0.0/16", "34.64.0.0/11")
_MAPPED = bytes(10) + b"\xff\xff"  # before an IPv4 address (RFC 4291)
_ALL_OF_IPV4, _HOST, _ODD = 1 << 32, (1 << 64) - 1, 0x9E3779B97F4A7C15


@lru_cache(8192)
def zone_offset(zone: str, day: int) -> int:
    """Return the minutes west of UTC at noon of a day (days since the epoch)."""
    at = datetime.fromtimestamp(day * 86_400 + 43_200, UTC)
    offset = ZoneInfo(zone).utcoffset(at)
    if offset is None:
        raise ValueError(f"{zone} has no offset")
    return -round(offset.total_seconds() / 60)


@lru_cache(256)
def network_span(text: str) -> tuple[int, int]:
    """Return the first address of a network, and how many it has."""
    network = ip_network(text)
    return int(network.network_address), network.num_addresses


def address_in(network: str, point: float) -> bytes:
    """Return the address at a point of [0, 1) of a network as 16 bytes, host parts .0 and .255 left out.

    Of IPv6 the point says the /64; the host's half follows from it, as privacy addresses look (RFC 8981).
    """
    first, size = network_span(network)
    if size > _ALL_OF_IPV4:
        upper = (first >> 64) + int(point * (size >> 64))
        return ((upper << 64) + ((upper * _ODD) & _HOST | 1)).to_bytes(16, "big")
    number = first + int(point * size)
    return four_bytes(number & ~0xFF | (number & 0xFF) % 254 + 1)


def four_bytes(number: int) -> bytes:
    """Return an IPv4 address as 16 bytes."""
    return _MAPPED + number.to_bytes(4, "big")
