"""Bounded loads: straight onto ``events.raw``, or by browsers that talk to the ingest tier until they are told ok."""

from __future__ import annotations

import contextlib
import hashlib
import random
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import httpx

from ingest_api.signature import SIGNATURE_HEADER, sign_body
from schemas.envelope import Attested, address_bytes, wrap
from schemas.framing import FRAMES_CONTENT_TYPE, pack_frames
from schemas.sealed import Header, seal
from tests.e2e.system import System
from tests.wire import HONEST, RING, payload

PARTITIONS = 4
DEVICES = 24
MERCHANTS = ("demo-shop", "other-shop")
ADDRESSES = ("192.0.2.17", "8.8.8.8", "193.99.144.80", "193.99.144.85", "133.11.0.1", "2a02:2e0:3fe:1001:302::")
"""Of nowhere, the United States, Germany three times, and Japan."""
STEP_MS = 2_000  # event time between two events of a load
LATENESS_MS = (0, 0, 0, 40_000, 400_000)  # how much earlier than its turn an event happened
_REPEATED = 12  # one in so many is sent twice
_PATIENCE_SECONDS = 240.0  # only where a machine is very busy


@cache
def bodies() -> tuple[bytes, ...]:
    """Return a few payloads."""
    return tuple(payload({"storage.quota": 1024 + n, "canvas.pixel_differences": n, **HONEST}) for n in range(3))


def fixed(*parts: object) -> bytes:
    """Return 16 fixed bytes that look like chance."""
    return hashlib.sha256(repr(parts).encode()).digest()[:16]


@dataclass(frozen=True, slots=True)
class Turn:
    """One event of a load: who sends it, and how long before the load's end it happened."""

    row: int
    device: bytes
    merchant: str
    account: str
    address: str
    session: int
    age_ms: int


def turns(name: str, events: int) -> list[Turn]:
    """Return a load's events, repetitions included, in the order in which they are sent; the same for the same name.

    Two dozen devices of the load's own share addresses, accounts and merchants; some events come out of order, and one
    in twelve is sent twice.
    """
    chance = random.Random(name)
    found: list[Turn] = []
    for row in range(events):
        device = chance.randrange(DEVICES)
        found.append(
            Turn(
                row,
                fixed(name, "device", device),
                MERCHANTS[chance.random() < 0.1],
                f"customer-{(device + chance.randrange(3)) % 9}" if chance.random() < 0.8 else "",
                ADDRESSES[(device + (chance.random() < 0.3)) % len(ADDRESSES)],
                row * DEVICES // 200 * DEVICES + device,  # a device goes on to its next session after a while
                STEP_MS * (events - row) + chance.choice(LATENESS_MS),
            )
        )
        if chance.random() < 1 / _REPEATED:
            found.append(found[-1 - chance.randrange(min(8, len(found)))])
    return found


def records(name: str, events: int) -> list[tuple[int, bytes]]:
    """Return a load as records for ``events.raw`` with their partitions."""
    now = time.time_ns() // 1_000_000
    made: dict[int, tuple[int, bytes]] = {}
    for turn in turns(name, events):
        if turn.row not in made:
            made[turn.row] = _record(name, turn, now)
    return [made[turn.row] for turn in turns(name, events)]


def _record(name: str, turn: Turn, now: int) -> tuple[int, bytes]:
    session = fixed(name, "session", turn.session)
    head = Header(1, session, turn.device, fixed(name, "event", turn.row), turn.row, now - turn.age_ms)
    key = RING.derive(1, session, "seal")
    assert key is not None
    event = seal(head, bodies()[turn.row % len(bodies())], key, fixed(name, "nonce", turn.row)[:12])
    attested = Attested(turn.merchant, f"order-{turn.session}", turn.account)
    value = wrap(attested, now - turn.age_ms + 50, address_bytes(turn.address), event)
    return turn.device[0] % PARTITIONS, value


@dataclass
class Appending:
    """A load that goes straight onto ``events.raw``, from a thread of its own."""

    system: System
    name: str
    events: int
    pause: float
    failure: BaseException | None = None
    thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self.records = records(self.name, self.events)
        self.thread = threading.Thread(target=self._run, name="load")
        self.thread.start()

    @property
    def offered(self) -> int:
        """Return how many records are offered in all, repetitions included."""
        return len(self.records)

    def _run(self) -> None:
        try:
            self.system.append(self.records, self.pause)
        except BaseException as error:  # the test raises it
            self.failure = error

    def join(self) -> None:
        """Wait until all is sent."""
        self.thread.join()
        if self.failure is not None:
            raise self.failure


@dataclass
class Page:
    """What a page got from ``POST /v1/sessions``."""

    token: str
    key_id: int
    session_id: bytes
    sign_key: bytes


