"""The shop's pages and its own API.

    GET  /                       the product
    GET  /checkout               the form; its script asks for a session and starts the agent
    POST /session                the shop's server opens a clickgoose session for an order
    POST /quote                  the price with the chosen shipping
    POST /pay                    takes the order, whatever clickgoose does
    POST /orders/{number}/event  the page says which event was its last
    GET  /thanks/{number}        the page that shows the score
    GET  /orders/{number}/score  the shop's server polls clickgoose

Nothing that a customer types is kept or logged. Who has paid is known by a cookie, and the card by its token: the next
session says it to clickgoose.
"""

from __future__ import annotations

import asyncio
import contextlib
import html
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from pydantic import BaseModel, Field
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.staticfiles import StaticFiles

from infra.demo_shop.cards import COOKIE, Cards
from infra.demo_shop.clickgoose import AGENT_PATH, EVENTS_PATH, Account, Clickgoose
from infra.demo_shop.orders import PRICE_CENTS, SHIPPING_CENTS, Orders, total_cents

_HERE = Path(__file__).parent
_MOST_BODY = 1_048_576
_POLL_SECONDS = 5.0
_DECLINED, _BROKEN = "4000000000000002", "4000000000000119"


@dataclass(frozen=True, slots=True)
class ShopConfig:
    """How the shop runs. ``proxied``: pages send events to the shop, which passes them on to the ingest tier."""

    account: Account
    proxied: bool = True
    work_seconds: float = 0.15


class SessionBody(BaseModel):
    """For which order a session is wanted."""

    order: str = Field(max_length=64)


class QuoteBody(BaseModel):
    """Which shipping is chosen."""

    shipping: str = Field(max_length=16)


class PaymentBody(BaseModel):
    """What the form sends; everything else of it is dropped unread. A real shop hands the card to its acquirer."""

    order: str = Field(max_length=64)
    shipping: str = Field(default="standard", max_length=16)
    card_number: str = Field(default="", max_length=64)


class EventBody(BaseModel):
    """The last event that the page's agent sent."""

    event_id: Annotated[str, Field(pattern="^[0-9a-f]{32}$")]


class Pages:
    """The pages as templates; every value is escaped."""

    def __init__(self) -> None:
        self._frame = Template((_HERE / "pages" / "frame.html").read_text("utf-8"))
        self._pages = {path.stem: Template(path.read_text("utf-8")) for path in (_HERE / "pages").glob("*.html")}

    def page(self, name: str, title: str, **values: str) -> HTMLResponse:
        """Return a page within the frame."""
        body = self._pages[name].substitute({key: html.escape(value) for key, value in values.items()})
        return HTMLResponse(self._frame.substitute(title=html.escape(title), body=body, page=name))


def content_policy(config: ShopConfig) -> str:
    """Return the Content-Security-Policy of every page: own files only, and events to one address."""
    parts = urlsplit(config.account.url)
    ingest = "" if config.proxied else f" {parts.scheme}://{parts.netloc}"
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        f"connect-src 'self'{ingest}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


def create_shop(config: ShopConfig) -> FastAPI:
    """Return the application."""
    clickgoose = Clickgoose(config.account)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with clickgoose:
            yield

    shop = FastAPI(title="clickgoose demo shop", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    policy = content_policy(config)

    @shop.middleware("http")
    async def protect(request: Request, call_next: object) -> Response:
        answer: Response = await call_next(request)  # type: ignore[operator] # Starlette's own type is not exported
        answer.headers["content-security-policy"] = policy
        answer.headers["x-content-type-options"] = "nosniff"
        answer.headers["referrer-policy"] = "same-origin"
        answer.headers.setdefault("cache-control", "no-store")
        return answer

    shop.add_middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])
    shop.mount("/static", StaticFiles(directory=_HERE / "static"))
    orders, cards = Orders(), Cards()
    _add_pages(shop, orders)
    _add_shop(shop, orders, cards, config.work_seconds)
    _add_clickgoose(shop, orders, cards, clickgoose, config.proxied)
    return shop


