"""What CI holds the pipeline to: its CPU per event in parts of the floor's, on the same full-size events."""

from __future__ import annotations

from statistics import median

from infra.bench.events import Size, own_events, recorded_file
from infra.bench.pair import MOST_RATIO, bench_pair

EVENTS = 1_024
TRIES = 3


def test_the_pipeline_costs_no_more_than_allowed_beside_the_floor() -> None:
    """Where the machine's noise hides it, more rounds are made, and all count."""
    values = own_events(recorded_file(EVENTS, 3, Size.FULL), EVENTS)
    ratios = list[float]()
    for _ in range(TRIES):
        found = bench_pair(values, rounds=5)
        assert found["runs"]["pipeline"]["details"]["scored"] == EVENTS
        assert found["runs"]["floor"]["details"]["scored"] == EVENTS
        pairs = zip(found["rounds"]["pipeline"], found["rounds"]["floor"], strict=True)
        ratios += [pipeline / floor for pipeline, floor in pairs]
        if median(ratios) <= MOST_RATIO:
            break
    assert median(ratios) <= MOST_RATIO, ratios
