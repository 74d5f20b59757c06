"""high_activity: the device does far more in a day than a person."""

from __future__ import annotations

from collections.abc import Sequence

from enrichers.counters import Limit, Limits
from enrichers.signal import Clue, SmartSignal
from enrichers.view import View
from schemas.batches import Bool, Enriched

# Honest simulated traffic (14,542 events, 0.8% of the arrivals on machines that several people share): 31 events a
# day at p99, 46 at p99.9, 57 at most; 8, 10 and 10 sessions; 8, 10 and 10 accounts.
_LIMITS = Limits(
    (
        Limit("events_24h", 200, 0.55, "Over three times the busiest honest machine here (57); resellers do so."),
        Limit("events_24h", 600, 0.6, "Thirty and more checkouts a day; with the step below, 0.82."),
        Limit("events_24h", 2000, 0.8, "A hundred and more checkouts a day; with the steps below, 0.96."),
        Limit("sessions_24h", 40, 0.5, "Forty visits a day: four times the busiest honest machine here (10)."),
        Limit("accounts_24h", 30, 0.5, "Thirty people's accounts a day on one device: three times the most here (10)."),
    )
)
_BUSY = 200


class HighActivity(SmartSignal):
    """Counts of 24 hours over a limit. A checkout sends about 5 to 20 events, a busy shopper a few checkouts."""

    name = "high_activity"
    recorded = True
    version = 2
    question = "The device did more in 24 hours than a person's visits make."
    held_down = (
        "Machines that people share (libraries, shops): ten people a day, 57 events, ten accounts are under every "
        "limit; a busier one just over a limit has medium confidence, and says so."
    )
    inputs = ("velocity.counts",)
    clues = (
        *_LIMITS.clues,
        Clue("sustained", 0.3, "Over 200 events a day, most of them outside the last hour: it goes on and on."),
    )

    def computable(self, view: View) -> Bool:
        """Every counted event has its counts; the event itself is one of them."""
        return view.velocity.events_24h > 0

    def observe(self, view: View) -> Sequence[Bool]:
        """Compare the counts with the limits."""
        day, hour = view.velocity.events_24h, view.velocity.events_1h
        return (*_LIMITS.over(view.velocity, view.shared), (day > _BUSY) & (hour < day * 0.25))

    def details(self, batch: Enriched, row: int) -> dict[str, str | float]:
        """Return the counters that are over a limit."""
        return _LIMITS.details(batch.velocity, batch.shared, row)
