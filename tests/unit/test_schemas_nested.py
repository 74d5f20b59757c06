"""The nested JSON form: what people write, and errors that say where without saying what."""

from __future__ import annotations

import json

import numpy as np
import pytest

from schemas.catalogue import category_hash, load_catalogue
from schemas.nested import Entry, NestedError, NestedEvent, columns_of, nested_of, parse_nested
from schemas.payload import MAX_ENTRIES

CATALOGUE = load_catalogue()
CANARY = "CANARY4111"


def read(text: str | bytes) -> dict[str, object]:
    event = parse_nested(text.encode() if isinstance(text, str) else text)
    return nested_of(*columns_of([event], CATALOGUE), 0, CATALOGUE)


def test_an_event_reads_back_with_categories_as_hashes_and_absent_signals_left_out() -> None:
    sent = {
        "signals": {
            "screen.width": 1920, "navigator.webdriver": False, "navigator.online": None,
            "navigator.platform": "Win32", "page.title": "Caf\u00e9", "page.referrer": "",
        },
        "activity": [{"code": 400, "t": 12, "value": 16, "target": "card_number"}, {"code": 65535}],
    }  # fmt: skip
    found = read(json.dumps(sent))
    assert found == {
        "catalogue": 1,
        "signals": {
            "screen.width": 1920.0, "navigator.webdriver": False, "navigator.platform": category_hash("Win32"),
            "page.title": "Caf\u00e9", "page.referrer": "",
        },
        "activity": [
            {"t": 12, "code": 400, "value": 16.0, "target": "card_number"},
            {"t": 0, "code": 65535, "value": 0.0, "target": "none"},
        ],
    }  # fmt: skip
    assert read(json.dumps(found)) == found


def test_texts_can_be_replaced_and_bytes_that_are_no_text_are_shown() -> None:
    signals, activity = columns_of([NestedEvent({"page.title": "a", "page.url": "b"})], CATALOGUE)
    assert nested_of(signals, activity, 0, CATALOGUE, {"page.title": "x"})["signals"] == {
        "page.title": "x",
        "page.url": "b",
    }
    blob = type(signals.texts)((b"\xff\xfe",), signals.texts.start * 0, np.where(signals.texts.length > 0, 1, -1))
    odd = type(signals)(
        *(getattr(signals, n) for n in ("catalogue", "numbers", "known", "booleans", "categories")), blob
    )
    assert nested_of(odd, activity, 0, CATALOGUE)["signals"] == {"page.title": "\ufffd", "page.url": "\ufffd"}


def test_numbers_beyond_float32_become_infinite_and_do_not_warn() -> None:
    signals, _ = columns_of([parse_nested(b'{"signals":{"audio.sample_sum":1e300}}')], CATALOGUE)
    assert np.isinf(signals.numbers[0, CATALOGUE.number("audio.sample_sum")])


SIGNALS = [
    (f'{{"{CANARY}": 1}}', "a signal is not in the catalogue; see `clickgoose schema json`"),
    (f'{{"screen.width": "{CANARY}"}}', "screen.width must be a number"),
    ('{"screen.width": true}', "screen.width must be a number"),
    ('{"navigator.webdriver": 1}', "navigator.webdriver must be a boolean"),
    (f'{{"navigator.webdriver": "{CANARY}"}}', "navigator.webdriver must be a boolean"),
    ('{"navigator.platform": true}', "navigator.platform must be a category"),
    ('{"navigator.platform": -1}', "navigator.platform must be a category"),
    ('{"navigator.platform": 1.5}', "navigator.platform must be a category"),
    ('{"navigator.platform": 4294967296}', "navigator.platform must be a category"),
    ('{"page.title": 4111}', "page.title must be a text"),
    (f'{{"page.title": "{CANARY}{"x" * 65_534}"}}', "page.title has more than 65,534 bytes"),
]
WHOLE = [
    (b"", "wrong type or syntax at the JSON itself"),
    (b"[]", "wrong type or syntax at"),
    (b'{"signals":' + b"[" * 100_000, "wrong type or syntax at"),
    (b'{"signals":{"page.title":"' + CANARY.encode() + b'\xff"}}', "wrong type or syntax at"),
    (f'{{"signals":["{CANARY}"]}}'.encode(), "wrong type or syntax at `$.signals`"),
    (f'{{"signals":{{"{CANARY}":["{CANARY}"]}}}}'.encode(), "wrong type or syntax at `$.signals[...]`"),
    (f'{{"signals":{{"page.title":"{CANARY}}}'.encode(), "wrong type or syntax at"),
    (f'{{"signals":{{}},"activity":[{{"code":"{CANARY}"}}]}}'.encode(), "wrong type or syntax at `$.activity[0].code`"),
    (b'{"activity":[]}', "wrong type or syntax at the JSON itself"),
    (b'{"signals":{"screen.width":1' + b"0" * 400 + b"}}", "wrong type or syntax at"),
    (
        f'{{"signals":{{}},"activity":[{{"code":1,"target":"{CANARY}"}}]}}'.encode(),
        "an activity target is not in the registry",
    ),
    (b'{"signals":{},"activity":[{"code":65536}]}', "an activity code or time is out of range"),
    (b'{"signals":{},"activity":[{"code":-1}]}', "an activity code or time is out of range"),
    (b'{"signals":{},"activity":[{"code":1,"t":4294967296}]}', "an activity code or time is out of range"),
    (b'{"signals":{},"activity":[{"code":1,"t":-1}]}', "an activity code or time is out of range"),
]


@pytest.mark.parametrize(("signals", "message"), SIGNALS, ids=range(len(SIGNALS)))
def test_a_wrong_signal_is_named_but_its_value_is_not(signals: str, message: str) -> None:
    with pytest.raises(NestedError) as caught:
        read(f'{{"signals":{signals}}}')
    assert message in str(caught.value)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(("data", "message"), WHOLE, ids=range(len(WHOLE)))
def test_a_wrong_form_is_located_but_its_value_is_not_said(data: bytes, message: str) -> None:
    with pytest.raises(NestedError) as caught:
        read(data)
    assert message in str(caught.value)
    assert CANARY not in str(caught.value)


def test_a_log_may_have_ten_thousand_entries_and_no_more() -> None:
    columns_of([NestedEvent({}, [Entry(100)] * MAX_ENTRIES)], CATALOGUE)
    with pytest.raises(NestedError, match="more than 10000 activity entries"):
        columns_of([NestedEvent({}, [Entry(100)] * (MAX_ENTRIES + 1))], CATALOGUE)


def test_no_events_give_columns_without_rows() -> None:
    signals, activity = columns_of([], CATALOGUE)
    assert len(signals) == len(activity) == len(signals.texts) == 0
    assert signals.numbers.shape == (0, len(CATALOGUE.numbers))


def test_a_target_that_this_build_does_not_know_is_shown_as_none() -> None:
    signals, activity = columns_of([NestedEvent({}, [Entry(100, target="form")])], CATALOGUE)
    strange = type(activity)(activity.offsets, activity.time, activity.value, activity.code, activity.target + 200)
    assert nested_of(signals, strange, 0, CATALOGUE)["activity"] == [
        {"t": 0, "code": 100, "value": 0.0, "target": "none"}
    ]
