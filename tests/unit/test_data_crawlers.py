"""Crawlers: which one a user agent claims, and that a claim is believed from the operator's own addresses only."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import apify_fingerprint_datapoints as datapoints
import numpy as np
import pytest

from enrichers.address_table import load_address_table
from enrichers.crawlers import CRAWLERS, OTHER, crawler_family, crawler_name, verifiable, verified
from schemas.batches import U8
from schemas.envelope import address_bytes

GOOGLEBOT = (
    "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/140.0.0.0 Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
)
BINGBOT = (
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm) "
    "Chrome/140.0.0.0 Safari/537.36"
)
PEOPLE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 "
    "[FBAN/FBIOS;FBAV/466.0.0.0;FBDV/iPhone14,5;FBSN/iOS;FBSV/17.5;FBLC/de_DE]",
    "Mozilla/5.0 (Linux; Android 14; SM-S911B) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/126.0.0.0 "
    "Mobile Safari/537.36 Instagram 337.0.0.35.102 Android",
    "Mozilla/5.0 (Linux; U; Android 10; en-US; RMX1911) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 "
    "Chrome/100.0.4896.58 UCBrowser/13.4.0.1306 Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; Android 12; CUBOT P80) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile "
    "Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 "
    "DuckDuckGo/7 Safari/605.1.15",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/140.0.0.0 Safari/537.36",
)


def family(text: str) -> str:
    return crawler_name(crawler_family(text.encode()))


def codes(*texts: str) -> U8:
    return np.array([crawler_family(text.encode()) for text in texts], np.uint8)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (GOOGLEBOT, "google"),
        (BINGBOT, "bing"),
        ("Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)", "yandex"),
        ("facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)", "meta"),
        ("Mozilla/5.0 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)", "openai"),
        ("Mozilla/5.0 (compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)", "baidu"),
        ("python-requests/2.32.3", "other"),
        ("Mozilla/5.0 (compatible; SomeNewBot/1.0; +https://example.com/bot)", "other"),
        ("", ""),
        *((text, "") for text in PEOPLE),
    ],
)  # fmt: skip
def test_a_user_agent_claims_a_crawler_or_none(text: str, name: str) -> None:
    assert family(text) == name
    assert crawler_family(None) == 0


def test_no_user_agent_of_the_real_population_claims_a_crawler() -> None:
    archive = zipfile.ZipFile(Path(datapoints.__file__).parent / "data" / "fingerprint-network-definition.zip")
    nodes = json.loads(archive.read(archive.namelist()[0]))["nodes"]
    (agents,) = (node["possibleValues"] for node in nodes if node["name"] == "userAgent")
    assert len(agents) > 200
    assert [agent for agent in agents if family(agent)] == []


def test_a_claim_is_believed_from_the_operators_own_addresses_only() -> None:
    said = [
        (GOOGLEBOT, "66.249.66.1", True),
        (GOOGLEBOT, "2001:4860:4801:10::1", True),
        (GOOGLEBOT, "91.0.0.1", False),  # a home line
        (GOOGLEBOT, "34.82.1.5", False),  # anybody's machine in Google's cloud
        (GOOGLEBOT, "157.55.39.1", False),  # Bing's crawler does not come as Google's
        (BINGBOT, "157.55.39.1", True),
        (BINGBOT, "66.249.66.1", False),
        (PEOPLE[0], "66.249.66.1", False),  # claims nothing
        ("Mozilla/5.0 (compatible; Baiduspider/2.0)", "66.249.66.1", False),
    ]
    addresses = np.frombuffer(b"".join(address_bytes(at) for _, at, _ in said), np.uint8).reshape(-1, 16)
    network = load_address_table()(addresses)
    claimed = codes(*(text for text, _, _ in said))
    assert verified(claimed, network).tolist() == [right for _, _, right in said]
    assert verifiable(claimed).tolist() == [True] * 7 + [False, False]
    for row in range(len(said)):
        rows = np.array([row])
        assert verified(claimed[rows], network.take(rows)).tolist() == [said[row][2]]


def test_families_have_names_and_words_of_their_own() -> None:
    assert CRAWLERS[OTHER - 1].name == "other"
    assert len({crawler.name for crawler in CRAWLERS}) == len(CRAWLERS) < 255
    words = [word for crawler in CRAWLERS for word in crawler.words]
    assert len(set(words)) == len(words)
    assert all(word == word.lower() for word in words)
