"""card_testing: one device tries stolen cards, a small transaction each, most of which are declined."""

from __future__ import annotations

from infra.traffic.craft import Craft
from infra.traffic.visits import Campaign

_FIELDS = ("card_number", "card_expiry", "card_cvv")


def card_testing(craft: Craft, at: int) -> Campaign:
    """Return 10 to 40 visits of one device, one or two events each, seconds or, for the patient, minutes apart."""
    random = craft.random
    visitor = craft.visitor(at, engine="chromium", device="desktop")
    merchant, style = craft.merchant(), random.choice(("paste", "script", "type"))
    pause = random.uniform(4_000, 20_000)
    patient = random.random() < 0.3  # types as people do, and takes minutes over each card
    if patient:
        style, pause = "type", random.uniform(60_000, 240_000)
    address = craft.data_centre() if random.random() < 0.5 else visitor.address
    campaign: Campaign = []
    start = 0.0
    for _ in range(random.randint(10, 14 if patient else 40)):
        machine = craft.machine(style, random.uniform(8, 40) if not patient else 140.0, 0.35 if patient else 0.03)
        events = []
        for _ in range(random.choice((1, 1, 2))):
            log = machine.log(_FIELDS * 2, declined=random.random() < 0.85, trail=patient or style == "paste")
            events.append(craft.planned(visitor.signals, merchant, log, machine.now))
        campaign.append((int(start), craft.fraud("card_testing", visitor, events, merchant, address=address)))
        start += pause * random.uniform(0.9, 1.1)
    return campaign
