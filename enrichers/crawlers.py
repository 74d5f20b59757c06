"""Crawlers: which one a user agent claims to be, and whether it comes from where that crawler does.

Names are told by words of the user agent; what is none of ours, ``is-crawler`` (Apache-2.0) may still know as some
robot. A claim is verified by the address: it lies in a range that a crawler's operator publishes (the class ``crawler``
of networks) and in a system that this operator uses. Where an operator publishes no ranges a claim cannot be verified.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import version
from typing import Final, NamedTuple

import numpy as np
from is_crawler import is_crawler

from schemas.batches import U8, Bool, Network
from schemas.networks import NETWORK_BIT

KIND: Final = "crawlers"
VERSION: Final = version("is-crawler")
_READ: Final = 1_024  # bytes of a user agent


class Crawler(NamedTuple):
    """A family of crawlers of one operator."""

    name: str
    words: tuple[str, ...]  # of the user agent, lower case; one is enough
    systems: tuple[int, ...] = ()  # autonomous systems that it comes from: its operator's own, or the cloud it rents
    published: bool = True  # its ranges are in the data


_GOOGLE, _MICROSOFT, _AMAZON = (15169, 396982), (8075, 8068), (14618, 16509)
# In order: words of one family may be in another's user agent. Codes are positions, 1 and up; append before the last.
CRAWLERS: Final = (
    Crawler("google", ("googlebot", "google-inspectiontool", "storebot-google", "adsbot-google", "mediapartners-google",
                       "googleother", "apis-google", "feedfetcher-google", "google-read-aloud",
                       "google-site-verification", "google-extended"), _GOOGLE),
    Crawler("bing", ("bingbot", "bingpreview", "adidxbot", "microsoftpreview", "msnbot"), _MICROSOFT),
    Crawler("apple", ("applebot",), (714, 6185)),
    Crawler("yandex", ("yandexbot", "yandeximages", "yandexmobilebot", "yandexaccessibilitybot"), (13238, 208722)),
    Crawler("duckduckgo", ("duckduckbot", "duckassistbot"), _MICROSOFT),
    Crawler("meta", ("facebookexternalhit", "facebookcatalog", "meta-externalagent", "meta-externalfetcher",
                     "meta-webindexer", "facebookbot"), (32934, 63293, 54115)),
    Crawler("openai", ("gptbot", "oai-searchbot", "chatgpt-user"), _MICROSOFT),
    Crawler("anthropic", ("claudebot", "claude-searchbot", "claude-user", "anthropic-ai")),
    Crawler("perplexity", ("perplexitybot", "perplexity-user"), _AMAZON),
    Crawler("amazon", ("amazonbot", "amzn-searchbot", "amzn-user"), _AMAZON),
    Crawler("common_crawl", ("ccbot",), _AMAZON),
    Crawler("internet_archive", ("archive.org_bot", "ia_archiver"), (7941,)),
    Crawler("telegram", ("telegrambot",), (62041, 62014, 59930, 44907, 211157)),
    Crawler("x", ("twitterbot",), (13414, 35995, 63179)),
    Crawler("ahrefs", ("ahrefsbot", "ahrefssiteaudit")),
    Crawler("semrush", ("semrushbot",)),
    Crawler("seznam", ("seznambot",), (43037,)),
    Crawler("qwant", ("qwantbot", "qwantify")),
    Crawler("mojeek", ("mojeekbot",)),
    Crawler("monitoring", ("uptimerobot", "pingdom", "statuscake", "checkly", "updown.io", "hetrixtools",
                           "betteruptime", "better uptime bot", "datadogsynthetics", "newrelicsynthetics", "site24x7")),
    Crawler("baidu", ("baiduspider",), published=False),
    Crawler("bytedance", ("bytespider",), published=False),
    Crawler("huawei", ("petalbot", "aspiegelbot"), published=False),
    Crawler("linkedin", ("linkedinbot",), published=False),
    Crawler("pinterest", ("pinterestbot",), published=False),
    Crawler("naver", ("yeti/", "naverbot"), published=False),
    Crawler("sogou", ("sogou web spider", "sogou inst spider"), published=False),
    Crawler("other", (), published=False),  # some other robot: a small crawler, a library, a monitor
)  # fmt: skip
OTHER: Final = len(CRAWLERS)
_BIT: Final = np.uint16(NETWORK_BIT["crawler"])
# Devices whose name has a robot's word: CUBOT is a maker of telephones.
_NOT_ROBOTS: Final = ("cubot",)
# Browsers without a window, and a person's own programs: the signals headless and bot tell them by other means.
_NOT_CRAWLERS: Final = ("headlesschrome", "phantomjs", "electron/")


@lru_cache(maxsize=8192)
def crawler_family(raw: bytes | None) -> int:
    """Return which crawler a user agent claims to be: 0 none, else 1 + the position in CRAWLERS; for View.classify."""
    if not raw:
        return 0
    text = raw[:_READ].decode("utf-8", "replace")
    lowered = text.lower()
    for code, crawler in enumerate(CRAWLERS, 1):
        if any(word in lowered for word in crawler.words):
            return code
    if any(word in lowered for word in (*_NOT_ROBOTS, *_NOT_CRAWLERS)):
        return 0
    return OTHER if is_crawler(text) else 0


def crawler_name(code: int) -> str:
    """Return the name of a family, empty for 0."""
    return CRAWLERS[code - 1].name if code else ""


_PUBLISHED: Final = np.array([False, *(crawler.published for crawler in CRAWLERS)])


def verifiable(family: U8) -> Bool:
    """Return where a claim can be verified: the operator publishes its ranges, and the data has them."""
    return np.asarray(_PUBLISHED[family])


def verified(family: U8, network: Network) -> Bool:
    """Return where a crawler comes from its operator's published ranges, bool[n]; False where it claims nothing."""
    found = verifiable(family) & ((network.classes & _BIT) != 0)
    for code in np.unique(family[found]).tolist():
        systems = CRAWLERS[code - 1].systems
        if systems:
            found &= (family != code) | np.isin(network.asn, np.array(systems, np.uint32))
    return found
