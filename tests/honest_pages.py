"""Honest pages with drawn values: what a client of another make sends that keeps order numbers, hashes and versions."""

from __future__ import annotations

from random import Random

START = 1_790_000_000_000  # ms
_WORDS = (
    "shoes",
    "lamp",
    "blue",
    "garden",
    "sale",
    "spring",
    "cart",
    "men",
    "kids",
    "phone-cases",
    "visa-help",
    "expo",
)


def drawn_page(random: Random) -> dict[str, str]:
    """Return the texts of one page: a URL, a referrer, a title and sometimes an error."""
    texts = {"page.url": _url(random), "page.referrer": _url(random), "page.title": _title(random)}
    if random.random() < 0.3:
        texts["page.last_error"] = _error(random)
    return texts


def drawn_id(random: Random) -> str:
    """Return a merchant's id of a payment or a customer, in one of the usual forms."""
    number = random.randrange
    return random.choice(
        (
            f"{number(10**7, 10**8)}",
            f"{number(10**9, 10**10)}",
            f"order-{number(10**6)}",
            f"txn_{_hex(random, 16)}",
            _uuid(random),
            f"ORD-2026-{number(10**6):06d}",
            f"{number(100, 999)}-{number(10**6, 10**7)}-{number(10**6, 10**7)}",
            f"cus_{_letters(random, 14)}",
            f"{START + number(10**9)}",
            f"{number(100, 999)}-{number(100, 999)}-{number(1000, 9999)}",
            f"{_hex(random, 24)}",
            f"SO{number(10**5, 10**6)}/{number(1, 99)}",
        )
    )


def _url(random: Random) -> str:
    number, word = random.randrange, random.choice
    path = word(
        (
            f"order/{number(10**7, 10**8)}",
            f"order/{number(10**9, 10**10)}/pay",
            f"p/{word(_WORDS)}-{number(10**5, 10**7)}",
            f"checkout/{_uuid(random)}",
            f"assets/app.{_hex(random, 32)}.js",
            f"cart/{_hex(random, 40)}",
            f"static/{_hex(random, 64)}/main.css",
            f"c/{number(1000)}/{number(10**5)}/{word(_WORDS)}",
            f"blog/{number(2015, 2027)}/{number(1, 13):02d}/{number(1, 29):02d}/{word(_WORDS)}",
            "checkout",
            "cart",
            "",
            f"npm/vue@3.{number(9)}.{number(30)}/dist/vue.esm.js",
            f"img/photo-{number(4000)}x{number(3000)}@2x.png",
            f"en-gb/{word(_WORDS)}/{word(_WORDS)}",
            f"invoice/{number(2020, 2027)}-{number(10**6)}",
            f"t/{START + number(10**9)}",
            f"lp/{word(_WORDS)}_{number(2020, 2027)}{number(1, 13):02d}{number(1, 29):02d}",
            f"confirm/{number(10**8, 10**9)}",
            f"c/{_letters(random, 22)}",
        )
    )
    return f"https://{word(_WORDS)}.shop.example/{path}"


def _title(random: Random) -> str:
    number, word = random.randrange, random.choice
    return word(
        (
            f"Order {number(10**7, 10**8)} - Shop",
            f"Order #{number(10**9, 10**10)}",
            f"({number(1, 30)}) Your cart",
            f"{number(10, 90)}% off {word(_WORDS)} until {number(1, 13):02d}/{number(1, 29):02d}",
            f"{word(_WORDS)} | Shop",
            f"Pay {number(1, 10**4)}.{number(100):02d} EUR",
            f"Total: 1.{number(1000):03d}.{number(1000):03d},{number(100):02d} \u20ac",
            f"Invoice {number(2020, 2027)}-{number(10**6):06d}",
            f"Gift card {number(10, 500)} - Shop",
            "Checkout",
            f"{word(_WORDS)} {number(30, 46)}/{number(28, 36)} - Shop",
            f"Size {number(30, 46)}, {number(2, 9)} items",
            f"{number(2, 9)} items in cart",
            f"404 - {word(_WORDS)}",
            f"Delivery {number(1, 29):02d}.{number(1, 13):02d}.2026",
            f"Tracking {number(10**11, 10**12)}",
            f"Kasse \u2013 {word(_WORDS)}",
            f"Booking {_letters(random, 6).upper()}",
            f"iPhone {number(10, 18)} {number(64, 1024)} GB",
            f"EAN {number(10**7, 10**8)}",
            f"Visa & Mastercard | {word(_WORDS)}",
            f"{number(1, 13):02d}/{number(1, 29):02d}/2026 10:{number(60):02d} AM",
            f"Room {number(100, 999)} \u00b7 {number(1, 9)} nights",
        )
    )


def _error(random: Random) -> str:
    number, word = random.randrange, random.choice
    at = f"https://shop.example/app.{_hex(random, 8)}.js:{number(1, 9)}:{number(10**5)}"
    return word(
        (
            f"TypeError: Cannot read properties of undefined (reading 'x') at pay ({at})",
            f"pay@{at} render@{at} f/<@{at}",
            f"ChunkLoadError: Loading chunk {number(999)} failed. ({at})",
            f"Unexpected token '<' at position {number(99)}",
            "Invalid token: expected a string",
            "Password: must have at least 8 characters",
            "undefined is not an object (evaluating 'this.token=e')",
            f"Request failed with status code {number(400, 504)}",
            f"Timeout after {number(10**5)} ms",
            f'Error: <path> attribute d: Expected number, "M{number(99)} {number(99)}L{number(99)},{number(99)}"',
            f"ResizeObserver loop limit exceeded at {START + number(10**9)}",
            f"[{number(9)}, {number(99)}, {number(999)}]",
            f"WebGL: CONTEXT_LOST {_hex(random, 8)} 0x{_hex(random, 8)}",
            f"color #{_hex(random, 6)} is not valid",
            f"{_uuid(random)} was not found",
            f"at step {number(9)} of {number(9)}: code {number(1000, 9999)}",
        )
    )


def _hex(random: Random, digits: int) -> str:
    return f"{random.getrandbits(4 * digits):0{digits}x}"


def _uuid(random: Random) -> str:
    digits = _hex(random, 32)
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{random.choice('89ab')}{digits[17:20]}-{digits[20:]}"


def _letters(random: Random, count: int) -> str:
    return "".join(random.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", k=count))
