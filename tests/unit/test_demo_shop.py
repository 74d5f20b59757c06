"""The demo shop: what it serves, what it asks of clickgoose, and that orders go through whatever clickgoose does."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from infra.demo_shop.app import ShopConfig, create_shop
from infra.demo_shop.clickgoose import Account
from infra.demo_shop.orders import Orders
from tests.served import served
from tests.waiting import SECONDS, soon

EVENT = "0190f3a5c1d27b3e8f4a6d5c4b3a2918"
REJECTED = {"event_id": EVENT, "status": "rejected", "reason": "mask.email"}
RESULT = {"event_id": EVENT, "score": 12.5, "decision": "allow", "factors": []}
CARD = "4242 4242 4242 4242"


class Ingest:
    """Stands in for the ingest tier; notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.session: dict[str, Any] | None = {"endpoint": "http://127.0.0.1:9/v1/events", "token": "t", "key": "k"}
        self.score: tuple[int, dict[str, Any]] = (200, RESULT)
        self.agent = b"globalThis.clickgoose = {};"
        self.app = FastAPI()
        self.app.add_route("/{path:path}", self.answer, ["GET", "POST"])

    async def answer(self, request: Request) -> Response:
        """Answer as the tier does."""
        path = request.url.path
        body = await request.body()
        self.asked.append({"path": path, "query": request.url.query, "headers": dict(request.headers), "body": body})
        if path == "/v1/sessions":
            return JSONResponse(self.session, 201) if self.session is not None else Response("garbage", 201)
        if path.endswith("/score"):
            return JSONResponse(self.score[1], self.score[0])
        if path == "/v1/events":
            return JSONResponse({"results": []}, 503, {"retry-after": "7"})
        return Response(self.agent, media_type="text/javascript")


@pytest.fixture
def ingest() -> Iterator[tuple[Ingest, str]]:
    stub = Ingest()
    with served(stub.app) as url:
        yield stub, url


@contextlib.asynccontextmanager
async def shop(url: str, **changes: Any) -> AsyncIterator[httpx.AsyncClient]:
    app = create_shop(ShopConfig(Account(url, "cg_key"), **{"work_seconds": 0.0, **changes}))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app, client=("127.0.0.1", 4711))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
            yield client


async def new_order(client: httpx.AsyncClient) -> str:
    page = (await client.get("/checkout")).text
    return page.split('data-order="')[1].split('"')[0]


async def paid_order(client: httpx.AsyncClient) -> str:
    order = await new_order(client)
    assert (await client.post("/pay", json={"order": order, "card_number": CARD})).status_code == 200
    return order


async def test_every_page_forbids_scripts_and_addresses_that_are_not_the_shops_own() -> None:
    async with shop("https://ingest.test:8443") as client:
        for path in ("/", "/checkout", "/static/shop.js", "/nothing"):
            policy = (await client.get(path)).headers["content-security-policy"]
            assert "default-src 'none'; script-src 'self';" in policy
            assert "connect-src 'self'; " in policy


async def test_direct_pages_may_reach_the_ingest_tier_and_nobody_else() -> None:
    async with shop("https://ingest.test:8443/", proxied=False) as client:
        policy = (await client.get("/checkout")).headers["content-security-policy"]
    assert "connect-src 'self' https://ingest.test:8443; " in policy


async def test_pages_hold_no_inline_script_and_no_address_elsewhere() -> None:
    async with shop("http://127.0.0.1:9") as client:
        order = await paid_order(client)
        for path in ("/", "/checkout", f"/thanks/{order}"):
            page = (await client.get(path)).text
            assert "http" not in page and "style=" not in page and " on" not in page.split("<main>")[0]
            assert all("src=" in tag for tag in page.split("<script")[1:])


async def test_hosts_other_than_loopback_are_refused() -> None:
    async with shop("http://127.0.0.1:9") as client:
        assert (await client.get("/", headers={"host": "rebound.example"})).status_code == 400


async def test_a_session_is_opened_with_the_api_key_and_the_orders_number(ingest: tuple[Ingest, str]) -> None:
    stub, url = ingest
    async with shop(url) as client:
        order = await new_order(client)
        answer = (await client.post("/session", json={"order": order})).json()
    assert answer == {"endpoint": "http://127.0.0.1:8080/v1/events", "token": "t", "key": "k", "transaction": order}
    (asked,) = stub.asked
    assert asked["headers"]["authorization"] == "Bearer cg_key"
    assert order.encode() in asked["body"]


