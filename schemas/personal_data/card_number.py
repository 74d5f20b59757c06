"""Card numbers: 13 to 19 digits with a known issuer's prefix and a right check digit (ISO/IEC 7812-1).

Prefixes: the issuers' published ranges (Visa, Mastercard, Mir, American Express, Diners Club, JCB, Discover, RuPay,
Maestro, UnionPay, UzCard, Troy, Humo). Between the digits may stand anything but letters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from schemas.personal_data.random_id import in_random_id
from schemas.personal_data.reading import Reading

Span = tuple[int, int]

# Between two groups of digits: " ", "-", " / ", '", "'. Not a percent sign: what it encodes is read decoded.
GAP = r"(?:[^\w%]|_){0,5}+"
_RUN = re.compile(rf"[0-9](?<![0-9].)(?:{GAP}[0-9]){{12,}}+")
_DIGITS = re.compile(r"[0-9]+")
_SOFT = re.compile(r"[ \t+\-]{1,5}+")  # what people and forms put between groups; in a query, + is a blank
_ISSUERS = re.compile(
    r"4[0-9]{12}(?:[0-9]{3}){0,2}|5[1-5][0-9]{14}|2(?:22[1-9]|2[3-9][0-9]|[3-6][0-9][0-9]|7[01][0-9]|720)[0-9]{12}"
    r"|220[0-4][0-9]{12,15}|3[47][0-9]{13}|3(?:0[0-5]|[689][0-9])[0-9]{11,16}|35[0-9]{14,17}"
    r"|6(?:011|5[0-9][0-9]|4[4-9][0-9])[0-9]{12,15}|(?:5[06-9]|6[0-9])[0-9]{11,17}|8[12][0-9]{14}|8600[0-9]{12}"
    r"|9792[0-9]{12}|9860[0-9]{12}"
)
_DOUBLED = str.maketrans("0123456789", "0246813579")  # twice the digit, its own digits added
_NAME_SIGN = re.compile(r"\w")
_SHORTEST, _LONGEST = 13, 19  # digits
_ROW = b"0" * _SHORTEST
_GROUPS_READ = 2_000
_LEAST, _LONG, _LONG_IN_DECIMALS = 4, 10, 6  # digits of a group


def luhn(digits: str) -> bool:
    """Return whether the last digit is the Luhn check digit of those before it (ISO/IEC 7812-1, annex B)."""
    odd, even = digits[::-2], digits[-2::-2].translate(_DOUBLED)
    return sum(map(int, odd)) % 10 == -sum(map(int, even)) % 10


def is_card(digits: str) -> bool:
    """Return whether digits without anything between them are a card number."""
    return _ISSUERS.fullmatch(digits) is not None and luhn(digits)


def may_hold_card(reading: Reading) -> bool:
    """Return False only where there is no card number: too few digits follow each other without a letter."""
    return _ROW in reading.shape


def card_numbers(text: str) -> Iterator[Span]:
    """Give the spans of card numbers: groups of digits, next to each other, that make one number."""
    budget = _GROUPS_READ
    for run in _RUN.finditer(text):
        groups = [group.span() for group in _DIGITS.finditer(text, *run.span())]
        budget -= len(groups)
        if budget < 0:  # thousands of groups of digits are no honest text: not worth the time to tell them apart
            yield run.span()
            continue
        yield from _numbers_of(text, groups)


def card_numbers_alone(text: str) -> Iterator[Span]:
    """Give the spans of card numbers that no letter or underscore touches, in printed groups, with no digits around."""
    for run in _RUN.finditer(text):
        groups = [group.span() for group in _DIGITS.finditer(text, *run.span())]
        start, end = run.span()
        touched = _NAME_SIGN.match(text[max(0, start - 1) : start]) or _NAME_SIGN.match(text[end : end + 1])
        if not touched and _printed(groups) and is_card("".join(text[a:b] for a, b in groups)):
            yield start, end


def _numbers_of(text: str, groups: list[Span]) -> Iterator[Span]:
    first = 0
    while first < len(groups):
        last = _number_from(text, groups, first)
        if last is None:
            first += 1
        else:
            yield groups[first][0], groups[last][1]
            first = last + 1


def _number_from(text: str, groups: list[Span], first: int) -> int | None:
    """Return the last group of the longest card number that begins with group ``first``."""
    start = groups[first][0]
    if text[start - 1 : start] == "." and text[start - 2 : start - 1].isdigit():
        return None  # the decimals of a number, or a later part of a version
    digits = ""
    found = None
    for last in range(first, len(groups)):
        digits += text[slice(*groups[last])]
        if len(digits) > _LONGEST:
            break
        if len(digits) >= _SHORTEST and is_card(digits) and _shaped(text, groups, first, last):
            found = last
    return found


def _shaped(text: str, groups: list[Span], first: int, last: int) -> bool:
    """Return whether the groups are as people write cards, and not as versions, dates, lists and hashes are written.

    Groups as they are printed stand anywhere. Others have four digits and more, and no digits next to them; with
    anything but blanks and hyphens between them, they have ten digits and less, with stops or commas six.
    """
    part = groups[first : last + 1]
    if in_random_id(text, part[0][0], part[-1][1]):
        return False
    gaps = [text[one[1] : other[0]] for one, other in pairwise(part)]
    sizes = [end - start for start, end in part]
    if not _printed(part) and (min(sizes[:-1]) < _LEAST or len(part) < len(groups)):
        return False
    most = _LONG_IN_DECIMALS if any("." in gap or "," in gap for gap in gaps) else _LONG
    return max(sizes) <= most or all(_SOFT.fullmatch(gap) for gap in gaps)


def _printed(groups: list[Span]) -> bool:
    """Return whether the groups are of one size (the last may be shorter), or 4-6-5 or 4-6-4, or there is only one."""
    sizes = [end - start for start, end in groups]
    return len(sizes) == 1 or sizes[:2] == [4, 6] or (len(set(sizes[:-1])) == 1 and sizes[-1] <= sizes[0])