def _add_pages(shop: FastAPI, orders: Orders) -> None:
    pages = Pages()

    @shop.get("/")
    async def product() -> HTMLResponse:
        return pages.page("product", "The brass goose", price=_euros(PRICE_CENTS))

    @shop.get("/checkout")
    async def checkout() -> HTMLResponse:
        prices = {name: _euros(cents) for name, cents in SHIPPING_CENTS.items()}
        total = _euros(total_cents("standard"))
        return pages.page("checkout", "Checkout", order=orders.open().number, total=total, **prices)

    @shop.get("/thanks/{number}")
    async def thanks(number: str) -> Response:
        order = orders.find(number)
        if order is None or not order.paid:
            return RedirectResponse("/", 303)
        return pages.page("thanks", "Thank you", order=number)


def _add_shop(shop: FastAPI, orders: Orders, cards: Cards, work_seconds: float) -> None:
    @shop.post("/quote")
    async def quote(body: QuoteBody) -> dict[str, str]:
        await asyncio.sleep(work_seconds / 3)
        return {"total": _euros(total_cents(body.shipping))}

    @shop.post("/pay")
    async def pay(request: Request, body: PaymentBody) -> JSONResponse:
        order = orders.find(body.order)
        if order is None:
            return JSONResponse({"error": "This order is not known any more: begin again."}, 404)
        await asyncio.sleep(work_seconds)  # what an acquirer would take
        card = "".join(filter(str.isdigit, body.card_number))
        if card == _DECLINED:
            return JSONResponse({"error": "The card was declined. Try another one."}, 402)
        if card == _BROKEN:
            return JSONResponse({"error": "The payment could not be made just now. Try again."}, 500)
        order.paid = True
        answer = JSONResponse({"thanks": f"/thanks/{order.number}"})
        customer = cards.remember(request.cookies.get(COOKIE, ""), card)
        answer.set_cookie(COOKIE, customer, httponly=True, samesite="strict")
        return answer


def _add_clickgoose(shop: FastAPI, orders: Orders, cards: Cards, clickgoose: Clickgoose, proxied: bool) -> None:
    @shop.post("/session")
    async def session(request: Request, body: SessionBody) -> Response:
        card = cards.token(request.cookies.get(COOKIE, ""))
        opened = await clickgoose.open_session(body.order, card) if orders.find(body.order) else None
        if opened is None:
            return Response(status_code=204)  # no error: the page has nothing to do about it
        endpoint = str(request.base_url).rstrip("/") + EVENTS_PATH if proxied else opened.endpoint
        return JSONResponse({"endpoint": endpoint, "token": opened.token, "key": opened.key, "transaction": body.order})

    @shop.post("/orders/{number}/event")
    async def last_event(number: str, body: EventBody) -> Response:
        order = orders.find(number)
        if order is not None:
            order.event_id = body.event_id
        return Response(status_code=204)

    @shop.get("/orders/{number}/score")
    async def score(number: str) -> dict[str, object]:
        order = orders.find(number)
        if order is None or not order.event_id:
            return {"state": "pending"}
        return await clickgoose.score(order.event_id, _POLL_SECONDS)

    @shop.get(AGENT_PATH)
    async def agent() -> Response:
        script = await clickgoose.agent()
        if script is None:
            return Response(status_code=503)
        return Response(script, media_type="text/javascript", headers={"cache-control": "max-age=3600"})

    if proxied:

        @shop.post(EVENTS_PATH)
        async def events(request: Request) -> Response:
            body = await _bounded_body(request)
            if body is None:
                return Response(status_code=413)
            address = request.client.host if request.client else "127.0.0.1"
            status, headers, content = await clickgoose.forward(request.url.query, request.headers, address, body)
            return Response(content, status, headers)


async def _bounded_body(request: Request) -> bytes | None:
    """Return the body, or None where it is larger than the ingest tier would take."""
    parts, size = [], 0
    async for part in request.stream():
        parts.append(part)
        size += len(part)
        if size > _MOST_BODY:
            return None
    return b"".join(parts)


def _euros(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d} €"
