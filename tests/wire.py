"""Sealed records for tests: honest ones, and one of every kind of bad ones. All of it is fixed: no clock, no chance."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from flows.parcel import Parcel, Span
from schemas.batches import Ledger, Origin, RawBatch
from schemas.catalogue import load_catalogue
from schemas.dead_letter import Reason
from schemas.envelope import Attested, address_bytes, wrap
from schemas.keys import KeyRing
from schemas.nested import Entry, NestedEvent, columns_of
from schemas.payload import encode_payloads
from schemas.sealed import MAX_BODY_BYTES, Codec, Header, pack_body, seal

CATALOGUE = load_catalogue()
RING = KeyRing({1: hashlib.sha256(b"clickgoose dataset").digest(), 2: b"\x22" * 32})  # 1: as infra.traffic.dataset
TOPIC = "events.raw"
NOW = 1_790_000_000_000  # ms; 2026-09-21, summer time in Berlin
LATENESS = 86_400_000
CANARY_CARD = "4111 1111 1111 1111"
CANARY_EMAIL = "jane.canary@example.com"
CANARY_PHONE = "+49 151 23456789"
CANARY_IBAN = "DE89 3704 0044 0532 0130 00"
CANARY_AADHAAR = "9999 4105 7058"
CANARY_CODE = "cvv=739"
CANARY_URL = "https://shop.example/pay?token=CANARYSECRET"
USER_AGENT = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/147.0.0.0 Safari/537.36"
)
RENDERER = "ANGLE (NVIDIA, NVIDIA GeForce RTX 3060 (0x00002504) Direct3D11 vs_5_0 ps_5_0, D3D11)"

Values = Mapping[str, Any]
HONEST: Values = {
    "screen.width": 1920, "screen.height": 1080, "screen.avail_width": 1920, "screen.avail_height": 1040,
    "screen.outer_width": 1920, "screen.outer_height": 1040, "screen.inner_width": 1905, "screen.inner_height": 905,
    "screen.device_pixel_ratio": 1.25, "screen.is_extended": False,
    "navigator.user_agent": USER_AGENT, "navigator.webdriver": False, "navigator.platform": "Win32",
    "navigator.vendor": "Google Inc.", "navigator.language": "de-DE", "navigator.languages": "de-DE,de,en",
    "navigator.hardware_concurrency": 8, "navigator.max_touch_points": 0, "navigator.device_memory": 8,
    "client_hints.platform": "Windows", "client_hints.mobile": False, "client_hints.brand_version": 147,
    "worker.user_agent": USER_AGENT, "worker.platform": "Win32", "worker.language": "de-DE",
    "worker.hardware_concurrency": 8, "worker.webgl_vendor": "Google Inc. (NVIDIA)", "worker.webgl_renderer": RENDERER,
    "frame.user_agent": USER_AGENT, "frame.platform": "Win32", "frame.language": "de-DE",
    "frame.hardware_concurrency": 8,
    "webgl.vendor": "Google Inc. (NVIDIA)", "webgl.renderer": RENDERER, "webgl.unmasked_renderer": RENDERER,
    "webgl.unmasked_vendor": "Google Inc. (NVIDIA)",
    "webgl.max_texture_size": 16384, "webgl.max_viewport_width": 32767, "webgl.max_viewport_height": 32767,
    "canvas.readback_errors": 0, "canvas.pixel_differences": 0, "audio.noise": 0,
    "intl.timezone": "Europe/Berlin", "intl.timezone_offset": -120,
    "page.url": "https://shop.example/checkout", "page.referrer": "https://shop.example/cart", "page.title": "Checkout",
}  # fmt: skip
ENTRIES = (
    Entry(code=100, t=0, value=312.0, target="document"),
    Entry(code=201, t=900, target="card_number"),
    *(Entry(code=203, t=1000 + 110 * k, value=float(100 + 7 * (k % 5)), target="card_number") for k in range(16)),
    Entry(code=204, t=3100, value=640.0),
    Entry(code=207, t=3400, value=92.0, target="button"),
)


def digest(*parts: object) -> bytes:
    """Return 32 fixed bytes that look like chance."""
    return hashlib.sha256(repr(parts).encode()).digest()


def payload(signals: Values | None = None, entries: Sequence[Entry] = ENTRIES) -> bytes:
    """Return a vector payload: the honest signals with ``signals`` over them; None takes one away."""
    values = {**HONEST, **(signals or {})}
    return encode_payloads(*columns_of([NestedEvent(signals=values, activity=list(entries))], CATALOGUE))[0]


def nested_payload(signals: Values | None = None) -> bytes:
    """Return the same as nested JSON."""
    return json.dumps({"signals": {**HONEST, **(signals or {})}, "activity": []}).encode()


def header(row: int, *, device: int | None = None, sent_at: int | None = None, key_id: int = 1) -> Header:
    """Return the clear header of a row; eight sessions, four devices."""
    device = row % 4 if device is None else device
    return Header(
        key_id=key_id,
        session_id=digest("session", row % 8)[:16],
        device_id=digest("device", device)[:16],
        event_id=digest("event", row)[:16],
        sequence=row,
        sent_at=NOW + 1000 * row if sent_at is None else sent_at,
    )


def sealed(row: int, body: bytes, codec: Codec = Codec.RAW, head: Header | None = None) -> bytes:
    """Return a sealed event with a fixed nonce."""
    head = head or header(row)
    key = RING.derive(head.key_id, head.session_id, "seal")
    return seal(head, body, key or b"\x33" * 32, digest("nonce", row)[:12], codec)


def enveloped(row: int, event: bytes, received_at: int | None = None) -> bytes:
    """Return the record that the ingest tier would write."""
    attested = Attested("shop-1", f"order-{row // 4}", "")
    return wrap(attested, NOW + 1000 * row + 40 if received_at is None else received_at, ADDRESS, event)


ADDRESS = address_bytes("192.0.2.17")


def record(row: int, signals: Values | None = None, codec: Codec = Codec.RAW) -> bytes:
    """Return a good record."""
    body = nested_payload(signals) if codec is Codec.NESTED_JSON else payload(signals)
    return enveloped(row, sealed(row, body, codec))


def with_plaintext(row: int, plaintext: bytes) -> bytes:
    """Return a record whose payload decrypts to exactly these bytes."""
    head = header(row)
    key = RING.derive(head.key_id, head.session_id, "seal")
    assert key is not None
    nonce = digest("nonce", row)[:12]
    return enveloped(row, head.pack() + nonce + AESGCM(key).encrypt(nonce, plaintext, head.pack()))


def _flipped(row: int) -> bytes:
    good = record(row)
    return good[:-1] + bytes((good[-1] ^ 1,))


def _versioned(row: int) -> bytes:
    event = bytearray(sealed(row, payload()))
    event[2] = 9
    return enveloped(row, bytes(event))


def _late(row: int) -> bytes:
    return enveloped(row, sealed(row, payload(), head=header(row, sent_at=NOW - 3 * LATENESS)))


BAD: Mapping[Reason, Callable[[int], bytes]] = {
    Reason.BAD_ENVELOPE: lambda row: b"not ours " + digest(row),
    Reason.BAD_HEADER: lambda row: enveloped(row, b"XX" + sealed(row, payload())[2:]),
    Reason.UNKNOWN_VERSION: _versioned,
    Reason.UNKNOWN_KEY: lambda row: enveloped(row, sealed(row, payload(), head=header(row, key_id=77))),
    Reason.NOT_AUTHENTIC: _flipped,
    Reason.UNKNOWN_CODEC: lambda row: with_plaintext(row, b"\x09" + payload()),
    Reason.TOO_LARGE: lambda row: with_plaintext(row, b"\x01" + struct.pack("<I", MAX_BODY_BYTES + 1) + b"\0" * 32),
    Reason.INFLATE_FAILED: lambda row: with_plaintext(row, pack_body(payload(), Codec.DEFLATE_RAW)[:-40]),
    Reason.BAD_LAYOUT: lambda row: enveloped(row, sealed(row, payload() + b"\0")),
    Reason.BAD_NESTED: lambda row: enveloped(row, sealed(row, b'{"signals":{"no.such":1}}', Codec.NESTED_JSON)),
    Reason.CARD_NUMBER: lambda row: record(row, {"page.title": f"card {CANARY_CARD}"}),
    Reason.CARD_DETAILS: lambda row: record(row, {"page.last_error": f"declined ({CANARY_CODE})"}),
    Reason.IBAN: lambda row: record(row, {"page.title": f"Pay from {CANARY_IBAN}"}, Codec.LZ4),
    Reason.NATIONAL_ID: lambda row: record(row, {"page.title": f"id {CANARY_AADHAAR}"}, Codec.NESTED_JSON),
    Reason.EMAIL: lambda row: record(row, {"page.last_error": f"no user {CANARY_EMAIL}"}, Codec.LZ4),
    Reason.PHONE: lambda row: record(row, {"page.title": f"call {CANARY_PHONE}"}, Codec.NESTED_JSON),
    Reason.SECRET_IN_URL: lambda row: record(row, {"page.referrer": CANARY_URL}, Codec.DEFLATE_RAW),
    Reason.OUT_OF_RANGE: lambda row: record(row, {"screen.width": -1}),
    Reason.NOT_FINITE: lambda row: record(row, {"timing.resolution": float("inf")}),
    Reason.TOO_LATE: _late,
}
CODECS = (Codec.RAW, Codec.DEFLATE_RAW, Codec.LZ4, Codec.NESTED_JSON)


def raw_batch(records: Sequence[bytes], partition: int = 0, first: int = 0) -> RawBatch:
    """Return records as the source would: offsets from ``first``, polled 60 ms after they were appended."""
    rows = len(records)
    offsets = np.arange(first, first + rows, dtype=np.int64)
    appended = NOW + 50 + 1000 * offsets
    origin = Origin(TOPIC, np.full(rows, partition, np.int32), offsets, appended, appended + 60)
    micros = np.stack((appended * 1000, (appended + 60) * 1000), axis=1)
    return RawBatch(origin, tuple(records), Ledger(("appended", "polled"), micros))


def parcel(batch: RawBatch) -> Parcel[RawBatch]:
    """Return the batch as the one item of the dataflow."""
    first = int(batch.origin.offset[0]) if len(batch) else 0
    partition = int(batch.origin.partition[0]) if len(batch) else 0
    return Parcel((Span(partition, first, first + len(batch)),), batch, len(batch))


def mixture(rows: int = 60) -> list[bytes]:
    """Return good records of every codec with a bad one of every reason among them, and two duplicates."""
    reasons = list(BAD)
    out = []
    for row in range(rows):
        if row % 3 == 2 and row // 3 < len(reasons):
            out.append(BAD[reasons[row // 3]](row))
        else:
            found = {"canvas.pixel_differences": row % 5, "navigator.webdriver": row % 7 == 0}
            out.append(record(row, {**found, "storage.quota": 1024 + row}, CODECS[row % 4]))
    return [*out, out[0], out[4]]
