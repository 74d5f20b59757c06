"""What may be seen of a dead letter's payload: clear headers and sizes, or JSON whose texts hold no personal data."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from flows.stages.decode import Decode
from schemas.batches import Ledger, Origin, RawBatch
from schemas.catalogue import load_catalogue
from schemas.dead_letter import DeadLetter
from schemas.envelope import (
    ENVELOPE_BYTES,
    ENVELOPE_DTYPE,
    ENVELOPE_MAGIC,
    ENVELOPE_VERSION,
    NAME_LENGTHS,
    sealed_start,
)
from schemas.keys import KeyRing
from schemas.nested import nested_of
from schemas.personal_data import redact
from schemas.personal_data.split_card import split_card
from schemas.redriven import original_of
from schemas.sealed import HEADER_BYTES, HEADER_DTYPE, SEALED_MAGIC

_ID = re.compile(r"(?:[0-9a-f]{32}|[0-9a-f]{64})")  # ids and digests that we make ourselves
_MOST_TEXT = 500  # characters of one text
Json = dict[str, Any]


def payload_view(letter: DeadLetter, keys: KeyRing | None = None) -> Json:
    """Return what may be seen. ``keys`` opens a sealed event, whose texts are then redacted as well."""
    found: Json = {"format": letter.payload_format, "bytes": len(letter.payload), "sha256": letter.payload_sha256}
    if letter.payload_format == "envelope":
        found |= _envelope(original_of(letter.payload))
        if keys is not None:
            found["opened"] = _opened(letter, keys)
    elif letter.payload_format == "rows":
        found["tables"] = _read(letter.payload, msgspec.msgpack.decode)
    else:
        found["json"] = _read(letter.payload, msgspec.json.decode)
    return found


def _envelope(payload: bytes) -> Json:
    """Return the clear parts of an envelope and a sealed event, as far as they are there; names as lengths only."""
    if len(payload) < ENVELOPE_BYTES or payload[:2] != ENVELOPE_MAGIC:
        return {"envelope": None, "begins_with": payload[:8].hex()}
    head = np.frombuffer(payload[:ENVELOPE_BYTES], ENVELOPE_DTYPE)[0]
    version, start = int(head["version"]), sealed_start(payload)
    envelope: Json = {"version": version, "received_at": int(head["received_at"])}
    if version != ENVELOPE_VERSION or start > len(payload):
        return {"envelope": {**envelope, "whole": False}}
    lengths = {name: int(head[name]) for name in NAME_LENGTHS}
    event_type = payload[start - lengths["event_type_length"] : start].decode("utf-8", "replace")
    sizes = {f"{name.removesuffix('_length')}_bytes": size for name, size in lengths.items()}
    return {"envelope": {**envelope, "event_type": redact(event_type), **sizes}, "sealed": _sealed(payload[start:])}


def _sealed(sealed: bytes) -> Json:
    """Return the clear header, also of a version that this build does not open."""
    if len(sealed) < HEADER_BYTES or sealed[:2] != SEALED_MAGIC:
        return {"bytes": len(sealed), "header": None, "begins_with": sealed[:8].hex()}
    head = np.frombuffer(sealed[:HEADER_BYTES], HEADER_DTYPE)[0]
    numbers = {name: int(head[name]) for name in ("version", "flags", "key_id", "sequence", "sent_at")}
    ids = {name: head[name].tobytes().hex() for name in ("event_id", "session_id", "device_id")}
    return {"bytes": len(sealed), "header": {**numbers, **ids}}


def _opened(letter: DeadLetter, keys: KeyRing) -> Json:
    """Return a sealed event's content by the flow's own stage, redacted; or why it cannot be opened."""
    one = np.array([0], np.int64)
    origin = Origin(letter.topic, one.astype(np.int32), one, one, one)
    catalogue = load_catalogue()
    batch = RawBatch(origin, (letter.payload,), Ledger((), np.empty((1, 0), np.int64)))
    decoded = Decode(keys, catalogue)(batch)
    if decoded.errs:
        return {"fails": decoded.errs[0].reason.value, "detail": decoded.errs[0].detail}
    event = decoded.oks.event
    names = {name: getattr(event, name)[0] for name in ("merchant", "transaction", "linked_id", "card_token")}
    nested = nested_of(decoded.oks.signals, decoded.oks.activity, 0, catalogue)
    return {"names": _without_personal_data(names), **_redacted_event(nested)}


def _redacted_event(nested: Json) -> Json:
    """Return an event in nested form; a card number may lie in pieces, in several texts."""
    signals = nested["signals"]
    texts = _without_personal_data({name: text for name, text in signals.items() if isinstance(text, str)})
    return {**nested, "signals": {**signals, **texts}}


def _without_personal_data(texts: Mapping[str, str]) -> dict[str, str]:
    shown = {name: redact(text) for name, text in texts.items()}
    names = list(shown)
    while pieces := split_card(list(shown.values())):
        shown |= {names[place]: redact(text) for place, text in pieces.items()}
    return shown


def _read(payload: bytes, decode: Any) -> Any:
    try:
        return redacted(decode(payload))
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return {"unreadable": type(error).__name__}


def redacted(value: Any) -> Any:
    """Return JSON or msgpack content with every text redacted, and bytes that are no text as their size."""
    if isinstance(value, dict):
        return {str(redacted(name)): redacted(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(one) for one in value]
    if isinstance(value, bytes):
        return _bytes(value)
    return _text(value) if isinstance(value, str) else value


def _bytes(value: bytes) -> Any:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return {"bytes": len(value)}
    return _text(text) if text.isprintable() else {"bytes": len(value)}


def _text(value: str) -> str:
    if _ID.fullmatch(value):
        return value
    found = redact(value)
    return found if len(found) <= _MOST_TEXT else f"{found[:_MOST_TEXT]}… ({len(found)} characters)"


def as_base64(payload: bytes) -> str:
    """Return a payload as JSON and CSV carry it."""
    return base64.b64encode(payload).decode("ascii")
