"""Who may call what: API keys, tokens and signatures, and what makes guessing them slow."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import jwt
import pytest

from ingest_api.signature import SIGNATURE_HEADER, sign_body
from ingest_api.tokens import ISSUER, Tokens
from schemas.envelope import Attested
from schemas.framing import pack_frames
from tests.ingest_kit import KEYS, RING, Page, bearer, code, now_ms, open_page, tier

SCORE = "/v1/events/" + "ab" * 16 + "/score"
SESSION = {"transaction": "order-1"}


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer ", "Basic abc", "Bearer " + "x" * 3_000])
async def test_a_missing_api_key(tmp_path: Path, authorization: str | None) -> None:
    headers = {} if authorization is None else {"authorization": authorization}
    async with tier(tmp_path) as t:
        answer = await t.client.post("/v1/sessions", json=SESSION, headers=headers)
        assert code(answer) == (401, "api_key_missing")
        assert answer.headers["www-authenticate"] == "Bearer"
        assert code(await t.client.get(SCORE, headers=headers)) == (401, "api_key_missing")


async def test_a_wrong_api_key(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        for key in ("cg_wrong", "cg_dem", "cg_demoo", "\xe9".encode("latin-1").decode("latin-1")):
            headers = {b"authorization": b"Bearer " + key.encode("latin-1"), b"content-type": b"application/json"}
            answer = await t.client.post("/v1/sessions", content=json.dumps(SESSION), headers=headers)
            assert code(answer) == (401, "api_key_invalid")


async def test_credentials_work_at_their_own_endpoints_only(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        page = await open_page(t.client)
        token = bearer(page.opened["token"])
        assert code(await t.client.get(SCORE, headers=token)) == (403, "wrong_credential")
        assert code(await t.client.post("/v1/sessions", json=SESSION, headers=token)) == (403, "wrong_credential")
        expired = bearer(page.forged(exp=int(time.time()) - 5))
        assert code(await t.client.get(SCORE, headers=expired)) == (403, "wrong_credential")
        answer = await page.post(pack_frames([page.event()]), authorization="Bearer cg_demo")
        assert code(answer) == (403, "wrong_credential")
        assert not t.kafka.records


async def test_tokens_that_are_none(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        page = await open_page(t.client)
        body = pack_frames([page.event()])
        assert code(await page.post(body, authorization=None)) == (401, "token_missing")
        claims = jwt.decode(page.opened["token"], options={"verify_signature": False})
        key = RING.derive(2, b"clickgoose-token", "token")
        assert key is not None
        bad = [
            "no-token",
            page.opened["token"][:-3] + "AAA",
            jwt.encode(claims, None, "none", headers={"kid": "2"}),
            jwt.encode(claims, key * 2, "HS512", headers={"kid": "2"}),
            jwt.encode(claims, key, "HS256", headers={"kid": "1"}),
            jwt.encode(claims, key, "HS256", headers={"kid": "9"}),
            jwt.encode(claims, key, "HS256", headers={"kid": "²"}),
            jwt.encode(claims, key, "HS256"),
            page.forged(iss="someone"),
            page.forged(exp="tomorrow"),
            page.forged(exp=1e300),
            jwt.encode({k: v for k, v in claims.items() if k != "exp"}, key, "HS256", headers={"kid": "2"}),
            jwt.encode({k: v for k, v in claims.items() if k != "mer"}, key, "HS256", headers={"kid": "2"}),
        ]
        for token in bad:
            assert code(await page.post(body, authorization=f"Bearer {token}")) == (401, "token_invalid"), token
        assert not t.kafka.records


async def test_a_token_of_another_scope_or_a_removed_merchant(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        page = await open_page(t.client)
        body = pack_frames([page.event()])
        assert page.forged(iss=ISSUER)
        other = f"Bearer {page.forged(scope='admin')}"
        assert code(await page.post(body, authorization=other)) == (403, "scope_forbidden")
        gone = f"Bearer {page.forged(mer='gone-shop')}"
        assert code(await page.post(body, authorization=gone)) == (403, "merchant_forbidden")
        assert not t.kafka.records


async def test_signatures(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        page, other = await open_page(t.client), await open_page(t.client)
        body = pack_frames([page.event()])
        name = SIGNATURE_HEADER.lower()
        assert code(await page.post(body, **{name: None})) == (401, "signature_missing")
        for wrong in ("v1=00", "t=1,v1=" + "0" * 64, sign_body(other.sign_key, now_ms(), body)):
            assert code(await page.post(body, **{SIGNATURE_HEADER: wrong})) == (401, "signature_invalid")
        stale = sign_body(page.sign_key, now_ms() - 301_000, body)
        assert code(await page.post(body, **{SIGNATURE_HEADER: stale})) == (401, "signature_stale")
        assert not t.kafka.records


async def test_a_token_that_another_process_issued_is_as_good(tmp_path: Path) -> None:
    async with tier(tmp_path / "a") as one, tier(tmp_path / "b") as two:
        page = await open_page(one.client, transaction='über "1"', linked_id="🦆", card_token="card_7")
        claims = jwt.decode(page.opened["token"], RING.derive(2, b"clickgoose-token", "token"), ["HS256"])
        assert (claims["txn"], claims["lid"], claims["crd"]) == ('über "1"', "🦆", "card_7")
        twin = Page(two.client, page.opened, page.device_id)
        assert (await twin.send(page.event())).status_code == 200
        known = [t.app.parts.tokens.verify(page.opened["token"], now_ms() // 1_000) for t in (one, two)]
        assert known[0] == known[1]


@pytest.mark.parametrize("letter", ["x", '"', "\\", "\xfc", "語", "🦆"])
async def test_the_longest_names_still_give_a_token_that_is_taken(tmp_path: Path, letter: str) -> None:
    name = letter * (255 // len(letter.encode()))
    async with tier(tmp_path) as t:
        ids = {"transaction": name, "linked_id": name, "card_token": "~" * 128, "device_id": "ab" * 16}
        page = await open_page(t.client, **ids)
        sealed = page.event(device_id=b"\xab" * 16)
        assert (await page.send(sealed)).json()["results"][0]["status"] == "ok"
        assert (await page.send_beacon(page.beacon(sealed))).json()["results"][0]["status"] == "ok"
        assert name.encode() in t.kafka.records[0].value


async def test_a_token_from_before_there_were_card_tokens_is_as_good(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        page = await open_page(t.client)
        assert "crd" not in jwt.decode(page.opened["token"], RING.derive(2, b"clickgoose-token", "token"), ["HS256"])
        session = Tokens(RING, 60).verify(page.opened["token"], now_ms() // 1_000)
        assert session.attested == Attested("demo-shop", "order-1", "", "")


async def test_guessing_credentials_gets_slow(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        answers = [await t.client.get(SCORE, headers=bearer(os.urandom(8).hex())) for _ in range(61)]
        assert [a.status_code for a in answers[:60]] == [401] * 60
        assert code(answers[60]) == (429, "rate_limited")
        assert (await t.client.get(SCORE, headers=bearer(KEYS["demo-shop"]))).status_code == 404
