"""pair: floor and pipeline in turn, in one process and on the same events, so that what the machine does hits both.

Absolute figures wander; the median of the rounds' ratios wanders little. CI fails where it is above ``MOST_RATIO``.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import median
from typing import Any, Final

from infra.bench.feed import Feed
from infra.bench.measure import Figures, ProcessFigures, batch_sizes, combined, rss_peak_mb
from infra.bench.processes import Work, check_account
from infra.bench.works import FLOOR, PIPELINE, work_of
from infra.traffic.dataset import dataset_keys

MOST_RATIO: Final = 1.8
"""The pipeline's CPU per event in parts of the floor's, at the most: 1.4 to 1.5 was measured, and 1.5 is aimed at."""
_ROUNDS: Final = 6


def bench_pair(
    records: Sequence[bytes],
    batch: int = 256,
    rounds: int = _ROUNDS,
    advance: Callable[[float], None] = lambda share: None,
) -> dict[str, Any]:
    """Return both reports, of the round of least CPU each, and the median of the rounds' ratios.

    RowsLost where rows were lost.
    """
    works: dict[str, Work] = {name: work_of(name, batch) for name in (FLOOR, PIPELINE)}
    for work in works.values():
        work.warm_up(records)
    gc.collect()
    gc.freeze()
    try:
        found: dict[str, list[Figures]] = {name: [] for name in works}
        for _ in range(rounds):
            for name, work in works.items():
                found[name].append(_round(name, work, records, batch))
                advance(0.5 / rounds)
    finally:
        gc.unfreeze()
    least = {name: min(figures, key=lambda one: one.cpu_us_per_event) for name, figures in found.items()}
    rounds_of = zip(found[PIPELINE], found[FLOOR], strict=True)
    ratio = median(pipeline.cpu_us_per_event / floor.cpu_us_per_event for pipeline, floor in rounds_of)
    return {
        **least[PIPELINE].report(),
        "name": "pair",
        "runs": {name: figures.report() for name, figures in least.items()},
        "ratios": {"pipeline_to_floor": round(ratio, 3), "pipeline_to_floor_at_most": MOST_RATIO},
        "rounds": {name: [one.cpu_us_per_event for one in figures] for name, figures in found.items()},
    }


def _round(name: str, work: Work, records: Sequence[bytes], batch: int) -> Figures:
    feed = Feed(records, dataset_keys(), len(records), batch=batch)
    done = work(feed)
    check_account(name, len(records), done.account)
    whole = ProcessFigures(name, feed.given, feed.watch.cpu, rss_peak_mb())
    figures = combined(name, batch, feed.given, feed.watch.wall, [whole])
    return replace(
        figures,
        cpu_us_per_event_of_stages={stage: round(s / feed.given * 1e6, 3) for stage, s in done.stages.items()},
        batch_sizes=batch_sizes(feed.sizes.elements()),
        details={**done.account, **done.details},
    )
