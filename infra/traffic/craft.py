"""What all visits share: a shop's pages, ids, and an honest visit from a visitor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Final

from infra.traffic.behaviour import (
    CHECKOUT,
    LOGIN,
    MAX_ENTRIES,
    MAX_SMALL,
    PAYMENT,
    SIGN_UP,
    Hand,
    Normals,
    log_size,
)
from infra.traffic.hideouts import Hideout, Hideouts, Ways
from infra.traffic.manner import CARES, Care, Manner, program
from infra.traffic.opening import SHARE, opened
from infra.traffic.population import Population, Visitor
from infra.traffic.signals import Signals
from infra.traffic.visits import FRAUD, HONEST, LogEntry, Planned, Visit
from infra.traffic.wallets import Wallets
from infra.traffic.whereabouts import PLAIN, Place, Whereabouts
from infra.traffic.zones import clock_in

MERCHANTS = ("demo-shop", "other-shop")
_TITLES = {"demo-shop": "Checkout - Demo shop", "other-shop": "Kasse - Other shop"}
_PATHS = ("checkout", "checkout/payment", "checkout/address", "cart")
_EVENTS = tuple(
    number for number, of in ((1, 4), (2, 8), (3, 12), (4, 16), (5, 18), (6, 18), (8, 14), (10, 10)) for _ in range(of)
)
_ACCEPTED = 0.93  # of honest people's cards
STOLEN: Final = 0.65  # of stolen cards that are used by one who believes that they work
_REFERRERS = ("cart", "", "product/blue-lamp", "login")


class Craft:
    """Makes visits. All chance comes from the one seeded source."""

    opening = SHARE  # of the visits: begin with a page's first events

    def __init__(self, seed: int, *, small: bool = False, merchants: Sequence[str] = MERCHANTS) -> None:
        self.random = Random(f"clickgoose visits {seed}")
        self.whereabouts = Whereabouts(seed)
        self.hideouts = Hideouts(seed)
        self.wallets = Wallets(seed)
        self.population = Population(seed, self.whereabouts)
        self.small = small
        self.latecomers = True  # recorded attackers that take part late, or never, where a model is trained
        self._merchants = tuple(merchants)
        self._normals = Normals(self.random)

    def hand(self, device: str, care: Care = "person", form: tuple[str, ...] = CHECKOUT) -> Hand:
        """Return a person on a page, or a program that takes so much care to look like one."""
        return self.at_work(self.manner(device, care), device, form)

    def manner(self, device: str, care: Care = "person") -> Manner:
        """Return the habits of a person, or of a program; one that comes again keeps them."""
        return program(self.random, self._normals.next, device != "desktop", care)

    def at_work(self, manner: Manner, device: str, form: tuple[str, ...] = CHECKOUT) -> Hand:
        """Return somebody with these habits on a new page."""
        return Hand(self.random, self._normals, manner, device != "desktop", form)

    def care(self, *weights: float) -> Care:
        """Return how much care a program takes, by the weights of crude, timed, careful and person."""
        return self.random.choices(CARES, weights)[0]

    def merchant(self) -> str:
        """Return a merchant; the first is the largest."""
        return self._merchants[0] if self.random.random() < 0.8 else self.random.choice(self._merchants)

    def transaction(self) -> str:
        """Return a fresh transaction id."""
        return f"txn_{self.random.getrandbits(64):016x}"

    def account(self) -> str:
        """Return a fresh id of a merchant's account."""
        return f"acct_{self.random.getrandbits(48):012x}"

    def hideout(self, visitor: Visitor, share: float, ways: Ways) -> Hideout:
        """Return what gives an attacker's visits their addresses; of all attackers a ``share`` hides."""
        return self.hideouts.hideout(visitor.country, visitor.address, share, ways)

    def size(self) -> int:
        """Return how many entries an honest event carries."""
        return log_size(self.random, self.small)

    def second_device(self, at: int, visitor: Visitor) -> Visitor:
        """Return another device of somebody known, from the same home."""
        return replace(self.population.visitor(at, country=visitor.country), address=visitor.address, line=PLAIN)

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
        path = _PATHS[int(random.random() * len(_PATHS))]
        referrer = _REFERRERS[int(random.random() * len(_REFERRERS))]
        return {
            "page.url": site + path, "page.referrer": site + referrer if referrer else "",
            "page.title": _TITLES.get(merchant, "Checkout"), "timing.page_age": float(age),
        }  # fmt: skip

    def honest(self, visitor: Visitor, account: str | None = None, *, fixed: bool = False) -> Visit:
        """Return an honest visit: a person on a page, in one to ten events; of a device that never moves, if said."""
        random, merchant = self.random, self.merchant()
        linked = account if account is not None else self.account() if random.random() < 0.5 else ""
        transaction = self.transaction()
        place = Place(visitor.address, visitor.country) if fixed else self._place(visitor)
        sitting = self.sitting(self._seen(visitor, place), merchant, self.manner(visitor.device), visitor.device)
        return Visit(
            kind="honest", label=HONEST, merchant=merchant, transaction=transaction, linked_id=linked,
            device_id=visitor.device_id,
            address=place.address,
            events=opened(sitting, random, self.opening),
            card_token=self.wallets.of(linked or visitor.device_id.hex(), sitting),
            together=1 + int(random.random() * 4),
        )  # fmt: skip

    def _place(self, visitor: Visitor) -> Place:
        return self.whereabouts.today(visitor.country, visitor.address, visitor.line)

    def _seen(self, visitor: Visitor, place: Place) -> Signals:
        """Return what the visitor shows there: the same, but for a clock that follows."""
        if place.clock is visitor.country or "resist_fingerprinting" in visitor.oddities:
            return visitor.signals
        return clock_in(visitor.signals, self.random.choice(place.clock.zones), visitor.at)

    def sitting(
        self, signals: Signals, merchant: str, manner: Manner, device: str, accepted: float = _ACCEPTED
    ) -> list[Planned]:
        """Return the events of what people come for: mostly a checkout, else a payment, a login or a registration.

        ``accepted`` is the chance that a card is.
        """
        chance = self.random.random()
        if chance < 0.6:
            return self.checkout(signals, merchant, self.at_work(manner, device), accepted)
        if chance < 0.84:
            return self.payment(signals, merchant, self.at_work(manner, device, PAYMENT), accepted)
        hand = self.at_work(manner, device, LOGIN if chance < 0.92 else SIGN_UP)
        outcomes = ["api_failed"] if self.random.random() < 0.1 else []  # a wrong password, or a name that is taken
        return self.errands(signals, merchant, hand, [*outcomes, ""])

    def checkout(self, signals: Signals, merchant: str, hand: Hand, accepted: float = _ACCEPTED) -> list[Planned]:
        """Return one to ten events of a long checkout, which may be left before the end."""
        count = _EVENTS[int(self.random.random() * len(_EVENTS))]
        events = []
        for _ in range(count - 1):
            log = hand.log(self.size())
            events.append(self.planned(signals, merchant, log, hand.now))
        outcome = self._outcome(accepted)
        log = hand.finish(self.size(), outcome)
        events.append(self.planned(signals, merchant, log, hand.now))
        return events + self._once_more(signals, merchant, hand, outcome, accepted)

    def payment(self, signals: Signals, merchant: str, hand: Hand, accepted: float = _ACCEPTED) -> list[Planned]:
        """Return the events of a payment by somebody whom the shop knows: the card, and no more."""
        outcome = self._outcome(accepted)
        return self.errands(signals, merchant, hand, [outcome]) + self._once_more(
            signals, merchant, hand, outcome, accepted
        )

    def errands(self, signals: Signals, merchant: str, hand: Hand, outcomes: Sequence[str]) -> list[Planned]:
        """Return the events of filling in the hand's form once for each outcome."""
        most = MAX_SMALL if self.small else MAX_ENTRIES
        events = []
        for outcome in outcomes:
            log = hand.fill_in(outcome)
            for first in range(0, len(log), most):
                part = log[first : first + most]
                events.append(self.planned(signals, merchant, part, part[-1][0] + 1))
        return events

    def _outcome(self, accepted: float) -> str:
        return "payment_succeeded" if self.random.random() < accepted else "payment_declined"

    def _once_more(self, signals: Signals, merchant: str, hand: Hand, outcome: str, accepted: float) -> list[Planned]:
        """Return what people do whose card is declined: two in three try again, with the same card or another."""
        if outcome != "payment_declined" or self.random.random() < 0.35:
            return []
        hand.turn_to(PAYMENT)
        declined = ["payment_declined"] * int(self.random.random() * 3)
        return self.errands(signals, merchant, hand, [*declined, self._outcome(accepted)])

    def planned(self, signals: Signals, merchant: str, log: list[LogEntry], age: int, offset: int = -1) -> Planned:
        """Return an event of a page of this age (ms); it leaves when its last entry was made."""
        if self.random.random() < 0.01:
            extra: Signals = {"page.last_error": "TypeError: Cannot read properties of null (reading 'focus')"}
        else:
            extra = {}
        return Planned(age if offset < 0 else offset, signals, {**self.page(merchant, age), **extra}, log)

    def fraud(
        self,
        kind: str,
        visitor: Visitor,
        events: Sequence[Planned],
        merchant: str,
        opening: float | None = None,
        **fields: object,
    ) -> Visit:  # fields: any of Visit's own
        """Return an attacker's visit; what is paid is paid with a stolen card, unless another is named.

        ``opening`` is the chance that it begins with a page's first events, where it is not that of all visits.
        """
        values: dict[str, object] = {
            "linked_id": "", "transaction": self.transaction(), "device_id": visitor.device_id,
            "address": visitor.address, **fields,
        }  # fmt: skip
        if "card_token" not in fields:
            values["card_token"] = self.wallets.stolen(events)
        events = opened(events, self.random, self.opening if opening is None else opening)
        return Visit(kind=kind, label=FRAUD, merchant=merchant, events=events, **values)  # type: ignore[arg-type] # names are checked by the constructor
