"""credential_stuffing: one device tries many accounts with leaked passwords."""

from __future__ import annotations

from infra.traffic.craft import Craft
from infra.traffic.visits import Campaign


def credential_stuffing(craft: Craft, at: int) -> Campaign:
    """Return 8 to 30 visits of one device, each with another account, seconds apart."""
    random = craft.random
    visitor = craft.visitor(at, engine=random.choice(("chromium", "chromium", "gecko")), device="desktop")
    merchant, style = craft.merchant(), random.choice(("paste", "script"))
    campaign: Campaign = []
    start = 0.0
    for _ in range(random.randint(8, 30)):
        machine = craft.machine(style, random.uniform(5, 30))
        log = machine.log(("email", "password", "email", "password"), trail=False)
        events = [craft.planned(visitor.signals, merchant, log, machine.now)]
        address = craft.data_centre() if random.random() < 0.5 else visitor.address  # through many proxies
        visit = craft.fraud(
            "credential_stuffing", visitor, events, merchant, linked_id=craft.account(), address=address
        )
        campaign.append((int(start), visit))
        start += random.uniform(2_000, 9_000)
    return campaign
