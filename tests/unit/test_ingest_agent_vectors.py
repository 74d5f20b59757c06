"""What the agent writes, byte for byte, as the tier reads it; `npm run vectors` in ingest_api/agent wrote it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ingest_api.bodies import read_beacon
from ingest_api.sessions import agent_key
from ingest_api.signature import sign_body
from ingest_api.tokens import Session
from schemas.envelope import ENVELOPE_BYTES, Attested
from schemas.framing import FRAMES_CONTENT_TYPE, pack_frames, unpack_frames
from schemas.keys import KeyRing
from tests.ingest_kit import Tier, bearer, tier

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "golden" / "vectors" / "agent.json").read_text("utf-8")
)
PARTS: dict[str, Any] = VECTORS["key_parts"]
SESSION_ID, SEAL_KEY, SIGN_KEY = (bytes.fromhex(PARTS[name]) for name in ("session_id", "seal", "sign"))
FRAMES, BEACON = bytes.fromhex(VECTORS["frames"]), bytes.fromhex(VECTORS["beacon"])
SEALED = [bytes.fromhex(event["sealed"]) for event in VECTORS["events"]]


def test_the_agent_takes_a_key_apart_as_a_session_puts_it_together() -> None:
    assert agent_key(PARTS["key_id"], SESSION_ID, SEAL_KEY, SIGN_KEY) == VECTORS["key"]


def test_both_sides_frame_sign_and_pack_alike() -> None:
    assert pack_frames(SEALED) == FRAMES
    assert unpack_frames(FRAMES, len(SEALED)) == SEALED
    assert sign_body(SIGN_KEY, VECTORS["sent_at"], FRAMES) == VECTORS["signature"]
    assert read_beacon(BEACON) == (VECTORS["token"], VECTORS["signature"], FRAMES)


def know(t: Tier) -> None:
    """Let the tier know the session of the vectors: its token is a stand-in, whose own form other tests check."""
    expires_at = VECTORS["sent_at"] // 1_000 + 1_800
    session = Session(SESSION_ID, PARTS["key_id"], Attested("demo-shop", "order-1", ""), None, expires_at, SIGN_KEY)
    t.app.parts.tokens._verified[VECTORS["token"]] = session


@pytest.mark.parametrize("form", ["headers", "beacon"])
async def test_the_agents_requests_are_accepted_as_they_are(tmp_path: Path, form: str) -> None:
    ring = KeyRing({PARTS["key_id"]: b"\x77" * 32})
    async with tier(tmp_path, clock=lambda: VECTORS["sent_at"] + 50, keys=ring) as t:
        know(t)
        headers = {"content-type": "text/plain"}
        if form == "headers":
            signature = {"x-clickgoose-signature": VECTORS["signature"]}
            headers = {**bearer(VECTORS["token"]), **signature, "content-type": FRAMES_CONTENT_TYPE}
        body = FRAMES if form == "headers" else BEACON
        answer = await t.client.post("/v1/events", content=body, headers=headers)
        wanted = [{"event_id": event["event_id"], "status": "ok", "reason": "appended"} for event in VECTORS["events"]]
        assert answer.json() == {"results": wanted}
        assert [record.key.hex() for record in t.kafka.records] == [event["device_id"] for event in VECTORS["events"]]
        assert [record.value[ENVELOPE_BYTES + len("demo-shoporder-1") :] for record in t.kafka.records] == SEALED
