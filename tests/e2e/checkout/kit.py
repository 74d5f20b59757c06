"""A stack with ingest tier, flow and demo shop, and a visitor who types, pastes, leaves the tab and pays."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import Any

from infra.keys import key_ring
from infra.live.run import shop_child
from infra.stack.child import ChildProcess
from infra.stack.local import LocalStack
from tests.browser_parts import Programs
from tests.e2e.browsers import Browser, Kind, Seen
from tests.e2e.opened import Opened, once, open_records
from tests.e2e.system import READY_SECONDS, System

CARD = "4539 1488 0343 6467"
# What the visitor types, by field; the card number is pasted.
TYPED = {
    "name": "Wilhelmina Canary-Quackenbush",
    "email": "wilhelmina.quackenbush@canary-mail.example",
    "phone": "+49 1523 4455667",
    "address": "Gaensemarkt 4711 b",
    "postal_code": "20354",
    "card_expiry": "11/31",
    "card_cvv": "738",
    "cardholder_name": "W CANARY QUACKENBUSH",
}
# What gets into addresses, titles and error messages although it should not.
LEAKED = {
    "iban": "AT611904300234573201",
    "card": "5454 5454 5454 5454",
    "email": "leaked.gosling@canary-mail.example",
    "phone": "+1 212 555 0187",
    "token": "eyJhbGciOiJIUzI1NiJ9.eyJjYW5hcnkiOiJnb29zZSJ9.c2VjcmV0c2lnbmF0dXJl",
    "password": "Honk!hunter2goose",
}
SECRETS = [CARD, *(text for name, text in TYPED.items() if len(text) > 5 and name != "postal_code"), *LEAKED.values()]
AGENT_STARTED = "performance.getEntriesByName('shop.agent').length > 0"
_MARGIN = READY_SECONDS


@dataclass
class Checkout:
    """What runs, and where."""

    system: System
    programs: Programs
    ingest: str = ""
    direct: str = ""
    proxied: str = ""

    @property
    def stack(self) -> LocalStack:
        """The stack."""
        return self.system.stack

    def start(self) -> None:
        """Start ingest tier, flow and two shops: one whose pages send to the tier, one that passes events on."""
        self.system.start_flow(keys=False)
        self.ingest = self.system.start_ingest()
        self.direct = self.shop("shop-direct", self.ingest, "--direct")
        self.proxied = self.shop("shop-proxied", self.ingest)

    def shop(self, name: str, ingest: str, *words: str) -> str:
        """Start a shop and return its URL."""
        self.stack.add(
            shop_child(self.stack, self.system.work, ingest, *words, name=name), READY_SECONDS, restart=False
        )
        return (self.system.work / f"{name}.url").read_text("utf-8").strip()

    def second_ingest(self, name: str, port: int) -> ChildProcess:
        """Start another ingest tier on a port of its own, which the test may kill and start again."""
        port_file = self.system.work / f"{name}.url"
        words = ["ingest", "serve", "--port", str(port), "--port-file", str(port_file)]
        return self.stack.add(
            ChildProcess(
                name,
                [sys.executable, "-m", "infra.cli", *words, "--spool", str(self.system.work / f"{name}-spool")],
                log=self.stack.log(name),
                env=self.stack.env(),
                probe=port_file.exists,
            ),
            READY_SECONDS,
            restart=False,
        )

    def sent(self, transaction: str) -> list[Opened]:
        """Return a payment's events as they were appended, opened, each once."""
        values = [message.value() or b"" for message in self.system.records("events.raw")]
        return once(open_records(values, key_ring(self.stack.settings), transaction))

    def wait_sent(self, transaction: str, code: int, seconds: float = _MARGIN) -> list[Opened]:
        """Return a payment's events once one of them holds an entry with a log code."""
        until = time.monotonic() + seconds
        while True:
            events = self.sent(transaction)
            if any(event.values(code) for event in events):
                return events
            assert time.monotonic() < until, f"no entry {code} of {transaction} within {seconds} s"
            time.sleep(0.2)


@dataclass
class Visit:
    """What one browser did and saw from the product to the thanks."""

    kind: Kind
    shop: str
    ingest: str
    order: str
    events: list[Opened]
    seen: Seen
    first_sent_ms: float
    full_sealed_ms: float
    thanks: str
    verdict: str
    databases: bytes
    deliberate: Seen = field(repr=False)

    @property
    def fullest(self) -> Opened:
        """The event with the most signals."""
        return max(self.events, key=lambda event: len(event.signals))

    def codes(self) -> set[int]:
        """All log codes of all events."""
        return {entry["code"] for event in self.events for entry in event.entries}

    def entries(self, code: int) -> list[dict[str, Any]]:
        """Return all entries with a code."""
        return [entry for event in self.events for entry in event.entries if entry["code"] == code]


