"""The first glance: which texts and ids can hold anything at all. A few passes over the bytes, each in one call."""

from __future__ import annotations

import re

from schemas.personal_data.iban import START, ibans
from schemas.personal_data.reading import classes

_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_HARMLESS = _LETTERS + b" ,.-_:;/!|*\0\t\n\r"
BETWEEN = "\0" * 6  # more than stands between the groups of any number
_SIGNS = re.compile(r"[@+%&\\?#]")
# As ``classes`` shows them: 13 digits and more that no letter touches, and a PAN.
_CARD = re.compile(rb"\0(?:0\0{0,5}+){12,}0(?![a0])")
_PAN = b"\0aaaaa0000a\0"


def may_hold(text: bytes) -> bool:
    """Return False only where ``find_personal_data`` finds nothing in a UTF-8 text.

    What there is to find has a digit or a sign (``@``, ``%``, ``+``, ``?``, ``#``, ``=``, a quote, a bracket ...), is
    not ASCII, or is a JSON Web Token.
    """
    return bool(text.translate(None, _HARMLESS)) or b"eyJ" in text


def ids_may_hold(ids: str) -> bool:
    """Return False only where no id of some, joined by ``BETWEEN``, holds one of ``ID_KINDS``."""
    if not ids.isascii() or _SIGNS.search(ids):
        return True
    small = ids.lower()
    if "pan" in small or "iban" in small:
        return True
    shown = b"\0%b\0" % classes(ids)
    if _PAN in shown or _CARD.search(shown):
        return True
    return START.search(shown) is not None and next(ibans(ids), None) is not None
