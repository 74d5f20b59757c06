"""What a customer types, pastes or gets into addresses, titles and errors is nowhere afterwards."""

from __future__ import annotations

import base64
from urllib.parse import quote, quote_plus

import pytest

from tests.e2e.checkout.kit import SECRETS, Checkout, Visit
from tests.e2e.checkout.search import hits, places

pytestmark = pytest.mark.timeout(900)  # the first test installs browsers and JDK where they are missing


@pytest.fixture(scope="module")
def everything(checkout: Checkout, visits: dict[str, Visit]) -> list[tuple[str, bytes]]:
    checkout.system.account()
    return list(places(checkout, visits.values()))


def test_no_secret_of_a_visit_is_kept_anywhere(everything: list[tuple[str, bytes]]) -> None:
    assert hits(SECRETS, everything) == []


def test_the_search_reaches_every_kind_of_place(everything: list[tuple[str, bytes]], in_chromium: Visit) -> None:
    """The order's number is no secret, and is where it should be; the shop's word for the page is in the payloads."""
    order = in_chromium.order
    found = {hit.partition(" in ")[2] for hit in hits([order], everything)}
    assert {"events.raw", "events.scored", "table events", "redis"} <= found
    opened = {place for place, content in everything if b"http://127.0.0.1" in content}
    assert "events.raw, opened" in opened
    assert any(
        b'"smart_signals"' in content for place, content in everything if place == "redis"
    )  # they lie there packed
    assert {"storage of chromium", "storage of firefox", "ingest.log", "flow.log"} <= {place for place, _ in everything}


def test_the_page_had_the_secrets_where_they_could_have_leaked(visited: Visit) -> None:
    said = " ".join(visited.deliberate.errors)
    assert "5454 5454 5454 5454" in said and "leaked.gosling@canary-mail.example" in said
    assert any("5454%205454" in request["url"] for request in visited.deliberate.requests)


@pytest.mark.parametrize("before", ["", "x", "xy"])
@pytest.mark.parametrize(
    "hide",
    [
        lambda text: text.upper().encode(),
        lambda text: text.encode("utf-16-le"),
        lambda text: quote(text, safe="!~*'()").encode(),
        lambda text: quote_plus(text).encode(),
        lambda text: base64.b64encode(text.encode()),
        lambda text: base64.urlsafe_b64encode(text.encode()),
        lambda text: text.encode().hex().encode(),
    ],
    ids=["plain", "utf-16", "percent", "form", "base64", "base64url", "hex"],
)
def test_the_search_finds_a_secret_in_each_form(before: str, hide: object) -> None:
    secret = "jane?~> doe!@canary-mail.example"
    hidden = hide(f"{before}{secret}more")  # type: ignore[operator] # a lambda of the list above
    assert hits([secret], [("there", b"..." + hidden + b"...")]) == ["secret 0 in there"]


def test_a_card_number_is_found_without_its_blanks() -> None:
    assert hits(["4539 1488 0343 6467"], [("there", b"4539148803436467")])
    assert not hits(["4539 1488 0343 6467"], [("there", b"4539148803436468")])
