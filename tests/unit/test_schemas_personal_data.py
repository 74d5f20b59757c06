"""What counts as personal data in free text, what must not, and what that costs."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from schemas.dead_letter import Reason
from schemas.personal_data import ID_KINDS, find_personal_data, redact
from schemas.personal_data.aadhaar import verhoeff
from schemas.personal_data.card_number import luhn
from schemas.personal_data.glance import BETWEEN, ids_may_hold, may_hold
from schemas.personal_data.iban import ibans
from schemas.personal_data.known import Known
from schemas.personal_data.reading import folded, readings
from schemas.personal_data.split_card import split_card
from tests.masking_corpus import AADHAAR, CARDS, IBANS, corpus

LEAKS = sorted({text for variant in corpus() for text in variant.texts.values()})
HONEST = (
    "https://shop.example/checkout", "https://shop.example/C%23/tutorial%20one", "about:blank#blocked",
    "Checkout - Shop #1? Yes!", "https://cdn.example/react@18.2.0/umd", "https://cdn.example/photo@2x.png",
    "https://medium.example/@jane", "https://cdn.example/npm/vue@3.4.21/dist/vue.esm.js", "order 1790000000000",
    "https://cdn.example/pkg@1.0.0-beta.next/index", "render@app.vue:12:7", "0.4111111111111111", "1e+21 NaN -0",
    "Mozilla/5.0 (compatible; Bot/2.1; +http://bot.example/bot.html)", "Chrome/156.0.0.0 Safari/537.36",
    "Tue Sep 22 2026 03:33:20 GMT+0200", "2026-09-21 12:30:45.123456", "10.0.19045.4529 31.0.101.4502",
    "Sun Sep 20 04:30:12 +1000 2026", "ANGLE (Intel, Mesa Intel(R) UHD Graphics 620 (KBL GT2), OpenGL 4.6), 0x00005917",
    "ANGLE (Intel, Intel(R) UHD Graphics (0x00009BA4) Direct3D11 vs_5_0 ps_5_0, D3D11-27.20.100.8681)",
    "TypeError: Cannot read properties of undefined (reading 'x') at https://shop.example/app.4f3a.js:1:40511",
    "4f9c1e52-1111-4111-8111-111111111111", "30041310-9665-42ec-a857-d28fd59ffa54", "Europe/Berlin", "Etc/GMT+10",
    "Etc/GMT+5", "GMT+0530", "UTC +05:30", "100% of 50% (+20%)", "@media @2x", "color #123456 is #abc", "+123456",
    "1920x1080 24 bit 60.000 Hz", "4111 1111 1111 1112", "1.4111.1111.1111.1111", "Order 48123456 - Shop",
    "Order 651-4279806-8671388", "Order 123456789012", "1790000000123 1790000000456789", "52.520008,13.404954",
    "https://cdn.example/app.5f3c6a4111111111111111ab9e0c2d7f.js", "https://shop.example/2026/11/22/1234567",
    "Total: 1.234.567,89 \u20ac", "Pay 49.99 EUR", "Gift card 12/27", "Sale until 12/24", "Visa & Mastercard",
    "Size 44/46",
    "visa-help until 11/27", "Security code sent", "Password: must have at least 8 characters",
    "Invalid token: expected x",
    "Unexpected token '<', \"<!doctype \"... is not valid JSON",
    "undefined is not an object (evaluating 'this.token=e')",
    "password=undefined", "basic authentication_is_required", "https://shop.example/login/",
    "https://shop.example/reset",
    "https://shop.example/session/new", "https://shop.example/confirm/591537713", "DE89 3704 0044 0532 0130 01",
    "IE 11 on Windows NT 6.1", "BASIC2024A", "ABCDE1234F", "pan and zoom 1234", "Windows Phone 10.0.15254.603",
    "iPhone 15 1179x2556", "hotel 1234567", "9999 4105 7059", "1999 4105 7058", "999941057058", "x (at the end) y",
    "[512, 1024, 2048, 4096]", "M4 12 340 12L4 18", "GA1.2.1234567890.1790000000", "npm ERR! 404", "50% off", "",
)  # fmt: skip


def test_every_text_of_the_corpus_passes_the_glance_and_holds_nothing_after_redaction() -> None:
    found = [text for text in LEAKS if find_personal_data(text)]
    assert len(found) > 900
    assert [text for text in found if not may_hold(text.encode())] == []
    redacted = [redact(text) for text in found]
    assert [text for text in redacted if find_personal_data(text) or "[redacted" not in text] == []
    assert [redact(text) for text in redacted] == redacted


@pytest.mark.parametrize("text", HONEST)
def test_an_honest_text_is_left_alone(text: str) -> None:
    assert find_personal_data(text) is None
    assert redact(text) == text


@pytest.mark.parametrize(
    ("law", "numbers"), [(luhn, CARDS), (verhoeff, AADHAAR), (lambda text: any(ibans(text)), IBANS[:1])]
)
def test_numbers_with_one_digit_changed_are_none(law: Callable[[str], bool], numbers: tuple[str, ...]) -> None:
    for number in numbers:
        assert law(number)
        for at, digit in enumerate(number):
            if digit.isdigit():
                assert not law(f"{number[:at]}{(int(digit) + 1) % 10}{number[at + 1 :]}")


def test_a_verhoeff_digit_also_finds_every_two_neighbours_changed_over() -> None:
    for number in AADHAAR:
        for at in range(11):
            if number[at] != number[at + 1]:
                assert not verhoeff(number[:at] + number[at + 1] + number[at] + number[at + 2 :])


def test_an_iban_of_every_length_and_of_no_country_is_told_apart() -> None:
    assert [number for number in IBANS if not any(ibans(number))] == []
    assert not any(ibans("QQ89370400440532013000"))
    assert not any(ibans("DE8937040044053201300"))
    assert not any(ibans("DE893704004405320130001"))


def test_what_stands_around_a_find_is_kept() -> None:
    assert redact("card 4111-1111-1111-1111, mail jane@example.com!") == (
        "card [redacted card_number], mail [redacted email]!"
    )
    assert redact("a\0tel +4915123456789\0b") == "a\0tel [redacted phone]\0b"
    assert redact("K\u00e4ufer: \uff14\uff11\uff11\uff11 1111 1111 1111 \u2013 ja") == (
        "K\u00e4ufer: [redacted card_number] \u2013 ja"
    )


def test_a_text_encoded_more_often_than_anybody_does_goes_whole() -> None:
    text = "jane@example.com cvv=739" + "%25" * 9 + "40 4111%2525252525252525201111"
    assert find_personal_data(redact(text)) is None
    nested = "a%40b.example"
    for _ in range(3):
        nested = f"x%40y.example {nested.replace('%', '%25252525')}"
    assert find_personal_data(redact(nested)) is None


def test_every_decimal_digit_of_unicode_is_read_and_places_stay() -> None:
    text = "\uff14\u0664\u06f4\u096a\u09ea\u0e54\U0001d7d2\u2463 \u2013\u00a0\u200b\uff20\uff21"
    assert folded(text) == "44444444 -  @A"
    assert len(folded(text)) == len(text)
    assert folded("plain") == "plain"
    assert [reading.shown for reading in readings("%2540")] == ["%2540", "%40", "@"]


def test_pieces_of_a_card_are_found_in_any_two_texts_that_meet() -> None:
    assert split_card(["x", "Card 4111 1111", "", "1111 1111 declined"]) == {
        1: "Card [redacted card_number]",
        3: "[redacted card_number] declined",
    }
    assert split_card(["1111 1111", "y", "4111 1111"]) == {0: "[redacted card_number]", 2: "[redacted card_number]"}
    assert list(split_card(["1111", "4111", "z 1", "1111", "1111"])) == [1, 0, 3, 4]


@pytest.mark.parametrize(
    "texts",
    [
        ["https://shop.example/order/48123456", "Order 48123456", "https://shop.example/order/51234567"],
        ["https://shop.example/p/4111111", "05/07/2026 10:23 AM"],
        ["https://shop.example/p/41111111", "2026-05-07"],
        ["41111111", "41111111"],
        ["Tracking 599448634980", "[2, 48, 256]"],
        ["4111 1111", "1111 1112"],
        ["4", "1", "11"],
        ["4" * 40, "1" * 40],
    ],
)
def test_numbers_that_only_stand_in_one_event_are_no_card_in_pieces(texts: list[str]) -> None:
    assert split_card(texts) == {}


def test_ids_are_asked_only_what_an_id_may_not_be() -> None:
    refused = [
        "4111111111111111", "4111 1111 1111 1111", "pay 4111-1111-1111-1111 now", "4111111111111111 a",
        "a/378282246310005",
        "jane@example.com", "a%40example.com", "DE89370400440532013000", "o DE89 3704 0044 0532 0130 00",
        "AAAPL1234C", "+4915123456789",
    ]  # fmt: skip
    honest = [
        "txn_41111111111111111", "txn_6058370546626727", "o4111111111111111", "4111111111111111a", "order-1",
        "114-1234567-1234567", "48123456",
        "cvv=739", "402-555-1234", "4f9c1e52-1111-4111-8111-111111111111", "", "ORD-2026-000123",
    ]  # fmt: skip
    assert [text for text in refused if not find_personal_data(text, ID_KINDS)] == []
    assert [
        text for text in refused if not ids_may_hold(text) or not ids_may_hold(BETWEEN.join([*honest, text, *honest]))
    ] == []
    assert [text for text in honest if find_personal_data(text, ID_KINDS)] == []
    assert not ids_may_hold(BETWEEN.join(["41111111", "11111111", "txn_0123456789abcdef", ""]))


def test_what_is_known_is_bounded_in_number_and_in_length() -> None:
    known: Known[str] = Known(most=100)
    for number in range(1_000):
        assert known.without([f"{number}"]) == {f"{number}"}
        known.add({f"{number}"})
        known.add({"x" * 2_000})
    assert len(known) <= 202
    assert known.without(["999", "x" * 2_000, "1"]) == {"x" * 2_000, "1"}
    kept = known.without(["asked for"])
    known.add(kept)
    for number in range(1_000):
        assert not known.without(["asked for"])
        known.add({f"{number}"})


HOSTILE = (
    "a@", "://", "://a", "1 ", "4 ", "411 ", "+1", "a.", "a@b.", "%40", "1a", "4111111111111112 ", "a@b.c@", "%2525",
    "&#64;",
    "\\u0040", "DE89 ", "DE89", "iban", "cvv=", "exp 1", "12/2", "card ", "pass=", "token=", "token=a", "bearer ",
    "eyJa.",
    "/token/", "//a:", "(at)", "a (at) ", "tel ", "tel 12-34", "(555) ", "2345 6789 ", "aadhaar 2", "pan aaapa",
    "AAAPA", "0-",
    "\uff14 ", "\u0664", "\ud7ff4", "'\"", "]=", "x=\"", "sk_live_", "[", "1.", "0123456789abcdef-", "xox", "?#@",
)  # fmt: skip


@pytest.mark.parametrize("unit", HOSTILE, ids=ascii)
def test_a_hostile_text_costs_time_linear_in_its_length(unit: str) -> None:
    text = (unit * 65_536)[:65_536]
    began = time.process_time()
    find_personal_data(text)
    redact(text)
    split_card([text, text])
    assert time.process_time() - began < 2.0


def test_thousands_of_groups_of_digits_count_as_a_find() -> None:
    assert find_personal_data("4111111111111112 " * 3000) is Reason.CARD_NUMBER
