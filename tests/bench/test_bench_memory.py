"""The memory of a long run: flat once caches are full, and what a benchmark says of it."""

from __future__ import annotations

import gc
import sys
from dataclasses import replace
from functools import lru_cache

import pytest

from flows.lookups.memory_shared import MemorySharedCounts
from flows.pipeline import Pipeline, build_pipeline
from flows.stages.decode import Decode
from infra.bench.events import Size, own_events, recorded_file
from infra.bench.feed import CHUNK, Feed
from infra.bench.flow import PipelineWork
from infra.bench.processes import grown_mb
from infra.flow import bench_parts
from infra.traffic.dataset import dataset_keys
from schemas import keys
from scoring.deployment import only
from scoring.model import Model, find_model

POOL, LAPS = 512, 16  # a lap is a week: devices are forgotten after five
OBJECTS_AN_EVENT = 0.3
SESSIONS, ANSWERS = 64, 1_024
OBJECTS_A_WEEK = 100  # its ciphers alone would be some hundreds


def small_pipeline() -> Pipeline:
    """Return the pipeline with caches that a few hundred events fill."""
    shared = MemorySharedCounts(answers=ANSWERS)
    stages = build_pipeline(dataset_keys(), only(Model.load(find_model())), lateness_ms=86_400_000, shared=shared)
    return replace(stages, decode=Decode(dataset_keys(), sessions=SESSIONS))


def test_objects_of_ever_new_sessions_and_devices_do_not_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "_kept", lru_cache(SESSIONS)(keys.derived_key))
    blocks: list[int] = []

    def look(_: float) -> None:
        gc.collect()
        blocks.append(sys.getallocatedblocks())

    records = own_events(recorded_file(1_024, 3, Size.FULL), POOL)
    feed = Feed(records, dataset_keys(), LAPS * POOL, batch=256, on_progress=look)
    done = PipelineWork(small_pipeline(), bench_parts()[1], 256)(feed)
    assert done.account == {"scored": LAPS * POOL, "dead": 0, "dropped": 0}
    course = list(zip(range(CHUNK, LAPS * POOL + 1, CHUNK), map(float, blocks), strict=True))
    grown = grown_mb(course, settled=LAPS * POOL // 2, points=2)
    assert grown is not None
    assert grown < OBJECTS_AN_EVENT * LAPS * POOL // 4, blocks  # a cache without a bound takes several a session


def test_a_week_that_came_again_leaves_nothing_to_the_collector() -> None:
    records = own_events(recorded_file(1_024, 3, Size.FULL), POOL)
    feed = Feed(records, dataset_keys(), 3 * POOL, batch=256)
    gc.collect()
    gc.disable()
    try:
        assert sum(feed.batches(lambda batch, _: len(batch))) == 3 * POOL
        assert gc.collect() < OBJECTS_A_WEEK, "what is measured is this process's memory, ciphers of the feed included"
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("mb_at", "grown"),
    [
        (lambda events: 600.0, 0.0),
        (lambda events: 600.0 + events // 1_000 % 7, 0.0),  # what goes up and down
        (lambda events: 600.0 + min(events, 100_000) / 1_000, 0.0),  # what fills before it is looked at
        (lambda events: 600.0 + events / 10_000, 20.0),  # a tenth of a kilobyte an event
    ],
)
def test_growth_is_what_the_peak_of_the_later_half_has_more(mb_at: object, grown: float) -> None:
    assert callable(mb_at)
    course = [(events, mb_at(events)) for events in range(1_000, 500_001, 1_000)]
    assert grown_mb(course, settled=100_000) == pytest.approx(grown)


@pytest.mark.parametrize("end", [0, 99_000, 199_000])
def test_a_run_that_ends_soon_after_it_settled_says_nothing_of_growth(end: int) -> None:
    assert grown_mb([(events, 600.0) for events in range(1_000, end + 1, 1_000)], settled=100_000) is None
