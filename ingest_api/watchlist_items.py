"""The entries of one request that changes lists or snoozes: read, and each checked by itself."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

import msgspec

from ingest_api.errors import ApiError, Code
from schemas.personal_data import find_personal_data
from scoring.rules.program import entity_text
from scoring.rules.watchlists import FOREVER, KIND, LIST_MODES, LIST_NAME, REMOVED, Mode, normalised

MAX_ENTRIES: Final = 1_000
MAX_LOOKUPS: Final = 100
LONGEST_REASON: Final = 500
LONGEST_AUTHOR: Final = 128
LONGEST_SNOOZE_MS: Final = 365 * 86_400_000
_LAST_MS: Final = 10**14 - 1
_LONGEST_TIME: Final = 40  # characters of an ISO 8601 time
_RULE: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}\Z")


class Refusal(StrEnum):
    """Why an entry is not taken; sending it again does not help."""

    BAD_FORM = "bad_form"
    BAD_KIND = "bad_kind"
    BAD_VALUE = "bad_value"
    BAD_RULE = "bad_rule"
    BAD_REASON = "bad_reason"
    PERSONAL_DATA = "personal_data"
    BAD_TIME = "bad_time"
    ENDED = "ended"
    TOO_FAR = "too_far"
    FULL = "full"


class Item(NamedTuple):
    """An entry that can be taken. ``rule``: of a snooze, else empty; ``until`` as in ``scoring.rules.watchlists``."""

    rule: str
    kind: str
    value: str
    until: int
    reason: str


class Order(NamedTuple):
    """What a whole request says. ``mode``: of a list, None where it is not said."""

    mode: Mode | None
    author: str
    reason: str
    entries: Sequence[msgspec.Raw]


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    author: str
    reason: str
    mode: str | None = None
    entries: list[msgspec.Raw] = []
    snoozes: list[msgspec.Raw] = []


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    value: str | int | float
    kind: str = ""
    until: str | int | None = None
    reason: str | None = None
    rule: str = ""


class _Lookups(msgspec.Struct, forbid_unknown_fields=True):
    entries: list[msgspec.Raw]


_BODY = msgspec.json.Decoder(_Body)
_ENTRY = msgspec.json.Decoder(_Entry)
_LOOKUPS = msgspec.json.Decoder(_Lookups)
_UNREADABLE = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError)


def read_order(body: bytes, snoozes: bool) -> Order:
    """Return what a body says, its entries each still as JSON; ApiError 413 or 422."""
    what = "snoozes" if snoozes else "entries"
    try:
        read = _BODY.decode(body)
    except _UNREADABLE:
        raise ApiError(
            Code.INVALID_REQUEST, f'Send {{"author": ..., "reason": ..., "{what}": [...]}}, each as documented.'
        ) from None
    if (read.entries or read.mode is not None) if snoozes else read.snoozes:
        raise ApiError(Code.INVALID_REQUEST, f"This call takes {what}, and nothing of the other.")
    return Order(_mode(read.mode), _author(read.author), _reason(read.reason), _some(read, what, MAX_ENTRIES))


def read_lookups(body: bytes) -> Sequence[msgspec.Raw]:
    """Return the values that are asked about, each still as JSON; ApiError 413 or 422."""
    try:
        read = _LOOKUPS.decode(body)
    except _UNREADABLE:
        raise ApiError(Code.INVALID_REQUEST, 'Send {"entries": [{"kind": ..., "value": ...}]}.') from None
    return _some(read, "entries", MAX_LOOKUPS)


def list_name(text: str) -> str:
    """Return the name of a list as it stood in a path; ApiError 422 for what cannot be one."""
    if LIST_NAME.match(text) is None:
        raise ApiError(
            Code.INVALID_REQUEST, "A list's name has 1 to 64 of a-z, 0-9, - and _, the first a letter or a digit."
        )
    return text


def check_entry(raw: msgspec.Raw, mode: Mode, reason: str, now_ms: int, removing: bool = False) -> Item | Refusal:
    """Return an entry as it is taken, or why it is not. An unset ``until`` is for ever, but a snooze has an end."""
    try:
        entry = _ENTRY.decode(raw)
    except _UNREADABLE:
        return Refusal.BAD_FORM
    if removing and entry.until is not None:
        return Refusal.BAD_FORM
    value = _value(entry)
    until = REMOVED if removing else _until(entry.until, mode == "snooze", now_ms)
    for found in (_misnamed(entry, mode), value, until):
        if isinstance(found, Refusal):
            return found
    why = reason if entry.reason is None else _own_reason(entry.reason)
    if isinstance(why, Refusal):
        return why
    assert isinstance(value, str) and isinstance(until, int)  # noqa: S101 -- else it was refused above
    return Item(entry.rule, entry.kind, value, until, why)


def _misnamed(entry: _Entry, mode: Mode) -> Refusal | None:
    if (mode == "snooze") != bool(entry.rule) or (entry.rule and _RULE.match(entry.rule) is None):
        return Refusal.BAD_RULE
    if mode == "named":
        return Refusal.BAD_KIND if entry.kind else None
    return Refusal.BAD_KIND if KIND.match(entry.kind) is None else None


def _value(entry: _Entry) -> str | Refusal:
    """Return a value as rules see it, so that 7, 7.0 and "7" are the same."""
    text = entity_text(entry.value)
    if not isinstance(text, str) or not normalised(entry.kind, text):
        return Refusal.BAD_VALUE
    return text


def _until(told: str | int | None, snooze: bool, now_ms: int) -> int | Refusal:
    if told is None:
        return Refusal.BAD_TIME if snooze else FOREVER
    until = told if isinstance(told, int) else _milliseconds(told)
    if until is None:
        return Refusal.BAD_TIME
    if until <= now_ms:
        return Refusal.ENDED
    return Refusal.TOO_FAR if until > (now_ms + LONGEST_SNOOZE_MS if snooze else _LAST_MS) else until


def _milliseconds(told: str) -> int | None:
    """Return Unix ms of an ISO 8601 time with its zone."""
    try:
        moment = datetime.fromisoformat(told) if len(told) <= _LONGEST_TIME else None
        return None if moment is None or moment.tzinfo is None else int(moment.timestamp() * 1_000)
    except (ValueError, OverflowError):
        return None


def _mode(text: str | None) -> Mode | None:
    if text is None:
        return None
    for mode in LIST_MODES:
        if mode == text:
            return mode
    raise ApiError(Code.INVALID_REQUEST, f"mode is one of {', '.join(LIST_MODES)}.")


def _author(text: str) -> str:
    if not 0 < len(text.strip()) <= LONGEST_AUTHOR or not text.isprintable():
        raise ApiError(Code.INVALID_REQUEST, f"author says who changes this, in 1 to {LONGEST_AUTHOR} characters.")
    return text.strip()


def _reason(text: str) -> str:
    why = _own_reason(text)
    if why is Refusal.PERSONAL_DATA:
        raise ApiError(Code.INVALID_REQUEST, "reason holds personal data, which lists never keep; say it without.")
    if isinstance(why, Refusal):
        raise ApiError(Code.INVALID_REQUEST, f"reason says why, in 1 to {LONGEST_REASON} characters on one line.")
    return why


def _own_reason(text: str) -> str | Refusal:
    text = text.strip()
    if not 0 < len(text) <= LONGEST_REASON or not text.isprintable():
        return Refusal.BAD_REASON
    return Refusal.PERSONAL_DATA if find_personal_data(text) is not None else text


def _some(read: Any, what: str, most: int) -> Sequence[msgspec.Raw]:
    found: list[msgspec.Raw] = getattr(read, what)
    if not found:
        raise ApiError(Code.INVALID_REQUEST, f"Send at least one of {what}.")
    if len(found) > most:
        raise ApiError(Code.TOO_MANY_ENTRIES, f"Send at most {most:,} of {what} at a time.")
    return found
