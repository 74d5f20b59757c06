"""copier: one recorded visit sent again and again, under new event ids, so that no id gives the copies away."""

from __future__ import annotations

from dataclasses import replace
from math import exp, log

from infra.traffic.craft import Craft
from infra.traffic.hideouts import FARMS
from infra.traffic.population import Visitor
from infra.traffic.visits import FRAUD, Campaign, Visit

_WAYS = ("contents", "log", "session")
_OF_A_VICTIM = 0.45  # of the recordings: skimmed from somebody's page; the others are the copier's own
_SOLD = 0.6  # of what was skimmed: played hours later
_LATER_MS = (10 * 60_000, 6 * 3_600_000)


def copier(craft: Craft, at: int) -> Campaign:
    """Return a visit that was recorded, and 3 to 12 that are played from the record: from elsewhere, often hours later.

    Half send all contents as they were, in sessions of their own; a third play only the log, in other browsers; the
    others take the recorded session up again, its sequence numbers too. What was recorded is an honest visit or one of
    the copier's own.
    """
    random = craft.random
    way = random.choices(_WAYS, (0.5, 0.33, 0.17))[0]
    visitor = craft.visitor(at)
    record = _recorded(craft, visitor)
    skimmed = record.label != FRAUD
    hideout = craft.hideout(visitor, 1.0 if skimmed else 0.7, FARMS)
    campaign = [(0, record)]
    start = float(record.events[-1].offset)
    if skimmed and way != "session" and random.random() < _SOLD:
        start += exp(random.uniform(*map(log, _LATER_MS)))
    same_device = way == "session" or random.random() < 0.5
    same_account = skimmed and random.random() < 0.6
    for _ in range(random.randint(3, 12)):
        start += random.uniform(5_000, 240_000)
        copy = replace(record, kind="copier", label=FRAUD, address=hideout())
        if way != "session":
            account = copy.linked_id if same_account else craft.account()
            copy = replace(copy, transaction=craft.transaction(), linked_id=account)
        if way == "log":
            copy = _in_another_browser(copy, craft.visitor(at, device=visitor.device))
        elif not same_device:
            copy = replace(copy, device_id=random.randbytes(16))
        campaign.append((int(start), copy))
    return campaign


def _recorded(craft: Craft, visitor: Visitor) -> Visit:
    if craft.random.random() < _OF_A_VICTIM:
        return craft.honest(visitor, craft.account())
    merchant = craft.merchant()
    events = craft.sitting(visitor.signals, merchant, craft.manner(visitor.device), visitor.device)[:5]
    return craft.fraud("copier", visitor, events, merchant, linked_id=craft.account())


def _in_another_browser(visit: Visit, visitor: Visitor) -> Visit:
    events = tuple(replace(event, signals=visitor.signals) for event in visit.events)
    return replace(visit, events=events, device_id=visitor.device_id)