@dataclass
class Browsers:
    """A load through the API: each event is sent until it is answered ``ok``, as an honest browser does.

    ``clock_ms`` is how far the browsers' clocks are off. What was told ok is in ``told``, answers by reason in
    ``reasons``.
    """

    system: System
    url: str
    name: str
    events: int
    pause: float = 0.0
    clock_ms: int = 0
    told: list[str] = field(default_factory=list)
    reasons: dict[str, int] = field(default_factory=dict)
    failure: BaseException | None = None
    thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self.turns = turns(self.name, self.events)
        self._pages: dict[tuple[str, int], Page] = {}
        self.thread = threading.Thread(target=self._run, name="browsers")
        self.thread.start()

    @property
    def offered(self) -> int:
        """Return how many events are offered in all, repetitions included."""
        return len(self.turns)

    def join(self) -> None:
        """Wait until every event was told ok."""
        self.thread.join()
        if self.failure is not None:
            raise self.failure

    def _run(self) -> None:
        try:
            with self._client() as client:
                for turn in self.turns:
                    self._send(client, turn)
                    if self.pause:
                        time.sleep(self.pause)
        except BaseException as error:  # the test raises it
            self.failure = error

    def _client(self) -> httpx.Client:
        secure = ssl.create_default_context(cafile=str(self.system.stack.home / "tls" / "cert.pem"))
        return httpx.Client(base_url=self.url, verify=secure, timeout=60)

    def _send(self, client: httpx.Client, turn: Turn) -> None:
        """Send one event until it is taken; AssertionError where that takes too long or it is refused for good."""
        event = fixed(self.name, "event", turn.row)
        until = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < until:
            reason = "no_answer"
            with contextlib.suppress(httpx.TransportError):
                reason = self._try(client, turn, event)
            self.reasons[reason] = self.reasons.get(reason, 0) + 1
            if reason in ("appended", "spooled"):
                self.told.append(event.hex())
                return
            time.sleep(0.1)
        raise AssertionError(f"an event was not taken within {_PATIENCE_SECONDS} s: {self.reasons}")

    def _try(self, client: httpx.Client, turn: Turn, event: bytes) -> str:
        page = self._page(client, turn)
        if page is None:
            return "no_session"
        now = time.time_ns() // 1_000_000 + self.clock_ms
        head = Header(page.key_id, page.session_id, turn.device, event, turn.row, now - turn.age_ms)
        key = RING.derive(page.key_id, page.session_id, "seal")
        assert key is not None
        body = pack_frames(
            [seal(head, bodies()[turn.row % len(bodies())], key, fixed(event, page.session_id, now)[:12])]
        )
        headers = {
            "authorization": f"Bearer {page.token}",
            "content-type": FRAMES_CONTENT_TYPE,
            "x-forwarded-for": turn.address,
            SIGNATURE_HEADER: sign_body(page.sign_key, now, body),
        }
        answer = client.post("/v1/events", content=body, headers=headers)
        if answer.status_code != 200:
            return str(answer.json()["error"]["code"])
        (result,) = answer.json()["results"]
        if result["reason"] == "session_expired":  # the shop's server opens another
            del self._pages[turn.merchant, turn.session]
        return str(result["reason"])

    def _page(self, client: httpx.Client, turn: Turn) -> Page | None:
        found = self._pages.get((turn.merchant, turn.session))
        if found is None:
            assert self.system.stack.secrets is not None
            answer = client.post(
                "/v1/sessions",
                json={"transaction": f"order-{turn.session}", "linked_id": turn.account},
                headers={"authorization": f"Bearer {self.system.stack.secrets.api_key(turn.merchant)}"},
            )
            if answer.status_code != 201:
                return None
            opened = answer.json()
            key_id, session_id = int(opened["key_id"]), bytes.fromhex(opened["session_id"])
            sign_key = RING.derive(key_id, session_id, "sign")
            assert sign_key is not None
            found = Page(str(opened["token"]), key_id, session_id, sign_key)
            self._pages[turn.merchant, turn.session] = found
        return found


def ids_of(load: Appending | Browsers) -> set[str]:
    """Return the event ids of a load, in hex."""
    return {fixed(load.name, "event", row).hex() for row in range(load.events)}


def write_told(path: Path, loads: Sequence[Browsers]) -> Path:
    """Write the ids that were told ok, for the account."""
    path.write_text("".join(f"{one}\n" for load in loads for one in load.told), "ascii")
    return path


@contextlib.contextmanager
def joined(*loads: Appending | Browsers) -> Iterator[None]:
    """Run the block while loads are on their way; wait for them at its end, also where it fails."""
    try:
        yield
    finally:
        for load in loads:
            load.thread.join()
    for load in loads:
        load.join()