def visit(checkout: Checkout, kind: Kind, shop: str, ingest: str) -> Visit:
    """Buy a goose: type, paste, leave the tab, submit, read the thanks."""
    with Browser(checkout.programs, kind) as browser:
        browser.copy(CARD)
        browser.open(f"{shop}/?mail={LEAKED['email']}&password={LEAKED['password']}")
        browser.click("article .button")
        browser.becomes(AGENT_STARTED)
        order = browser.evaluate("document.getElementById('checkout').dataset.order")
        for name in ("name", "email", "phone", "address", "postal_code"):
            browser.type(f"[name={name}]", TYPED[name], delay_ms=12)
        browser.leave()
        browser.paste("[name=card_number]")
        for name in ("card_expiry", "card_cvv", "cardholder_name"):
            browser.type(f"[name={name}]", TYPED[name], delay_ms=12)
        started, first = browser.evaluate(_first(ingest))
        seen = browser.seen()
        browser.do("forget")
        browser.evaluate(_misfortunes())
        browser.do("sleep", ms=300)
        browser.click("button[type=submit]")
        browser.appears("#verdict")
        browser.becomes("['scored', 'rejected'].includes(document.getElementById('verdict').dataset.state)")
        thanks = browser.evaluate("document.querySelector('main').innerText")
        verdict = browser.evaluate("document.getElementById('verdict').dataset.decision ?? 'none'")
        events = checkout.wait_sent(order, 209)  # payment_succeeded, noted as the page is being left
        databases = bytes(browser.evaluate(_DATABASES))
        full = next(event.header.sent_at for event in events if len(event.signals) > 0.98 * _most(events))
        return Visit(
            kind, shop, ingest, order, events, seen, first, full - started, thanks, verdict, databases, browser.seen()
        )  # fmt: skip


def first_sent_ms(checkout: Checkout, visit: Visit) -> float:
    """Return how long after its start the agent sent its first event, ms, of a new page as a visit opened one."""
    with Browser(checkout.programs, visit.kind) as browser:
        browser.open(f"{visit.shop}/checkout")
        browser.becomes(AGENT_STARTED)
        browser.becomes(f"performance.getEntriesByName('{visit.ingest}/v1/events', 'resource').length > 0")
        return float(browser.evaluate(_first(visit.ingest))[1])


def _first(ingest: str) -> str:
    return _FIRST.replace("ENDPOINT", f"{ingest}/v1/events")


def _most(events: list[Opened]) -> int:
    return max(len(event.signals) for event in events)


def _misfortunes() -> str:
    """Return a script that does to a page what careless shops do: secrets in titles, addresses and errors."""
    card, email, phone, token, iban = (LEAKED[name] for name in ("card", "email", "phone", "token", "iban"))
    return f"""(() => {{
        document.title = "Order of {email}, card {card}";
        history.pushState({{}}, "", "/checkout/{email}/{card.replace(" ", "")}?token={token}&iban={iban}#{email}");
        fetch("/quote/{email}?phone={phone}&card={card}").catch(() => 0);
        console.debug("{card}");
        Promise.reject(new Error("no route to {email} with token {token}"));
        setTimeout(() => {{ throw new TypeError("card {card} of {phone} was refused, IBAN {iban}"); }});
    }})()"""


# Unix ms of the agent's start; ms from there to the first request to the endpoint.
_FIRST = """(() => {
    const started = performance.getEntriesByName("shop.agent")[0].startTime;
    const sent = performance.getEntriesByName("ENDPOINT", "resource").map((entry) => entry.startTime);
    return [performance.timeOrigin + started, Math.min(...sent) - started];
})()"""

# Every record of every database of the origin, with its key, as one array of bytes; and both storages.
_DATABASES = """(async () => {
    const bytes = [];
    const text = new TextEncoder();
    const put = (value) => {
        if (value instanceof ArrayBuffer) put(new Uint8Array(value));
        else if (ArrayBuffer.isView(value)) for (const byte of value) bytes.push(byte);
        else if (value && typeof value === "object") Object.entries(value).flat().forEach(put);
        else bytes.push(...text.encode(String(value)), 10);
    };
    const asked = (request) => new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = reject;
    });
    for (const { name } of await indexedDB.databases()) {
        put(name);
        const database = await asked(indexedDB.open(name));
        for (const store of database.objectStoreNames) {
            const rows = database.transaction(store).objectStore(store);
            put(store);
            for (const row of await asked(rows.getAll())) put(row);
        }
        database.close();
    }
    for (const storage of [localStorage, sessionStorage]) put({ ...storage });
    return bytes;
})()"""
