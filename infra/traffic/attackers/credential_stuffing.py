"""credential_stuffing: leaked passwords, tried on account after account."""

from __future__ import annotations

from infra.traffic.behaviour import LOGIN
from infra.traffic.craft import Craft
from infra.traffic.hideouts import FARMS
from infra.traffic.visits import Campaign


def credential_stuffing(craft: Craft, at: int) -> Campaign:
    """Return 8 to 30 visits, each with another account, seconds or minutes apart: of one device, or of a bot net."""
    random = craft.random
    visitor = craft.visitor(at, device=random.choices(("desktop", "phone"), (0.6, 0.4))[0])
    device, merchant = visitor.device, craft.merchant()
    care = craft.care(0.4, 0.35, 0.2, 0.05)
    net = random.random() < 0.15  # borrowed browsers: every try comes from another device
    manner = craft.manner(device, care)
    pause = random.uniform(2_000, 12_000) if care in ("crude", "timed") else random.uniform(20_000, 120_000)
    hideout = craft.hideout(visitor, 0.7, FARMS)
    campaign: Campaign = []
    start = 0.0
    for _ in range(random.randint(8, 30)):
        if net:
            visitor = craft.visitor(at, device=device)
        hand = craft.at_work(manner, device, LOGIN)
        outcomes = ["api_failed" if random.random() < 0.6 else "" for _ in range(random.choice((1, 1, 2)))]
        events = craft.errands(visitor.signals, merchant, hand, outcomes)
        address = visitor.address if net else hideout()
        visit = craft.fraud(
            "credential_stuffing", visitor, events, merchant, linked_id=craft.account(), address=address
        )
        campaign.append((int(start), visit))
        start += pause * random.uniform(0.5, 1.5)
    return campaign
