"""Aadhaar: India's identity number, twelve digits from 2 on of which the last is Verhoeff's check digit (UIDAI).

Twelve digits alone are as often an order's number: they count in groups of four, or beside the name of the scheme.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from schemas.personal_data.random_id import in_random_id
from schemas.personal_data.reading import Reading

Span = tuple[int, int]

_GROUPED = re.compile(
    r"[2-9][0-9]{3}(?<![0-9].{4})(?<![0-9]{4}[ \-_+].{4})(?<![0-9][./:,].{4})(?P<gap>[^\w./:,]{1,3}|_)"
    r"[0-9]{4}(?P=gap)[0-9]{4}(?![0-9])(?!(?P=gap)[0-9])"
)
_NAMED = re.compile(
    r"(?:adhaa?r|uidai|\u0906\u0927\u093e\u0930)(?:[\W_]{0,3}(?:card|number|num|no|nr|id))?[\W_]{0,5}+(?:is[\W_])?"
    r"([2-9](?:[\W_]{0,3}+[0-9]){11})(?![0-9])",
    re.IGNORECASE,
)
_ROW = b"0" * 12
_NOT_DIGITS = re.compile(r"[^0-9]+")
# Verhoeff, Error Detecting Decimal Codes (1969): the group D5, and a permutation for each place.
_PRODUCT = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip
_PLACES = (
    "0123456789", "1576283094", "5803796142", "8916043527", "9453126870", "4286573901", "2793806415", "7046913258",
)  # fmt: skip


def verhoeff(digits: str) -> bool:
    """Return whether the last digit is Verhoeff's check digit of those before it."""
    check = "0"
    for place, digit in enumerate(reversed(digits)):
        check = _PRODUCT[int(check)][int(_PLACES[place % 8][int(digit)])]
    return check == "0"


def may_hold_aadhaar(reading: Reading) -> bool:
    """Return False only where there is none: too few digits follow each other without a letter."""
    return _ROW in reading.shape


def aadhaar_numbers(text: str) -> Iterator[Span]:
    """Give the spans of numbers."""
    found = [match.span() for match in _GROUPED.finditer(text) if not in_random_id(text, *match.span())]
    found += [match.span(1) for match in _NAMED.finditer(text)]
    yield from sorted(span for span in found if verhoeff(_NOT_DIGITS.sub("", text[slice(*span)])))
