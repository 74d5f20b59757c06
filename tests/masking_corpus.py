"""The masking corpus: what a client that does not mask would send, in every kind, writing, encoding and place.

All values are published for tests: the card schemes' test numbers, the examples of the IBAN registry, UIDAI's test
numbers, phone numbers set apart for films, names under example.com. No chance, no clock: the same list each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, cycle
from urllib.parse import quote

from schemas.dead_letter import Reason

CARDS = (
    "4111111111111111", "4012888888881881", "4222222222222", "4000056655665556", "5555555555554444",
    "5105105105105100", "2223003122003222", "2720992593319364", "378282246310005", "371449635398431",
    "6011111111111117", "6011000990139424", "30569309025904", "38520000023237", "3530111333300000",
    "3566002020360505", "6200000000000005", "6759649826438453", "6304000000000000", "2200700000000009",
    "8600000000000007", "4000000000000000006",
)  # fmt: skip
EMAILS = (
    "jane.canary@example.com", "jane.canary+shop@mail.example.co.uk", "jc@canary.example.org",
    "JANE_CANARY@EXAMPLE.COM",
    "o'canary@example.museum", "jane-canary@xn--bcher-kva.example", "j\u00f6rg.canary@b\u00fccher.example",
)  # fmt: skip
IBANS = (
    "DE89370400440532013000", "GB29NWBK60161331926819", "FR1420041010050500013M02606", "NL91ABNA0417164300",
    "NO9386011117947", "MT84MALT011000012345MTLCAST001S", "ES9121000418450200051332", "IT60X0542811101000000123456",
    "CH9300762011623852957", "PL61109010140000071219812874", "SA0380000000608010167519", "TR330006100519786457841326",
)  # fmt: skip
AADHAAR = ("999941057058", "999971658847", "999933119405", "999955183433", "999990501894")
PANS = ("AAAPL1234C", "ABCPE1234F", "AABCT3518Q", "BNZAA2318J")
PHONES = (
    "+4915123456789", "+49 151 23456789", "+1 (555) 123-4567", "+1-555-123-4567", "+44 20 7946 0958",
    "+33.1.99.00.12.34", "+49 30/23125 123", "+61\u00a0491\u00a0570\u00a0156", "+919876543210", "+1 555 0100 123",
)  # fmt: skip
NATIONAL = (
    "tel:0151-23456789", "phone=5551234567", "Phone: 555 123 4567", "phone_number=98765 43210", "mobile no. 9876543210",
    "mobile: (0)151 2345678", "tel. 030/23125 123", "(555) 123-4567", "(555) 123 4567", "555-123-4567",
    "1-555-123-4567",
    '"phone":"9876543210"', "fax 089 12345678", "Telefon: 089 / 123 45 678", "wa.me/919876543210", "sms:5551234567",
    "whatsapp 98765-43210", "cell=5551234567", "MSISDN 919876543210", "telephone number is 020 7946 0958",
)  # fmt: skip
CODES = (
    "cvv=739", "CVV: 739", "cvc: 7391", "cvc=739", "cvv2=739", "CVV 739", "cvn:739", "csc=739", "security code 739",
    "Security code: 7391", "securityCode=739", 'cardCvv":"739', "card[cvc]=739", "card_cvv=739", "cvvCode=739",
    "cvc-number: 739", "cvv is 739", "card code: 739", "verification value 739", "cvv%3D739",
    "CVV\uff1a\uff17\uff13\uff19",
)  # fmt: skip
EXPIRIES = (
    "exp 12/27", "exp: 12/2027", "expiry=12/27", "expiry 03-2029", "Exp. 12 / 27", "expiration date: 01/30",
    "expDate=0328",
    "exp_month=12", "exp_year=2027", "expiry_month: 03", "card 12/27", "Visa 12/2027", "12/27 mastercard",
    "amex: 03/29",
    "good thru 12/29", "MM/YY 04/31", "12/2027 card", "expiry=12%2F27", "Kreditkarte, 11/28",
    "exp \u0661\u0662/\u0662\u0667",
)  # fmt: skip
SECRETS = (
    "https://shop.example/pay?token=canary1Secret2", "https://shop.example/pay#access_token=canary1Secret2",
    "https://shop.example/pay?canary", "https://shop.example/#canary", "https://canary:secret1@shop.example/",
    "http://canary:secret1@localhost:8080/a", "//canary:secret1@shop.example/a", "wss://shop.example/live?canary=1",
    "https://shop.example/pay;jsessionid=CANARY0123456789", "https://shop.example/pay;sid=canary123456",
    "https://shop.example/session/canary0123456789abcdef", "https://shop.example/reset-password/canary0123456789abcdef",
    "https://shop.example/token/canary-0123-4567-89ab", "https://shop.example/magic-link/canary_0123456789abcd",
    "https://shop.example/verify/canary0123456789abcdef0123", "https://shop.example/auth/canary0123456789abcdef",
    "https://shop.example/a/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJl/b",
    "bad token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJl",
    "Authorization: Bearer canary0123456789abcdef",
    "basic Y2FuYXJ5OnNlY3JldDEyMw==", "password=canary-secret", "passwd=canary1", "pwd=canary", 'password":"canary"',
    "password: canary1secret", "Passwort: canary1secret", "/login?password=canary", "user%3Fpassword%3Dcanary",
    "api_key=canary0123", "apikey=canary0123456", "access_token=canary0123456", "client_secret=canary0123",
    "session_id=canary0123", "PHPSESSID=canary0123456789", "sid=canary012345", "otp=739173", "auth=canary0123456",
    "sk_live_canary0123456789", "ghp_canary0123456789canary0123456789abcd", "xoxb-canary-0123456789",
    "AKIACANARY0123456789",
    '{"token":"canary0123456789"}', "redirect%253Ftoken%253Dcanary0123456",
)  # fmt: skip
GAPS = (
    "", " ", "-", ".", "_", "/", ":", "|", "+", ", ", " - ", " / ", "\t", "\n", "\u00a0", "\u2009", "\u202f", "\u200b",
    "\u00ad", "\u2011", "\u2013", "\u2014", "\u2212", "\u00b7", "\u3000", '","', "*", "~",
)  # fmt: skip
ZEROS = ("\uff10", "\u0660", "\u06f0", "\u0966", "\u09e6", "\u0e50", "\U0001d7ce", "\U0001d7f6")
PLACES = ("url_query", "url_path", "url_fragment", "referrer", "title", "error", "user_agent")
TEXTS = ("referrer", "title", "error")


@dataclass(frozen=True, slots=True)
class Variant:
    """One event of the corpus: the texts that differ from an honest event's, and what must be found nowhere.

    ``canaries``: what was leaked, as it was written and in its plain form; each is long enough to be looked for byte
    for byte. ``transaction``, ``linked_id`` and ``card_token`` are empty unless the leak is there.
    """

    name: str
    kind: str
    reason: Reason
    texts: dict[str, str]
    canaries: tuple[str, ...]
    transaction: str = ""
    linked_id: str = ""
    card_token: str = ""

    @property
    def in_ids(self) -> bool:
        """Return whether the leak is in what the merchant's server says: the ingest tier then opens no session."""
        return bool(self.transaction or self.linked_id or self.card_token)


