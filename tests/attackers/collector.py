"""The demo shop and an ingest tier in this process: what our agent collects in a browser that visits, opened."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from infra.demo_shop.app import ShopConfig, create_shop
from infra.demo_shop.clickgoose import Account
from ingest_api.app import create_app
from ingest_api.config import AGENT_DIR
from ingest_api.server import bind, url_of
from tests.e2e.opened import Opened, once, open_records
from tests.ingest_kit import KEYS, RING, MemoryAppender, MemoryRedis, config
from tests.served import served

_SETTLE_SECONDS = 0.5


@dataclass
class Collector:
    """Where the shop is, and what reached the ingest tier."""

    shop: str
    _appender: MemoryAppender
    _taken: int = 0

    @property
    def checkout(self) -> str:
        """The address of the page with the form."""
        return f"{self.shop}/checkout"

    def events(self) -> list[Opened]:
        """Return the events of the visit so far, each once, in their order."""
        values = [record.value for record in self._appender.records[self._taken :]]
        return once(open_records(values, RING))

    def take(self) -> list[Opened]:
        """Return the events of a visit that is over; what comes next is the next visit's."""
        time.sleep(_SETTLE_SECONDS)
        found = self.events()
        self._taken = len(self._appender.records)
        return found


@contextlib.contextmanager
def collecting() -> Iterator[Collector]:
    """Serve both on loopback, the agent as it is built; the page sends to the tier itself."""
    with tempfile.TemporaryDirectory(prefix="clickgoose-attackers-") as folder:
        bound = bind("127.0.0.1", 0)
        url = url_of(bound, None)
        appender = MemoryAppender()
        wanted = config(Path(folder), public_url=url, agent_dir=AGENT_DIR)
        app = create_app(wanted, appender=appender, redis=MemoryRedis())
        shop = create_shop(ShopConfig(Account(url, KEYS["demo-shop"]), proxied=False))
        with served(app, bound), served(shop) as address:
            yield Collector(address, appender)
