"""The collector is killed in mid-checkout, slow, or answers garbage: the shop does not notice, nothing is lost."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from infra.demo_shop.clickgoose import Account
from infra.stack.ports import HOST, free_port
from infra.stack.secrets import certificate_paths
from tests.e2e.browsers import Browser, Seen
from tests.e2e.checkout.kit import Checkout
from tests.e2e.checkout.rounds import Shopper, misbehaving_shop, shop_for
from tests.e2e.opened import Opened
from tests.e2e.system import READY_SECONDS

pytestmark = pytest.mark.timeout(900)  # the first test installs browsers and JDK where they are missing

LEAST_ROUNDS, MOST_ROUNDS = 12, 48
MOST = 1.05
STATES = ("fine", "killed", "slow", "garbage")
CASES = tuple(itertools.product(STATES[1:], ("shop.quote", "shop.pay")))
MARK, SUBMITTED = 210, 208
YOUNG_SECONDS = 10.5  # the agent leaves younger events of another page alone, which may still have its answer coming


@dataclass
class Outcome:
    """What became of the four checkouts, and of what the page with the killed collector had noted."""

    shoppers: dict[str, Shopper]
    seen: dict[str, Seen]
    asked: dict[str, int]
    thanks: str
    sealed: list[str]
    order: str
    events: list[Opened]


@pytest.fixture(scope="module")
def outcome(checkout: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    port = free_port(set())  # it is its own again after the kill
    collector = checkout.second_ingest("ingest-killed", port)
    own = (checkout.stack.secrets.api_key(), certificate_paths(checkout.stack.home)[0])  # type: ignore[union-attr] # it runs
    folder = tmp_path_factory.mktemp("collectors")
    with contextlib.ExitStack() as open_:
        slow, slow_tier = open_.enter_context(misbehaving_shop(folder, "slow"))
        garbage, garbage_tier = open_.enter_context(misbehaving_shop(folder, "garbage"))
        fine = open_.enter_context(shop_for(Account(checkout.ingest, *own)))
        killed = open_.enter_context(shop_for(Account(f"https://{HOST}:{port}", *own)))
        shops = dict(zip(STATES, (fine, killed, slow, garbage), strict=True))
        shoppers = {state: Shopper(checkout.programs, shop) for state, shop in shops.items()}
        browsers = _open_all(open_, shoppers)
        checkout.wait_sent(shoppers["killed"].order, 100)
        collector.kill()
        _measure(shoppers)
        order, sealed = shoppers["killed"].order, shoppers["killed"].sealed()
        thanks = _pay(browsers["killed"])
        left = time.monotonic()
        seen = {state: browser.seen() for state, browser in browsers.items()}
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(Browser.close, (browsers[state] for state in ("fine", "slow", "garbage"))))
        (checkout.system.work / "ingest-killed.url").unlink()
        collector.start()
        collector.wait_ready(READY_SECONDS)
        time.sleep(max(0.0, left + YOUNG_SECONDS - time.monotonic()))
        shoppers["killed"].begin()  # any later page of the shop
        events = checkout.wait_sent(order, MARK)
        events = _wait_all(checkout, order, shoppers["killed"].marks, events)
        asked = {"slow": slow_tier.requests, "garbage": garbage_tier.requests}
        yield Outcome(shoppers, seen, asked, thanks, sealed, order, events)


def _open_all(open_: contextlib.ExitStack, shoppers: dict[str, Shopper]) -> dict[str, Browser]:
    """Start the browsers side by side: that they need all the machine does not matter yet."""
    with ThreadPoolExecutor(len(shoppers)) as pool:
        shopping = [shopper.shopping() for shopper in shoppers.values()]
        return dict(zip(shoppers, pool.map(open_.enter_context, shopping), strict=True))


def _measure(shoppers: dict[str, Shopper]) -> None:
    """Let all shop in turn. Where noise still hides that there is no difference, measure on: all rounds count."""
    for number in range(MOST_ROUNDS):
        for state in STATES[number % 4 :] + STATES[: number % 4]:
            shoppers[state].round(number)
        if (number + 1) % LEAST_ROUNDS == 0 and all(_ratio(shoppers, state, call) <= MOST for state, call in CASES):
            return


def _ratio(shoppers: dict[str, Shopper], state: str, call: str) -> float:
    return shoppers[state].medians()[call] / shoppers["fine"].medians()[call]


def _pay(browser: Browser) -> str:
    """Pay with a card that is accepted, and return what the page of thanks says."""
    browser.evaluate("document.querySelector('[name=card_number]').value = ''")
    browser.type("[name=card_number]", "4242 4242 4242 4242", delay_ms=0)
    browser.click("button[type=submit]")
    browser.appears("#verdict")
    browser.becomes("document.getElementById('verdict').dataset.state === 'none'")
    return str(browser.evaluate("document.querySelector('main').innerText"))


def _wait_all(checkout: Checkout, order: str, marks: int, events: list[Opened]) -> list[Opened]:
    until = time.monotonic() + READY_SECONDS
    while len({value for event in events for value in event.values(MARK)}) < marks and time.monotonic() < until:
        time.sleep(0.3)
        events = checkout.sent(order)
    return events


@pytest.mark.parametrize(("state", "call"), CASES)
def test_the_shops_own_calls_take_no_longer(outcome: Outcome, state: str, call: str) -> None:
    assert len(outcome.shoppers[state].took[call]) >= LEAST_ROUNDS
    assert _ratio(outcome.shoppers, state, call) <= MOST


@pytest.mark.parametrize("state", STATES[1:])
def test_no_error_of_the_agent_reaches_the_page(outcome: Outcome, state: str) -> None:
    assert outcome.seen[state].errors == []


def test_the_agent_did_try_where_the_collector_misbehaved(outcome: Outcome) -> None:
    assert outcome.asked["slow"] >= 1 and outcome.asked["garbage"] >= 2


def test_the_order_goes_through_with_the_collector_killed(outcome: Outcome) -> None:
    assert "Thank you" in outcome.thanks
    assert "No score is there yet" in outcome.thanks


def test_every_entry_arrives_after_the_collector_is_back_and_is_there_once(outcome: Outcome) -> None:
    noted = Counter(value for event in outcome.events for value in event.values(MARK))
    marks = outcome.shoppers["killed"].marks
    assert noted == Counter(range(1_001, 1_001 + marks)) and marks >= 2 * LEAST_ROUNDS
    assert sum(len(event.values(SUBMITTED)) for event in outcome.events) == marks / 2 + 1


def test_every_event_that_the_page_sealed_arrives_and_is_scored_once(checkout: Checkout, outcome: Outcome) -> None:
    arrived = {event.header.event_id.hex() for event in outcome.events}
    assert set(outcome.sealed) <= arrived
    assert [event.header.sequence for event in outcome.events] == list(range(len(outcome.events)))
    account = checkout.system.account()
    assert account.balanced and account.duplicated_for_users == 0
    rows = checkout.system.clickhouse(
        f"SELECT count(), uniqExact(event_id) FROM events FINAL WHERE transaction = '{outcome.order}'"  # noqa: S608 - ours
    )
    assert rows == [(len(arrived), len(arrived))]