@dataclass(slots=True)
class _Corpus:
    variants: list[Variant] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=count)

    def add(self, kind: str, reason: Reason, texts: dict[str, str], *canaries: str, **ids: str) -> None:
        name = f"{kind}-{next(self.numbers)}"
        self.variants.append(Variant(name, kind, reason, texts, tuple(dict.fromkeys(canaries)), **ids))

    def put(self, kind: str, reason: Reason, places: Sequence[str], written: str, *plain: str) -> None:
        for place in places:
            self.add(f"{kind}-{place}", reason, _placed(place, written), written, *plain)


def corpus() -> list[Variant]:
    """Return all variants, the same in the same order each time."""
    made = _Corpus()
    for part in (_cards, _split_cards, _details, _emails, _phones, _ibans, _indian, _secrets, _ids):
        part(made)
    return made.variants


def _placed(place: str, value: str) -> dict[str, str]:
    """Return an event's texts with a value in one place. In URLs it is written as a browser would write it."""
    escaped = quote(value, safe="%:;@+,!$&'()*/?#=" if "://" in value else "%+@")
    return {
        "url_query": {"page.url": f"https://shop.example/pay?step=2&value={escaped}"},
        "url_path": {"page.url": f"https://shop.example/u/{escaped}/edit"},
        "url_fragment": {"page.url": f"https://shop.example/pay#value={escaped}"},
        "referrer": {"page.referrer": f"https://shop.example/find/{escaped}"},
        "title": {"page.title": f"Pay with {value} now"},
        "error": {"page.last_error": f"TypeError: no such thing ({value}) at pay (https://shop.example/app.js:1:4051)"},
        "user_agent": {"navigator.user_agent": f"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) {value} Gecko/20100101"},
        "whole": {"page.title": value},
    }[place]


def grouped(number: str, gap: str) -> str:
    """Return a card number as it is printed: 4-6-5 for 15 digits, else 4-4-4-4 and what remains."""
    sizes = (4, 6, 5) if len(number) == 15 else (4, 4, 4, 4, 4)
    parts, at = [], 0
    for size in sizes:
        parts.append(number[at : at + size])
        at += size
    return gap.join(part for part in parts if part)


def in_script(text: str, zero: str) -> str:
    """Return a text with its digits in another script."""
    return "".join(chr(ord(zero) + int(character)) if character.isdigit() else character for character in text)


