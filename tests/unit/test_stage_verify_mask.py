"""verify_mask over batches: honest populations pass, leaks in any text, id and row are found, letters hold no value."""

from __future__ import annotations

import base64
import json
import pickle
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import apify_fingerprint_datapoints
import numpy as np
import pytest

from flows.stages.normalize.time_zones import zone_names
from flows.stages.verify_mask import VerifyMask
from schemas.batches import Texts
from schemas.dead_letter import DeadLetter, Reason, dead_letter_headers, encode_dead_letter
from schemas.personal_data import find_personal_data
from tests.builders import decoded
from tests.masking_corpus import corpus
from tests.masking_report import (
    TEXTS,
    Row,
    alarms,
    batch_of,
    drawn_rows,
    generated_rows,
    missed,
    with_ids,
    with_tail,
    with_texts,
)
from tests.strategies import same
from tests.wire import CATALOGUE, RENDERER, USER_AGENT

VERIFY = VerifyMask()
NETWORKS = ("fingerprint-network-definition.zip", "header-network-definition.zip")


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


def test_the_corpus_is_large_the_same_each_time_and_of_every_kind() -> None:
    variants = corpus()
    assert len(variants) > 1_000
    assert variants == corpus()
    assert len({variant.name for variant in variants}) == len(variants)
    counts = Counter(variant.reason for variant in variants)
    assert set(counts) == {reason for reason in Reason if reason.value.startswith("mask.")}
    assert min(counts.values()) > 50


def test_every_variant_of_the_corpus_is_found_by_its_reason_and_redacted_everywhere() -> None:
    variants = corpus()
    out = VerifyMask()(batch_of(variants))
    assert len(out.oks) == 0
    assert missed(variants, out) == []
    kept = [(v.name, v.canaries) for v, letter in zip(variants, out.errs, strict=True) if holds(letter, v.canaries)]
    assert kept == []


def holds(letter: DeadLetter, canaries: Sequence[str]) -> bool:
    """Return whether a letter holds any of the values: in its record, headers or payload, plain, JSON or base64."""
    places = (encode_dead_letter(letter), repr(dead_letter_headers(letter)).encode(), letter.payload)
    forms = {form for canary in canaries for form in (canary.encode(), json.dumps(canary)[1:-1].encode())}
    forms |= {base64.b64encode(b"\0" * shift + form)[4:-4] for form in forms for shift in range(3) if len(form) >= 24}
    return any(form in place for form in forms for place in places)


def test_what_is_redacted_holds_nothing_any_more() -> None:
    letters = VerifyMask()(batch_of(corpus())).errs
    again = [json.loads(letter.payload)["signals"] for letter in letters]
    assert not VerifyMask()(decoded(again)).errs


@pytest.mark.parametrize("rows", [generated_rows, drawn_rows])
def test_of_thousands_of_honest_events_none_is_refused(rows: Callable[[int], Iterator[Row]]) -> None:
    # `make masking` asks 20,000 of each and allows two; of the first 2,000 there must be none.
    assert alarms(rows(7), 2_000) == 0


def test_no_string_of_a_real_browser_population_is_flagged() -> None:
    strings = honest_strings()
    assert len(strings) > 9_000
    assert sum("Mozilla/5.0" in text for text in strings) > 200
    assert [text for text in strings if find_personal_data(text)] == []


def test_no_time_zone_is_flagged() -> None:
    assert len(zone_names()) > 500
    assert [name for name in zone_names() if find_personal_data(name)] == []


def test_a_whole_batch_of_honest_agents_goes_on_unchanged() -> None:
    agents = sorted(text for text in honest_strings() if text.startswith("Mozilla/5.0"))
    batch = decoded([{"navigator.user_agent": agent, "webgl.unmasked_renderer": RENDERER} for agent in agents])
    for _ in range(2):  # also when all is remembered
        out = VERIFY(batch)
        assert not out.errs
        assert len(out.oks) == len(agents)
        assert out.oks.signals is batch.signals


@pytest.mark.parametrize("name", TEXTS)
def test_a_leak_in_any_text_is_found_and_the_letter_names_the_text(name: str) -> None:
    batch = decoded([{name: "to jane@example.com"}, {name: "nothing"}, {name: "4111-1111-1111-1111"}])
    out = VERIFY(batch)
    assert [(letter.offset, letter.reason) for letter in out.errs] == [(0, Reason.EMAIL), (2, Reason.CARD_NUMBER)]
    assert [letter.detail for letter in out.errs] == [f"found in {name}; redacted"] * 2
    assert out.oks.origin.offset.tolist() == [1]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("jane@example.com", Reason.EMAIL),
        ("4111 1111 1111 1111", Reason.CARD_NUMBER),
        ("AAAPL1234C", Reason.NATIONAL_ID),
    ],
)
def test_a_leak_in_an_id_is_found_and_stands_nowhere_in_the_letter(value: str, reason: Reason) -> None:
    batch = decoded([{"page.title": "Checkout"}] * 5)
    transactions, linked_ids = ("o-1", value, "o-3", "o-4", "o-5"), ("", "c-2", "", value, "")
    out = VERIFY(with_ids(batch, transactions, linked_ids, ("tok_1", "", "tok_3", "", value)))
    assert [(letter.offset, letter.reason) for letter in out.errs] == [(1, reason), (3, reason), (4, reason)]
    found = [letter.detail for letter in out.errs]
    assert found == [f"found in {name}; redacted" for name in ("transaction", "linked_id", "card_token")]
    assert not any(holds(letter, (value,)) for letter in out.errs)
    assert out.oks.event.transaction == ("o-1", "o-3")


