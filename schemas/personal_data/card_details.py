"""A card's security code and its date of expiry, each only beside the words that say what it is."""

from __future__ import annotations

import re
from collections.abc import Iterator

from schemas.personal_data.reading import Reading

Span = tuple[int, int]

_CODE = re.compile(
    r"(?:cv[vcn]2?|cav2|(?<![a-z])csc|security[\W_]?code|card[\W_]?code|(?:card|code)[\W_]?verification"
    r"|verification[\W_]?(?:value|number)|kartenpr\u00fcfnummer|pr\u00fcfziffer|cryptogramme)"
    r"(?:[\W_]?(?:code|number|num|no|value|nr))?[\W_]{0,5}+(?:is[\W_])?([0-9]{3,4})(?![0-9A-Za-z])",
    re.IGNORECASE,
)
_YEAR = r"(?:(?:20)?(?:2[4-9]|[34][0-9]))"  # a card of an earlier year is no harm, and 12/23 is a day of December
_EXPIRY = re.compile(
    rf"(?<![a-z])(?:card)?[\W_]?exp(?:iry|iration)?(?:[\W_]?(?:date|dt))?[\W_]{{0,4}}+(?:is[\W_])?"
    rf"((?:0?[1-9]|1[0-2])[\W_]{{1,3}}+{_YEAR}|(?:0[1-9]|1[0-2]){_YEAR})(?![0-9A-Za-z])",
    re.IGNORECASE,
)
_EXPIRY_PART = re.compile(
    r"(?<![a-z])(?:card)?[\W_]?exp(?:iry|iration)?[\W_]?(?:month|mm|year|yy(?:yy)?)[\W_]{1,5}+([0-9]{2,4})(?![0-9A-Za-z])",
    re.IGNORECASE,
)
_DATE = re.compile(rf"[01](?<![0-9/.:\-].)(?:(?<=0)[1-9]|(?<=1)[0-2]) ?[/\-] ?{_YEAR}(?![0-9A-Za-z]|[/.:\-][0-9])")
_CARD_WORD = re.compile(
    r"(?<![a-z])(?:(?<!gift )(?<!gift-)(?<!gift_)card|visa|mastercard|master card|amex|american express|maestro|rupay"
    r"|diners|kreditkarte|carte bancaire|tarjeta|good thru|mm ?/ ?yy|expir(?:y|es)[ :]+card)(?![a-z]|-[a-z])",
    re.IGNORECASE,
)
_WORDS = (
    "cv", "cav2", "csc", "code", "verif", "pr\u00fcf", "crypto", "exp", "card", "visa", "amex", "american", "maestro",
    "rupay", "diners", "karte", "carte", "tarjeta", "good thru", "yy",
)  # fmt: skip
_NEAR = 40  # characters


def may_hold_details(reading: Reading) -> bool:
    """Return False only where there are no two digits, or none of the words."""
    return b"00" in reading.shape and any(map(reading.small.__contains__, _WORDS))


def card_details(text: str) -> Iterator[Span]:
    """Give the spans of security codes and dates of expiry, without the words beside them."""
    found = [match.span(1) for pattern in (_CODE, _EXPIRY, _EXPIRY_PART) for match in pattern.finditer(text)]
    found += [match.span() for match in _DATE.finditer(text) if _CARD_WORD.search(_around(text, *match.span()))]
    yield from sorted(found)


def _around(text: str, start: int, end: int) -> str:
    return text[max(0, start - _NEAR) : start] + "|" + text[end : end + _NEAR]
