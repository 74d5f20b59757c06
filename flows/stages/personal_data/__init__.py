"""What personal data looks like in free text: finding it and taking it out. One kind of it a file.

A kind gives the spans of its finds in a text that ``reading`` has folded into one script; it is asked about the text
as it stands and without its encodings. Every pattern takes time linear in the text, whatever the text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from flows.stages.personal_data.aadhaar import aadhaar_numbers
from flows.stages.personal_data.card_details import card_details
from flows.stages.personal_data.card_number import card_numbers, card_numbers_alone
from flows.stages.personal_data.email_address import email_addresses
from flows.stages.personal_data.iban import ibans
from flows.stages.personal_data.indian_pan import pan_numbers
from flows.stages.personal_data.phone_number import international_numbers, national_numbers
from flows.stages.personal_data.reading import Reading, readings
from flows.stages.personal_data.secret import secrets, url_leftovers
from schemas.dead_letter import Reason

_ROUNDS = 8


class Kind(NamedTuple):
    """One kind of personal data: its reason, and where it is in a text.

    ``encoded``: also in texts that had to be decoded.
    """

    reason: Reason
    spans: Callable[[str], Iterator[tuple[int, int]]]
    encoded: bool = True


# The first kind that an event holds names its dead letter: the plainest harm first, what only may hold some last.
KINDS = (
    Kind(Reason.CARD_NUMBER, card_numbers),
    Kind(Reason.IBAN, ibans),
    Kind(Reason.NATIONAL_ID, aadhaar_numbers),
    Kind(Reason.NATIONAL_ID, pan_numbers),
    Kind(Reason.EMAIL, email_addresses),
    Kind(Reason.CARD_DETAILS, card_details),
    Kind(Reason.PHONE, international_numbers),
    Kind(Reason.PHONE, national_numbers),
    Kind(Reason.SECRET_IN_URL, secrets),
    Kind(Reason.SECRET_IN_URL, url_leftovers, encoded=False),
)
# In the ids that a merchant gives, a number's form alone says nothing, and digits among letters are a random id's.
ID_KINDS = (
    Kind(Reason.CARD_NUMBER, card_numbers_alone),
    Kind(Reason.IBAN, ibans),
    Kind(Reason.NATIONAL_ID, pan_numbers),
    Kind(Reason.EMAIL, email_addresses),
    Kind(Reason.PHONE, international_numbers),
    Kind(Reason.SECRET_IN_URL, url_leftovers, encoded=False),
)
_WIDEST_FIRST = KINDS[::-1]  # a URL goes whole, not around what was taken out of it


def find_personal_data(text: str, kinds: Iterable[Kind] = KINDS) -> Reason | None:
    """Return the first of the kinds that a text holds; also one that is encoded up to three times."""
    read = list(readings(text))
    return next((kind.reason for kind in kinds if any(_holds(reading, kind) for reading in read)), None)


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
    if reading.encoded and not kind.encoded:
        return False
    return next(kind.spans(reading.plain), None) is not None


def _without(reading: Reading) -> str:
    shown, plain = reading.shown, reading.plain
    for kind in _WIDEST_FIRST:
        if kind.encoded or not reading.encoded:
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
