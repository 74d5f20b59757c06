"""What the machine itself takes: pauses of cores, and how long an event waits for their ends."""

from __future__ import annotations

import numpy as np
import pytest

from infra.bench.pauses import machine_alone, waits_longer


@pytest.mark.parametrize(
    ("pauses", "seconds", "waits"),
    [
        ([], 1.0, 0.0),
        ([0.005], 1.0, 0.0),  # half of a hundredth of the moments wait at all
        ([0.020], 1.0, 0.010),
        ([0.010] * 5, 1.0, 0.008),
        ([0.030, 0.001, 0.001], 1.0, 0.020),
        ([0.002] * 10, 1.0, 0.001),
    ],
)
def test_one_of_a_hundred_moments_waits_so_long_for_the_end_of_a_pause(
    pauses: list[float], seconds: float, waits: float
) -> None:
    assert waits_longer(pauses, seconds) == pytest.approx(waits)


def test_waiting_is_what_drawn_moments_wait() -> None:
    draw = np.random.default_rng(1)
    pauses = draw.exponential(0.004, 40)
    starts = np.arange(40) * 0.25
    moments = draw.random(2_000_000) * 10.0
    at = np.minimum((moments / 0.25).astype(int), 39)
    waits = np.maximum(starts[at] + pauses[at] - moments, 0.0)
    assert waits_longer(pauses.tolist(), 10.0) == pytest.approx(float(np.quantile(waits, 0.99)), rel=0.02)


def test_a_machine_loses_no_more_than_all_of_its_time() -> None:
    found = machine_alone(0.2)
    assert 0 <= found["lost_share"] < 1
    assert 0 <= found["p99_ms"] <= found["longest_ms"]
