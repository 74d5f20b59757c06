"""One stack, and one visit with each browser, for all tests of this folder."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from infra.stack.child import StackError
from tests.browser_parts import need_browsers
from tests.e2e.checkout.kit import Checkout, Visit, visit
from tests.e2e.system import System
from tests.kafka_parts import need_apache_kafka
from tests.workers import give_up


@pytest.fixture(scope="package")
def checkout() -> Iterator[Checkout]:
    """Stack, ingest tier, flow and two shops."""
    need_apache_kafka()
    programs = need_browsers()
    folder = Path(tempfile.mkdtemp(prefix="clickgoose-checkout-"))
    try:
        with System(folder) as system:
            running = Checkout(system, programs)
            running.start()
            yield running
    except StackError as error:
        give_up(f"The end-to-end tests need the local stack: {error} Run `clickgoose doctor`.")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="package")
def visits(checkout: Checkout) -> dict[str, Visit]:
    """A visit with each browser, side by side.

    Chromium's page sends to the ingest tier, which is another origin; Firefox's to the shop, which passes events on, as
    `make run` shows it.
    """
    with ThreadPoolExecutor(2) as pool:
        chromium = pool.submit(visit, checkout, "chromium", checkout.direct, checkout.ingest)
        firefox = pool.submit(visit, checkout, "firefox", checkout.proxied, checkout.proxied)
        return {"chromium": chromium.result(), "firefox": firefox.result()}


@pytest.fixture
def in_chromium(visits: dict[str, Visit]) -> Visit:
    """The visit with Chromium."""
    return visits["chromium"]


@pytest.fixture(params=["chromium", "firefox"])
def visited(request: pytest.FixtureRequest, visits: dict[str, Visit]) -> Visit:
    """Each of the two."""
    return visits[request.param]
