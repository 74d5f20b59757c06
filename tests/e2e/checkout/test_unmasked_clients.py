"""A client that does not mask: all of the corpus goes through the real tier and flow, and its values end there."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from infra.stack.secrets import certificate_paths
from schemas.dead_letter import DeadLetter, decode_dead_letter
from tests.e2e.checkout.kit import Checkout
from tests.e2e.checkout.search import base64_forms, forms, places
from tests.e2e.system import READY_SECONDS
from tests.ingest_kit import Page, bearer, event_id
from tests.masking_corpus import Variant, corpus
from tests.wire import payload

pytestmark = pytest.mark.timeout(900)  # the first test installs browsers and JDK where they are missing

A_REQUEST = 100
A_SESSION = 500  # events a session may send in a minute: 600


@dataclass
class Leaked:
    """The variants by the id of the event that leaked each, and the letters by event id."""

    variants: dict[str, Variant]
    letters: dict[str, list[DeadLetter]]
    opened: list[str]  # names of the variants that say it in an id and got a session all the same


@pytest.fixture(scope="module")
def leaked(checkout: Checkout) -> Leaked:
    variants, opened = asyncio.run(_send(checkout))
    account = checkout.system.account()
    assert account.balanced, account.problems
    letters: dict[str, list[DeadLetter]] = defaultdict(list)
    for message in checkout.system.records("events.dead_letter"):
        letter = decode_dead_letter(message.value() or b"")
        letters[letter.event_id].append(letter)
    return Leaked(variants, letters, opened)


async def _send(checkout: Checkout) -> tuple[dict[str, Variant], list[str]]:
    """Send each variant as one event; return them by the event's id, and which ids were not refused."""
    assert checkout.stack.secrets is not None
    headers = bearer(checkout.stack.secrets.api_key())
    trust = ssl.create_default_context(cafile=str(certificate_paths(checkout.stack.home)[0]))
    found = {}
    async with httpx.AsyncClient(base_url=checkout.ingest, verify=trust, timeout=READY_SECONDS) as client:
        opened = []
        for ids in (variant for variant in corpus() if variant.in_ids):
            said = {"transaction": ids.transaction or "order-unmasked", "linked_id": ids.linked_id}
            answer = await client.post("/v1/sessions", json=said | {"card_token": ids.card_token}, headers=headers)
            opened += [ids.name] if answer.status_code != 422 else []
        for transaction, variants in _sessions():
            answer = await client.post("/v1/sessions", json={"transaction": transaction}, headers=headers)
            assert answer.status_code == 201, answer.text
            page = Page(client, answer.json(), os.urandom(16))
            for at in range(0, len(variants), A_REQUEST):
                some = variants[at : at + A_REQUEST]
                sealed = [page.event(payload(variant.texts)) for variant in some]
                sent = await page.send(*sealed)
                assert {result["status"] for result in sent.json()["results"]} == {"ok"}
                found |= dict(zip(map(event_id, sealed), some, strict=True))
    return found, opened


def _sessions() -> Iterator[tuple[str, list[Variant]]]:
    """Yield the transaction that a session is opened for, and the variants that are sent under it."""
    plain = [variant for variant in corpus() if not variant.in_ids]
    for at in range(0, len(plain), A_SESSION):
        yield f"order-unmasked-{at}", plain[at : at + A_SESSION]


def test_no_session_is_opened_for_an_id_that_is_personal_data(leaked: Leaked) -> None:
    assert leaked.opened == []


def test_every_variant_is_a_dead_letter_with_its_reason(leaked: Leaked) -> None:
    assert len(leaked.variants) >= 500
    got = {event: [letter.reason for letter in leaked.letters[event]] for event in leaked.variants}
    wrong = {leaked.variants[event].name: reasons for event, reasons in got.items()
             if reasons != [leaked.variants[event].reason]}  # fmt: skip
    assert wrong == {}


def test_no_letter_holds_what_its_client_leaked(leaked: Leaked) -> None:
    held = []
    for event, variant in leaked.variants.items():
        looked_for = [(forms(text), base64_forms(text)) for text in variant.canaries]
        for letter in leaked.letters[event]:
            content = letter.payload + letter.detail.encode()
            lower = content.lower()
            if any(form in lower for plain, _ in looked_for for form in plain):
                held.append(variant.name)
            if any(form in content for _, coded in looked_for for form in coded):
                held.append(variant.name)
    assert held == []


def test_what_was_leaked_is_in_no_table_key_log_or_topic_of_ours(checkout: Checkout, leaked: Leaked) -> None:
    """All but ``events.raw``: what arrived stands there as it came, sealed, until its retention ends."""
    kept = defaultdict(bytearray)
    for place, content in places(checkout, ()):
        if not place.startswith("events.raw"):
            kept[place] += content.lower() + b"\n"
    canaries = {text.lower().encode() for variant in leaked.variants.values() for text in variant.canaries}
    blobs = {place: bytes(content) for place, content in kept.items()}
    assert {"events.dead_letter", "table dead_letters", "redis", "flow.log"} <= set(blobs)
    assert [(place, text) for place, content in blobs.items() for text in canaries if text in content] == []
