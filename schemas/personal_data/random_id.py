"""Hexadecimal numbers that stand for no person: UUIDs, and hashes of files. Their digits are no card's."""

from __future__ import annotations

import re

_UUID = re.compile(r"(?<![0-9A-Za-z])[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}(?![0-9A-Za-z])")
_UUID_LENGTH = 36
_BEFORE = re.compile(r"(?<![0-9A-Za-z])[0-9A-Fa-f]*+\Z")
_AFTER = re.compile(r"[0-9A-Fa-f]*+(?![0-9A-Za-z])")
_LETTERS = re.compile(r"[A-Fa-f]+")
_HASH_MIN, _HASH_MAX = 20, 130  # digits; SHA-512 has 128


def in_random_id(text: str, start: int, end: int) -> bool:
    """Return whether a part of a text belongs to a UUID, or to a hexadecimal number of 20 digits and more."""
    return _in_uuid(text, start, end) or _in_hash(text, start, end)


def _in_uuid(text: str, start: int, end: int) -> bool:
    first = max(0, start - _UUID_LENGTH)
    around = _UUID.finditer(text[first : end + _UUID_LENGTH])
    touching = [found for found in around if first + found.start() < end and start < first + found.end()]
    return any(_LETTERS.search(found[0]) for found in touching)


def _in_hash(text: str, start: int, end: int) -> bool:
    before = _BEFORE.search(text[max(0, start - _HASH_MAX) : start])
    after = _AFTER.match(text[end : end + _HASH_MAX])
    if before is None or after is None:
        return False
    letters = len(_LETTERS.findall(before[0])) + len(_LETTERS.findall(after[0]))
    return letters >= 3 and len(before[0]) + end - start + len(after[0]) >= _HASH_MIN
