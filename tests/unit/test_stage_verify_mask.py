"""verify_mask over batches: honest populations pass, leaks in any text and any row are found, letters hold no value."""

from __future__ import annotations

import json
import zipfile
from functools import cache
from pathlib import Path

import apify_fingerprint_datapoints
import numpy as np
import pytest

from flows.stages.personal_data import find_personal_data
from flows.stages.time_zones import zone_names
from flows.stages.verify_mask import VerifyMask
from schemas.batches import Decoded, Signals, Texts
from schemas.dead_letter import Reason
from schemas.nested import pack_texts
from tests.builders import decoded
from tests.strategies import same
from tests.wire import CATALOGUE, RENDERER, USER_AGENT

VERIFY = VerifyMask()
NETWORKS = ("fingerprint-network-definition.zip", "header-network-definition.zip")
TEXTS = [signal.name for signal in CATALOGUE.texts]


@cache
def honest_strings() -> frozenset[str]:
    """Return every string of a real browser population: user agents, headers, graphics, fonts, screens, versions."""
    data = Path(apify_fingerprint_datapoints.__file__).parent / "data"
    found: set[str] = set()
    for network in NETWORKS:
        with zipfile.ZipFile(data / network) as archive:
            nodes = json.loads(archive.read(archive.namelist()[0]))["nodes"]
        found |= {value for node in nodes for value in node["possibleValues"]}
    return frozenset(found)


def test_no_string_of_a_real_browser_population_is_flagged() -> None:
    strings = honest_strings()
    assert len(strings) > 9_000
    assert sum("Mozilla/5.0" in text for text in strings) > 200
    assert [text for text in strings if find_personal_data(text.encode())] == []


def test_no_time_zone_is_flagged() -> None:
    assert len(zone_names()) > 500
    assert [name for name in zone_names() if find_personal_data(name.encode())] == []


def test_a_whole_batch_of_honest_agents_goes_on_unchanged() -> None:
    agents = sorted(text for text in honest_strings() if text.startswith("Mozilla/5.0"))
    batch = decoded([{"navigator.user_agent": agent, "webgl.unmasked_renderer": RENDERER} for agent in agents])
    out = VERIFY(batch)
    assert not out.errs
    assert len(out.oks) == len(agents)
    assert out.oks.signals is batch.signals


@pytest.mark.parametrize("name", TEXTS)
def test_a_leak_in_any_text_is_found(name: str) -> None:
    batch = decoded([{name: "to jane@example.com"}, {name: "nothing"}, {name: "4111-1111-1111-1111"}])
    out = VERIFY(batch)
    assert [(letter.offset, letter.reason) for letter in out.errs] == [(0, Reason.EMAIL), (2, Reason.CARD_NUMBER)]
    assert out.oks.origin.offset.tolist() == [1]


def test_the_first_kind_in_order_names_the_row_and_all_kinds_are_redacted() -> None:
    leaks = "+4915123456789 https://shop.example/?a=b jane@example.com 4111111111111111"
    (letter,) = VERIFY(decoded([{"page.title": leaks, "page.referrer": "https://shop.example/?t=1"}])).errs
    assert letter.reason is Reason.CARD_NUMBER
    signals = json.loads(letter.payload)["signals"]
    assert signals["page.title"] == "[redacted phone] [redacted secret_in_url] [redacted email] [redacted card_number]"
    assert signals["page.referrer"] == "[redacted secret_in_url]"


def test_texts_of_one_row_and_of_two_rows_are_never_read_as_one() -> None:
    batch = decoded(
        [
            {
                "page.url": "https://shop.example/checkout",
                "page.title": "Ready?",
                "page.referrer": "https://a.example/x",
            },
            {"page.url": "https://shop.example/a", "page.last_error": "#1 4111 1111"},
            {"navigator.user_agent": "1111 1111", "navigator.languages": "jane@", "intl.timezone": "example.com"},
        ]
    )
    assert not VERIFY(batch).errs


def test_the_redacted_payload_keeps_everything_else() -> None:
    event = {"screen.width": 1920, "navigator.user_agent": USER_AGENT, "page.title": "a jane@example.com b"}
    (letter,) = VERIFY(decoded([event], activity=[[{"code": 203, "t": 5, "value": 9.0, "target": "email"}]])).errs
    nested = json.loads(letter.payload)
    assert nested["signals"] == {**event, "page.title": "a [redacted email] b"}
    assert nested["activity"] == [{"t": 5, "code": 203, "value": 9.0, "target": "email"}]


def with_texts(rows: list[list[bytes | None]]) -> Decoded:
    """Return a batch with exactly these texts, laid out one after the other."""
    batch = decoded([{}] * len(rows))
    names = ("catalogue", "numbers", "known", "booleans", "categories")
    texts = pack_texts(rows, len(TEXTS))
    signals = Signals(*(getattr(batch.signals, name) for name in names), texts)
    return Decoded(batch.origin, batch.values, batch.ledger, batch.event, signals, batch.activity)


def test_texts_that_hold_any_bytes_are_searched() -> None:
    row: list[bytes | None] = [None] * len(TEXTS)
    rows = [[*row[:-1], text] for text in (b"\xff\0jane@example.com\0", b"\0\0\0", b"", b"\xf0\x9f 4111111111111111")]
    out = VERIFY(with_texts(rows))
    assert [letter.offset for letter in out.errs] == [0, 3]


def test_rows_without_texts_and_catalogues_without_texts_go_on() -> None:
    assert len(VERIFY(with_texts([[None] * len(TEXTS)] * 3)).oks) == 3
    batch = decoded([{}, {}])
    none = np.empty((2, 0), np.int32)
    names = ("catalogue", "numbers", "known", "booleans", "categories")
    signals = Signals(*(getattr(batch.signals, name) for name in names), Texts((b"jane@example.com", b""), none, none))
    bare = Decoded(batch.origin, batch.values, batch.ledger, batch.event, signals, batch.activity)
    assert len(VERIFY(bare).oks) == 2


def test_rows_taken_from_a_batch_are_searched_where_their_texts_are() -> None:
    batch = decoded(
        [{"page.title": f"row {row}", "page.url": "x"} for row in range(5)] + [{"page.title": "a@b.example"}]
    )
    out = VERIFY(batch.take(np.array([5, 0, 5])))
    assert len(out.errs) == 2
    assert same(out.oks.signals, batch.take(np.array([0])).signals)
