"""Byte-exact vectors of every wire format, for this side and for the agent's: inputs, keys and nonces are given."""

from __future__ import annotations

import json
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from schemas.catalogue import category_hash, load_catalogue
from schemas.dead_letter import (
    DeadLetter,
    Reason,
    dead_letter_headers,
    encode_dead_letter,
)
from schemas.envelope import Attested, address_bytes, wrap
from schemas.framing import pack_frames, unpack_frames
from schemas.keys import KeyRing
from schemas.log_codes import load_log_codes
from schemas.nested import NestedEvent, columns_of, nested_of, parse_nested
from schemas.payload import decode_payloads, encode_payloads
from schemas.result import (
    DeviceHistory,
    EntityCounts,
    Factor,
    Place,
    Result,
    SessionSoFar,
    SharedEntities,
    SmartSignal,
    VelocityCounts,
    Versions,
    Windows,
    encode_result,
)
from schemas.sealed import HEADER_BYTES, NONCE_BYTES, Codec, Header, seal, unpack_body
from tests.golden.conftest import Golden
from tests.wire import HONEST, USER_AGENT

CATALOGUE = load_catalogue()
MASTER, SESSION = bytes(range(32)), bytes(range(0xA0, 0xB0))
HEADER = Header(7, SESSION, bytes(range(0xB0, 0xC0)), bytes(range(0xC0, 0xD0)), 42, 1_790_000_000_123)
NONCE = bytes(range(0xD0, 0xDC))
EVENTS: dict[str, dict[str, Any]] = {
    "nothing": {"signals": {}, "activity": []},
    "one_of_each_kind": {
        "signals": {
            "screen.width": 1920.5,
            "navigator.webdriver": True,
            "navigator.platform": "Win32",
            "page.title": "a",
        },
        "activity": [{"t": 1, "code": 100, "value": 2.5, "target": "document"}],
    },
    "known_false_empty_text_and_extremes": {
        "signals": {
            "navigator.webdriver": False,
            "navigator.vendor": "",
            "page.title": "",
            "page.referrer": "\u00e4\u5ba2\U0001f985",
            "audio.sample_sum": 3.4028234663852886e38,
            "screen.window_x": -0.0,
            "timing.resolution": 1.401298464324817e-45,
        },
        "activity": [
            {"t": 0, "code": 0, "value": 0.0, "target": "none"},
            {"t": 4294967295, "code": 65535, "value": -1.5, "target": "other_text"},
        ],
    },
    "honest": {
        "signals": dict(HONEST),
        "activity": [{"t": 10 * k, "code": 203, "value": 100.0 + k, "target": "card_number"} for k in range(7)],
    },
}
SEAL_KEY = KeyRing({7: MASTER}).derive(7, SESSION, "seal") or b""
STRINGS = ("", "a", "foobar", "Win32", "Google Inc.", "de-DE", "\u00e4\u5ba2\U0001f985", "IwPSdT", USER_AGENT)


def lines(value: Any) -> bytes:
    """Return JSON that is easy to compare."""
    return json.dumps(value, indent=1, ensure_ascii=True).encode() + b"\n"


def body_of(event: dict[str, Any]) -> bytes:
    """Return the vector payload of a nested event."""
    return encode_payloads(*columns_of([parse_nested(json.dumps(event).encode())], CATALOGUE))[0]


def test_the_catalogue_and_the_log_codes_have_not_moved(golden: Golden) -> None:
    found = {
        "version": CATALOGUE.version,
        "digest": CATALOGUE.digest(),
        "counts": CATALOGUE.counts(),
        "positions": {
            kind: [signal.name for signal in CATALOGUE.of_kind(kind)]
            for kind in ("number", "boolean", "category", "text")
        },
        "log_codes": {str(code.code): code.name for code in load_log_codes().by_code.values()},
        "targets": dict(load_log_codes().targets),
    }
    golden.check("vectors/catalogue.json", lines(found))


def test_category_hashes(golden: Golden) -> None:
    golden.check("vectors/category_hash.json", lines({text: category_hash(text) for text in STRINGS}))


def test_keys(golden: Golden) -> None:
    ring = KeyRing({7: MASTER})
    derived = {purpose: (ring.derive(7, SESSION, purpose) or b"").hex() for purpose in ("seal", "sign", "token")}
    found = {"master": MASTER.hex(), "session_id": SESSION.hex(), "info": "clickgoose/1/<purpose>", "derived": derived}
    golden.check("vectors/keys.json", lines(found))


def test_payload_bodies(golden: Golden) -> None:
    found = [{"name": name, "event": event, "body": body_of(event).hex()} for name, event in EVENTS.items()]
    golden.check("vectors/payload.json", lines(found))
    for vector in json.loads(golden.read("vectors/payload.json")):
        signals, activity, good = decode_payloads([bytes.fromhex(vector["body"])], CATALOGUE)
        assert good.all()
        event = NestedEvent(vector["event"]["signals"])
        hashed = columns_of([event], CATALOGUE)[0]
        assert (
            nested_of(signals, activity, 0, CATALOGUE)["signals"]
            == nested_of(hashed, activity, 0, CATALOGUE)["signals"]
        )
        assert nested_of(signals, activity, 0, CATALOGUE)["activity"] == vector["event"]["activity"]


