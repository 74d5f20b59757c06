"""One event, judged by one smart signal: an ordinary visit from home, and what a test says otherwise."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from enrichers.address_table import DATA, PLACES_FILE, read_places
from enrichers.registry import SIGNALS
from enrichers.signal import SmartSignal
from enrichers.view import View
from schemas.batches import Enriched, Related, SmartSignals
from schemas.columns import widen
from schemas.countries import COUNTRY_NUMBER
from tests.builders import NOW, related

BY_NAME = {signal.name: signal for signal in SIGNALS}
HOUR = 3_600_000
_PLACES = read_places(DATA / PLACES_FILE)


def middle(country: str) -> tuple[float, float]:
    """Return degrees north and east of a country's middle."""
    north, east = _PLACES[COUNTRY_NUMBER[country]].tolist()
    return north, east


def network(country: str, asn: int = 64_500, *classes: str) -> dict[str, Any]:
    """Return a network of a country."""
    north, east = middle(country)
    return {"country": country, "asn": asn, "latitude": north, "longitude": east, "classes": classes}


VISIT: dict[str, Any] = {
    "shown": {"navigator.language": "de-DE", "timing.resolution": 0.1, "api.brave": False},
    "velocity": {"first_seen_at": NOW - HOUR, "previous_at": NOW - 60_000},
    "environment": {"browser": "chrome", "system": "windows", "device": "desktop", "timezone_offset": -120},
    "network": network("DE", 3320),
}


class Judged(NamedTuple):
    """What one signal says of one event."""

    result: bool | None
    confidence: float
    reasons: set[str]
    details: dict[str, str | float]


def event(*, at: int = NOW, **said: Any) -> Related:
    """Return an ordinary visit from Germany in summer; what is said joins each section, or replaces the network."""
    sections = {name: [{**VISIT.get(name, {}), **said.get(name, {})}] for name in ("shown", "velocity", "environment")}
    return related(
        sections["shown"],
        velocity=sections["velocity"],
        environment=sections["environment"],
        times=[at],
        shared=[said.get("shared", {})],
        network=[said.get("network", VISIT["network"])],
        recognition=[said.get("recognition", {})],
    )


def judged(signal: SmartSignal | str, **said: Any) -> Judged:
    """Return what a signal, or the registry's one of that name, says of such an event."""
    asked = BY_NAME[signal] if isinstance(signal, str) else signal
    batch = event(**said)
    verdict = asked.evaluate(View(batch))
    columns = (verdict.result[:, None], verdict.confidence[:, None], verdict.reasons[:, None])
    enriched = widen(Enriched, batch, smart=SmartSignals((asked.name,), *columns))
    bits, result = int(verdict.reasons[0]), int(verdict.result[0])
    reasons = {name for bit, name in enumerate(asked.reasons) if bits >> bit & 1}
    details = asked.details(enriched, 0)
    assert all(isinstance(value, str) or not np.isinf(value) for value in details.values())
    return Judged(None if result < 0 else result == 1, float(verdict.confidence[0]), reasons, details)
