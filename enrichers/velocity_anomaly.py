"""velocity_anomaly: a counter is over its limit, or events come too close together."""

from __future__ import annotations

from collections.abc import Sequence

from enrichers.counters import Limit, Limits
from enrichers.signal import Clue, SmartSignal
from enrichers.view import View
from schemas.batches import Bool, Enriched

# Beyond what honest simulated traffic shows (14,542 events): "p99.9 a, most b" is of that. Where real shops are busier
# than the simulation, a limit is well beyond b. What devices share counts little: carriers' gateways, offices, and
# phones of one model, which draw alike, are honest crowds of any size.
_OWN = (
    Limit("events_5m", 30, 0.6, "p99.9 17, most 22. The agent rests 2 s: a person is not so fast for minutes on end."),
    Limit("events_5m", 90, 0.8, "More than one event in 4 s throughout: with the step below, 0.92."),
    Limit("events_1h", 120, 0.6, "p99.9 46, most 57 (a shared machine). Six and more checkouts, with no break."),
    Limit("events_1h", 400, 0.8, "Twenty and more checkouts an hour: with the step below, 0.92."),
    Limit("events_24h", 1000, 0.7, "p99.9 46, most 57. Fifty and more checkouts a day."),
    Limit("addresses_5m", 3, 0.5, "p99.9 1, most 2. A phone leaves one network for another; it does not do so twice."),
    Limit("addresses_1h", 6, 0.4, "p99.9 2, most 2. Carriers with short leases get near it."),
    Limit("addresses_24h", 20, 0.4, "p99.9 3, most 3. A day's travel by train gets near it."),
    Limit("accounts_5m", 6, 0.5, "p99.9 3, most 4: logins that were mistyped, two people."),
    Limit("accounts_1h", 15, 0.5, "p99.9 10, most 10: a shared machine."),
    Limit("accounts_24h", 40, 0.4, "p99.9 10, most 10: a busy library's machine gets near it."),
    Limit("countries_5m", 2, 0.5, "p99.9 1, most 1: a VPN switched on and off makes two."),
    Limit("countries_1h", 2, 0.4, "p99.9 1, most 2: with the step above, 0.7."),
    Limit("countries_24h", 4, 0.4, "p99.9 2, most 2: a flight with stops makes three."),
    Limit("merchants_1h", 6, 0.3, "p99.9 2, most 2: comparing shops makes some."),
    Limit("merchants_24h", 15, 0.2, "p99.9 2, most 2: the day of a sale makes some."),
    Limit("sessions_5m", 8, 0.5, "p99.9 3, most 4: tabs that a person opens together make some."),
    Limit("sessions_1h", 20, 0.5, "p99.9 10, most 10: a shared machine."),
    Limit("sessions_24h", 60, 0.4, "p99.9 10, most 10: a busy library's machine gets near it."),
)
_SHARED = (
    Limit("card_devices_1h", 3, 0.5, "p99.9 1, most 1: a family shares a card, on its own devices."),
    Limit("card_devices_24h", 5, 0.4, "p99.9 2, most 2: with the step above, 0.7."),
    Limit("account_devices_1h", 4, 0.4, "p99.9 1, most 2: people have a phone, a tablet and a computer."),
    Limit("account_devices_24h", 8, 0.4, "p99.9 2, most 2: a family's or a team's account gets near it."),
    Limit("fingerprint_devices_1h", 10, 0.2, "p99.9 2, most 3; phones of one model draw alike, and there are many."),
    Limit("address_devices_5m", 10, 0.15, "p99.9 1, most 2; a carrier's gateway or a campus has any number."),
    Limit("address_devices_24h", 100, 0.1, "p99.9 4, most 15; the same."),
    Limit("network_devices_1h", 100, 0.1, "p99.9 2, most 2; the same, for 256 addresses."),
    Limit("asn_devices_5m", 1000, 0.05, "p99.9 3, most 4; a large provider's customers in a large shop."),
)
_LIMITS = Limits(_OWN, _SHARED)
_NEW_MS, _CLOSE_MS, _BURST = 600_000, 500, 25


class VelocityAnomaly(SmartSignal):
    """Any counter over a limit: six kinds of a device in three windows, and what devices share."""

    name = "velocity_anomaly"
    recorded = True
    version = 2
    question = "Events come faster than a person can cause them, or many devices share what people do not."
    held_down = (
        "A person who fills a long form quickly reaches 20 to 25 events in 5 minutes: under the first step. Crowds "
        "behind one address, network or fingerprint (carriers, offices, phones of one model) stay below the threshold "
        "however large, all together."
    )
    inputs = ("velocity.counts", "velocity.first_seen_at", "velocity.previous_at", "shared.counts")
    clues = (
        *_LIMITS.clues,
        Clue(
            "new_device_in_a_burst",
            0.4,
            "First seen less than 10 minutes ago, and over 25 events already: p99.9 19, most 22.",
        ),
        Clue("less_than_half_a_second_apart", 0.3, "0.03% of honest events here, 1.2% of fraud: a submit."),
    )

    def computable(self, view: View) -> Bool:
        """Every counted event has its counts."""
        return view.velocity.events_24h > 0

    def observe(self, view: View) -> Sequence[Bool]:
        """Compare counts and distances with the limits."""
        velocity = view.velocity
        return (
            *_LIMITS.over(velocity, view.shared),
            (velocity.events_5m > _BURST) & ~view.first_seen_before(_NEW_MS - 1),
            view.seen_within(_CLOSE_MS),
        )

    def details(self, batch: Enriched, row: int) -> dict[str, str | float]:
        """Return the counters that are over a limit."""
        return _LIMITS.details(batch.velocity, batch.shared, row)