def _all_escaped(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


def _twice(text: str) -> str:
    return quote(quote(text, safe=""), safe="")


ENCODINGS: Sequence[Callable[[str], str]] = (
    lambda text: quote(text, safe=""),
    _all_escaped,
    _twice,
    lambda text: quote(_twice(text), safe=""),
    lambda text: _all_escaped(_all_escaped(text)),
    lambda text: "".join(f"&#{ord(character)};" if not character.isalnum() else character for character in text),
    lambda text: "".join(f"\\u{ord(character):04x}" for character in text),
)


def _cards(made: _Corpus) -> None:
    reason, numbers = Reason.CARD_NUMBER, cycle(CARDS)
    for number in CARDS:
        made.put("card", reason, ("title",), number, number)
    for gap in GAPS:
        for place in PLACES:
            number = next(numbers)
            made.put("card-separated", reason, (place,), grouped(number, gap), number)
    for zero in ZEROS:
        for place in ("title", "url_path", "error"):
            number = next(numbers)
            made.put("card-script", reason, (place,), in_script(grouped(number, " "), zero), number)
    for encode in ENCODINGS:
        for place in ("url_query", "url_path", "error", "whole"):
            number = next(numbers)
            made.put("card-encoded", reason, (place,), encode(grouped(number, " ")), number)
    for number in CARDS[:6]:
        for cuts in ((4, 8, 12), (8,), (6,), (4, 10)):
            path = "/".join(_cut(number, cuts))
            made.add("card-path", reason, {"page.url": f"https://shop.example/{path}/edit"}, path, number)
    for number in CARDS[:8]:
        made.put("card-glued", reason, ("whole",), f"Pay{number}now", number)
        made.put("card-single-digits", reason, ("title",), " ".join(number), number)


def _cut(number: str, cuts: Sequence[int]) -> list[str]:
    return [number[a:b] for a, b in zip((0, *cuts), (*cuts, len(number)), strict=True)]


def _split_cards(made: _Corpus) -> None:
    reason, number_of = Reason.CARD_NUMBER, cycle([number for number in CARDS if len(number) in (15, 16)])
    places = (
        ("page.title", "page.last_error"), ("page.last_error", "page.title"), ("page.referrer", "page.title"),
        ("navigator.languages", "page.title"), ("intl.timezone", "page.last_error"),
    )  # fmt: skip
    for first, second in places:
        for cut in (4, 8, 12, 7):
            number = next(number_of)
            one, other = _cut(number, (cut,))
            made.add("card-two-texts", reason, {first: one, second: other}, number, *_long(one, other))
    for cut in (4, 8, 10, 12):
        number = next(number_of)
        one, other = _cut(number, (cut,))
        around = {"page.title": f"Card {one}", "page.last_error": f"{other} was declined"}
        made.add("card-two-edges", reason, around, number, *_long(one, other))
        path = {"page.url": f"https://shop.example/pay/{one}", "page.title": other}
        made.add("card-path-and-title", reason, path, number, *_long(one, other))
        spaced = {"page.title": f" {' '.join(one)} ", "page.last_error": f"-{'-'.join(other)}-"}
        made.add("card-two-spaced", reason, spaced, number, *_long(" ".join(one), "-".join(other)))
        script = {"page.title": in_script(one, ZEROS[0]), "page.last_error": quote(in_script(other, ZEROS[3]))}
        made.add("card-two-scripts", reason, script, number, *_long(*script.values()))
    for _ in range(4):
        number = next(number_of)
        names = ("navigator.languages", "page.referrer", "page.title", "page.last_error")
        quarters = dict(zip(names, _cut(number, (4, 8, 12)), strict=True))
        made.add("card-four-texts", reason, quarters, number)


def _long(*values: str) -> list[str]:
    """Return the pieces that are long enough to be looked for: no honest event holds them."""
    return [value for value in values if len(value) > 7 and len(set(value)) > 3]


def _details(made: _Corpus) -> None:
    places = ("title", "error", "whole")
    for index, text in enumerate((*CODES, *EXPIRIES)):
        kind = "code" if text in CODES else "expiry"
        made.put(kind, Reason.CARD_DETAILS, (places[index % 3], places[(index + 1) % 3]), text)
    for text in ("cvv=739", "exp=12/27", "cvc=7391", "expiry=12%2F2027", "security_code=739"):
        texts = {"page.url": f"https://shop.example/pay?a=1&{text}"}
        made.add("details-query", Reason.CARD_DETAILS, texts, text)


def _emails(made: _Corpus) -> None:
    for email in EMAILS:
        made.put("email", Reason.EMAIL, PLACES, email)
        made.put("email-mailto", Reason.EMAIL, ("error",), f"mailto:{email}", email)
    for encode in ENCODINGS:
        for place in ("url_query", "url_path", "title"):
            made.put("email-encoded", Reason.EMAIL, (place,), encode(EMAILS[0]), EMAILS[0])
    written = (
        "jane.canary\uff20example.com", "jane.canary\ufe6bexample.com", "jane.canary (at) example.com",
        "jane.canary[at]example.com", "jane.canary (at) example (dot) com", "jane.canary{at}example[dot]com",
        "\uff4a\uff41\uff4e\uff45.canary\uff20example\uff0ecom", "<jane.canary@example.com>",
        "user:jane.canary@example.com,",
    )  # fmt: skip
    for text in written:
        made.put("email-written", Reason.EMAIL, ("title", "error"), text)


def _phones(made: _Corpus) -> None:
    for phone in PHONES:
        made.put("phone", Reason.PHONE, ("title", "error", "url_path", "whole"), phone)
    for phone in PHONES[:4]:
        for encode in ENCODINGS[:4]:
            made.put("phone-encoded", Reason.PHONE, ("url_path",), encode(phone), phone)
    for zero in ZEROS[:4]:
        made.put("phone-script", Reason.PHONE, ("title",), in_script("+49 151 23456789", zero))
    for text in NATIONAL:
        made.put("phone-national", Reason.PHONE, ("title", "error", "whole"), text)


def _ibans(made: _Corpus) -> None:
    for iban in IBANS:
        blocks = [iban[at : at + 4] for at in range(0, len(iban), 4)]
        for gap in ("", " ", "\u00a0", "-", "\u202f"):
            made.put("iban", Reason.IBAN, ("title", "url_path"), gap.join(blocks), iban)
        made.put("iban-small", Reason.IBAN, ("error",), iban.lower())
        made.put("iban-named", Reason.IBAN, ("error",), f"IBAN{iban}", iban)
    for encode in ENCODINGS[:4]:
        made.put("iban-encoded", Reason.IBAN, ("url_query", "title"), encode("DE89 3704 0044 0532 0130 00"), IBANS[0])


def _indian(made: _Corpus) -> None:
    for number in AADHAAR:
        blocks = _cut(number, (4, 8))
        for gap in (" ", "-", "\u00a0", "\u2013", "_", " - "):
            made.put("aadhaar", Reason.NATIONAL_ID, ("title", "url_path"), gap.join(blocks), number)
        for text in (
            f"aadhaar={number}",
            f"Aadhaar number: {number}",
            f"aadhar no {' '.join(blocks)}",
            f"uidai:{number}",
        ):
            made.put("aadhaar-named", Reason.NATIONAL_ID, ("error",), text, number)
    for zero in ZEROS[:4]:
        made.put("aadhaar-script", Reason.NATIONAL_ID, ("title",), in_script("9999 4105 7058", zero))
    for pan in PANS:
        made.put("pan", Reason.NATIONAL_ID, ("title", "url_path", "error", "url_query"), pan)
        made.put("pan-named", Reason.NATIONAL_ID, ("error",), f"pan={pan.lower()}", pan)
        made.put("pan-pieces", Reason.NATIONAL_ID, ("error",), f"PAN: {pan[:5]} {pan[5:9]} {pan[9]}", pan)
    for encode in ENCODINGS[:4]:
        made.put("aadhaar-encoded", Reason.NATIONAL_ID, ("url_path",), encode("9999 4105 7058"))


def _secrets(made: _Corpus) -> None:
    for text in SECRETS:
        made.put("secret", Reason.SECRET_IN_URL, ("whole",), text)
        texts = {"page.last_error": f"Error: failed with {text} in pay"}
        made.add("secret-error", Reason.SECRET_IN_URL, texts, text)
    for text in SECRETS[:16]:
        made.add("secret-referrer", Reason.SECRET_IN_URL, {"page.referrer": text}, text)


def _ids(made: _Corpus) -> None:
    leaks = (
        *((Reason.CARD_NUMBER, text) for text in (CARDS[0], grouped(CARDS[4], " "), f"order-{CARDS[8]}",
        grouped(CARDS[1], "-"))),
        *((Reason.EMAIL, text) for text in (*EMAILS, "jane.canary%40example.com")),
        *((Reason.IBAN, text) for text in (IBANS[0], "GB29 NWBK 6016 1331 9268 19", IBANS[3].lower(), IBANS[4])),
        *((Reason.PHONE, text) for text in PHONES[:6]),
        *((Reason.NATIONAL_ID, text) for text in PANS),
        (Reason.SECRET_IN_URL, "https://shop.example/orders?id=canary0123"),
    )  # fmt: skip
    for reason, text in leaks:
        made.add("id-transaction", reason, {}, text, transaction=text)
        made.add("id-linked", reason, {}, text, linked_id=text)
        made.add("id-card-token", reason, {}, text, card_token=text)
