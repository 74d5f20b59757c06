"""PAN: India's permanent account number (Income Tax Department): three letters, the holder's status, a letter, four
digits from 0001 on, a letter.

In capitals and in one piece it counts anywhere; in small letters or in pieces only after its name, since product codes
and hashes look so too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from schemas.personal_data.reading import Reading

Span = tuple[int, int]

_SHAPE = b"aaaaa0000a"
_STATUS = "PCHFATBLJG"  # person, company, undivided family, firm, association, trust, body, local, artificial, state
_ALONE = re.compile(rf"[A-Z](?<![0-9A-Za-z].)[A-Z]{{2}}[{_STATUS}][A-Z](?!0000)[0-9]{{4}}[A-Z](?![0-9A-Za-z])")
_NAMED = re.compile(
    rf"(?<![a-z])pan(?:[\W_]?(?:card|number|num|no|nr))?[\W_]{{1,5}}+(?:is[\W_])?"
    rf"([a-z]{{3}}[{_STATUS}][a-z][\W_]{{0,3}}+(?!0000)[0-9]{{4}}[\W_]{{0,3}}+[a-z])(?![0-9a-z])",
    re.IGNORECASE,
)


def may_hold_pan(reading: Reading) -> bool:
    """Return False only where there is none, by the order of its letters and digits."""
    return _SHAPE in reading.shape


def pan_numbers(text: str) -> Iterator[Span]:
    """Give the spans of numbers."""
    found = {match.span() for match in _ALONE.finditer(text)}
    if "pan" in text.lower():
        found |= {match.span(1) for match in _NAMED.finditer(text)}
    yield from sorted(found)
