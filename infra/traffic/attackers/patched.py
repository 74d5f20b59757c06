"""patched: a browser without a trace of automation, driven or held by a person; only its habits may give it away."""

from __future__ import annotations

from infra.traffic.behaviour import PAYMENT
from infra.traffic.craft import STOLEN, Craft
from infra.traffic.hideouts import PEOPLE
from infra.traffic.visits import Campaign


def patched(craft: Craft, at: int) -> Campaign:
    """Return two to eight visits of one device within hours, each with another account and card.

    One in five is a person with one stolen card, who comes once: nothing here tells that visit from an honest one.
    """
    random = craft.random
    visitor = craft.visitor(at)
    device, merchant, hideout = visitor.device, craft.merchant(), craft.hideout(visitor, 0.5, PEOPLE)
    by_hand = random.random() < 0.2
    care = "person" if by_hand else craft.care(0.0, 0.35, 0.4, 0.25)
    manner = craft.manner(device, care)
    campaign: Campaign = []
    start = 0.0
    for _ in range(1 if by_hand else random.randint(2, 8)):
        if random.random() < 0.4:
            events = craft.sitting(visitor.signals, merchant, manner, device, STOLEN)
        else:
            outcomes = ["payment_declined" if random.random() < 0.5 else "payment_succeeded"]
            outcomes *= random.randint(1, 3)
            hand = craft.at_work(manner, device, PAYMENT)
            events = craft.errands(visitor.signals, merchant, hand, outcomes)
        visit = craft.fraud("patched", visitor, events, merchant, linked_id=craft.account(), address=hideout())
        campaign.append((int(start), visit))
        start += random.uniform(60_000, 900_000)
    return campaign
