"""The glance over an event's data: what it passes is what redaction with care would have given, to the last type."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas import redaction
from schemas.personal_data import ID_KINDS, find_personal_data
from schemas.redaction import Redacted, holds_in_id, redact_json
from tests.masking_corpus import AADHAAR, CARDS, CODES, EMAILS, EXPIRIES, IBANS, NATIONAL, PHONES, SECRETS

PERSONAL = (*CARDS, *EMAILS, *IBANS, *PHONES, *NATIONAL, *CODES, *SECRETS, *EXPIRIES, *AADHAAR)
ODD = ("\ud800", "\ud83d\ude00", "é", "٤١١١", "[email]", "[email]#2", "[not read]", "eyJ", "x" * 300, "x" * 4_097, "")
PIECES = ("4111", "1111", "1111 1111", "see 4111", "4111 1111", "1111 paid", "11111111", "41111111", "user-4111", "17")
TELLING = ("express", "expires", "keyword", "session_count", "phone", "cvv", "token", "sessionId", "[phone]", "Mobile")
USUAL = ("EUR", "thank you", "food", "ord-17", "203.0.113.7", "2026-03-01T12:00:00Z", "Main Street 7", "a", "basket")
texts = st.one_of(*map(st.sampled_from, (USUAL, PERSONAL, ODD, PIECES)), st.text(max_size=12))
names = st.one_of(st.sampled_from(("amount", "country", "n", "items", "note")), st.sampled_from(TELLING), texts)
numbers = st.one_of(
    st.integers(-100, 100),
    st.integers(),
    st.floats(),
    st.sampled_from([10**11, 10**11 - 1, -(10**11), 1e11, 99999999999.5, 2**53 + 1, 10**400, -0.0]),
    st.sampled_from([int(card) for card in CARDS] + [float(card) for card in CARDS]),
)
odd = st.one_of(st.binary(max_size=3), st.tuples(st.integers(0, 9)), st.just({1: "a", "1": "b"}), st.just(object()))
usual = st.one_of(st.none(), st.booleans(), st.integers(-1_000, 1_000), st.floats(0, 100), st.sampled_from(USUAL))
scalars = st.one_of(st.none(), st.booleans(), numbers, texts)


def json_of(scalar: st.SearchStrategy[Any], name: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return values of JSON with such scalars and names."""
    deep = st.recursive(
        scalar,
        lambda inner: st.lists(inner, max_size=5) | st.dictionaries(name, inner, max_size=5),
        max_leaves=25,
    )
    return st.dictionaries(name, deep, max_size=5) | deep


plain = json_of(usual | st.sampled_from(PIECES), st.sampled_from(("amount", "country", "n", "items", "note", "q")))


def exact(value: Any) -> Any:
    """Return a value with its types and the order of members, so that 1, 1.0 and True are three things."""
    if isinstance(value, dict):
        return ("dict", [(name, exact(inner)) for name, inner in value.items()])
    if isinstance(value, list):
        return ("list", [exact(inner) for inner in value])
    return exact(list(value)) if isinstance(value, tuple) else (type(value).__name__, repr(value))


def careful(value: Any) -> Redacted:
    """Return what comes of a value without the glance."""
    return redaction._Redaction().of(value)


@settings(max_examples=400)
@given(st.one_of(json_of(scalars, names), json_of(scalars | odd, names), plain))
@example({"a": ["4111", "1111", "1111", "1111"]})
@example({"phone": {"number": 9876543210}})
@example({"a": [{"b": "4111 1111"}, "1111 1111"], "c": 5})
@example({"n": True, "m": 1, "o": 1.0})
def test_with_and_without_the_glance_the_same_comes_out(value: Any) -> None:
    quick, slow = redact_json(value), careful(value)
    assert exact(quick.value) == exact(slow.value)
    assert quick.places == slow.places


@given(json_of(scalars, names), plain)
def test_one_clean_member_more_does_not_hide_another(value: Any, clean: Any) -> None:
    both = {"clean": clean, "other": value}
    assert exact(redact_json(both)) == exact(careful(both))


@given(plain)
def test_what_is_passed_is_the_value_itself_and_most_events_are(value: Any) -> None:
    quick = redact_json(value)
    if isinstance(value, dict | list):
        assert (quick.value is value) == redaction._holds_nothing(value)
    event = {"amount": 12.5, "items": 3, "note": "thank you", "shipping": {"express": "no", "at": None}}
    assert redact_json(event).value is event


def nested(depth: int) -> Any:
    """Return lists in lists."""
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


@pytest.mark.parametrize(
    "value",
    [
        *(nested(depth) for depth in range(60, 68)),
        *({"a": list(range(size))} for size in (997, 998, 999, 1_000, 10_000, 10_001)),
        *({"a": ["x" * 256] * size} for size in (31, 32, 33, 127, 128, 129)),
        *({"a": ["x" * size] * 9} for size in (255, 256, 257, 4_095, 4_096, 4_097)),
        {"phone": ["x" * 256], "key": "x" * 300},
        {f"tokens_{'x' * 200}": 12_345, "n": {"exp": [1227, 12.0, "12/27"]}},
        {"n" * 257: 1},
        {"n" * 4_097: 1},
        {f"name {'x' * 200} {'abcdefghijklmnopqrstuvwxyz'[at % 26] * at}": at for at in range(150)},
        {"a": ["4111"] * 20},
        {"a": ["x4", "4111", "5"] * 120},
    ],
)
def test_bounds_are_the_same(value: Any) -> None:
    assert exact(redact_json(value)) == exact(careful(value))


@given(st.one_of(st.sampled_from(PERSONAL), st.text(max_size=40), st.from_regex(r"[!-~]{1,40}", fullmatch=True), texts))
def test_an_id_holds_what_is_found_in_it(text: str) -> None:
    assert holds_in_id(text) == (find_personal_data(text, ID_KINDS) is not None)
