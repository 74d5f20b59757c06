"""bot_farm: many unmodified devices at once, behind homes that were rented: nothing in a browser tells them apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from infra.traffic.behaviour import LOGIN, PAYMENT, SIGN_UP
from infra.traffic.craft import STOLEN, Craft
from infra.traffic.hideouts import Hideout
from infra.traffic.manner import Manner
from infra.traffic.population import Visitor
from infra.traffic.visits import Campaign, Planned, Visit
from infra.traffic.zones import clock_in

_HOMES = {"homes": 1.0}


@dataclass(frozen=True, slots=True)
class _Unit:
    """One device of a farm, the hand that drives it, and where its visits come from."""

    visitor: Visitor
    manner: Manner
    exit: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class _Trade:
    """What a farm is hired for, and with what."""

    merchant: str
    form: tuple[str, ...]  # none: what people come for
    accounts: tuple[str, ...]  # used in turn; none: a new one for each visit
    cards: str  # whose cards pay: the farm's own, or "" where they are stolen
    wipes: float  # chance that a device is reset before a visit


def bot_farm(craft: Craft, at: int) -> Campaign:
    """Return 12 to 45 visits of 4 to 15 devices that work side by side, each as soon as it is done.

    Two farms in three are racks of phones, few models of each; the others are borrowed or rented desktops. Half are
    paid for registrations, the others for logins, payments and what customers do.
    """
    random = craft.random
    units, trade = _units(craft, at), _trade(craft)
    pause = random.choice((30_000.0, 90_000.0, 300_000.0)) / len(units)  # of a device, between two visits
    campaign: Campaign = []
    start = 0.0
    for number in range(random.randint(12, 45)):
        visit = _visit(craft, random.choice(units), trade, number)
        campaign.append((int(start), visit))
        start += random.expovariate(1 / pause)
    return campaign


def _units(craft: Craft, at: int) -> list[_Unit]:
    random = craft.random
    count, sticky = random.randint(4, 15), random.random() < 0.4
    phones = random.random() < 0.65
    models = [craft.visitor(at, device="phone" if phones else "desktop") for _ in range(random.randint(1, 4))]
    # One program drives all; on each device it has delays of its own, or a worker sits before a rack.
    care = craft.care(0.0, 0.5, 0.4, 0.1)
    manners = [craft.manner(models[0].device, care) for _ in range(random.choice((1, 1, count)))]
    sim = phones and random.random() < 0.35
    units = []
    for number in range(count):
        model = models[number % len(models)] if phones else craft.visitor(at, device="desktop")
        own = replace(model, device_id=random.randbytes(16))
        leave, there = _exit(craft, own, sim, sticky)
        units.append(_Unit(_prepared(random, own, there, at), manners[number % len(manners)], leave))
    return units


def _exit(craft: Craft, visitor: Visitor, sim: bool, sticky: bool) -> tuple[Callable[[], bytes], Hideout | None]:
    """Return what gives a device's visits their addresses: SIM cards in a carrier's network, or rented homes."""
    if sim:
        return lambda: craft.whereabouts.gateway(visitor.country), None
    hideout = craft.hideout(visitor, 1.0, _HOMES)
    if not sticky:
        return hideout.next, hideout
    address = hideout()
    return lambda: address, hideout


def _prepared(random: Random, visitor: Visitor, hideout: Hideout | None, at: int) -> Visitor:
    """Return the device as the farm sets it up: a rack's phones hang on chargers, most clocks are set to the exit's."""
    signals = visitor.signals
    if visitor.device == "phone" and "battery.level" in signals:
        signals = {**signals, "battery.level": random.choice((0.8, 0.97, 1.0, 1.0)), "battery.charging": True}
    if hideout is not None and hideout.country is not visitor.country and random.random() < 0.7:
        signals = clock_in(signals, random.choice(hideout.country.zones), at)
    return replace(visitor, signals=signals)


def _trade(craft: Craft) -> _Trade:
    random = craft.random
    form = random.choices((SIGN_UP, LOGIN, PAYMENT, ()), (0.4, 0.2, 0.2, 0.2))[0]
    aged = form is not SIGN_UP and random.random() < 0.5  # accounts that the farm made before and uses now
    accounts = tuple(craft.account() for _ in range(random.randint(8, 40))) if aged else ()
    cards = f"farm {random.getrandbits(64):x}" if random.random() < 0.4 else ""
    return _Trade(craft.merchant(), form, accounts, cards, random.choice((0.0, 0.0, 0.1, 1.0)))


def _visit(craft: Craft, unit: _Unit, trade: _Trade, number: int) -> Visit:
    random, visitor = craft.random, unit.visitor
    events = _events(craft, unit, trade)
    wiped = random.random() < trade.wipes
    account = trade.accounts[number % len(trade.accounts)] if trade.accounts else craft.account()
    paid: dict[str, Any] = {"card_token": craft.wallets.of(trade.cards, events)} if trade.cards else {}
    return craft.fraud(
        "bot_farm", visitor, events, trade.merchant, linked_id=account, address=unit.exit(),
        device_id=random.randbytes(16) if wiped else visitor.device_id, **paid,
    )  # fmt: skip


def _events(craft: Craft, unit: _Unit, trade: _Trade) -> list[Planned]:
    random, visitor = craft.random, unit.visitor
    if not trade.form:
        return craft.sitting(visitor.signals, trade.merchant, unit.manner, visitor.device, STOLEN)
    hand = craft.at_work(unit.manner, visitor.device, trade.form)
    if trade.form is PAYMENT:
        outcomes = ["payment_succeeded" if random.random() < STOLEN else "payment_declined"]
    else:
        outcomes = ["api_failed", ""] if random.random() < 0.15 else [""]
    return craft.errands(visitor.signals, trade.merchant, hand, outcomes)
