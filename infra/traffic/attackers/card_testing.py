"""card_testing: one device tries stolen cards, a small transaction each, most of which are declined."""

from __future__ import annotations

from infra.traffic.behaviour import PAYMENT
from infra.traffic.craft import Craft
from infra.traffic.hideouts import FARMS
from infra.traffic.visits import Campaign


def card_testing(craft: Craft, at: int) -> Campaign:
    """Return 10 to 40 visits of one device, seconds or, for the patient, minutes apart.

    Half of the devices are phones: real ones, hired by the hour. One campaign in seven is a person with a list.
    """
    random = craft.random
    visitor = craft.visitor(at, device=random.choice(("desktop", "phone")))
    device, merchant = visitor.device, craft.merchant()
    care = craft.care(0.3, 0.3, 0.25, 0.15)
    patient = care in ("careful", "person") or random.random() < 0.2
    pause = random.uniform(40_000, 240_000) if patient else random.uniform(3_000, 25_000)
    manner = craft.manner(device, care)
    hideout = craft.hideout(visitor, 0.65, FARMS)
    declined = random.uniform(0.5, 0.95)
    campaign: Campaign = []
    start = 0.0
    for _ in range(random.randint(10, 14 if patient else 40)):
        hand = craft.at_work(manner, device, PAYMENT)
        cards = random.choice((1, 1, 2))
        outcomes = ["payment_declined" if random.random() < declined else "payment_succeeded" for _ in range(cards)]
        events = craft.errands(visitor.signals, merchant, hand, outcomes)
        campaign.append((int(start), craft.fraud("card_testing", visitor, events, merchant, address=hideout())))
        start += pause * random.uniform(0.5, 1.5)
    return campaign
