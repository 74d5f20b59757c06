"""How many digits stand in a row, whatever is between them but letters: the first question about every number."""

from __future__ import annotations

_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_DIGITS = b"0123456789"
_CLASSES = bytes(ord("a") if byte in _LETTERS else ord("0") if byte in _DIGITS else byte for byte in range(256))
_OTHERS = bytes(byte for byte in range(256) if byte not in _LETTERS + _DIGITS)


def shape(text: str) -> bytes:
    """Return the letters of a text as ``a``, its digits as ``0``, and nothing else: ``Pay 12-3x`` is ``aaa000a``."""
    return text.encode("utf-8", "surrogatepass").translate(_CLASSES, _OTHERS)


def in_a_row(text: str, count: int) -> bool:
    """Return False only where no so many digits follow each other without a letter of ASCII between them."""
    return b"0" * count in shape(text)
