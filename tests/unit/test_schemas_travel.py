"""The time that events count at, and how fast a device would have had to travel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from schemas.batches import Counted
from schemas.event_time import LATEST, event_time
from schemas.travel import travel_kmh
from tests.builders import NOW, counted

HOUR = 3_600_000
BERLIN, SYDNEY, NOWHERE = (52.52, 13.405), (-33.868, 151.207), (np.nan, np.nan)


def seen(now: tuple[float, float], before: tuple[float, float], hours: float) -> Counted:
    """Return one event at a place, of a device that was at another place so many hours ago."""
    batch = counted([{}])
    columns = [np.full(1, value, np.float32) for value in now]
    north, east = (np.full((1, 3), value, np.float32) for value in before)
    seen_at = np.full((1, 3), NOW - round(hours * HOUR), np.int64)
    return replace(
        batch,
        network=replace(batch.network, latitude=columns[0], longitude=columns[1]),
        history=replace(batch.history, latitude=north, longitude=east, place_at=seen_at),
    )


def speed(now: tuple[float, float], before: tuple[float, float], hours: float) -> float:
    batch = seen(now, before, hours)
    return float(travel_kmh(batch.network, batch.history, np.array([NOW]))[0])


def test_the_way_is_the_great_circle() -> None:
    assert speed(SYDNEY, BERLIN, 1.0) == pytest.approx(16_089, rel=0.002)
    assert speed(BERLIN, SYDNEY, 20.0) == pytest.approx(16_089 / 20, rel=0.002)
    assert speed((0.0, 0.0), (0.0, 180.0), 1.0) == pytest.approx(np.pi * 6_371, rel=1e-4)


def test_rows_that_are_named_have_the_speeds_that_they_have_among_all() -> None:
    places = [(SYDNEY, BERLIN, 1.0), (BERLIN, BERLIN, 2.0), (BERLIN, SYDNEY, 20.0), (NOWHERE, BERLIN, 1.0)]
    batch, rows = Counted.concat([seen(*one) for one in places]), np.array([3, 0, 2])
    time = np.full(len(places), NOW)
    every = travel_kmh(batch.network, batch.history, time)
    np.testing.assert_array_equal(travel_kmh(batch.network, batch.history, time, rows), every[rows])


def test_staying_is_no_speed_and_an_unknown_place_no_known_one() -> None:
    assert speed(BERLIN, BERLIN, 0.0) == 0
    assert np.isnan(speed(NOWHERE, BERLIN, 1.0))
    assert np.isnan(speed(BERLIN, NOWHERE, 1.0))


def test_a_moment_or_a_late_event_is_no_infinite_speed() -> None:
    assert speed(SYDNEY, BERLIN, 0.0) == pytest.approx(16_089 * 60, rel=0.002)
    assert speed(SYDNEY, BERLIN, -1.0) == pytest.approx(16_089, rel=0.002)


@pytest.mark.parametrize("least", ["occurred_at", "received_at", "appended_at"])
def test_an_event_happened_when_the_earliest_clock_says(least: str) -> None:
    batch = counted([{}])
    times = {name: np.array([NOW + 5_000]) for name in ("occurred_at", "received_at", "appended_at")}
    times[least] = np.array([NOW])
    event = replace(batch.event, occurred_at=times["occurred_at"], received_at=times["received_at"])
    batch = replace(batch, event=event, origin=replace(batch.origin, appended_at=times["appended_at"]))
    assert event_time(batch).tolist() == [NOW]
    assert batch.event.occurred_at[0] in (NOW, NOW + 5_000)


def test_no_clock_leaves_the_range_of_times() -> None:
    for said, found in ((-5, 0), (2**62, LATEST)):
        batch = counted([{}])
        wrong = np.array([said])
        event = replace(batch.event, occurred_at=wrong, received_at=wrong)
        late = replace(batch, event=event, origin=replace(batch.origin, appended_at=wrong))
        assert event_time(late).tolist() == [found]
        assert wrong.tolist() == [said]
