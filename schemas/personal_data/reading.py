"""How a text is read: in one script, and without its encodings.

``shown`` is the text as it stands, ``plain`` the same with one code point for each of its own: every decimal digit of
Unicode as 0 to 9, letters and signs that NFKC makes ASCII (full-width, mathematical, superscript) as ASCII, dashes as
``-``, blanks and invisible characters as a blank. A span of one is therefore a span of the other.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from html import unescape
from string import ascii_letters, digits
from typing import NamedTuple
from urllib.parse import unquote

_TIMES = 3  # how often a text may be encoded: a page's value in a URL, in another URL's query, in an error
_ESCAPE = re.compile(r"\\u([0-9A-Fa-f]{4})|\\x([0-9A-Fa-f]{2})")
_REMEMBERED = 8_192  # code points
_LETTERS, _DIGITS = ascii_letters.encode(), digits.encode()
_CLASSES = bytes(ord("a") if byte in _LETTERS else ord("0") if byte in _DIGITS else 0 for byte in range(256))
_BLANKS = frozenset(("Zs", "Zl", "Zp", "Cf"))


class Reading(NamedTuple):
    """One way to read a text, and what tells at a glance which kinds of find it cannot hold."""

    shown: str
    plain: str
    small: str  # ``plain`` in small letters
    shape: bytes  # letters of ASCII as ``a``, digits as ``0``, nothing else: ``Pay 12-3x`` is ``aaa000a``
    encoded: bool  # it was decoded to be read so


def readings(text: str) -> Iterator[Reading]:
    """Give the text as it stands, then decoded once, twice and three times, as long as that changes it."""
    yield _reading(text, encoded=False)
    for _ in range(_TIMES):
        inner = decoded(text)
        if inner == text:
            return
        text = inner
        yield _reading(text, encoded=True)


def _reading(text: str, *, encoded: bool) -> Reading:
    plain = folded(text)
    return Reading(text, plain, plain.lower(), classes(plain).translate(None, b"\0"), encoded)


def classes(plain: str) -> bytes:
    """Return one byte for each code point: ``a`` for a letter of ASCII, ``0`` for a digit, NUL for anything else."""
    return plain.encode("latin-1", "replace").translate(_CLASSES)


def decoded(text: str) -> str:
    """Return a text without one layer of percent-encoding, of HTML's character references, of JavaScript's escapes."""
    if "%" in text:
        text = unquote(text, errors="replace")
    if "&" in text:
        text = unescape(text)
    if "\\" in text:
        text = _ESCAPE.sub(lambda found: chr(int(found[1] or found[2], 16)), text)
    return text


def folded(text: str) -> str:
    """Return the text in one script, code point for code point."""
    return text if text.isascii() else text.translate(_FOLDS)


class _Folds(dict[int, str]):
    """What code points stand for, found when first asked for."""

    def __missing__(self, point: int) -> str:
        """Return what a code point stands for; remember it, up to a bound."""
        found = chr(point) if point < _FIRST_FOLDED else _fold(chr(point))
        if len(self) < _REMEMBERED:
            self[point] = found
        return found


_FIRST_FOLDED = 0x80
_FOLDS = _Folds()


def _fold(character: str) -> str:
    digit = unicodedata.digit(character, -1)
    if digit >= 0:
        return str(digit)
    category = unicodedata.category(character)
    if category in _BLANKS:
        return " "
    if category == "Pd" or character == "\u2212":  # the minus sign is a sign of mathematics, not a dash
        return "-"
    compatible = unicodedata.normalize("NFKC", character) if unicodedata.decomposition(character) else ""
    return compatible if len(compatible) == 1 and compatible.isascii() else character
