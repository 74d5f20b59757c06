"""Laws of redaction: nothing that was planted survives, the form stays, and what was redacted is redacted to itself."""

from __future__ import annotations

import json
import time
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from schemas.personal_data import find_personal_data
from schemas.redaction import DEEPEST, LONGEST, MOST_CHARACTERS, MOST_VALUES, NOT_READ, is_mark, redact_json
from tests.masking_corpus import AADHAAR, CARDS, CODES, EMAILS, EXPIRIES, IBANS, NATIONAL, PHONES, SECRETS

ALONE = (*CARDS, *EMAILS, *IBANS, *PHONES, *NATIONAL, *CODES, *SECRETS)
NAMES = st.text("abcdefgh_.A1 /~", min_size=1, max_size=8)
PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**9), 10**9),
    st.floats(-1e6, 1e6),
    st.sampled_from(("EUR", "blue shoes", "u-17", "basket", "203.0.113.7", "ord-1", "")),
)
JSON = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4))


def texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for key, inner in value.items() for text in (key, *texts(inner))]
    if isinstance(value, list):
        return [text for inner in value for text in texts(inner)]
    return [value] if isinstance(value, str) else []


def shape(value: Any) -> Any:
    if isinstance(value, dict):
        return [shape(inner) for inner in value.values()]
    return [shape(inner) for inner in value] if isinstance(value, list) else None


@st.composite
def planted(draw: st.DrawFn) -> tuple[Any, str]:
    """Return a value with something personal somewhere in it: as a text, inside one, as a number or as a name."""
    secret = draw(st.sampled_from(ALONE))
    around = draw(st.sampled_from(("{}", "see {}", "{} .", "<{}>")))
    value: Any = around.format(secret)
    if secret in CARDS:
        value = draw(st.sampled_from((value, int(secret), float(secret))))
    if draw(st.booleans()) and isinstance(value, str):
        value = {value: draw(PLAIN)}
    for _ in range(draw(st.integers(0, 5))):
        value = [draw(JSON), value] if draw(st.booleans()) else {draw(NAMES): value}
    return value, secret


@given(planted())
def test_nothing_that_was_planted_survives(case: tuple[Any, str]) -> None:
    value, secret = case
    redacted = redact_json(value)
    written = json.dumps(redacted.value, ensure_ascii=False)
    assert secret not in written and repr(float(secret) if secret in CARDS else secret) not in written
    assert not [text for text in texts(redacted.value) if find_personal_data(text)]
    assert redacted.places


@given(st.one_of(JSON, planted().map(lambda case: case[0])))
def test_the_form_stays_and_what_was_redacted_stays_as_it_is(value: Any) -> None:
    once = redact_json(value)
    assert shape(once.value) == shape(value)
    assert redact_json(once.value).value == once.value


@given(JSON)
def test_what_holds_nothing_is_kept_whole(value: Any) -> None:
    assert redact_json({"kept": value}).value == {"kept": value}


@given(st.sampled_from(("cvv", "cvc2", "card_cvv", "cardCvv", "securityCode", "phone", "userPhone", "mobile_number")))
def test_a_members_name_says_what_its_value_is(name: str) -> None:
    value: Any = "0170 1234567" if "ph" in name.lower() or "mob" in name else 123
    assert is_mark(redact_json({"payment": {name: value}}).value["payment"][name])
    assert is_mark(redact_json({name: [value]}).value[name][0])


def test_an_expiry_and_a_code_split_over_name_and_value_are_found() -> None:
    assert is_mark(redact_json({"expiry": "12/27"}).value["expiry"])
    assert is_mark(redact_json({"phone": {"number": "9876543210"}}).value["phone"]["number"])
    assert is_mark(redact_json({"password": "hunter2"}).value["password"])
    assert is_mark(redact_json({"aadhaar_number": int(AADHAAR[0])}).value["aadhaar_number"])


def test_expiries_beside_their_words_go() -> None:
    for text in EXPIRIES:
        assert is_mark(redact_json([text]).value[0]), text


def test_a_card_number_in_pieces_of_one_object_goes() -> None:
    found = redact_json({"note": "fine", "parts": ["4111", "1111", "1111", "1111"]})
    assert found.value == {"note": "fine", "parts": ["[card_number]"] * 4}
    assert found.places == ("/parts/0", "/parts/1", "/parts/2", "/parts/3")


def test_two_names_that_go_stay_two_members() -> None:
    found = redact_json({"a@example.com": 1, "b@example.com": 2})
    assert found.value == {"[email]": 1, "[email]#2": 2}
    assert found.places == ("/[email]", "/[email]#2")


def test_what_is_too_deep_too_long_or_too_much_is_not_read() -> None:
    deep: Any = "x"
    for _ in range(DEEPEST + 2):
        deep = [deep]
    assert NOT_READ in texts(redact_json(deep).value)
    assert redact_json(["x" * (LONGEST + 1)]).value == [NOT_READ]
    many = redact_json(list(range(MOST_VALUES + 5))).value
    assert many.count(NOT_READ) == 6 and len(many) == MOST_VALUES + 5
    long = redact_json(["x" * LONGEST] * (MOST_CHARACTERS // LONGEST + 3))
    assert long.value.count(NOT_READ) == 3
    assert redact_json(["\ud800", float("nan"), 10**40]).value == [NOT_READ] * 3


def test_what_was_seen_before_changes_nothing() -> None:
    names = {f"name {n} {'x' * 200}": n for n in range(400)}
    first = redact_json(names).value
    for name in names:
        redact_json({name: 0})
    assert redact_json(names).value == first and any(is_mark(name) for name in first)


def test_the_largest_and_worst_event_takes_bounded_time() -> None:
    mixed = [
        *(f"{n}{n + 1}{n + 2}7" for n in range(5)),
        *(f"x{n} 41{n}1" for n in range(5)),
        *("4121 y" for _ in range(6)),
    ]
    worst: tuple[Any, ...] = (
        [list(mixed) for _ in range(250)],
        ["&#52;" * 800] * 16,
        ["%25" * 1_360] * 16,
        ["4111-" * 800] * 16,
        {f"token_{n}": f"abc{n}def" for n in range(4_000)},
        [10**15 + n for n in range(4_000)],
    )
    for value in worst:
        began = time.process_time()
        redact_json(value)
        assert time.process_time() - began < 2.0  # of a busy machine; the worst took 0.2 s
