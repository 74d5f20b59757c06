"""One stack, and one visit with each browser, for all tests of this folder."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.stack.child import StackError
from tests.browser_parts import need_browsers
from tests.e2e.checkout.kit import Checkout, Visit, visit
from tests.e2e.system import System
from tests.kafka_parts import need_apache_kafka


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
        pytest.exit(f"The end-to-end tests need the local stack: {error} Run `clickgoose doctor`.", returncode=1)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="package")
def in_chromium(checkout: Checkout) -> Visit:
    """A visit to the shop whose pages send to the ingest tier, which is another origin."""
    return visit(checkout, "chromium", checkout.direct, checkout.ingest)


@pytest.fixture(scope="package")
def in_firefox(checkout: Checkout) -> Visit:
    """A visit to the shop that passes events on, as `make run` shows it."""
    return visit(checkout, "firefox", checkout.proxied, checkout.proxied)


@pytest.fixture(params=["chromium", "firefox"])
def visited(request: pytest.FixtureRequest, in_chromium: Visit, in_firefox: Visit) -> Visit:
    """Each of the two."""
    return in_chromium if request.param == "chromium" else in_firefox
