"""What the agent wrote (`npm run vectors` in ingest_api/agent), read by this side field by field."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ingest_api.bodies import read_beacon
from ingest_api.signature import verify_body
from schemas.catalogue import category_hash, load_catalogue
from schemas.framing import unpack_frames
from schemas.payload import decode_payloads
from schemas.sealed import HEADER_BYTES, NONCE_BYTES, Codec, Header, read_header, unpack_body

CATALOGUE = load_catalogue()
VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "golden/vectors/agent.json").read_text("ascii"))
EVENTS = {event["name"]: event for event in VECTORS["events"]}
SEAL_KEY, SIGN_KEY = (bytes.fromhex(VECTORS["key_parts"][name]) for name in ("seal", "sign"))


def columns_sent(event: dict[str, Any]) -> dict[str, Any]:
    """Return what an event's signals must look like here: numbers as float32, categories as hashes."""
    narrow = {
        "number": lambda value: float(np.float32(value)),
        "boolean": bool,
        "category": category_hash,
        "text": str,
    }
    return {name: narrow[CATALOGUE.by_name[name].kind](value) for name, value in event["signals"].items()}


def columns_read(body: bytes) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the signals that are there and the activity log of one payload."""
    signals, activity, good = decode_payloads([body], CATALOGUE)
    assert good.all()
    found: dict[str, Any] = {}
    for one in CATALOGUE.by_name.values():
        at = one.position
        if one.kind == "number" and not np.isnan(signals.numbers[0, at]):
            found[one.name] = float(signals.numbers[0, at])
        elif one.kind == "boolean" and signals.known[0, at]:
            found[one.name] = bool(signals.booleans[0, at])
        elif one.kind == "category" and signals.categories[0, at]:
            found[one.name] = int(signals.categories[0, at])
        elif one.kind == "text":
            text = signals.texts.column(at)[0]
            if text is not None:
                found[one.name] = text.decode()
    log = zip(
        *(column.tolist() for column in (activity.time, activity.code, activity.value, activity.target)), strict=True
    )
    return found, [{"t": t, "code": code, "value": value, "target": target} for t, code, value, target in log]


def test_the_vectors_cover_the_whole_catalogue_of_this_build() -> None:
    assert VECTORS["catalogue"] == CATALOGUE.version
    assert set(EVENTS["every signal"]["signals"]) == set(CATALOGUE.by_name)


def test_hashes_are_ours_lone_surrogates_included() -> None:
    assert VECTORS["hashes"] == {text: category_hash(text) for text in VECTORS["hashes"]}


@pytest.mark.parametrize("name", EVENTS)
def test_a_payload_says_what_the_agent_meant(name: str) -> None:
    event = EVENTS[name]
    signals, activity = columns_read(bytes.fromhex(event["body"]))
    assert signals == columns_sent(event)
    assert activity == event["activity"]


@pytest.mark.parametrize("name", EVENTS)
def test_a_sealed_event_opens_with_the_sessions_key(name: str) -> None:
    event = EVENTS[name]
    sealed = bytes.fromhex(event["sealed"])
    clear, nonce, rest = (
        sealed[:HEADER_BYTES],
        sealed[HEADER_BYTES : HEADER_BYTES + NONCE_BYTES],
        sealed[HEADER_BYTES + NONCE_BYTES :],
    )
    assert unpack_body(AESGCM(SEAL_KEY).decrypt(nonce, rest, clear)) == (Codec.RAW, bytes.fromhex(event["body"]))
    parts = VECTORS["key_parts"]
    ids = (bytes.fromhex(one) for one in (parts["session_id"], event["device_id"], event["event_id"]))
    assert read_header(sealed) == Header(parts["key_id"], *ids, event["sequence"], VECTORS["sent_at"])
    assert clear == bytes.fromhex(event["header"])


def test_a_beacon_holds_the_token_and_the_signed_frames() -> None:
    beacon = read_beacon(bytes.fromhex(VECTORS["beacon"]))
    assert beacon.token == VECTORS["token"]
    assert beacon.frames == bytes.fromhex(VECTORS["frames"])
    verify_body(SIGN_KEY, beacon.signature, beacon.frames, VECTORS["sent_at"], 0)
    assert unpack_frames(beacon.frames, 100) == [bytes.fromhex(event["sealed"]) for event in VECTORS["events"]]


def test_the_key_string_is_version_key_id_session_and_both_keys() -> None:
    parts = VECTORS["key_parts"]
    packed = b"\x01" + parts["key_id"].to_bytes(4, "little") + bytes.fromhex(parts["session_id"]) + SEAL_KEY + SIGN_KEY
    assert base64.urlsafe_b64encode(packed).rstrip(b"=").decode() == VECTORS["key"]
