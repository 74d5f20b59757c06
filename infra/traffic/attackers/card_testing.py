"""card_testing: one device tries stolen cards, a small transaction each, within minutes; most are declined."""

from __future__ import annotations

from infra.traffic.craft import Craft
from infra.traffic.visits import Campaign

_FIELDS = ("card_number", "card_expiry", "card_cvv")


def card_testing(craft: Craft, at: int) -> Campaign:
    """Return 10 to 40 visits of one device, one or two events each, seconds apart."""
    random = craft.random
    visitor = craft.visitor(at, engine="chromium", device="desktop")
    merchant, style = craft.merchant(), random.choice(("paste", "script", "type"))
    pause = random.uniform(4_000, 20_000)
    address = craft.data_centre() if random.random() < 0.5 else visitor.address
    campaign: Campaign = []
    start = 0.0
    for _ in range(random.randint(10, 40)):
        machine = craft.machine(style, random.uniform(8, 40))
        events = []
        for _ in range(random.choice((1, 1, 2))):
            log = machine.log(_FIELDS * 2, declined=random.random() < 0.85, trail=style == "paste")
            events.append(craft.planned(visitor.signals, merchant, log, machine.now))
        campaign.append((int(start), craft.fraud("card_testing", visitor, events, merchant, address=address)))
        start += pause * random.uniform(0.9, 1.1)
    return campaign
