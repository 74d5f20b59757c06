"""geo_timezone_mismatch: time zone or languages do not fit the address."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from enrichers.signal import Clue, SmartSignal
from enrichers.view import View
from schemas.batches import Bool


class GeoTimezoneMismatch(SmartSignal):
    """Time zone against the country of the address."""

    name = "geo_timezone_mismatch"
    question = "Time zone or languages do not fit the address."
    inputs = (
        "network.country",
        "environment.timezone_offset",
    )
    clues = (Clue("zone_of_another_country", 0.5, "No time zone of the country has this offset."),)

    def computable(self, view: View) -> Bool:
        """Country and time zone are known."""
        return (view.network.country != 0) & ~np.isnan(view.environment.timezone_offset)

    def observe(self, view: View) -> Sequence[Bool]:
        """Time zone against the country of the address."""
        return (np.zeros(len(view), np.bool_),)
