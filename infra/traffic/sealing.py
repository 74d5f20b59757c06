"""Sealing: planned events to the bytes that a browser sends, spoilt where the visit says so."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from infra.traffic.attackers.malformed import SPOILS
from infra.traffic.rows import columns
from infra.traffic.visits import Planned
from schemas.catalogue import load_catalogue
from schemas.log_codes import load_log_codes
from schemas.payload import encode_payloads
from schemas.sealed import Codec, Header, pack_body

_TARGET_NAMES = {number: name for name, number in load_log_codes().targets.items()}


class Keys(NamedTuple):
    """What a page got for its session."""

    key_id: int
    session_id: bytes
    cipher: AESGCM


def bodies(events: Sequence[Planned]) -> list[bytes]:
    """Return the vector payload of each event."""
    return encode_payloads(*columns(events))


def nested_body(event: Planned) -> bytes:
    """Return the event as the nested JSON of ``Codec.NESTED_JSON``; ValueError for infinite numbers."""
    signals = {name: value for name, value in event.all_signals().items() if value is not None}
    if any(isinstance(value, float) and math.isinf(value) for value in signals.values()):
        raise ValueError("JSON has no infinite numbers; use the vector form")
    log = [{"t": t, "code": c, "value": v, "target": _TARGET_NAMES[g]} for t, c, v, g in event.log]
    return msgspec.json.encode({"catalogue": load_catalogue().version, "signals": signals, "activity": log})


def seal_event(
    header: Header, body: bytes, cipher: AESGCM, nonce: bytes, codec: Codec = Codec.RAW, spoil: str | None = None
) -> bytes:
    """Return the sealed event."""
    if spoil is not None:
        return _spoilt(header, body, cipher, nonce, spoil)
    clear = header.pack()
    return clear + nonce + cipher.encrypt(nonce, pack_body(body, codec), clear)


def _spoilt(header: Header, body: bytes, cipher: AESGCM, nonce: bytes, way: str) -> bytes:
    spoil = SPOILS[way]
    header = spoil.header(header) if spoil.header else header
    body = spoil.body(body) if spoil.body else body
    plaintext = spoil.plaintext(body) if spoil.plaintext else pack_body(body, spoil.codec)
    if spoil.wrong_key:
        cipher = AESGCM(bytes(nonce) * 2 + header.event_id[:8])
    clear = header.pack()
    sealed = clear + nonce + cipher.encrypt(nonce, plaintext, clear)
    return spoil.sealed(sealed) if spoil.sealed else sealed
