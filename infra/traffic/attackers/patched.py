"""patched: a headed browser without a trace of automation, typing at a person's pace; only its habits give it away."""

from __future__ import annotations

from infra.traffic.craft import Craft
from infra.traffic.visits import Campaign

_FIELDS = ("email", "cardholder_name", "card_number", "card_expiry", "card_cvv")


def patched(craft: Craft, at: int) -> Campaign:
    """Return two to six visits of one device within an hour, each with another account and card."""
    random = craft.random
    visitor = craft.visitor(at, engine="chromium", device="desktop")
    merchant, away = craft.merchant(), random.random() < 0.4
    campaign: Campaign = []
    start = 0.0
    for _ in range(random.randint(2, 6)):
        machine = craft.machine("type", random.uniform(90, 170), random.uniform(0.2, 0.45))
        events = []
        for _ in range(random.randint(1, 3)):
            log = machine.log(_FIELDS, declined=random.random() < 0.4, trail=True)
            events.append(craft.planned(visitor.signals, merchant, log, machine.now))
        address = craft.data_centre() if away else visitor.address
        visit = craft.fraud("patched", visitor, events, merchant, linked_id=craft.account(), address=address)
        campaign.append((int(start), visit))
        start += random.uniform(60_000, 600_000)
    return campaign
