"""What all visits share: a shop's pages, ids, and an honest visit from a visitor."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from infra.traffic.behaviour import Human, Machine, Normals, log_size
from infra.traffic.countries import DATA_CENTRES, address_in
from infra.traffic.population import Population, Visitor
from infra.traffic.profile import Signals
from infra.traffic.visits import FRAUD, HONEST, LogEntry, Planned, Visit

MERCHANTS = ("demo-shop", "other-shop")
_TITLES = {"demo-shop": "Checkout - Demo shop", "other-shop": "Kasse - Other shop"}
_PATHS = ("checkout", "checkout/payment", "checkout/address", "cart")
_REFERRERS = ("cart", "", "product/blue-lamp", "login")


class Craft:
    """Makes visits. All chance comes from the one seeded source."""

    def __init__(self, seed: int, *, small: bool = False, merchants: Sequence[str] = MERCHANTS) -> None:
        self.random = Random(f"clickgoose visits {seed}")
        self.population = Population(seed)
        self.small = small
        self._merchants = tuple(merchants)
        self._normals = Normals(self.random)

    def human(self, device: str) -> Human:
        """Return a person on a page."""
        return Human(self.random, self._normals, device)

    def machine(self, style: str = "script", cadence: float = 30.0, jitter: float = 0.03) -> Machine:
        """Return a script on a page: what it does, ms between its steps, and their spread."""
        return Machine(self.random, self._normals, style, cadence, jitter)

    def merchant(self) -> str:
        """Return a merchant; the first is the largest."""
        return self._merchants[0] if self.random.random() < 0.8 else self.random.choice(self._merchants)

    def transaction(self) -> str:
        """Return a fresh transaction id."""
        return f"txn_{self.random.getrandbits(64):016x}"

    def account(self) -> str:
        """Return a fresh id of a merchant's account."""
        return f"acct_{self.random.getrandbits(48):012x}"

    def data_centre(self) -> bytes:
        """Return an address of a hosting provider."""
        return address_in(self.random.choice(DATA_CENTRES), self.random.random())

    def size(self) -> int:
        """Return how many entries an honest event carries."""
        return log_size(self.random, self.small)

    def visitor(self, at: int, browser: str = "", system: str = "", engine: str = "", device: str = "") -> Visitor:
        """Return the next visitor of the population with the wanted browser, system, engine and device."""
        while True:
            visitor = self.population.visitor(at, browser, system, engine)
            if device in ("", visitor.device):
                return visitor

    def page(self, merchant: str, age: int) -> Signals:
        """Return the signals of the page and of the moment."""
        random = self.random
        site = f"https://{merchant}.example/"
        referrer = random.choice(_REFERRERS)
        return {
            "page.url": site + random.choice(_PATHS), "page.referrer": site + referrer if referrer else "",
            "page.title": _TITLES.get(merchant, "Checkout"), "timing.page_age": float(age),
        }  # fmt: skip

    def honest(self, visitor: Visitor, account: str | None = None) -> Visit:
        """Return an honest visit: a person on a page, in one to ten events."""
        random = self.random
        merchant, human = self.merchant(), self.human(visitor.device)
        count = random.choices((1, 2, 3, 4, 5, 6, 8, 10), (4, 8, 12, 16, 18, 18, 14, 10))[0]
        events = []
        for number in range(count):
            last = number == count - 1
            log = human.finish(self.size(), random.random() < 0.94) if last else human.log(self.size())
            events.append(self.planned(visitor.signals, merchant, log, human.now))
        linked = account if account is not None else self.account() if random.random() < 0.5 else ""
        return Visit(
            kind="honest", label=HONEST, merchant=merchant, transaction=self.transaction(), linked_id=linked,
            device_id=visitor.device_id, address=visitor.address, events=tuple(events),
            together=random.choice((1, 2, 3, 4)),
        )  # fmt: skip

    def planned(self, signals: Signals, merchant: str, log: list[LogEntry], age: int, offset: int = -1) -> Planned:
        """Return an event of a page of this age (ms); it leaves when its last entry was made."""
        if self.random.random() < 0.01:
            extra: Signals = {"page.last_error": "TypeError: Cannot read properties of null (reading 'focus')"}
        else:
            extra = {}
        return Planned(age if offset < 0 else offset, signals, {**self.page(merchant, age), **extra}, log)

    def fraud(
        self, kind: str, visitor: Visitor, events: Sequence[Planned], merchant: str, **fields: object
    ) -> Visit:  # fields: any of Visit's own
        """Return an attacker's visit."""
        values: dict[str, object] = {
            "linked_id": "", "transaction": self.transaction(), "device_id": visitor.device_id,
            "address": visitor.address, **fields,
        }  # fmt: skip
        return Visit(kind=kind, label=FRAUD, merchant=merchant, events=tuple(events), **values)  # type: ignore[arg-type] # names are checked by the constructor
