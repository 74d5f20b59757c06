"""What counts as personal data in free text, and what must not."""

from __future__ import annotations

import time

import pytest

from flows.stages.personal_data import find_personal_data, luhn, may_hold, redact
from schemas.dead_letter import Reason

# Published test numbers of the schemes, and numbers with a right check digit in the ranges that have none.
NUMBERS = (
    "4111111111111111", "4012888888881881", "4222222222222", "4000056655665556", "5555555555554444",
    "5105105105105100", "2223003122003222", "2720992593319364", "378282246310005", "371449635398431",
    "6011111111111117", "6011000990139424", "30569309025904", "38520000023237", "3530111333300000",
    "3566002020360505", "6200000000000005", "6759649826438453", "6304000000000000", "2200700000000009",
    "8600000000000007", "4000000000000000006",
)  # fmt: skip
GAPS = ("", " ", "-", ".", "\u00a0", "\u2009", " - ", "\t")
PLACES = ("{}", "card {} declined", "Pay{}now", "(4x{},12/27)", "26 {} 12", "\u00fc{}\u00fc")
EMAILS = (
    "jane@example.com", "jane.doe+shop@mail.example.co.uk", "j@b.c.example.org", "JANE_99@EXAMPLE.COM",
    "jane%40example.com", "jane%2540example.com", "jane%2Btag%40example.com", "j\u00f6rg@b\u00fccher.example",
    "o'neil@example.museum", "jane@xn--bcher-kva.xn--p1ai",
)  # fmt: skip
EMAIL_PLACES = ("{}", "no account for {}", "<{}>", "https://shop.example/u/{}/edit", "mailto:{}", "user:{},")
PHONES = (
    "+4915123456789", "+49 151 23456789", "+1 (555) 123-4567", "+1-555-123-4567", "+44 20 7946 0958",
    "+33.1.23.45.67.89", "+49 30/1234567", "%2B4915123456789", "+49\u00a0151\u00a023456789",
)  # fmt: skip
SECRETS = (
    "https://shop.example/pay?token=abc", "https://shop.example/pay#access_token=abc", "http://u:p@localhost:8080/",
    "https://shop.example/?", "wss://shop.example/live?x=1", "HTTPS://SHOP.EXAMPLE/A?B", "android-app://com.x/y?z=1",
    "(https://shop.example/a?b=c)", "blob:https://shop.example/1#2", "//x ://y?z",
)  # fmt: skip
HONEST = (
    "https://shop.example/checkout", "https://shop.example/C%23/tutorial%20one", "about:blank#blocked",
    "Checkout - Shop #1? Yes!", "https://cdn.example/react@18.2.0/umd", "https://cdn.example/photo@2x.png",
    "https://medium.example/@jane", "https://cdn.example/npm/vue@3.4.21/dist/vue.esm.js", "order 1790000000000",
    "0.4111111111111111", "Mozilla/5.0 (compatible; Bot/2.1; +http://bot.example/bot.html)", "1e+21 NaN -0",
    "Tue Sep 22 2026 03:33:20 GMT+0200", "2026-09-21 12:30:45.123456", "10.0.19045.4529 31.0.101.4502",
    "ANGLE (Intel, Intel(R) UHD Graphics (0x00009BA4) Direct3D11 vs_5_0 ps_5_0, D3D11-27.20.100.8681)",
    "TypeError: Cannot read properties of undefined (reading 'x') at https://shop.example/app.4f3a.js:1:40511",
    "4f9c1e52-1111-4111-8111-111111111111", "Europe/Berlin", "Etc/GMT+10", "100% of 50% (+20%)", "@media @2x",
    "1920x1080 24 bit 60.000 Hz", "+123456", "4111 1111 1111 1112", "1.4111.1111.1111.1111",
)  # fmt: skip


def grouped(number: str, gap: str) -> str:
    sizes = (4, 6, 5) if len(number) == 15 else (4, 4, 4, 7)
    parts, at = [], 0
    for size in sizes:
        parts.append(number[at : at + size])
        at += size
    return gap.join(part for part in parts if part)


CARDS = [
    place.format(grouped(number, GAPS[(index + turn) % len(GAPS)]))
    for index, number in enumerate(NUMBERS)
    for turn, place in enumerate(PLACES)
]
LEAKS = [
    *((Reason.CARD_NUMBER, text) for text in (*CARDS, "/a%C3%A94111%201111%2d1111%201111/b", "No.4111111111111111")),
    *((Reason.EMAIL, place.format(email)) for email in EMAILS for place in EMAIL_PLACES),
    *((Reason.PHONE, place.format(phone)) for phone in PHONES for place in ("{}", "call {} now", "tel:{}")),
    *((Reason.SECRET_IN_URL, place.format(url)) for url in SECRETS for place in ("{}", "failed: {}")),
]


def test_the_corpus_is_large() -> None:
    assert len(LEAKS) > 200
    assert {reason for reason, _ in LEAKS} == {reason for reason in Reason if reason.value.startswith("mask.")}


@pytest.mark.parametrize("leak", LEAKS, ids=ascii)
def test_a_leak_is_found_passes_the_first_glance_and_is_gone_after_redaction(leak: tuple[Reason, str]) -> None:
    reason, text = leak
    raw = text.encode()
    assert may_hold(raw)
    assert find_personal_data(raw) is reason
    redacted = redact(raw)
    assert find_personal_data(redacted) is None
    assert f"[redacted {reason.value.removeprefix('mask.')}]".encode() in redacted


@pytest.mark.parametrize("text", HONEST)
def test_an_honest_text_is_left_alone(text: str) -> None:
    assert find_personal_data(text.encode()) is None
    assert redact(text.encode()) == text.encode()


def test_numbers_with_one_digit_changed_are_no_card_numbers() -> None:
    for number in NUMBERS:
        assert luhn(number.encode())
        for digit in range(len(number)):
            other = number[:digit] + str((int(number[digit]) + 1) % 10) + number[digit + 1 :]
            assert not luhn(other.encode())


def test_what_stands_around_a_find_is_kept() -> None:
    assert redact(b"card 4111-1111-1111-1111, mail jane@example.com!") == (
        b"card [redacted card_number], mail [redacted email]!"
    )
    assert redact(b"a\0tel +4915123456789\0b") == b"a\0tel [redacted phone]\0b"


def test_no_find_reaches_across_two_texts() -> None:
    assert find_personal_data(b"https://shop.example/checkout\0Ready?\0#1") is None
    assert find_personal_data(b"4111 1111\x001111 1111") is None
    assert find_personal_data(b"jane@\0example.com") is None


@pytest.mark.parametrize(
    "unit", ["a@", "://", "://a", "1 ", "4 ", "411 ", "+1", "a.", "a@b.", "%40", "1a", "4111111111111112 ", "a@b.c@"]
)
def test_a_hostile_text_costs_time_linear_in_its_length(unit: str) -> None:
    text = (unit * 65_536)[:65_536].encode()
    began = time.process_time()
    find_personal_data(text)
    redact(text)
    assert time.process_time() - began < 0.5


def test_thousands_of_groups_of_digits_count_as_a_find() -> None:
    assert find_personal_data(b"4111111111111112 " * 3000) is Reason.CARD_NUMBER