async def test_who_has_paid_before_brings_the_token_of_the_card_and_never_its_number(
    ingest: tuple[Ingest, str],
) -> None:
    stub, url = ingest
    async with shop(url) as client:
        order = await new_order(client)
        await client.post("/session", json={"order": order})
        answer = await client.post("/pay", json={"order": order, "card_number": CARD})
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie and "samesite=strict" in cookie
        for _ in range(2):
            await client.post("/session", json={"order": await paid_order(client)})
        client.cookies.clear()
        await client.post("/session", json={"order": await new_order(client)})
    tokens = [json.loads(asked["body"])["card_token"] for asked in stub.asked]
    assert {json.loads(asked["body"])["event_type"] for asked in stub.asked} == {"payment"}
    assert tokens[0] == tokens[3] == ""
    assert tokens[1] == tokens[2]
    assert tokens[1].startswith("card_")
    assert "4242" not in tokens[1]


async def test_a_direct_page_gets_the_sessions_own_endpoint(ingest: tuple[Ingest, str]) -> None:
    async with shop(ingest[1], proxied=False) as client:
        answer = (await client.post("/session", json={"order": await new_order(client)})).json()
    assert answer["endpoint"] == "http://127.0.0.1:9/v1/events"


@pytest.mark.parametrize("order", ["", "order-unknown"])
async def test_no_session_is_opened_for_an_order_that_is_not_there(ingest: tuple[Ingest, str], order: str) -> None:
    async with shop(ingest[1]) as client:
        assert (await client.post("/session", json={"order": order})).status_code == 204
    assert ingest[0].asked == []


@pytest.mark.parametrize("answer", [None, {"token": "t"}, {"endpoint": 1, "token": "t", "key": "k"}])
async def test_an_answer_that_is_no_session_is_as_good_as_none(
    ingest: tuple[Ingest, str], answer: dict[str, Any] | None
) -> None:
    ingest[0].session = answer
    async with shop(ingest[1]) as client:
        assert (await client.post("/session", json={"order": await new_order(client)})).status_code == 204


async def test_an_order_is_paid_with_the_collector_away() -> None:
    async with shop("http://127.0.0.1:9") as client:
        order = await new_order(client)
        assert (await client.post("/session", json={"order": order})).status_code == 204
        assert (await client.get("/agent/clickgoose.js")).status_code == 503
        paid = await client.post("/pay", json={"order": order, "card_number": CARD, "email": "jane@example.com"})
        assert paid.json() == {"thanks": f"/thanks/{order}"}
        assert "Thank you" in (await client.get(f"/thanks/{order}")).text
        await client.post(f"/orders/{order}/event", json={"event_id": EVENT})
        assert (await client.get(f"/orders/{order}/score")).json() == {"state": "away"}


async def test_a_payment_never_waits_for_the_score(ingest: tuple[Ingest, str]) -> None:
    asked, answer = threading.Event(), threading.Event()

    async def slow(request: Request) -> Response:
        asked.set()
        await asyncio.to_thread(answer.wait, SECONDS)
        return Response()

    ingest[0].app.router.routes.clear()
    ingest[0].app.add_route("/{path:path}", slow, ["GET", "POST"])
    async with shop(ingest[1]) as client:
        order = await new_order(client)
        session = asyncio.create_task(client.post("/session", json={"order": order}))
        await soon(asked.is_set)
        try:
            assert (await client.post("/pay", json={"order": order, "card_number": CARD})).status_code == 200
            assert not answer.is_set()
        finally:
            answer.set()
        assert (await session).status_code == 204


@pytest.mark.parametrize(("card", "status"), [("4000 0000 0000 0002", 402), ("4000000000000119", 500)])
async def test_test_cards_fail_and_leave_the_order_open(card: str, status: int) -> None:
    async with shop("http://127.0.0.1:9") as client:
        order = await new_order(client)
        refused = await client.post("/pay", json={"order": order, "card_number": card})
        assert refused.status_code == status and refused.json()["error"]
        assert (await client.get(f"/thanks/{order}")).status_code == 303
        assert (await client.post("/pay", json={"order": order, "card_number": CARD})).status_code == 200


