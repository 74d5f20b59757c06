"""The matrix of features against one that is built value by value, and the walk through trees against plain steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.activity_statistics import STATISTICS, activity_statistics
from schemas.batches import Activity, Enriched, Signals
from schemas.catalogue import load_catalogue
from schemas.environment import CHECKS
from schemas.event_time import event_time
from schemas.log_codes import load_log_codes
from schemas.recognition import COMBINATIONS, REPUTED
from schemas.smart_signals import SMART_SIGNALS
from schemas.travel import travel_kmh
from schemas.velocity import ENTITIES, KINDS, MEASURES, WINDOWS
from scoring.counted import SHARED_ENTITIES
from scoring.evaluation import Evaluation, Tables
from scoring.features import ENVIRONMENT, feature_schema, matrix
from scoring.log_statistics import log_statistics
from scoring.stored_features import pack, packed
from tests.builders import NOW, enriched

_CODES = {"browser", "engine", "system", "device", "gpu", "gpu_driver", "density"}
seeds = st.integers(0, 2**32 - 1)


def drawn(rows: int, seed: int) -> Enriched:
    """Return events whose columns hold anything that their types allow, absent values among them."""
    rng = np.random.default_rng(seed)
    batch = enriched([{}] * rows)

    def floats(shape: Any) -> Any:
        values = rng.uniform(-1e6, 1e6, shape).astype(np.float32)
        return np.where(rng.random(shape) < 0.3, np.float32(np.nan), values)

    def numbers(like: Any, most: int) -> Any:
        return np.where(rng.random(like.shape) < 0.3, 0, rng.integers(0, most, like.shape)).astype(like.dtype)

    shown, known = batch.signals, rng.random(batch.signals.known.shape) < 0.6
    signals = Signals(
        shown.catalogue,
        floats(shown.numbers.shape),
        known,
        known & (rng.random(known.shape) < 0.5),
        numbers(shown.categories, 2**32),
        shown.texts,
    )
    places = np.where(rng.random(rows) < 0.5, np.float32(48), floats(rows) / 2e4).astype(np.float32)
    history = batch.history
    earlier = np.repeat(np.where(rng.random(rows) < 0.5, places, np.float32(48))[:, None], history.latitude.shape[1], 1)
    environment = replace(
        batch.environment,
        checks=rng.integers(0, 1 << len(CHECKS), rows).astype(np.uint64),
        **{name: numbers(getattr(batch.environment, name), 9) for name in _CODES},
        timezone_offset=floats(rows),
    )
    smart = batch.smart
    return replace(
        batch,
        signals=signals,
        environment=environment,
        network=replace(batch.network, latitude=places, longitude=places),
        velocity=replace(batch.velocity, counts=numbers(batch.velocity.counts, 1_000)),
        history=replace(history, hours=numbers(history.hours, 255), latitude=earlier, longitude=earlier),
        shared=replace(batch.shared, counts=np.abs(floats(batch.shared.counts.shape)) + 1),
        recognition=replace(
            batch.recognition,
            tail=floats(batch.recognition.tail.shape),
            denied=floats(batch.recognition.denied.shape),
        ),
        smart=replace(
            smart,
            result=rng.integers(-1, 2, smart.result.shape).astype(np.int8),
            confidence=floats(smart.confidence.shape),
        ),
        activity=logs(rows, rng),
    )


def logs(rows: int, rng: Any) -> Activity:
    """Return logs of known and unknown codes, with values that no agent sends among them."""
    lengths = rng.integers(0, 30, rows)
    total = int(lengths.sum())
    codes = np.array([101, 201, 202, 203, 204, 205, 206, 207, 301, 302, 401, 402, 403, 501, 60_000], np.uint16)
    values = rng.choice(np.array([np.nan, np.inf, -5, 0, 3e38, 80, 120.5], np.float32), total)
    return Activity(
        np.concatenate((np.zeros(1, np.int64), np.cumsum(lengths))),
        rng.integers(0, 10**6, total).astype(np.uint32),
        values,
        rng.choice(codes, total),
        rng.integers(0, 20, total).astype(np.uint8),
    )


def plainly(batch: Enriched, row: int) -> dict[str, float]:
    """Return the features of one row by name, each by the words of its definition."""
    catalogue, nan = load_catalogue(), float("nan")
    signals, smart = batch.signals, batch.smart
    found: dict[str, float] = {}
    for at, number in enumerate(catalogue.numbers):
        found[number.name] = signals.numbers[row, at]
    for at, boolean in enumerate(catalogue.booleans):
        found[boolean.name] = float(signals.booleans[row, at]) if signals.known[row, at] else nan
    for at, category in enumerate(catalogue.categories):
        code = int(signals.categories[row, at])
        found[category.name] = float(code % 65_536) if code else nan
    for name in ENVIRONMENT:
        told = getattr(batch.environment, name)[row]
        found[f"environment.{name}"] = nan if name in _CODES and told == 0 else told
    for at, check in enumerate(CHECKS):
        found[f"check.{check}"] = int(batch.environment.checks[row]) >> at & 1
    for at, signal in enumerate(SMART_SIGNALS):
        found[f"smart.{signal}"] = nan if smart.result[row, at] < 0 else smart.result[row, at]
        found[f"smart.{signal}.confidence"] = smart.confidence[row, at]
    for at, kind in enumerate(KINDS):
        for window_at, window in enumerate(WINDOWS):
            found[f"velocity.{kind}_{window}"] = batch.velocity.counts[row, at, window_at]
    time, hours = int(event_time(batch)[row]), batch.history.hours[row].tolist()
    hour = time // 3_600_000 % 24
    near = sum(hours[(hour + step) % 24] for step in (-1, 0, 1))
    found["history.events"] = batch.history.events[row]
    found["history.hour_share"] = near / sum(hours) if sum(hours) else nan
    for at, entity in enumerate(ENTITIES):
        for window_at, window in enumerate(WINDOWS):
            if entity in SHARED_ENTITIES:
                events, devices = batch.shared.counts[row, at, :, window_at]
                for measure, counted in zip(MEASURES, (events, devices), strict=True):
                    found[f"shared.{entity}_{measure}_{window}"] = counted
                found[f"shared.{entity}_devices_per_event_{window}"] = devices / events
    for at, name in enumerate(COMBINATIONS):
        found[f"prevalence.{name}"] = batch.recognition.tail[row, at]
    for at, name in enumerate(REPUTED):
        found[f"reputation.{name}"] = batch.recognition.denied[row, at]
    for at, name in enumerate(STATISTICS):
        found[f"session.{name}"] = batch.session.statistics[row, at]
    return found


@settings(max_examples=12, deadline=None)
@given(seeds)
def test_every_column_is_what_its_name_says(seed: int) -> None:
    batch = drawn(6, seed)
    table, names = matrix(batch), feature_schema().names
    computed = {"history.travel_kmh_log", "velocity.since_first", "velocity.since_previous"}
    computed |= {"session.events", "session.age", *(f"activity.{name}" for name in STATISTICS)}
    for row in range(len(batch)):
        wanted = plainly(batch, row)
        assert set(names) == set(wanted) | computed
        columns = [place for place, name in enumerate(names) if name in wanted]
        expected = np.array([wanted[names[place]] for place in columns], np.float32)
        np.testing.assert_array_equal(table[row, columns], expected)
    travel = np.log1p(travel_kmh(batch.network, batch.history, event_time(batch)))
    np.testing.assert_array_equal(table[:, feature_schema().position["history.travel_kmh_log"]], travel)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_times_are_logarithms_of_seconds_and_none_is_negative(seed: int) -> None:
    rng = np.random.default_rng(seed)
    batch = drawn(8, seed)
    first, previous, started = (NOW - rng.integers(-(10**6), 10**12, 8) for _ in range(3))
    previous[rng.random(8) < 0.4] = -1
    batch = replace(
        batch,
        velocity=replace(batch.velocity, first_seen_at=first, previous_at=previous),
        session=replace(batch.session, started_at=started),
    )
    time, table, position = event_time(batch), matrix(batch), feature_schema().position

    def expected(since: Any) -> Any:
        return np.log1p((np.maximum(time - since, 0) / 1000).astype(np.float32))

    assert table[:, position["velocity.since_first"]].tobytes() == expected(first).tobytes()
    assert table[:, position["session.age"]].tobytes() == expected(started).tobytes()
    known = np.where(previous < 0, np.float32(np.nan), expected(previous))
    assert table[:, position["velocity.since_previous"]].tobytes() == known.tobytes()


@settings(max_examples=20, deadline=None)
@given(seeds, st.integers(0, 9))
def test_a_batch_is_packed_as_its_features_are(seed: int, rows: int) -> None:
    batch = drawn(9, seed).take(np.arange(rows))
    features = matrix(batch)
    assert packed(batch, features).tobytes() == pack(features).tobytes()


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(0, 9))
def test_logs_are_counted_as_the_schema_counts_them_to_the_last_bit(seed: int, rows: int) -> None:
    activity = logs(rows, np.random.default_rng(seed))
    assert log_statistics(activity).tobytes() == activity_statistics(activity).table.tobytes()


def long_logs(lengths: Sequence[int], values: Any, rng: Any) -> Activity:
    """Return logs of every known code and an unknown one, with some of the values."""
    codes = np.array([*load_log_codes().by_code, 60_000], np.uint16)
    total = sum(lengths)
    return Activity(
        np.cumsum([0, *lengths]),
        rng.integers(0, 2**32, total).astype(np.uint32),
        rng.choice(values, total),
        rng.choice(codes, total),
        rng.integers(0, 20, total).astype(np.uint8),
    )


@settings(max_examples=20, deadline=None)
@given(seeds, st.lists(st.integers(0, 300), max_size=5))
def test_whole_amounts_and_fractions_are_summed_in_the_order_of_entries(seed: int, lengths: list[int]) -> None:
    rng = np.random.default_rng(seed)
    whole = np.array([0, 1, 2, 77, 4_242, 1e8, 1e9, 2e9, -3, np.nan, np.inf], np.float32)
    for values in (whole, (rng.random(50) * 1e4).astype(np.float32), np.append(whole, np.float32(0.1))):
        activity = long_logs(lengths, values, rng)
        assert log_statistics(activity).tobytes() == activity_statistics(activity).table.tobytes()


def test_a_log_of_more_entries_than_a_lane_can_count_is_counted_as_others_are() -> None:
    rng = np.random.default_rng(7)
    activity = long_logs([3, 70_000, 300_000, 5], np.array([1, 1e9, 20], np.float32), rng)
    assert log_statistics(activity).tobytes() == activity_statistics(activity).table.tobytes()
    one_code = replace(activity, code=np.full_like(activity.code, load_log_codes().code("pointer_summary")))
    assert log_statistics(one_code).tobytes() == activity_statistics(one_code).table.tobytes()


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(0, 70))
def test_a_walk_ends_where_single_steps_end_whatever_rows_come_together(seed: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    tables = two_trees(rng)
    features = rng.choice(np.array([np.nan, -np.inf, np.inf, -1, 0, 0.5, 1], np.float32), (rows, 3))
    evaluation = Evaluation(tables, 3)
    verdict = evaluation(features)
    for row in range(rows):
        sums = np.zeros(4, np.float32)
        for root in tables.root.tolist():
            leaf = tables.leaf[ended(tables, root, features[row])]
            for target, value in zip(tables.target[leaf].tolist(), tables.value[leaf], strict=True):
                sums[target] += value
        margin = float(sums[0]) + float(tables.constants[0])
        slope, offset = (float(number) for number in tables.constants[1:])
        np.testing.assert_allclose(verdict.score[row], 100 / (1 + np.exp(-(slope * margin + offset))), rtol=1e-6)
        ranked = sorted(range(2), key=lambda group, sums=sums: (-sums[1 + group], group))  # type: ignore[misc]
        assert verdict.top_factor[row, :2].tolist() == ranked
        assert verdict.top_contribution[row, :2].tolist() == [sums[1 + group] for group in ranked]
        together: tuple[Any, ...] = verdict
        alone: tuple[Any, ...] = evaluation(features[row : row + 1])
        assert all(one.tobytes() == many[row : row + 1].tobytes() for one, many in zip(alone, together, strict=True))
    assert evaluation.score(features).tobytes() == verdict.score.tobytes()


def two_trees(rng: Any) -> Tables:
    """Return a tree of three leaves and one of a single leaf, over three features and two groups."""
    nan = np.nan
    return Tables(
        root=np.array([0, 5], np.int32),
        depth=np.array([2, 0], np.int32),
        feature=np.array([rng.integers(3), 0, rng.integers(3), 0, 0, 0], np.int32),
        threshold=np.array([0.5, nan, 0, nan, nan, nan], np.float32),
        child=np.array([1, 1, 3, 3, 4, 5], np.int32),
        default_right=np.array([rng.integers(2), 0, rng.integers(2), 0, 0, 0], np.uint8),
        leaf=np.array([0, 0, 0, 1, 2, 3], np.int32),
        target=np.array([[0, 1, 2], [0, 2, 3], [0, 1, 3], [0, 3, 3]], np.uint8),
        value=np.where(np.array([[1, 1, 1], [1, 1, 0], [1, 1, 0], [1, 0, 0]]), rng.normal(size=(4, 3)), 0).astype(
            np.float32
        ),
        constants=np.array([0.25, 1.5, -0.5], np.float32),
        groups=np.array([2], np.int32),
    )


def ended(tables: Tables, node: int, features: Any) -> int:
    """Return the leaf that a row ends at."""
    while tables.child[node] != node:
        value, left = features[tables.feature[node]], int(tables.child[node])
        right = bool(tables.default_right[node]) if np.isnan(value) else bool(value >= tables.threshold[node])
        node = left + right
    return node
