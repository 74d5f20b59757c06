"""Watchlists and snoozes as values: what a list is called, and what of an entity it keeps.

A list belongs to one merchant, or is global (merchant ``""``) and holds for all. Its mode says what it does: ``allow``
and ``deny`` decide by themselves, ``named`` is asked by rules as ``list: <name>``, and ``snooze`` silences the rule
that it is named after. Values are never kept: only keyed digests, in which the merchant is, so that no two merchants'
lists can be compared.

**Which values are the same** (``normalised``): Unicode in its composed form (NFC) without white space around it. Beyond
that only where the kind of the entity says what is the same: ``email`` in lower case; ``card``, ``iban`` and ``phone``
without spaces, dots, dashes, slashes and brackets (an IBAN in capitals); ``address`` and ``ip`` in the one form of an
IP address, where it is one. Ids stay as they are, capitals and all. A number is its text, as everywhere in rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from hashlib import blake2b
from ipaddress import IPv6Address, ip_address
from typing import Final, Literal, NamedTuple
from unicodedata import normalize

Mode = Literal["allow", "deny", "named", "snooze"]
MODES: Final[tuple[Mode, ...]] = ("allow", "deny", "named", "snooze")
LIST_MODES: Final[tuple[Mode, ...]] = MODES[:3]
FOREVER: Final = 2**63 - 1
REMOVED: Final = -1
DIGEST_BYTES: Final = 16
LIST_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}\Z")
KIND: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}\Z")
_CACHED: Final = 16_384
_PUNCTUATION: Final = str.maketrans("", "", " \t\u00a0\u202f.-/()")


class ListName(NamedTuple):
    """One list of one merchant; the merchant of a global one is empty. A snooze is named after its rule."""

    merchant: str
    mode: Mode
    name: str


class Line(NamedTuple):
    """What a list says of a value from now on. ``until``: event time in ms, FOREVER, or REMOVED."""

    list: ListName
    digest: bytes
    until: int


def normalised(kind: str, value: str) -> str:
    """Return the form that stands for all texts of a kind that mean the same. ``kind`` empty: of a named list."""
    text = value.strip()
    if not text.isascii():
        text = normalize("NFC", text)
    same = _SAME.get(kind)
    return text if same is None else same(text)


class ListKeys:
    """Digests of values; every process with the same ``key`` makes the same. Safe to share between threads."""

    def __init__(self, key: bytes) -> None:
        secret = blake2b(key, digest_size=32, person=b"rules.lists").digest()
        self._begun = blake2b(digest_size=DIGEST_BYTES, key=secret, person=b"value")
        self.digest: Callable[[str, str, str], bytes] = lru_cache(_CACHED)(self._digest)

    def _digest(self, merchant: str, kind: str, value: str) -> bytes:
        """Return 16 bytes that stand for a value; ``kind`` empty for named lists, ``merchant`` for global ones."""
        made = self._begun.copy()
        text = normalised(kind, value)
        # The lengths keep apart what would read the same together.
        made.update(f"{len(merchant)}:{len(kind)}:{merchant}{kind}{text}".encode("utf-8", "surrogatepass"))
        return made.digest()


def _unspaced(text: str) -> str:
    return text.translate(_PUNCTUATION)


def _address(text: str) -> str:
    try:
        found = ip_address(text)
    except ValueError:
        return text  # no IP address: of a house, perhaps
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return str(mapped or found)


_SAME: Final[Mapping[str, Callable[[str], str]]] = {
    "email": str.lower,
    "card": _unspaced,
    "iban": lambda text: _unspaced(text).upper(),
    "phone": _unspaced,
    "address": _address,
    "ip": _address,
}
