"""Shared counts against a naive oracle: exact, however the stream is disordered, repeated, cut or interrupted."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from flows.lookups.memory_shared import MemorySharedCounts
from flows.lookups.redis_shared import Limits, RedisSharedCounts
from flows.metrics import FlowMetrics
from schemas.batches import F32
from schemas.shared import SharedAnswer, SharedCounts, SharedQuery
from schemas.velocity import ENTITIES, WINDOW_MS
from tests.shared_kit import DAY, Oracle, Row, asked
from tests.valkey_part import Valkey

MINUTE, HOUR = 60_000, 3_600_000
SMALL = Limits(light_records=3, sample=1 << 20)
number = itertools.count()
Make = Callable[..., RedisSharedCounts]

gaps = st.sampled_from(
    [0, 0, 1, 500, 5_999, 6_000, 20_000, 299_999, 5 * MINUTE, 20 * MINUTE, HOUR, 5 * HOUR, 25 * HOUR]
)
lags = st.sampled_from([0, 0, 0, 1, 6_000, MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 3 * HOUR, 7 * HOUR, DAY])


@st.composite
def streams(draw: st.DrawFn) -> list[Row]:
    """Streams of few entities and few devices: late, in bursts, over days, in three partitions."""
    now, rows = DAY + draw(st.sampled_from([0, 1, HOUR, DAY - 1])), []
    for _ in range(draw(st.integers(1, 60))):
        now += draw(gaps)
        entities = tuple(draw(st.integers(0, 2)) if kind in (0, 2) else 0 for kind in range(len(ENTITIES)))
        rows.append(Row(max(0, now - draw(lags)), draw(st.integers(1, 9)), entities, draw(st.integers(0, 2))))
    return rows


EDGES = [Row(DAY + at, 1, (1, 0, 0, 0, 0, 0)) for window in WINDOW_MS for at in (0, window - 1, window)]
"""An event one millisecond younger than a window is long lies in it; one as old as that does not."""

cuts = st.lists(st.integers(0, 60), max_size=6)


@pytest.fixture(scope="module")
def redis_counts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Make]:
    """Yield a maker of counts over one real Valkey, each under a prefix of its own unless one is said."""
    with Valkey(tmp_path_factory.mktemp("valkey"), appendonly="no") as server, server.client() as client:

        def make(limits: Limits = SMALL, prefix: str = "", source: str = "raw") -> RedisSharedCounts:
            own = prefix or f"t{next(number)}"
            return RedisSharedCounts(client, FlowMetrics(CollectorRegistry()), prefix=own, source=source, limits=limits)

        yield make


Pairs = list[tuple[int, int]]


def told(rows: Sequence[Row], counts: F32) -> Iterator[tuple[F32, Pairs, Pairs, int]]:
    """Yield the answer for each entity of each row, the oracle's two, and how late the row is."""
    oracle = Oracle()
    for shown, answer in zip(rows, counts, strict=True):
        known = set()
        for kind, exact, by_panes in oracle.see(shown):
            known.add(kind)
            yield answer[kind], exact, by_panes, oracle.newest - shown.at
        for kind in set(range(len(ENTITIES))) - known:
            assert np.isnan(answer[kind]).all()


@settings(max_examples=60, deadline=None)
@given(rows=streams(), cut=cuts)
@example(rows=EDGES, cut=[])
@example(rows=sorted(EDGES), cut=[3])
def test_counts_in_memory_are_those_of_an_oracle(rows: list[Row], cut: list[int]) -> None:
    answers = asked(MemorySharedCounts(), rows, cut)
    for answer, exact, _, late in told(rows, answers):
        if late > DAY:
            assert np.isnan(answer).all()
        else:
            assert answer.T.tolist() == [list(pair) for pair in exact]


@settings(max_examples=60, deadline=None)
@given(rows=streams(), cut=cuts, light=st.sampled_from([1, 3, 8, 64]))
@example(rows=EDGES, cut=[], light=64)
@example(rows=EDGES, cut=list(range(9)), light=64)
@example(rows=sorted(EDGES), cut=[], light=64)
@example(rows=sorted(EDGES), cut=[3], light=1)
def test_counts_in_redis_are_those_of_an_oracle(
    redis_counts: Make, rows: list[Row], cut: list[int], light: int
) -> None:
    limits = Limits(light_records=light, sample=1 << 20)
    answers = asked(redis_counts(limits), rows, cut)
    for answer, exact, by_panes, late in told(rows, answers):
        for window in range(len(WINDOW_MS)):
            found = tuple(answer[:, window].tolist())
            if late <= limits.late_ms[window]:
                assert found in (exact[window], by_panes[window])
            else:
                assert np.isnan(found).all() or found in (exact[window], by_panes[window])


@settings(max_examples=40, deadline=None)
@given(rows=streams(), cut=cuts, other=cuts, back=st.integers(0, 60))
def test_a_replay_is_told_what_it_was_told_and_counts_nothing(
    redis_counts: Make, rows: list[Row], cut: list[int], other: list[int], back: int
) -> None:
    pairs: tuple[tuple[SharedCounts, SharedCounts], ...] = (
        (MemorySharedCounts(), MemorySharedCounts()),
        (redis_counts(), redis_counts()),
    )
    for counts, straight in pairs:
        first = asked(counts, rows, cut)
        again = asked(counts, rows, other)
        np.testing.assert_array_equal(first, again)
        longer = [*rows, *rows[:back]]
        np.testing.assert_array_equal(asked(counts, longer, cut), asked(straight, longer, other))


@settings(max_examples=25, deadline=None)
@given(rows=streams(), cut=cuts)
def test_two_processes_add_up(redis_counts: Make, rows: list[Row], cut: list[int]) -> None:
    prefix = f"both{next(number)}"
    both = _ByPartition([redis_counts(prefix=prefix), redis_counts(prefix=prefix)])
    np.testing.assert_array_equal(asked(both, rows, cut), asked(redis_counts(), rows, cut))


class _ByPartition:
    """Two processes with partitions of their own, asked in turn, row by row."""

    def __init__(self, processes: Sequence[SharedCounts]) -> None:
        self._processes = processes

    def count(self, query: SharedQuery, /) -> SharedAnswer:
        parts = []
        for row, partition in enumerate(query.partition.tolist()):
            one = SharedQuery(*(getattr(query, name)[row : row + 1] for name in SharedQuery.__dataclass_fields__))
            parts.append(self._processes[partition % 2].count(one).counts)
        return SharedAnswer(np.concatenate(parts), False)
