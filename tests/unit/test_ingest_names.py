"""What a merchant's server may say of a visit: ids and card tokens, and never what is personal data itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest_api.names import looks_like_card_number
from schemas.card_tokens import hashed_card_token
from tests.ingest_kit import KEYS, bearer, code, open_page, tier
from tests.masking_corpus import corpus

REFUSED_TOKENS = (
    "4111111111111111",
    "4111-1111-1111-1111",
    "4111.1111.1111.1111",
    "000000000018",
    "9000000000000000001",
)
TAKEN_TOKENS = ("card_4111111111111111", "tok_visa", "411111******1111", "4111111111111112", "42", "0190f3a5-c1d2")


async def test_a_card_token_goes_into_the_envelope(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        page = await open_page(t.client, linked_id="c-7", card_token="tok_visa_9")
        sealed = page.event()
        await page.send(sealed)
        assert t.kafka.records[0].value.endswith(b"demo-shop" + b"order-1" + b"c-7" + b"tok_visa_9" + sealed)


@pytest.mark.parametrize("token", REFUSED_TOKENS)
async def test_a_card_number_is_no_card_token(tmp_path: Path, token: str) -> None:
    async with tier(tmp_path) as t:
        body = {"transaction": "order-1", "card_token": token}
        answer = await t.client.post("/v1/sessions", json=body, headers=bearer(KEYS["demo-shop"]))
        assert code(answer) == (422, "invalid_request")
        assert answer.json()["error"]["message"].startswith("card_token looks like a card number; send your own token")
        assert token not in answer.text


@pytest.mark.parametrize("token", TAKEN_TOKENS)
def test_what_is_no_card_number_is_taken_for_a_token(token: str) -> None:
    assert not looks_like_card_number(token)


@pytest.mark.parametrize("token", ["a b", 'a"b', "a\\b", "\u00e4", "x" * 129])
async def test_a_card_token_is_short_visible_ascii(tmp_path: Path, token: str) -> None:
    async with tier(tmp_path) as t:
        body = {"transaction": "order-1", "card_token": token}
        answer = await t.client.post("/v1/sessions", json=body, headers=bearer(KEYS["demo-shop"]))
        assert (code(answer), answer.json()["error"]["message"]) == (
            (422, "invalid_request"),
            "Check these fields: card_token.",
        )


async def test_no_id_of_the_masking_corpus_opens_a_session(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        for variant in corpus():
            if variant.in_ids:
                body = {
                    "transaction": variant.transaction or "order-1",
                    "linked_id": variant.linked_id,
                    "card_token": variant.card_token,
                }
                answer = await t.client.post("/v1/sessions", json=body, headers=bearer(KEYS["demo-shop"]))
                assert code(answer) == (422, "invalid_request"), variant.name
                assert not any(canary in answer.text for canary in variant.canaries)


def test_a_card_token_is_hashed_apart_for_every_merchant() -> None:
    assert hashed_card_token("shop", "") == ""
    one = hashed_card_token("shop", "tok_1")
    assert len(one) == 32
    assert one == hashed_card_token("shop", "tok_1")
    assert len({one, hashed_card_token("shop", "tok_2"), hashed_card_token("other", "tok_1")}) == 3
    assert hashed_card_token("shopt", "ok_1") != one
