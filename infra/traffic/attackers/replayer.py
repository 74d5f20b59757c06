"""replayer: sends a sealed event again, byte for byte; and the retrier, an honest agent that had no answer."""

from __future__ import annotations

from dataclasses import replace

from infra.traffic.craft import Craft
from infra.traffic.visits import FRAUD, Campaign


def replayer(craft: Craft, at: int) -> Campaign:
    """Return one visit whose events are each sent three to eight times."""
    visit = craft.honest(craft.visitor(at))
    return [(0, replace(visit, kind="replayer", label=FRAUD, repeats=craft.random.randint(2, 7)))]


def retrier(craft: Craft, at: int) -> Campaign:
    """Return one honest visit whose events are each sent twice."""
    return [(0, replace(craft.honest(craft.visitor(at)), kind="retrier", repeats=1))]
