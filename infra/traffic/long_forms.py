"""Long forms: visits whose every event carries minutes of activity, so that it is 8 to 12 KB sealed.

On a checkout the agent sends about 3 KB an event: 1,300 to 1,450 signals take 2.5 KB, as two bits a boolean and four
bytes a number or category, and each entry of the log 11 bytes, of which ten seconds of a person have some fifty. The
events here are of an application for an account or an insurance whose page lets the agent wait longer: 490 to 790
entries, made by the same hands with the same habits. Nothing else differs, but for what cannot be so long: the first
events of a page, and recorded clients, whose logs are as they were recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from infra.traffic.attackers import ATTACKERS, UNSCORED
from infra.traffic.behaviour import Hand
from infra.traffic.craft import Craft
from infra.traffic.scenario import Mix
from infra.traffic.signals import Signals
from infra.traffic.visits import Planned

LEAST_ENTRIES: Final = 490
MOST_ENTRIES: Final = 790
_SPREAD: Final = 0.12
_MEDIAN_LOG: Final = 6.45  # 633 entries
LONG_FORMS: Final = Mix(
    nuisances=0.0, by_hand=0.0, kinds=tuple(kind for kind in ATTACKERS if kind not in (*UNSCORED, "recorded"))
)


class LongForms(Craft):
    """Makes visits of long forms: whoever fills in whatever, an event leaves once its log is long."""

    opening = 0.0

    def size(self) -> int:
        """Return how many entries an event carries: 490 to 790, log-normal around 633."""
        drawn = int(self.random.lognormvariate(_MEDIAN_LOG, _SPREAD))
        return min(MOST_ENTRIES, max(LEAST_ENTRIES, drawn))

    def errands(self, signals: Signals, merchant: str, hand: Hand, outcomes: Sequence[str]) -> list[Planned]:
        """Return one event for each outcome: the form filled in over and over, and submitted at the end."""
        events = []
        for outcome in outcomes:
            log = hand.finish(self.size(), outcome)
            events.append(self.planned(signals, merchant, log, hand.now))
        return events
