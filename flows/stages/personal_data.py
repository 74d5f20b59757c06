"""What personal data looks like in free text, as bytes: finding it and taking it out.

Card numbers: ISO/IEC 7812 (13 to 19 digits with or without separators, a known issuer prefix, a right Luhn digit).
E-mail: the shape of RFC 5322's addr-spec in everyday use, also percent-encoded. Phone: E.164 with its plus sign.
URLs: anything after ``?`` or ``#``, and credentials before the host.

Every pattern takes time linear in the text, whatever the text; where a bound is passed, the text counts as a find.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from schemas.dead_letter import Reason

# Between two digits of a card number: blanks (also no-break and typographic ones), hyphens, dashes, stops.
_CARD_RUN = re.compile(rb"(?<!\d)\d(?:(?:[ \t\-.+]|\xc2\xa0|\xe2\x80[\x80-\x95\xaf]){0,3}+\d){12,}+")
_DIGITS = re.compile(rb"\d+")
_ISSUERS = re.compile(
    rb"4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|220[0-4]\d{12,15}"
    rb"|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11,16}|35\d{14,17}|6(?:011|5\d\d|4[4-9]\d)\d{12,15}"
    rb"|(?:5[06-9]|6\d)\d{10,17}|8[12]\d{14}|8600\d{12}|9792\d{12}|9860\d{12}"
)
_LOCAL = rb"\w.!#$%'*+^`{|}~\-\"\x80-\xff"
_EMAIL = re.compile(
    rb"(?<![%b])[%b]++@(?:[\w\-\x80-\xff]{1,63}+\.)+(?:[A-Za-z\x80-\xff]{2,63}+|xn--[\w\-]{2,59}+)(?![\w\x80-\xff])"
    % (_LOCAL, _LOCAL)
)
# photo@2x.png and library@1.2.min.js are files; none of these endings is a top-level domain.
_FILE = re.compile(rb"\.(?:png|jpe?g|gif|svg|webp|avif|ico|m?js|cjs|css|json|wasm)\Z", re.IGNORECASE)
_PHONE = re.compile(rb"\+(?<![\w+]\+)[1-9](?:(?:[ \-()./]|\xc2\xa0){0,3}+\d){7,14}+(?!\d)")
_WORD = re.compile(rb"[^\s\0]++")
_MASKS = bytes(48 if 48 <= byte <= 57 else byte for byte in range(256))
_GAP_BYTES = b" \t-.+\xc2\xa0\xe2\xaf" + bytes(range(0x80, 0x96))
_THIRTEEN = b"0" * 13
_GROUPS_READ = 2_000
_DOUBLED = bytes(48 + (2 * d if d < 5 else 2 * d - 9) if (d := byte - 48) in range(10) else byte for byte in range(256))


class Kind(NamedTuple):
    """One kind of personal data: its reason, and where it is in a text."""

    reason: Reason
    spans: Callable[[bytes], Iterator[tuple[int, int]]]


def may_hold(text: bytes) -> bool:
    """Return False only where no kind can be found: a few searches for single bytes and for 13 digits."""
    if b"@" in text or b"?" in text or b"#" in text or b"+" in text or b"%" in text:
        return True
    return _THIRTEEN in text.translate(_MASKS, _GAP_BYTES)


def find_personal_data(text: bytes) -> Reason | None:
    """Return the first kind, in the order of KINDS, that a text holds; also one that is percent-encoded."""
    found = _first(text, KINDS)
    return found or (_first(_plain(text), _ENCODED_KINDS) if b"%" in text else None)


def redact(text: bytes) -> bytes:
    """Return the text with every find of every kind replaced by its name; percent-encoding goes where it hid one."""
    clean = _without(text, KINDS)
    if b"%" in clean and _first(plain := _plain(clean), _ENCODED_KINDS):
        return _without(plain, KINDS)
    return clean


def _first(text: bytes, kinds: Iterable[Kind]) -> Reason | None:
    return next((kind.reason for kind in kinds if any(True for _ in kind.spans(text))), None)


def _without(text: bytes, kinds: Iterable[Kind]) -> bytes:
    for reason, spans in kinds:
        mark = f"[redacted {reason.value.removeprefix('mask.')}]".encode()
        parts: list[bytes] = []
        at = 0
        for start, end in spans(text):
            parts += (text[at:start], mark)
            at = end
        text = b"".join((*parts, text[at:]))
    return text


def _plain(text: bytes) -> bytes:
    """Return the text without percent-encoding, be it encoded up to three times."""
    for _ in range(3):
        text = unquote_to_bytes(text)
    return text


def luhn(digits: bytes) -> bool:
    """Return whether the last digit is the Luhn check digit of those before it (ISO/IEC 7812-1, annex B)."""
    odd, even = digits[::-2], digits[-2::-2].translate(_DOUBLED)
    return (sum(odd) + sum(even) - 48 * len(digits)) % 10 == 0


def _cards(text: bytes) -> Iterator[tuple[int, int]]:
    """Give the spans of card numbers: groups of digits, next to each other, that make one number."""
    budget = _GROUPS_READ
    for run in _CARD_RUN.finditer(text):
        groups = [group.span() for group in _DIGITS.finditer(text, *run.span())]
        budget -= len(groups)
        if budget < 0:  # thousands of groups of digits are no honest text: not worth the time to tell them apart
            yield run.span()
            continue
        yield from _cards_of(text, groups)


def _cards_of(text: bytes, groups: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    first = 0
    while first < len(groups):
        last = _card_from(text, groups, first)
        if last is None:
            first += 1
        else:
            yield groups[first][0], groups[last][1]
            first = last + 1


def _card_from(text: bytes, groups: list[tuple[int, int]], first: int) -> int | None:
    """Return the last group of a card number that begins with group ``first``."""
    start = groups[first][0]
    if text[start - 1 : start] == b"." and text[start - 2 : start - 1].isdigit():
        return None  # the decimals of a number, or a later part of a version
    digits = b""
    found = None
    for last in range(first, len(groups)):
        digits += text[slice(*groups[last])]
        if len(digits) > 19:
            break
        if len(digits) >= 13 and _is_card(digits) and _shaped(groups, first, last):
            found = last
    return found


def _is_card(digits: bytes) -> bool:
    return _ISSUERS.fullmatch(digits) is not None and luhn(digits)


def _shaped(groups: list[tuple[int, int]], first: int, last: int) -> bool:
    """Return whether the groups are as people write cards: of three digits and more, or all of one size."""
    sizes = [end - start for start, end in groups[first:last]]
    return all(size >= 3 for size in sizes) or len(set(sizes)) == 1


def _emails(text: bytes) -> Iterator[tuple[int, int]]:
    return (match.span() for match in _EMAIL.finditer(text) if not _FILE.search(match[0]))


def _urls(text: bytes) -> Iterator[tuple[int, int]]:
    """Give the spans of words with a URL that keeps more than scheme, host and path."""
    if b"://" not in text:
        return
    for word in _WORD.finditer(text):
        _, mark, rest = word[0].partition(b"://")
        if mark and (b"?" in rest or b"#" in rest or b"@" in rest.partition(b"/")[0]):
            yield word.span()


def _phones(text: bytes) -> Iterator[tuple[int, int]]:
    return (match.span() for match in _PHONE.finditer(text))


KINDS = (
    Kind(Reason.CARD_NUMBER, _cards),
    Kind(Reason.EMAIL, _emails),
    Kind(Reason.SECRET_IN_URL, _urls),
    Kind(Reason.PHONE, _phones),
)
_ENCODED_KINDS = tuple(kind for kind in KINDS if kind.reason is not Reason.SECRET_IN_URL)  # %23 is a path's own
