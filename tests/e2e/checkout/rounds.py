"""Checkouts side by side, one for each state of the collector, measured in turn so that noise falls on all alike."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

from infra.demo_shop.app import ShopConfig, create_shop
from infra.demo_shop.clickgoose import Account
from ingest_api.app import create_app
from ingest_api.config import AGENT_DIR
from ingest_api.server import bind, url_of
from tests.browser_parts import Programs
from tests.e2e.browsers import Browser
from tests.e2e.checkout.kit import AGENT_STARTED
from tests.ingest_kit import KEYS, MemoryAppender, MemoryRedis, config
from tests.served import served

SLOW_SECONDS = 30.0
DECLINED = "4000 0000 0000 0002"
GARBAGE = b"\x00<html>" + bytes(range(256)) * 400
_FILL = f"""for (const field of document.querySelectorAll("input:not([type=radio])"))
    field.value = {{ email: "a@b.example", card_number: "{DECLINED}" }}[field.name] ?? "12";"""

Send = Callable[[dict[str, Any]], Awaitable[None]]


class Misbehaving:
    """A real ingest tier whose ``POST /v1/events`` is answered late, or with garbage."""

    def __init__(self, app: Any, how: str) -> None:
        self._app, self._how = app, how
        self.requests = 0

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or (scope["method"], scope["path"]) != ("POST", "/v1/events"):
            await self._app(scope, receive, send)
            return
        self.requests += 1
        if self._how == "slow":
            try:
                await asyncio.sleep(SLOW_SECONDS)
            except asyncio.CancelledError:  # the test is over
                return
        headers = [(b"access-control-allow-origin", b"*"), (b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": GARBAGE})


@contextlib.contextmanager
def misbehaving_shop(folder: Path, how: str) -> Iterator[tuple[str, Misbehaving]]:
    """Serve a tier that misbehaves, and a shop whose pages send to it; yield the shop's URL."""
    taken = bind("127.0.0.1", 0)
    url = url_of(taken, None)
    wanted = config(folder / how, public_url=url, agent_dir=AGENT_DIR)
    app = create_app(wanted, appender=MemoryAppender(), redis=MemoryRedis())
    tier = Misbehaving(app, how)
    with served(tier, taken), shop_for(Account(url, KEYS["demo-shop"])) as shop:
        yield shop, tier


@contextlib.contextmanager
def shop_for(account: Account) -> Iterator[str]:
    """Serve a shop whose pages send to the tier itself."""
    with served(create_shop(ShopConfig(account, proxied=False))) as url:
        yield url


class Shopper:
    """One browser at one checkout; notes how long the shop's own calls take."""

    def __init__(self, programs: Programs, shop: str) -> None:
        self._browser = Browser(programs, "chromium")
        self._shop = shop
        self.order = ""
        self.marks = 0
        self.took: dict[str, list[float]] = {"shop.quote": [], "shop.pay": []}

    @contextlib.contextmanager
    def shopping(self) -> Iterator[Browser]:
        """Open the checkout with the agent at work and the form filled in, all but the last click."""
        with self._browser as browser:
            self.begin()
            browser.evaluate(_FILL)
            yield browser

    def begin(self) -> None:
        """Open the checkout and wait for the agent."""
        self._browser.open(f"{self._shop}/checkout")
        self._browser.becomes(AGENT_STARTED)
        self.order = self._browser.evaluate("document.getElementById('checkout').dataset.order")

    def round(self, number: int) -> None:
        """Choose the other shipping, pay with a card that is declined, and leave two marks in the log."""
        self._do("shop.quote", f"[value={('express', 'standard')[number % 2]}]")
        self._do("shop.pay", "button[type=submit]")

    def _do(self, measure: str, selector: str) -> None:
        """Click, and note how long the shop took to do what was asked; then mark it."""
        self.marks += 1
        self._browser.click(selector)
        done = len(self.took[measure]) + 1
        self.took[measure].append(
            self._browser.evaluate(f"""new Promise((resolve) => {{
                const look = () => {{
                    const entries = performance.getEntriesByName("{measure}");
                    if (entries.length < {done}) return setTimeout(look, 10);
                    clickgoose.mark({1_000 + self.marks});
                    resolve(entries.at(-1).duration);
                }};
                look();
            }})""")
        )

    def sealed(self) -> list[str]:
        """Return the ids of all events that the page sealed."""
        return list(self._browser.evaluate("clickgoose.eventIds()"))

    def medians(self) -> dict[str, float]:
        """Return the median of each of the shop's calls, in ms."""
        return {name: median(took) for name, took in self.took.items()}
