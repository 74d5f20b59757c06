"""copier: one recorded visit sent again and again, under new event ids, so that no id gives the copies away."""

from __future__ import annotations

from dataclasses import replace

from infra.traffic.craft import Craft
from infra.traffic.hideouts import FARMS
from infra.traffic.population import Visitor
from infra.traffic.visits import Campaign, Visit

_WAYS = ("contents", "log", "session")


def copier(craft: Craft, at: int) -> Campaign:
    """Return a visit that somebody made and recorded, and 3 to 12 that are played from the record.

    Half send all contents as they were, in sessions of their own; a third play only the log, in other browsers; the
    others take the recorded session up again, its sequence numbers too.
    """
    random = craft.random
    way = random.choices(_WAYS, (0.5, 0.33, 0.17))[0]
    visitor = craft.visitor(at)
    hideout, merchant = craft.hideout(visitor, 0.7, FARMS), craft.merchant()
    manner = craft.manner(visitor.device)
    events = craft.sitting(visitor.signals, merchant, manner, visitor.device)[:5]
    record = craft.fraud("copier", visitor, events, merchant, linked_id=craft.account(), address=hideout())
    campaign = [(0, record)]
    start = float(record.events[-1].offset)
    same_device = way == "session" or random.random() < 0.5
    for _ in range(random.randint(3, 12)):
        start += random.uniform(5_000, 240_000)
        copy = replace(record, address=hideout())
        if way != "session":
            copy = replace(copy, transaction=craft.transaction(), linked_id=craft.account())
        if way == "log":
            copy = _in_another_browser(copy, craft.visitor(at, device=visitor.device))
        elif not same_device:
            copy = replace(copy, device_id=random.randbytes(16))
        campaign.append((int(start), copy))
    return campaign


def _in_another_browser(visit: Visit, visitor: Visitor) -> Visit:
    events = tuple(replace(event, signals=visitor.signals) for event in visit.events)
    return replace(visit, events=events, device_id=visitor.device_id)
