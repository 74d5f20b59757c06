"""What personal data looks like in free text: finding it and taking it out. One kind of it a file.

A kind gives the spans of its finds in a text that ``reading`` has folded into one script; it is asked about the text
as it stands and without its encodings. Every pattern takes time linear in the text, whatever the text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from schemas.dead_letter import Reason
from schemas.personal_data.aadhaar import aadhaar_numbers, may_hold_aadhaar
from schemas.personal_data.card_details import card_details, may_hold_details
from schemas.personal_data.card_number import card_numbers, card_numbers_alone, may_hold_card
from schemas.personal_data.email_address import email_addresses, may_hold_email
from schemas.personal_data.iban import ibans, may_hold_iban
from schemas.personal_data.indian_pan import may_hold_pan, pan_numbers
from schemas.personal_data.phone_number import (
    international_numbers,
    may_hold_international,
    may_hold_national,
    national_numbers,
)
from schemas.personal_data.reading import Reading, readings
from schemas.personal_data.secret import may_hold_leftovers, may_hold_secret, secrets, url_leftovers

_ROUNDS = 8


class Kind(NamedTuple):
    """One kind of personal data: its reason, which readings cannot hold it, and where it is in a plain text."""

    reason: Reason
    may_hold: Callable[[Reading], bool]
    spans: Callable[[str], Iterator[tuple[int, int]]]


# The first kind that an event holds names its dead letter: the plainest harm first, what only may hold some last.
KINDS = (
    Kind(Reason.CARD_NUMBER, may_hold_card, card_numbers),
    Kind(Reason.IBAN, may_hold_iban, ibans),
    Kind(Reason.NATIONAL_ID, may_hold_aadhaar, aadhaar_numbers),
    Kind(Reason.NATIONAL_ID, may_hold_pan, pan_numbers),
    Kind(Reason.EMAIL, may_hold_email, email_addresses),
    Kind(Reason.CARD_DETAILS, may_hold_details, card_details),
    Kind(Reason.PHONE, may_hold_national, national_numbers),
    Kind(Reason.PHONE, may_hold_international, international_numbers),
    Kind(Reason.SECRET_IN_URL, may_hold_secret, secrets),
    Kind(Reason.SECRET_IN_URL, may_hold_leftovers, url_leftovers),
)
# In the ids that a merchant gives, a number's form alone says nothing, and digits among letters are a random id's.
ID_KINDS = (
    Kind(Reason.CARD_NUMBER, may_hold_card, card_numbers_alone),
    Kind(Reason.IBAN, may_hold_iban, ibans),
    Kind(Reason.NATIONAL_ID, may_hold_pan, pan_numbers),
    Kind(Reason.EMAIL, may_hold_email, email_addresses),
    Kind(Reason.PHONE, may_hold_international, international_numbers),
    Kind(Reason.SECRET_IN_URL, may_hold_leftovers, url_leftovers),
)
_WIDEST_FIRST = KINDS[::-1]  # a URL goes whole, not around what was taken out of it


def find_personal_data(text: str, kinds: Iterable[Kind] = KINDS) -> Reason | None:
    """Return the first of the kinds that a text holds; also one that is encoded up to three times."""
    read = list(readings(text))
    for kind in kinds:
        for reading in read:
            if _holds(reading, kind):
                return kind.reason
    return None


def possible_kinds(texts: str) -> tuple[Kind, ...]:
    """Return the kinds that some texts, joined by NUL, may hold: all, if any of them is encoded."""
    read = list(readings(texts))
    return KINDS if len(read) > 1 else tuple(kind for kind in KINDS if kind.may_hold(read[0]))


def redact(text: str) -> str:
    """Return the text with every find of every kind replaced by its name; an encoding goes where it hid one.

    What is returned holds nothing that ``find_personal_data`` finds.
    """
    for _ in range(_ROUNDS):
        reading = next((one for one in readings(text) if any(_holds(one, kind) for kind in KINDS)), None)
        if reading is None:
            return text
        text = _without(reading)
    return "[redacted]"  # encoded more often than anybody does


def _holds(reading: Reading, kind: Kind) -> bool:
    return kind.may_hold(reading) and next(kind.spans(reading.plain), None) is not None


def _without(reading: Reading) -> str:
    shown, plain = reading.shown, reading.plain
    for kind in _WIDEST_FIRST:
        if kind.may_hold(reading):
            mark = f"[redacted {kind.reason.value.removeprefix('mask.')}]"
            spans = list(kind.spans(plain))
            shown, plain = _cut(shown, spans, mark), _cut(plain, spans, mark)
    return shown


def _cut(text: str, spans: list[tuple[int, int]], mark: str) -> str:
    parts: list[str] = []
    at = 0
    for start, end in spans:
        if start >= at:
            parts += (text[at:start], mark)
            at = end
    return "".join((*parts, text[at:]))
