"""Comparing two real models over sources in memory: what is scored again, what is stored, and how much is kept."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest

from infra.model_compare import CompareError, Side, SourceBatch, compare, side_of
from schemas.batches import F32
from scoring.compare import Events
from scoring.features import feature_schema
from scoring.groups import GROUP_CODES
from tests.compared import InMemory, some_events
from tests.model_doubles import two_models
from tests.tiny_model import tiny_set

ROWS = 300


def features_of(rows: int) -> F32:
    return tiny_set().features[np.arange(rows) % len(tiny_set().features)]


def batch(events: Events, has: np.ndarray | None = None, stored: float = np.nan) -> SourceBatch:  # type: ignore[type-arg]
    rows = len(events)
    has = np.ones(rows, np.bool_) if has is None else has
    scores = np.full(rows, stored, np.float32)
    return SourceBatch(events, features_of(rows)[has] if has.any() else None, has, scores, scores + 1)


def test_however_the_events_are_cut_into_batches_the_figures_are_the_same() -> None:
    a, b = map(side_of, two_models())
    events = some_events(ROWS, 1)
    whole = compare(a, b, InMemory((batch(events),)))
    cuts = [np.arange(first, min(first + 77, ROWS)) for first in range(0, ROWS, 77)]
    parts = InMemory(tuple(replace(batch(events.take(rows)), features=features_of(ROWS)[rows]) for rows in cuts))
    found = compare(a, b, parts)
    for name, value in whole.comparison.values.items():
        if not name.startswith("cost_us"):
            assert found.comparison.values[name] == pytest.approx(value), name
    assert [one["factor"] for one in found.comparison.figures["factors"]] == [
        one["factor"] for one in whole.comparison.figures["factors"]
    ]


def test_contributions_compare_in_calibrated_log_odds() -> None:
    a, b = two_models()
    events = replace(some_events(ROWS, 1), weight=np.ones(ROWS))
    found = compare(side_of(a), side_of(b), InMemory((batch(events),)))
    (adds,) = a.session.run(["contributions"], {"features": features_of(ROWS)})
    by_name = {one["factor"]: one for one in found.comparison.figures["factors"]}
    for column in np.argsort(-np.abs(adds).mean(axis=0))[:5].tolist():
        mean = float(adds[:, column].mean(dtype=np.float64)) * a.manifest.slope
        assert by_name[GROUP_CODES[column]]["mean_a"] == pytest.approx(mean, abs=2e-6)
    assert 0 < found.comparison.values["top_factor_agreement"] <= 1  # type: ignore[operator]


def test_a_model_against_itself_differs_in_nothing() -> None:
    side = side_of(two_models()[0])
    values = compare(side, side, InMemory((batch(some_events(ROWS, 2)),))).comparison.values
    assert (values["flip_share"], values["score.max_abs_difference"], values["score.psi"]) == (0, 0, 0)
    assert (values["top_factor_agreement"], values["pearson"]) == (1, pytest.approx(1))
    assert (values["pr_auc.delta"], values["pr_auc.delta.low"], values["pr_auc.delta.high"]) == (0, 0, 0)


def test_each_row_is_scored_again_where_it_has_features_and_speaks_by_its_stored_score_elsewhere() -> None:
    a, b = map(side_of, two_models())
    events, has = some_events(ROWS, 3), np.arange(ROWS) % 3 > 0
    found = compare(a, b, InMemory((batch(events, has, 50.0),)))
    assert (found.told_a.rescored, found.told_a.stored, found.told_a.missing) == (200, 100, 0)
    without = compare(a, b, InMemory((batch(events, has),)))
    assert (without.told_b.rescored, without.told_b.stored, without.told_b.missing) == (200, 0, 100)
    assert without.comparison.figures["events"]["rows"] == 200
    weight = events.weight
    assert without.comparison.values["scored_share"] == pytest.approx(weight[has].sum() / weight.sum())


def test_what_cannot_be_run_and_was_not_stored_is_refused() -> None:
    a, b = two_models()
    events = some_events(10, 3)
    with pytest.raises(CompareError, match=r"no event has a score of both .*: it is damaged; compare models that fit"):
        compare(side_of(a), Side(b.version, None, "it is damaged"), InMemory((batch(events),)))
    with pytest.raises(CompareError, match="there is no event to compare on"):
        compare(side_of(a), side_of(b), InMemory(()))
    with pytest.raises(CompareError, match="cannot be run here: it is damaged"):
        Side(b.version, None, "it is damaged").runs()


@dataclass(frozen=True)
class Endless:
    """So many batches of the same events, each made when it is asked for."""

    count: int
    name: str = "endless"

    def total(self) -> int:
        return self.count * ROWS

    def batches(self, a: str, b: str) -> Iterator[SourceBatch]:
        for number in range(self.count):
            yield batch(some_events(ROWS, number))


def test_of_an_event_some_hundred_bytes_are_kept_and_never_its_features() -> None:
    a, b = map(side_of, two_models())
    compare(a, b, Endless(2))
    peaks = []
    for count in (10, 30):
        tracemalloc.start()
        compare(a, b, Endless(count))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    of_an_event = (peaks[1] - peaks[0]) / (20 * ROWS)
    assert of_an_event < 600 < 4 * len(feature_schema()), f"{of_an_event:.0f} bytes an event"