def test_a_number_that_is_an_id_by_its_form_goes_on() -> None:
    ids = (
        "402-555-1234",
        "9999 4105 7058",
        "txn_4111111111111111a",
        "114-1234567-1234567",
        "cvv=739",
        "9876543210",
        "",
    )
    batch = decoded([{}] * len(ids))
    assert not VERIFY(with_ids(batch, ids, ids[::-1])).errs


def test_the_first_kind_in_order_names_the_row_and_all_kinds_are_redacted() -> None:
    leaks = "+4915123456789 https://shop.example/?a=b jane@example.com 4111111111111111"
    (letter,) = VERIFY(decoded([{"page.title": leaks, "page.referrer": "https://shop.example/?t=1"}])).errs
    assert letter.reason is Reason.CARD_NUMBER
    assert letter.detail == "found in page.referrer and page.title; redacted"
    signals = json.loads(letter.payload)["signals"]
    assert signals["page.title"] == "[redacted phone] [redacted secret_in_url] [redacted email] [redacted card_number]"
    assert signals["page.referrer"] == "[redacted secret_in_url]"


def test_a_letter_names_three_fields_and_counts_the_rest() -> None:
    (letter,) = VERIFY(decoded([dict.fromkeys(TEXTS, "jane@example.com")])).errs
    assert letter.detail == f"found in {' and '.join(TEXTS[:3])} and {len(TEXTS) - 3} more; redacted"


def test_texts_of_one_row_and_of_two_rows_are_never_read_as_one_but_for_cards_in_pieces() -> None:
    batch = decoded(
        [
            {
                "page.url": "https://shop.example/checkout",
                "page.title": "Ready?",
                "page.referrer": "https://a.example/x",
            },
            {"page.title": "4111 1111"},
            {"page.title": "1111 1111"},
            {"navigator.user_agent": "x 1111 1111", "navigator.languages": "jane@", "intl.timezone": "example.com"},
            {"page.title": "4111 1111", "page.last_error": "1111 1111"},
        ]
    )
    out = VERIFY(batch)
    assert [(letter.offset, letter.reason) for letter in out.errs] == [(4, Reason.CARD_NUMBER)]
    assert out.errs[0].detail == "found in page.title and page.last_error; redacted"


def test_the_redacted_payload_keeps_everything_else() -> None:
    event = {"screen.width": 1920, "navigator.user_agent": USER_AGENT, "page.title": "a jane@example.com b"}
    (letter,) = VERIFY(decoded([event], activity=[[{"code": 203, "t": 5, "value": 9.0, "target": "email"}]])).errs
    nested = json.loads(letter.payload)
    assert nested["signals"] == {**event, "page.title": "a [redacted email] b"}
    assert nested["activity"] == [{"t": 5, "code": 203, "value": 9.0, "target": "email"}]


def test_texts_that_hold_any_bytes_are_searched() -> None:
    row: list[bytes | None] = [None] * len(TEXTS)
    rows = [[*row[:-1], text] for text in (b"\xff\0jane@example.com\0", b"\0\0\0", b"", b"\xf0\x9f 4111111111111111")]
    out = VERIFY(with_texts(rows))
    assert [letter.offset for letter in out.errs] == [0, 3]


def test_rows_without_texts_and_catalogues_without_texts_go_on() -> None:
    assert len(VERIFY(with_texts([[None] * len(TEXTS)] * 3)).oks) == 3
    assert len(VERIFY(decoded([])).oks) == 0
    none = np.empty((2, 0), np.int32)
    bare = with_tail(decoded([{}, {}]), Texts((b"jane@example.com", b""), none, none))
    assert len(VerifyMask(replace(CATALOGUE, texts=()))(bare).oks) == 2


def test_rows_taken_from_a_batch_are_searched_where_their_texts_are() -> None:
    batch = decoded(
        [{"page.title": f"row {row}", "page.url": "x"} for row in range(5)] + [{"page.title": "a@b.example"}]
    )
    out = VERIFY(batch.take(np.array([5, 0, 5])))
    assert len(out.errs) == 2
    assert same(out.oks.signals, batch.take(np.array([0])).signals)


def test_the_same_bytes_cut_elsewhere_are_other_texts() -> None:
    row: list[bytes | None] = [None] * len(TEXTS)
    rows = [[*row[:-2], one, other] for one, other in ((b"to jane@exam", b"ple.com"), (b"to ", b"jane@example.com"))]
    stage = VerifyMask()
    for _ in range(2):
        assert [letter.offset for letter in stage(with_texts(rows)).errs] == [1]


def test_what_is_remembered_changes_nothing_and_is_not_pickled() -> None:
    variants = corpus()[::7]
    batch = batch_of(variants)
    stage = VerifyMask()
    first, second = (facts(stage(batch).errs) for _ in range(2))
    assert first == second
    fresh = pickle.loads(pickle.dumps(stage))  # noqa: S301 - our own bytes
    assert len(pickle.dumps(fresh)) == len(pickle.dumps(VerifyMask()))
    assert facts(fresh(batch).errs) == first


def facts(letters: Sequence[DeadLetter]) -> list[Any]:
    return [(letter.offset, letter.reason, letter.detail, letter.payload) for letter in letters]