def test_sealed_events_of_each_codec(golden: Golden) -> None:
    name = "vectors/sealed.json"
    kept = (
        {}
        if golden.update or not golden.exists(name)
        else {one["codec"]: one for one in json.loads(golden.read(name))["events"]}
    )
    events = []
    for codec in Codec:
        body = json.dumps(EVENTS["honest"]).encode() if codec is Codec.NESTED_JSON else body_of(EVENTS["honest"])
        sealed = seal(HEADER, body, SEAL_KEY, NONCE, codec)
        if codec in (Codec.DEFLATE_RAW, Codec.LZ4) and codec.name in kept:
            sealed = bytes.fromhex(kept[codec.name]["sealed"])  # another build of the packer may pack better
        assert opened(sealed) == (codec, body)
        events.append({"codec": codec.name, "body": body.hex(), "sealed": sealed.hex()})
    header = {field: value.hex() if isinstance(value, bytes) else value for field, value in HEADER._asdict().items()}
    found = {
        "header": header,
        "packed_header": HEADER.pack().hex(),
        "key": SEAL_KEY.hex(),
        "nonce": NONCE.hex(),
        "events": events,
    }
    golden.check(name, lines(found))


def opened(sealed: bytes) -> tuple[Codec, bytes]:
    """Return codec and body of a vector."""
    start = HEADER_BYTES + NONCE_BYTES
    return unpack_body(AESGCM(SEAL_KEY).decrypt(sealed[HEADER_BYTES:start], sealed[start:], sealed[:HEADER_BYTES]))


def test_envelopes_and_frames(golden: Golden) -> None:
    cases = [
        ("shop", "order-1", "", "", "192.0.2.17"),
        ("h\u00e4ndler", "", "account-9", "", "2001:db8::17"),
        ("", "", "", "", "::"),
        ("shop", "order-1", "account-9", "card_7", "192.0.2.17"),
    ]
    found = [
        {
            "merchant": merchant,
            "transaction": transaction,
            "linked_id": linked,
            "card_token": card,
            "address": address,
            "received_at": 1_790_000_000_163,
            "sealed": "00ff",
            "record": wrap(
                Attested(merchant, transaction, linked, card), 1_790_000_000_163, address_bytes(address), b"\x00\xff"
            ).hex(),
        }
        for merchant, transaction, linked, card, address in cases
    ]
    frames = [b"", b"\x00", b"sealed" * 3]
    body = pack_frames(frames)
    assert unpack_frames(body, 3) == frames
    golden.check("vectors/envelope.json", lines(found))
    golden.check("vectors/frames.json", lines({"frames": [frame.hex() for frame in frames], "body": body.hex()}))


def test_the_dead_letter_record_and_its_headers(golden: Golden) -> None:
    letter = DeadLetter(
        reason=Reason.BAD_LAYOUT,
        stage="decode",
        detail="the payload's blocks do not add up to its length",
        topic="events.raw",
        partition=3,
        offset=1_099_511_627_776,
        received_at=1_790_000_000_163,
        first_failed_at=1_790_000_000_200,
        payload=bytes(range(32)),
        payload_format="envelope",
        payload_sha256="5c" * 32,
        event_id=HEADER.event_id.hex(),
        merchant="h\u00e4ndler",
    )
    golden.check("vectors/dead_letter.record.json", encode_dead_letter(letter) + b"\n")
    headers = {name: value.decode() for name, value in dead_letter_headers(letter)}
    golden.check("vectors/dead_letter.headers.json", lines(headers))


def test_the_result(golden: Golden) -> None:
    result = Result(
        event_id=HEADER.event_id.hex(),
        session_id=SESSION.hex(),
        device_id=HEADER.device_id.hex(),
        merchant="shop",
        transaction="order-1",
        occurred_at=1_790_000_000_123,
        received_at=1_790_000_000_163,
        score=87.25,
        decision="deny",
        factors=[Factor("bot", "navigator.webdriver is set", 2.5), Factor("velocity", "9 events in 5 minutes", 0.125)],
        smart_signals={
            "bot": SmartSignal(True, 0.5, "high", 1, ["webdriver"]),
            "headless": SmartSignal(None, None, "none", 1),
        },
        velocity=VelocityCounts(
            events=Windows(9, 12, 40),
            addresses=Windows(1, 2, 3),
            accounts=Windows(0, 0, 2),
            countries=Windows(1, 1, 2),
            merchants=Windows(1, 1, 1),
            sessions=Windows(4, 5, 6),
        ),
        versions=Versions("goose-00000000", 1, "clickgoose 0.1.0"),
        origin=Place("events.raw", 3, 1_099_511_627_776),
        ledger={"appended": 1_790_000_000_170_000, "polled": 1_790_000_000_171_500},
        shared=SharedEntities(
            address=EntityCounts(Windows(10, 20, 900), Windows(1, 2, 12)),
            card=EntityCounts(Windows(1, 1, 1), Windows(1, 1, 1)),
        ),
        history=DeviceHistory(70, 1_780_000_000_000, 1_789_999_999_000, [87.5, 3.25]),
        session=SessionSoFar(4, 1_789_999_990_000),
        degraded=["shared_counts"],
    )
    golden.check("vectors/result.json", encode_result(result) + b"\n")
