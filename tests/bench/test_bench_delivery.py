"""``clickgoose bench delivery``: both ways hold every row, and the report has all figures."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import typer
from typer.testing import CliRunner

from infra.bench.delivery import Load, acknowledged, bench_delivery, joined
from infra.cli import bench

TINY = Load(seconds=0.4, rate=500, batch=8, work_us=10, quick_seconds=0.0, insert_seconds=0.02, epoch_seconds=0.1)
FIGURES = {"events_per_s", "latency_ms_p50", "latency_ms_p99", "read_again_mean", "read_again_most"}


@pytest.mark.parametrize("way", [acknowledged, joined])
def test_every_row_that_is_polled_is_held_by_both_destinations(way: Callable[[Load, bool], dict[str, float]]) -> None:
    found = way(TINY, True)  # raises where a row is not held
    assert set(found) == FIGURES
    assert 0 < found["events_per_s"] <= 2 * TINY.rate
    assert 0 < found["latency_ms_p50"] <= found["latency_ms_p99"]
    assert found["read_again_most"] >= found["read_again_mean"]


def test_the_report_has_both_ways_and_their_ratio() -> None:
    runs: list[None] = []
    found = bench_delivery(TINY, lambda: runs.append(None))
    assert [set(found[name]) for name in ("acknowledged", "joined", "ratio")] == [FIGURES] * 3
    assert len(runs) == 4
    assert json.dumps(found)


def test_the_command_prints_one_object() -> None:
    app = typer.Typer()
    bench.register(app)
    result = CliRunner().invoke(app, ["bench", "delivery", "--seconds", "1", "--insert-seconds", "0.01", "--json"])
    assert result.exit_code == 0
    assert set(json.loads(result.stdout)) == {"acknowledged", "joined", "ratio"}
