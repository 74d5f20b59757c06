"""Phone numbers: E.164 with its plus sign; national ones beside a word that says so, or clearly formatted."""

from __future__ import annotations

import re
from collections.abc import Iterator

from schemas.personal_data.reading import Reading

Span = tuple[int, int]

_INTERNATIONAL = re.compile(
    r"\+(?<![\w+]\+)(?!1[0-4][0-5][0-9] (?:19|20)[0-9]{2}(?![0-9]))"  # 04:30:12 +1000 2026 is a clock's
    r"[1-9](?:[ \-()./\u00b7_]{0,3}+[0-9]){7,14}+(?![0-9])"
)
_SHORTEST, _LONGEST = 7, 15  # digits; ITU-T E.164 allows 15
_ROW = b"0" * _SHORTEST
_STEMS = (
    "tel",
    "phone",
    "mob",
    "cell",
    "handy",
    "fax",
    "sms",
    "callto",
    "whats",
    "wa.me",
    "msisdn",
    "rufn",
    "portable",
)
_NATIONAL = re.compile(r"(?:0\) ?)?[0-9](?<![0-9].)[0-9]++(?:[ \-()/.]{1,3}+[0-9]{2,}+){0,6}+(?![0-9A-Za-z])")
_NAME = re.compile(
    r"(?<![^\W\d_])(?:tele(?:phone|fone?|fono)|phone|tel|mobile|mob|cell|handy|fax|sms(?:to)?|callto|whatsapp|wa\.me"
    r"|msisdn|mobilnummer|rufnummer|telefonnummer|portable)(?:[\W_]?(?:number|num|no|nr))?[\W_]{0,5}+(?:is[\W_])?\Z",
    re.IGNORECASE,
)
_NAME_LENGTH = 32
# (555) 123-4567, 555-123-4567, 1-555-123-4567: the North American way.
_FORMATTED = re.compile(
    r"\((?<![\w)].)[2-9][0-9]{2}\)[ \-.]?[0-9]{3}[ \-.][0-9]{4}(?![\w\-])"
    r"|[1-9](?<![\w.\-].)(?:(?<=1)-[2-9]|(?<!1))[0-9]{2}-[0-9]{3}-[0-9]{4}(?![\w\-])"
)


def may_hold_international(reading: Reading) -> bool:
    """Return False only where there is no plus sign."""
    return "+" in reading.plain


def may_hold_national(reading: Reading) -> bool:
    """Return False only where too few digits follow each other, or neither a word nor a form says so."""
    if _ROW not in reading.shape:
        return False
    return any(map(reading.small.__contains__, _STEMS)) or "(" in reading.plain or "-" in reading.plain


def international_numbers(text: str) -> Iterator[Span]:
    """Give the spans of numbers with a plus sign."""
    yield from (match.span() for match in _INTERNATIONAL.finditer(text))


def national_numbers(text: str) -> Iterator[Span]:
    """Give the spans of numbers that stand beside a word for a phone, or in a form that only phone numbers have."""
    found = [match.span() for match in _FORMATTED.finditer(text)] if "-" in text or "(" in text else []
    if any(map(text.lower().__contains__, _STEMS)):
        found += [match.span() for match in _NATIONAL.finditer(text) if _named(text, match)]
    yield from sorted(found)


def _named(text: str, number: re.Match[str]) -> bool:
    """Return whether a number is as long as a phone's, and the word for one stands before it."""
    start, end = number.span()
    if end - start < _SHORTEST or not _SHORTEST <= sum(map(number[0].count, "0123456789")) <= _LONGEST:
        return False
    return _NAME.search(text[max(0, start - _NAME_LENGTH) : start]) is not None
