"""Plain numbers give the series that the library's counter and histogram give."""

from __future__ import annotations

import re
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_open_metrics

from flows.tallies import Spreads, Tallies

BOUNDS = (0.001, 0.25, 1, 5.0)
LABELS = st.sampled_from(["decode", "score", 'with "quotes"'])
SECONDS = st.sampled_from([0.0, *BOUNDS, 0.0009999, 0.7, 6.5]) | st.floats(0.0, 10.0)


def said(registry: CollectorRegistry) -> tuple[str, str]:
    """Return both forms of what a scrape gets, without the times at which series were made."""
    forms = (generate_latest(registry), generate_open_metrics(registry))  # type: ignore[no-untyped-call]
    one, other = (re.sub(r"(_created(?:\{.*\})?) \S+", r"\1", form.decode()) for form in forms)
    return one, other


@given(st.lists(st.tuples(LABELS, LABELS, st.integers(0, 512))))
def test_a_counter_says_what_the_librarys_says(counted: list[tuple[str, str, int]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    plain = Tallies("rows", "Rows out of a stage", ("stage", "outcome"), ours)
    library = Counter("rows", "Rows out of a stage", ("stage", "outcome"), registry=theirs)
    for stage, outcome, rows in counted:
        plain.labels(stage, outcome).inc(rows)
        library.labels(stage, outcome).inc(rows)
    assert said(ours) == said(theirs)


@given(st.lists(st.tuples(LABELS, SECONDS)))
def test_a_histogram_says_what_the_librarys_says(observed: list[tuple[str, float]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    plain = Spreads("seconds", "One batch", ("stage",), BOUNDS, ours)
    library = Histogram("seconds", "One batch", ("stage",), buckets=BOUNDS, registry=theirs)
    for stage, seconds in observed:
        plain.labels(stage).observe(seconds)
        library.labels(stage).observe(seconds)
    assert said(ours) == said(theirs)


def test_a_series_tells_when_it_was_made() -> None:
    registry = CollectorRegistry()
    one = Tallies("rows", "Rows", ("stage",), registry).labels("decode")
    other = Spreads("seconds", "One batch", ("stage",), BOUNDS, registry).labels("decode")
    for name, series in (("rows_created", one), ("seconds_created", other)):
        assert registry.get_sample_value(name, {"stage": "decode"}) == series.created > 0


def test_a_name_is_given_once() -> None:
    registry = CollectorRegistry()
    Tallies("rows", "Rows", ("stage",), registry)
    with pytest.raises(ValueError, match="Duplicated timeseries"):
        Counter("rows", "Rows", registry=registry)
    Spreads("seconds", "One batch", (), BOUNDS, registry)
    with pytest.raises(ValueError, match="Duplicated timeseries"):
        Spreads("seconds", "One batch", (), BOUNDS, registry)


def test_nothing_is_lost_where_one_counts_while_others_ask() -> None:
    registry = CollectorRegistry()
    spread = Spreads("seconds", "One batch", (), BOUNDS, registry).labels()
    ended = threading.Event()
    seen: list[float] = []

    def ask() -> None:
        while not ended.is_set():
            seen.append(registry.get_sample_value("seconds_count") or 0.0)

    asking = [threading.Thread(target=ask) for _ in range(2)]
    for thread in asking:
        thread.start()
    for _ in range(20_000):
        spread.observe(0.5)
    ended.set()
    for thread in asking:
        thread.join()
    assert registry.get_sample_value("seconds_count") == 20_000
    assert registry.get_sample_value("seconds_sum") == 10_000.0
    assert max(seen, default=0.0) <= 20_000
