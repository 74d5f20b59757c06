"""What ``POST /v1/decisions`` is asked: an event with its type, time and entities, and any JSON beside them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import msgspec

from ingest_api.errors import ApiError, Code
from schemas.envelope import EVENT_TYPE_FORM
from schemas.redaction import holds_in_id
from scoring.rules.answers import LONGEST_TEXT
from scoring.rules.evaluate import Happening

MAX_DEPTH: Final = 32
MAX_VALUES: Final = 4_096
MAX_KINDS: Final = 32
MAX_OF_A_KIND: Final = 16
MAX_EVENT_ID: Final = 128
DIGEST_BYTES: Final = 16
_KIND_FORM = r"[a-z][a-z0-9_]{0,31}"
_EVENT_TYPE = re.compile(EVENT_TYPE_FORM)
_KIND = re.compile(_KIND_FORM)
_EVENT_ID = re.compile(rf"[!-~]{{1,{MAX_EVENT_ID}}}")
_SESSION_ID = re.compile(r"[0-9a-f]{32}")
_LONGEST_TIME = 40  # characters of an ISO 8601 time
_LATEST = 10**14 - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_UNREADABLE = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError)
_PLACE = re.compile(r"at `\$\.([a-z_]+)")
_LACKING = re.compile(r"missing required field `([a-z_]+)`")
_SENTENCES: Final[Mapping[str, str]] = {
    "event_id": f"Send event_id as 1 to {MAX_EVENT_ID} characters of visible ASCII, without personal data.",
    "event_type": "Send event_type in your own words as payment, log_in or sign_up: small letters, digits and _, "
    "at most 32.",
    "occurred_at": "Send occurred_at as ISO 8601 with its zone, or as Unix milliseconds.",
    "entities": f"Send entities as an object of at most {MAX_KINDS} kinds (small letters, digits and _), each a text "
    f"of at most {LONGEST_TEXT} characters, a number, null or a list of at most {MAX_OF_A_KIND}.",
    "session_id": "Send session_id as the 32 hex digits that POST /v1/sessions gave, or leave it out.",
    "data": "Send data as a JSON object, or leave it out.",
}
_FORM = (
    'Send {"event_id": ..., "event_type": ..., "occurred_at": ..., "entities": {...}, "data": {...}} and nothing else.'
)
_TOO_MUCH = f"Send JSON nested at most {MAX_DEPTH} deep, with at most {MAX_VALUES:,} values."

Name = str | int | float


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    event_id: str
    event_type: str
    occurred_at: str | int
    entities: dict[str, Name | list[Name] | None] = {}
    session_id: str | None = None
    data: dict[str, Any] = {}


class Asked(NamedTuple):
    """An event to be decided about. ``digest`` is the same for bodies that say the same."""

    happening: Happening
    session_id: str | None
    digest: bytes


_BODY = msgspec.json.Decoder(_Body)
_CANONICAL = msgspec.json.Encoder(order="deterministic")


class Reader:
    """Reads bodies; ``key`` keys their digests, since what is in them may be guessed."""

    def __init__(self, key: bytes, max_skew_ms: int) -> None:
        self._key = blake2b(key, digest_size=32, person=b"decision.body").digest()
        self._max_skew = max_skew_ms

    def read(self, body: bytes, now_ms: int) -> Asked:
        """Return what is asked; ApiError 422 with one sentence, which never repeats what was sent."""
        try:
            read = _BODY.decode(body)
        except _UNREADABLE as error:
            raise ApiError(Code.INVALID_REQUEST, _sentence(error)) from None
        at = milliseconds(read.occurred_at)
        if wrong := _wrong(read, at):
            raise ApiError(Code.INVALID_REQUEST, _SENTENCES[wrong])
        if at is None or at > now_ms + self._max_skew:
            raise ApiError(Code.EVENT_TIME_AHEAD)
        if _may_be_too_much(body) and _is_too_much(read.data):
            raise ApiError(Code.INVALID_REQUEST, _TOO_MUCH)
        event = {
            "event_id": read.event_id,
            "event_type": read.event_type,
            "occurred_at": at,
            "entities": read.entities,
            "session_id": read.session_id,
            "data": read.data,
        }
        digest = blake2b(_CANONICAL.encode(event), digest_size=DIGEST_BYTES, key=self._key).digest()
        return Asked(Happening(event, read.event_type, read.event_id, at), read.session_id, digest)


def milliseconds(told: str | int) -> int | None:
    """Return Unix milliseconds of a number of them or of an ISO 8601 time with its zone; None where it is neither."""
    if isinstance(told, int):
        return told if 1 <= told <= _LATEST else None
    if len(told) > _LONGEST_TIME:
        return None
    try:
        moment = datetime.fromisoformat(told)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    at = (moment - _EPOCH) // _MS
    return at if at >= 1 else None


def _sentence(error: Exception) -> str:
    """Say which field is wrong: the library's own message may repeat what was sent."""
    found = _PLACE.search(str(error)) or _LACKING.search(str(error))
    return _SENTENCES.get(found[1], _FORM) if found else _FORM


def _wrong(read: _Body, at: int | None) -> str | None:
    """Return the field that is not as documented."""
    if not _EVENT_ID.fullmatch(read.event_id) or holds_in_id(read.event_id):
        return "event_id"
    if not read.event_type or not _EVENT_TYPE.fullmatch(read.event_type):
        return "event_type"
    if at is None:
        return "occurred_at"
    if read.session_id is not None and not _SESSION_ID.fullmatch(read.session_id):
        return "session_id"
    kinds = read.entities
    if len(kinds) > MAX_KINDS or not (_are_kinds(tuple(kinds)) and all(map(_fits, kinds.values()))):
        return "entities"
    return None


@lru_cache(512)
def _are_kinds(names: tuple[str, ...]) -> bool:
    """Return whether all of the names are well formed; a merchant's events have the same ones again and again."""
    return all(map(_KIND.fullmatch, names))


def _fits(value: Name | list[Name] | None) -> bool:
    if isinstance(value, str):
        return len(value) <= LONGEST_TEXT
    if isinstance(value, list):
        return len(value) <= MAX_OF_A_KIND and all(map(_is_short, value))
    return value is None or _is_short(value)


def _is_short(value: Name) -> bool:
    return len(value) <= LONGEST_TEXT if isinstance(value, str) else abs(value) <= 1e300


def _may_be_too_much(body: bytes) -> bool:
    """Tell whether the JSON has to be walked: few brackets cannot be deep, nor few commas many."""
    return body.count(b"{") + body.count(b"[") > MAX_DEPTH or body.count(b",") > MAX_VALUES


def _is_too_much(data: Any) -> bool:
    level, values = [data], 1
    for _ in range(MAX_DEPTH):
        level = [child for one in level for child in _children(one)]
        values += len(level)
        if not level or values > MAX_VALUES:
            return values > MAX_VALUES
    return True


def _children(value: Any) -> Any:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
