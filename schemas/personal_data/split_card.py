"""A card number that lies in pieces in several texts of one event.

A piece is a run of digits at a text's end, at a text's beginning, or a text that has nothing but digits; in groups of
one size with blanks or hyphens between them, so that dates and lists are none. A number is looked for where one text's
end and another's beginning meet, with texts of digits alone between them: an order's number at the end of two URLs is
none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import NamedTuple

from schemas.personal_data.card_number import Span, is_card
from schemas.personal_data.reading import Reading, readings

_RUN = r"[0-9]++(?:[ \-]{1,3}+[0-9]++)*+"
_LEAD = re.compile(rf"[\W_]*+({_RUN})(?![\W_]*+[0-9]|[^\W_])")
_TAIL = re.compile(rf"(?<![^\W_])({_RUN})[\W_]*+\Z")
_DIGITS = re.compile(r"[0-9]+")
_READ = 60  # characters at a text's end: 19 digits with what stands between them, and a little more
_GROUPS = 6  # of a piece: it may begin or end within so many
_PERMUTED = 4
_MOST = 19


class Edges(NamedTuple):
    """The pieces of a text, as spans of its last reading. ``whole``: the two are one, and there is nothing else."""

    reading: Reading
    lead: Span | None
    tail: Span | None
    whole: bool


def edges(text: str) -> Edges:
    """Return the pieces of a text."""
    *_, reading = readings(text)
    plain = reading.plain
    lead, cut = _LEAD.match(plain, 0, _READ + 1), max(0, len(plain) - _READ)
    tail = _TAIL.search(plain, cut)
    found = tail.span(1) if tail else None
    if lead and lead.end(1) > _READ - 5 and len(plain) > _READ:
        return Edges(reading, None, found, whole=False)  # digits without end are no piece of a card
    start = lead.span(1) if lead and _even(lead[1], -1) else None
    found = found if tail and _even(tail[1], 0) else None
    return Edges(reading, start, found, whole=start is not None and start == found)


def _even(run: str, cut: int) -> bool:
    """Return whether all groups are of one size, but the one at the cut, which may be shorter."""
    sizes = list(map(len, _DIGITS.findall(run)))
    inner = sizes[:-1] if cut else sizes[1:]
    return len(set(inner)) < 2 and (not inner or sizes[cut] <= inner[0]) and sum(sizes) > 1


def may_begin(text: str) -> bool:
    """Return whether a text begins with a piece: without one in an event there is no number in pieces."""
    if text.isascii() and "%" not in text[:_READ] and "&" not in text[:_READ] and "\\" not in text[:_READ]:
        return _LEAD.match(text, 0, _READ + 1) is not None and edges(text).lead is not None
    return edges(text).lead is not None


def split_card(texts: Sequence[str]) -> dict[int, str]:
    """Return the texts with the pieces of one card number, by their places, without them; empty if there is none."""
    known = [edges(text) for text in texts]
    for places in _chains(known):
        spans = _spans_of([known[place] for place in places])
        if spans:
            pairs = zip(places, spans, strict=True)
            return {place: _cut(known[place].reading.shown, span) for place, span in pairs}
    return {}


def _cut(text: str, span: Span) -> str:
    return f"{text[: span[0]]}[redacted card_number]{text[span[1] :]}"


def _chains(known: Sequence[Edges]) -> Iterator[tuple[int, ...]]:
    """Give the orders in which texts may be read as one number: a text's end, whole texts, another's beginning."""
    whole = [place for place, found in enumerate(known) if found.whole]
    tails = [place for place, found in enumerate(known) if found.tail and not found.whole]
    leads = [place for place, found in enumerate(known) if found.lead and not found.whole]
    middles = [(), *(tuple(whole[i:j]) for i in range(len(whole)) for j in range(i + 1, len(whole) + 1))]
    for middle in middles:
        for first in [(), *((place,) for place in tails)]:
            for last in [(), *((place,) for place in leads)]:
                if len(first) + len(middle) + len(last) > 1 and first != last:
                    yield (*first, *middle, *last)
    if len(whole) <= _PERMUTED:
        for count in range(2, len(whole) + 1):
            yield from permutations(whole, count)


def _spans_of(pieces: Sequence[Edges]) -> list[Span] | None:
    """Return which part of each piece belongs to a card number that they make together."""
    first, *middle, last = pieces
    inner = [piece.lead or (0, 0) for piece in middle]
    between = "".join(_digits(piece, span) for piece, span in zip(middle, inner, strict=True))
    if len(between) > _MOST:
        return None
    for start in _starts(first):
        for end in _ends(last):
            parts = _digits(first, start), between, _digits(last, end)
            if parts[0] != parts[2] and 13 <= sum(map(len, parts)) <= _MOST and is_card("".join(parts)):
                return [start, *inner, end]
    return None


def _starts(piece: Edges) -> Iterator[Span]:
    """Give the parts of a text's end that begin with a group of digits."""
    if piece.tail is not None:
        start, end = piece.tail
        groups = [group.start() for group in _DIGITS.finditer(piece.reading.plain, start, end)]
        yield from ((at, end) for at in dict.fromkeys((start, *groups[-_GROUPS:])))


def _ends(piece: Edges) -> Iterator[Span]:
    """Give the parts of a text's beginning that end with a group of digits."""
    if piece.lead is not None:
        start, end = piece.lead
        groups = [group.end() for group in _DIGITS.finditer(piece.reading.plain, start, end)]
        yield from ((start, at) for at in dict.fromkeys((end, *groups[:_GROUPS])))


def _digits(piece: Edges, span: Span) -> str:
    return "".join(_DIGITS.findall(piece.reading.plain, *span))
