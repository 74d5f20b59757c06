"""The vector payload: agents older and newer than this build, and bodies that do not add up."""

from __future__ import annotations

import struct
import tracemalloc

import numpy as np
import pytest

from schemas.catalogue import load_catalogue, parse_catalogue
from schemas.nested import Entry, NestedEvent, columns_of
from schemas.payload import MAX_ENTRIES, PREFIX, decode_payloads, encode_payloads
from tests.strategies import same, texts_of
from tests.unit.test_schemas_catalogue import NEWER

OLD, NEW = load_catalogue(), parse_catalogue(NEWER)
EVENT = {
    "screen.width": 1920.0,
    "navigator.webdriver": True,
    "navigator.platform": "Win32",
    "page.url": "https://a.example/",
}
LATER = {"future.a": 0.5, "future.c": True, "future.d": "x", "future.e": "tail"}
LOG = [Entry(100, 1, 2.0, "form"), Entry(203, 9, 120.0, "card_number")]


def bodies(*events: dict[str, object], catalogue: object = OLD) -> list[bytes]:
    nested = [NestedEvent(dict(event), LOG, catalogue.version) for event in events]  # type: ignore[attr-defined, arg-type]
    return encode_payloads(*columns_of(nested, catalogue))  # type: ignore[arg-type]


def test_a_newer_build_reads_an_older_agent_with_the_new_signals_absent() -> None:
    signals, activity, good = decode_payloads(bodies(EVENT), NEW)
    assert good.all()
    assert signals.catalogue.tolist() == [OLD.version]
    assert signals.numbers[0, NEW.number("screen.width")] == 1920
    assert np.isnan(signals.numbers[0, NEW.number("future.a")])
    assert not signals.known[0, NEW.boolean("future.c")]
    assert signals.categories[0, NEW.category("future.d")] == 0
    assert signals.texts.column(NEW.text("future.e")) == [None]
    assert signals.texts.column(NEW.text("page.url")) == [b"https://a.example/"]
    assert activity.code.tolist() == [100, 203]


def test_an_older_build_reads_a_newer_agent_and_ignores_what_it_does_not_know() -> None:
    signals, activity, good = decode_payloads(bodies({**EVENT, **LATER}, catalogue=NEW), OLD)
    plain, _, _ = decode_payloads(bodies(EVENT), OLD)
    assert good.all()
    assert signals.catalogue.tolist() == [NEW.version]
    for name in ("numbers", "known", "booleans", "categories"):
        assert same(getattr(signals, name), getattr(plain, name))
    assert texts_of(signals) == texts_of(plain)
    assert activity.target.tolist() == [2, 10]


def test_agents_of_both_versions_are_read_in_one_batch_in_their_order() -> None:
    mixed = [*bodies(EVENT), *bodies({**EVENT, **LATER}, catalogue=NEW), b"junk", *bodies({"screen.width": 7.0})]
    for catalogue in (OLD, NEW):
        signals, activity, good = decode_payloads(mixed, catalogue)
        assert good.tolist() == [True, True, False, True]
        assert signals.catalogue.tolist() == [OLD.version, NEW.version, 0, OLD.version]
        assert signals.numbers[:, catalogue.number("screen.width")].tolist()[:2] == [1920, 1920]
        assert np.diff(activity.offsets).tolist() == [2, 2, 0, 2]
        assert signals.texts.column(catalogue.text("page.url")) == [
            b"https://a.example/",
            b"https://a.example/",
            None,
            None,
        ]
    assert decode_payloads(mixed, NEW)[0].texts.column(NEW.text("future.e")) == [None, b"tail", None, None]


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body[:-1],
        lambda body: body + b"\0",
        lambda body: body[:15],
        lambda body: b"",
        lambda body: b"\x02" + body[1:],
        lambda body: body[:12] + struct.pack("<H", 3) + body[14:],
        lambda body: body[:12] + struct.pack("<H", MAX_ENTRIES + 1) + body[14:],
        lambda body: body[:4] + struct.pack("<H", 65535) + body[6:],
        lambda body: body[:10] + struct.pack("<H", 65535) + body[12:],
    ],
)
def test_a_body_that_does_not_add_up_is_not_good_and_reads_as_empty(change: object) -> None:
    bad = change(bodies(EVENT)[0])  # type: ignore[operator]
    signals, activity, good = decode_payloads([*bodies(EVENT), bad], OLD)
    assert good.tolist() == [True, False]
    assert np.isnan(signals.numbers[1]).all()
    assert not signals.known[1].any()
    assert not signals.booleans[1].any()
    assert not signals.categories[1].any()
    assert all(column[1] is None for column in texts_of(signals))
    assert np.diff(activity.offsets).tolist() == [2, 0]


def test_a_payload_with_no_signal_at_all_is_a_payload() -> None:
    signals, activity, good = decode_payloads([PREFIX.pack(1, 1, 0, 0, 0, 0, 0, 0)] * 2, OLD)
    assert good.all()
    assert np.isnan(signals.numbers).all()
    assert len(activity) == 2


def test_a_body_of_texts_without_end_costs_no_more_memory_than_itself() -> None:
    hostile = PREFIX.pack(1, 1, 0, 0, 0, 65535, 0, 0) + b"\0" * (2 * 65535 + 2)
    batch = [hostile, *bodies(EVENT) * 255]
    tracemalloc.start()
    decode_payloads(batch, OLD)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8_000_000


def test_an_older_agent_may_send_numbers_only() -> None:
    body = PREFIX.pack(1, 1, 2, 0, 0, 0, 0, 0) + np.array([8, 4], "<f4").tobytes()
    signals, _, good = decode_payloads([body], OLD)
    assert good.all()
    assert signals.numbers[0, :2].tolist() == [8, 4]
    assert np.isnan(signals.numbers[0, 2:]).all()


def test_too_long_texts_and_logs_are_refused_when_encoding() -> None:
    signals, activity = columns_of([NestedEvent({"page.title": "x" * 65_534})], OLD)
    encode_payloads(signals, activity)
    longer = type(signals.texts)((b"x" * 65_535,), signals.texts.start * 0, np.full_like(signals.texts.length, 65_535))
    with pytest.raises(ValueError, match="65,534 bytes"):
        encode_payloads(type(signals)(*(getattr(signals, n) for n in signals.__slots__[:-1]), longer), activity)
    _, log = columns_of([NestedEvent({}, [Entry(100)] * MAX_ENTRIES)], OLD)
    encode_payloads(signals, log)
    with pytest.raises(ValueError, match="10000 entries"):
        encode_payloads(signals, _longer(log))


def _longer(log: object) -> object:
    columns = [np.concatenate((getattr(log, n), getattr(log, n)[:1])) for n in ("time", "value", "code", "target")]
    return type(log)(np.array([0, MAX_ENTRIES + 1]), *columns)


def test_a_text_of_the_greatest_length_reads_back() -> None:
    ((body,), _) = bodies({"page.title": "x" * 65_534}), None
    signals, _, good = decode_payloads([body], OLD)
    assert good.all()
    assert signals.texts.column(OLD.text("page.title")) == [b"x" * 65_534]
