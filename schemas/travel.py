"""Travel: how fast a device would have had to move since it was last seen somewhere."""

from __future__ import annotations

import numpy as np

from schemas.batches import F32, I64, History, Network
from schemas.columns import Chosen

_EARTH_KM = 6_371.0  # mean radius
_LEAST_HOURS = 1 / 60  # two clocks may differ by a minute, and two places are never the same instant


_ALL = slice(None)


def travel_kmh(network: Network, history: History, time: I64, rows: Chosen = _ALL) -> F32:
    """Return the speed from the previous place to the event's, float32[n] in km/h; NaN where one is not known.

    Of some ``rows`` only, where they are named: no other column is copied for it. ``time`` is the event time, int64[n]
    in ms; places are the middles of countries, so within one it is 0. The way is the great circle by the haversine
    formula (R. W. Sinnott, "Virtues of the Haversine", Sky and Telescope 68, 1984).
    """
    hours = np.maximum(np.abs(time[rows] - history.place_at[rows, 0]) / 3_600_000, _LEAST_HOURS)
    before = history.latitude[rows, 0], history.longitude[rows, 0]
    return (_kilometres(*before, network.latitude[rows], network.longitude[rows]) / hours).astype(np.float32)


def _kilometres(from_north: F32, from_east: F32, to_north: F32, to_east: F32) -> F32:
    north, east, other_north, other_east = np.radians(np.stack((from_north, from_east, to_north, to_east)))
    half = (
        np.sin((other_north - north) / 2) ** 2
        + np.cos(north) * np.cos(other_north) * np.sin((other_east - east) / 2) ** 2
    )
    # Rounding can carry the half chord of antipodes past 1.
    kilometres: F32 = 2 * _EARTH_KM * np.arcsin(np.sqrt(np.minimum(half, np.float32(1))))
    return kilometres
