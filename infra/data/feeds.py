"""Ranges by class of networks, from the packages that collect what companies publish: iporigin and is-crawler.

``iporigin`` merges lists whose licences differ (its NOTICE): what providers publish themselves, two collections under
CC0-1.0, and two repositories without a licence, used by a permission given to iporigin's maker. The last are left out
here: labels that come from them alone, and Akamai's, which mixes both (Akamai is known by its systems instead).
``is-crawler`` (Apache-2.0) copies the feeds that operators publish; it takes over their errors (dates of a page's text
among the ranges), so each line is checked.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from ipaddress import ip_network
from typing import NamedTuple

from infra.data.packages import DataRefused, Package

Span = tuple[int, int]  # first and last address
_TABLE = "iporigin/data/ranges.bin"
_HEAD, _FOUR, _SIX = struct.Struct("<8sHQHII"), struct.Struct("<IIH"), struct.Struct("<16s16sH")
_UNLICENSED = frozenset(
    ("Akamai", "BunnyCDN", "BuyVM", "CDN77", "Cogent", "Contabo", "DataCamp", "GTHost", "GleSYS", "Melbicom", "Scalaxy",
     "Vercel")
)  # fmt: skip
_CLASS_OF_KIND = {"hosting": "hosting", "cdn": "cdn", "vpn": "vpn", "tor": "tor", "bot": "crawler"}
_CLASS_OF_LABEL = {"Apple Private Relay": "relay"}

_FEEDS_FILE = "is_crawler/crawler-ip-ranges.json"
# Feeds of robots that come by themselves. Left out are Google's fetchers that anybody's program can send, and the feeds
# of clouds, payment services and mail, which are no crawlers'.
_CRAWLER_FEEDS = (
    "google-common-crawlers", "google-special-crawlers", "google-user-triggered-fetchers-google", "bingbot",
    "duckduckbot", "duckassistbot", "applebot", "gptbot", "oai-searchbot", "chatgpt-user", "perplexitybot",
    "perplexity-user", "claudebot", "telegrambot", "ahrefsbot", "yandexbot", "amazonbot", "amzn-searchbot", "amzn-user",
    "semrushbot", "mojeekbot", "ccbot", "dataforseobot", "facebookexternalhit-v4", "facebookexternalhit-v6",
    "twitterbot-v4", "twitterbot-v6", "qwantbot", "seznambot", "marginalia", "uptimerobot", "pingdom", "pingdom-v6",
    "statuscake", "checkly", "updown-v4", "updown-v6", "hetrixtools", "betteruptimebot", "freshpingbot", "datadog",
    "datadog-eu", "newrelic-synthetics", "site24x7", "webpagetestbot",
)  # fmt: skip
CLASS_OF_FEED = {
    **dict.fromkeys(_CRAWLER_FEEDS, "crawler"),
    "cloudflare-v4": "cdn",
    "cloudflare-v6": "cdn",
    "zscaler": "gateway",
}
_WIDEST = {4: 12, 6: 28}  # bits of a feed's prefix: a shorter one is an error
_NETWORK_BITS = 64  # of IPv6: one address in a cloud's network says nothing of its neighbours


class Spans(NamedTuple):
    """Ranges of one class."""

    four: list[Span]
    six: list[Span]


def iporigin_ranges(package: Package) -> dict[str, Spans]:
    """Return ranges by class; DataRefused where the package has another form than it used to have."""
    found: dict[str, Spans] = {}
    try:
        for version, label, kind, span in _iporigin_rows(package.content(_TABLE)):
            if label not in _UNLICENSED:
                name = _CLASS_OF_LABEL.get(label) or _CLASS_OF_KIND[kind]
                spans = found.setdefault(name, Spans([], []))
                (spans.four if version == 4 else spans.six).append(span)
    except (struct.error, KeyError, IndexError, ValueError) as error:
        if isinstance(error, DataRefused):
            raise
        raise DataRefused(f"{package.name} {package.version}: {_TABLE} has another form.") from None
    return found


def _iporigin_rows(table: bytes) -> Iterator[tuple[int, str, str, Span]]:
    """Yield IP version, label, kind and span of the table's rows; its form is in iporigin's ``_data.py``."""
    magic, form, _, labels, fours, sixes = _HEAD.unpack_from(table)
    if (magic, form) != (b"IPORIGIN", 1):
        raise ValueError("another form")
    at, named = _HEAD.size, []
    for _ in range(labels):
        (length,) = struct.unpack_from("<H", table, at)
        named.append(table[at + 2 : at + 2 + length].decode("utf-8").split("\t"))
        at += 2 + length
    for first, last, label in _FOUR.iter_unpack(table[at : at + fours * _FOUR.size]):
        yield 4, named[label][0], named[label][1], (first, last)
    at += fours * _FOUR.size
    for begin, end, label in _SIX.iter_unpack(table[at : at + sixes * _SIX.size]):
        yield 6, named[label][0], named[label][1], (int.from_bytes(begin), int.from_bytes(end))


def feed_ranges(package: Package) -> dict[str, Spans]:
    """Return ranges by class of is-crawler's feeds; DataRefused where a feed is there no more."""
    try:
        feeds = json.loads(package.content(_FEEDS_FILE))
        found: dict[str, Spans] = {}
        for feed, name in CLASS_OF_FEED.items():
            spans = found.setdefault(name, Spans([], []))
            for line in feeds[feed]:
                _add(spans, str(line))
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, DataRefused):
            raise
        raise DataRefused(f"{package.name} {package.version}: {_FEEDS_FILE} has another form ({error}).") from None
    return found


def _add(spans: Spans, line: str) -> None:
    try:
        network = ip_network(line.strip(), strict=False)
    except ValueError:
        return  # a date, a fraction: what is-crawler took for a range
    if network.prefixlen < _WIDEST[network.version]:
        return
    span = int(network.network_address), int(network.broadcast_address)
    if network.version == 4:
        spans.four.append(span)
    elif network.prefixlen <= _NETWORK_BITS:
        spans.six.append(span)
