"""velocity_anomaly: a counter of the device is over its limit, or its events come too close together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from enrichers.signal import Clue, SmartSignal
from enrichers.view import View
from schemas.batches import Bool


class VelocityAnomaly(SmartSignal):
    """Any window over a limit. The agent sends a batch after 2 s of rest, so 30 in 5 minutes is the most a person
    makes by filling a form without a pause."""

    name = "velocity_anomaly"
    question = "The device's events come faster than a person can cause them."
    held_down = "A person who fills a long form quickly reaches 20 to 25 events in 5 minutes: under the first step."
    inputs = (
        "velocity.events_5m",
        "velocity.events_1h",
        "velocity.events_24h",
        "velocity.first_seen_at",
        "velocity.previous_at",
    )
    clues = (
        Clue("over_30_in_5_minutes", 0.6, "Faster than the agent's rest of 2 s lets a person be, for minutes on end."),
        Clue("over_90_in_5_minutes", 0.8, "More than one event in 4 s throughout: with the step below, 0.92."),
        Clue("over_120_in_1_hour", 0.6, "Six and more checkouts an hour, with no break."),
        Clue("over_400_in_1_hour", 0.8, "Twenty and more checkouts an hour: with the step below, 0.92."),
        Clue("over_1000_in_24_hours", 0.7, "Fifty and more checkouts a day."),
        Clue("new_device_in_a_burst", 0.4, "First seen less than 10 minutes ago, and 15 events already."),
        Clue(
            "less_than_half_a_second_apart", 0.3, "Two events within 500 ms; a submit right after a rest does so too."
        ),
    )

    def computable(self, view: View) -> Bool:
        """Every counted event has its counts."""
        return view.velocity.events_24h > 0

    def observe(self, view: View) -> Sequence[Bool]:
        """Compare counts and distances with the steps."""
        velocity, now = view.velocity, view.time
        minutes, hour, day = velocity.events_5m, velocity.events_1h, velocity.events_24h
        gap = np.abs(now - velocity.previous_at)
        return (
            minutes > 30,
            minutes > 90,
            hour > 120,
            hour > 400,
            day > 1000,
            (now - velocity.first_seen_at < 600_000) & (minutes > 15),
            (velocity.previous_at >= 0) & (gap < 500),
        )
