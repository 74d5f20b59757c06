"""Visits of the recorded clients: their real signals and activity, with fresh ids, addresses, merchants and times.

A visit is played a little faster or slower than it was recorded, as on another day. Clients in ``UNSEEN`` take part
only once ``Craft.latecomers`` is set: so that figures on tools that no training has seen exist.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final

from infra.traffic.countries import Country
from infra.traffic.craft import Craft
from infra.traffic.hideouts import SERVERS
from infra.traffic.population import Visitor
from infra.traffic.recorded.corpus import Shown
from infra.traffic.recorded.machines import client, client_names, engine_of, machine_of, put_on, tells_zone
from infra.traffic.signals import Signals
from infra.traffic.visits import HONEST, Campaign, LogEntry, Planned, Visit
from infra.traffic.whereabouts import country_of
from infra.traffic.zones import clock_in
from schemas.log_codes import load_log_codes

UNSEEN: Final = (
    "firefox-bidi-no-flag", "playwright-injector", "rebrowser", "rebrowser-headed", "selenium-undetected",
)  # fmt: skip
"""One each of tools whose siblings are seen, and one tool that is not seen in any form."""
_PLACE, _ZONE = "DE", "Europe/Berlin"  # where the recordings were made
_PACE = 0.2  # spread of the logarithm of a visit's pace
_TRIES = 3
_LOG = load_log_codes()
_TARGETS = dict(_LOG.targets)
_LENGTHS = {_LOG.code(name) for name in ("key_interval", "clicked", "click_without_trail", "api_timing")}  # in ms


def recorded(craft: Craft, at: int) -> Campaign:
    """Return one to five visits of a recorded attacker: one browser after the other, minutes apart, or one again."""
    random = craft.random
    name = _one_of(client_names()[0], craft)
    merchant, again = craft.merchant(), random.random() < 0.4
    visitor = _donor(craft, at, name, 0)
    hideout = craft.hideout(visitor, 0.55, SERVERS)
    campaign: Campaign = []
    start = 0.0
    for _ in range(random.randint(1, 5)):
        which = random.randrange(len(client(name).visits))
        if not again and campaign:
            visitor = _donor(craft, at, name, which)
        events = played(craft, visitor, name, which, merchant, at)
        account = craft.account() if random.random() < 0.6 else ""
        visit = craft.fraud(
            "recorded", visitor, events, merchant, linked_id=account, address=hideout(), client=name, opening=0.0
        )
        campaign.append((int(start), visit))
        start += random.uniform(15_000, 900_000)
    return campaign


def by_hand(craft: Craft, at: int) -> Visit:
    """Return an honest visit of a recorded browser that a person used: by the recorded hand, or by another's."""
    random = craft.random
    name = random.choice(client_names()[1])
    which = random.randrange(len(client(name).visits))
    visitor, merchant = _donor(craft, at, name, which), craft.merchant()
    events = played(craft, visitor, name, which, merchant, at)
    linked = craft.account() if random.random() < 0.6 else ""
    return Visit(
        kind="honest", label=HONEST, merchant=merchant, transaction=craft.transaction(), linked_id=linked,
        device_id=visitor.device_id, address=craft.whereabouts.today(visitor.country, visitor.address).address,
        events=tuple(events), card_token=craft.wallets.of(linked or visitor.device_id.hex(), events), client=name,
        together=1 + int(random.random() * 4),
    )  # fmt: skip


def played(craft: Craft, visitor: Visitor, name: str, which: int, merchant: str, at: int) -> list[Planned]:
    """Return the events of a recorded visit on the visitor's machine."""
    visit, donor = client(name).visits[which], visitor.signals
    places = machine_of(name, which, donor, craft.random)
    pace = craft.random.lognormvariate(0.0, _PACE)
    opened = float(visit[0].signals["timing.page_age"])
    events = []
    for number, event in enumerate(visit):
        signals: Signals = put_on(event.signals, donor, places, early=number == 0)
        if tells_zone(name, which):
            signals = clock_in(signals, _ZONE, at)
        offset = int(pace * (opened + event.sent_at - visit[0].sent_at))
        age = int(pace * float(event.signals["timing.page_age"]))
        log = _paced(event, pace, craft.random)
        events.append(craft.planned(signals, merchant, log, age, offset))
    return events


def _paced(event: Shown, pace: float, random: Random) -> list[LogEntry]:
    """Return the entries of an event at another pace; what takes no time takes none at any."""
    made: Sequence[tuple[int, int, float, str]] = [
        (entry["t"], entry["code"], entry["value"], entry["target"]) for entry in event.activity
    ]
    return [
        (int(t * pace), code, _length(value, pace, random) if code in _LENGTHS else value, _TARGETS[target])
        for t, code, value, target in made
    ]


def _length(value: float, pace: float, random: Random) -> float:
    """Return a length in whole ms, as browsers tell it, rounded up as often as its fraction says."""
    return float(int(value * pace + random.random()))


def _one_of(names: Sequence[str], craft: Craft) -> str:
    """Return a client: of those seen from the beginning, and every other of the unseen once these take part."""
    late = craft.latecomers and craft.random.random() < 0.5
    return craft.random.choice([name for name in names if (name in UNSEEN) is late])


def _donor(craft: Craft, at: int, name: str, which: int) -> Visitor:
    """Return the visitor whose machine and place a recorded browser gets, mostly one without oddities."""
    there: Country | None = country_of(_PLACE) if tells_zone(name, which) else None
    browser = "firefox" if engine_of(name) == "gecko" else "chrome"
    for _ in range(_TRIES):
        visitor = craft.population.visitor(at, browser, "linux", country=there)
        if not visitor.oddities:
            break
    return visitor
