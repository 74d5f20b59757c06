"""impossible_travel: the device is farther away than anybody travels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from enrichers.signal import Clue, SmartSignal
from enrichers.view import View
from schemas.batches import Bool


class ImpossibleTravel(SmartSignal):
    """Speed from where the device was before."""

    name = "impossible_travel"
    question = "The device is farther away than anybody travels."
    inputs = (
        "history.latitude",
        "history.longitude",
        "history.place_at",
        "network.latitude",
        "network.longitude",
    )
    clues = (Clue("faster_than_a_plane", 0.6, "More than 1,000 km/h between the countries' middles."),)

    def computable(self, view: View) -> Bool:
        """The device was somewhere before, and is somewhere now."""
        return ~np.isnan(view.travel_kmh)

    def observe(self, view: View) -> Sequence[Bool]:
        """Speed from where the device was before."""
        return (view.travel_kmh > 1000,)
