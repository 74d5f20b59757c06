"""What CI holds the pipeline to: its CPU per event in parts of the floor's, on the same full-size events."""

from __future__ import annotations

from infra.bench.events import Size, own_events, recorded_file
from infra.bench.pair import MOST_RATIO, bench_pair

EVENTS = 1_024


def test_the_pipeline_costs_no_more_than_allowed_beside_the_floor() -> None:
    values = own_events(recorded_file(EVENTS, 3, Size.FULL), EVENTS)
    found = bench_pair(values, rounds=5)
    assert found["runs"]["pipeline"]["details"]["scored"] == EVENTS
    assert found["runs"]["floor"]["details"]["scored"] == EVENTS
    assert found["ratios"]["pipeline_to_floor"] <= MOST_RATIO, found["rounds"]
