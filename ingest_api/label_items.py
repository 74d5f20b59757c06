"""The labels of one request: read, and each checked by itself."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

import msgspec

from ingest_api.errors import ApiError, Code
from schemas.envelope import MAX_NAME_BYTES
from schemas.labels import LABELS, RETENTION_DAYS, TARGETS
from schemas.personal_data import ID_KINDS, find_personal_data

MAX_LABELS = 1_000
_DAY_MS = 86_400_000
_RETENTION_MS = RETENTION_DAYS * _DAY_MS
_LONGEST_TIME = 40  # characters of an ISO 8601 time
_ID_DIGITS = frozenset("0123456789abcdef")


class Refusal(StrEnum):
    """Why a label is not stored; sending it again does not help."""

    BAD_FORM = "bad_form"
    UNKNOWN_TARGET = "unknown_target"
    UNKNOWN_LABEL = "unknown_label"
    BAD_ID = "bad_id"
    PERSONAL_DATA = "personal_data"
    BAD_TIME = "bad_time"
    TOO_OLD = "too_old"
    IN_FUTURE = "in_future"


class Label(NamedTuple):
    """A label that can be stored; ``labelled_at`` in Unix milliseconds."""

    target: str
    id: str
    label: str
    labelled_at: int


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    labels: list[msgspec.Raw]


class _Item(msgspec.Struct, forbid_unknown_fields=True):
    target: str
    id: str
    label: str
    labelled_at: str | int | None = None


_BODY = msgspec.json.Decoder(_Body)
_ITEM = msgspec.json.Decoder(_Item)
_UNREADABLE = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError)


def read_labels(body: bytes) -> Sequence[msgspec.Raw]:
    """Return the labels of a body, each still as JSON; ApiError 413 or 422."""
    try:
        labels = _BODY.decode(body).labels
    except _UNREADABLE:
        raise ApiError(Code.INVALID_REQUEST, 'Send {"labels": [...]}, each as documented.') from None
    if not labels:
        raise ApiError(Code.INVALID_REQUEST, "Send at least one label.")
    if len(labels) > MAX_LABELS:
        raise ApiError(Code.TOO_MANY_LABELS)
    return labels


def check_label(raw: msgspec.Raw, now_ms: int, skew_ms: int) -> Label | Refusal:
    """Return a label as it is stored, or why it is refused. Unset times are now."""
    try:
        item = _ITEM.decode(raw)
    except _UNREADABLE:
        return Refusal.BAD_FORM
    at = now_ms if item.labelled_at is None else _milliseconds(item.labelled_at)
    refusal = _misnamed(item) or _untimely(at, now_ms, skew_ms)
    return refusal or Label(item.target, item.id, item.label, at or 0)


def _misnamed(item: _Item) -> Refusal | None:
    if item.target not in TARGETS:
        return Refusal.UNKNOWN_TARGET
    if item.label not in LABELS:
        return Refusal.UNKNOWN_LABEL
    return _refused_transaction(item.id) if item.target == "transaction" else _refused_id(item.id)


def _untimely(at: int | None, now_ms: int, skew_ms: int) -> Refusal | None:
    if at is None:
        return Refusal.BAD_TIME
    if at > now_ms + skew_ms:
        return Refusal.IN_FUTURE
    return Refusal.TOO_OLD if at <= now_ms - _RETENTION_MS else None


def _refused_id(text: str) -> Refusal | None:
    return None if len(text) == 32 and _ID_DIGITS.issuperset(text) else Refusal.BAD_ID


def _refused_transaction(text: str) -> Refusal | None:
    """Judge a merchant's own id as ``POST /v1/sessions`` does: what could not be announced cannot be labelled."""
    if not 0 < len(text.encode("utf-8", "surrogatepass")) <= MAX_NAME_BYTES or not text.isprintable():
        return Refusal.BAD_ID
    return Refusal.PERSONAL_DATA if find_personal_data(text, ID_KINDS) is not None else None


def _milliseconds(told: str | int) -> int | None:
    """Return Unix milliseconds of a number of them or of an ISO 8601 time with its zone; None where it is neither."""
    if isinstance(told, int):
        return told
    if len(told) > _LONGEST_TIME:
        return None
    try:
        moment = datetime.fromisoformat(told)
        return None if moment.tzinfo is None else int(moment.timestamp() * 1_000)
    except (ValueError, OverflowError):
        return None