async def test_an_unknown_order_cannot_be_paid() -> None:
    async with shop("http://127.0.0.1:9") as client:
        assert (await client.post("/pay", json={"order": "order-1"})).status_code == 404


async def test_the_total_follows_the_shipping() -> None:
    async with shop("http://127.0.0.1:9") as client:
        totals = [(await client.post("/quote", json={"shipping": way})).json() for way in ("standard", "express", "?")]
    assert [total["total"] for total in totals] == ["53.90 €", "61.90 €", "53.90 €"]


@pytest.mark.parametrize(
    ("status", "body", "shown"),
    [
        (200, RESULT, {"state": "scored", **RESULT}),
        (200, REJECTED, {"state": "rejected", **REJECTED}),
        (202, {"status": "pending"}, {"state": "pending"}),
        (404, {}, {"state": "pending"}),
        (503, {}, {"state": "away"}),
    ],
)
async def test_the_score_of_the_pages_last_event_is_shown(
    ingest: tuple[Ingest, str], status: int, body: dict[str, Any], shown: dict[str, Any]
) -> None:
    stub, url = ingest
    stub.score = (status, body)
    async with shop(url) as client:
        order = await paid_order(client)
        assert (await client.get(f"/orders/{order}/score")).json() == {"state": "pending"}
        assert (await client.post(f"/orders/{order}/event", json={"event_id": EVENT})).status_code == 204
        assert (await client.get(f"/orders/{order}/score")).json() == shown
    assert stub.asked[-1]["path"] == f"/v1/events/{EVENT}/score"


async def test_what_is_no_event_id_is_not_asked_for(ingest: tuple[Ingest, str]) -> None:
    async with shop(ingest[1]) as client:
        order = await paid_order(client)
        wrong = await client.post(f"/orders/{order}/event", json={"event_id": "../../sessions"})
        assert wrong.status_code == 422
        assert (await client.get(f"/orders/{order}/score")).json() == {"state": "pending"}
    assert ingest[0].asked == []


async def test_the_agents_file_is_asked_for_once_and_kept(ingest: tuple[Ingest, str]) -> None:
    stub, url = ingest
    async with shop(url) as client:
        for _ in range(3):
            answer = await client.get("/agent/clickgoose.js")
            assert answer.content == stub.agent and answer.headers["content-type"].startswith("text/javascript")
    assert len(stub.asked) == 1


async def test_events_are_passed_on_as_they_are_with_the_pages_address(ingest: tuple[Ingest, str]) -> None:
    stub, url = ingest
    headers = {"authorization": "Bearer token", "x-clickgoose-signature": "t=1,v1=00", "cookie": "shop=secret"}
    async with shop(url) as client:
        answer = await client.post("/v1/events?a=%2F", content=b"\x00sealed", headers=headers)
    assert (answer.status_code, answer.headers["retry-after"], answer.json()) == (503, "7", {"results": []})
    (asked,) = stub.asked
    assert (asked["body"], asked["query"]) == (b"\x00sealed", "a=%2F")
    assert asked["headers"]["authorization"] == "Bearer token"
    assert asked["headers"]["x-clickgoose-signature"] == "t=1,v1=00"
    assert asked["headers"]["x-forwarded-for"] == "127.0.0.1"
    assert "cookie" not in asked["headers"]


async def test_events_that_cannot_be_passed_on_are_502_and_too_many_bytes_are_413() -> None:
    async with shop("http://127.0.0.1:9") as client:
        assert (await client.post("/v1/events", content=b"x")).status_code == 502
        assert (await client.post("/v1/events", content=b"x" * 1_048_577)).status_code == 413


async def test_a_direct_shop_passes_no_events_on() -> None:
    async with shop("http://127.0.0.1:9", proxied=False) as client:
        assert (await client.post("/v1/events", content=b"x")).status_code == 404


def test_only_the_latest_thousand_orders_are_kept() -> None:
    orders = Orders()
    numbers = [orders.open().number for _ in range(1_001)]
    assert orders.find(numbers[0]) is None
    assert orders.find(numbers[1]) is not None and len(set(numbers)) == 1_001
